"""Streamlit dashboard of the forecaster: the only room with streamlit."""
