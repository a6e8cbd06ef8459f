"""The dashboard on a made-up fund as a server: what the browser tests start."""

from pathlib import Path

from streamlit.starlette import App

from forecaster_dashboards import server

app = App(Path(__file__).resolve().with_name("made_up_dashboard.py"), middleware=server.middleware())
