"""The one thing that is run: ``streamlit run dashboards/app.py``, or ``forecaster dashboard``."""

from streamlit.starlette import App

from forecaster_dashboards import server

app = App(server.PAGE, lifespan=server.started, middleware=server.middleware())
