"""The script that Streamlit runs for every page."""

from forecaster_dashboards.main import run

run()
