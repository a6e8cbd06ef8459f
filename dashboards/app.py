"""The dashboard's one script: ``streamlit run dashboards/app.py``, or ``forecaster dashboard``."""

from forecaster_dashboards.main import run

run()
