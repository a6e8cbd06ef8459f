"""PyMC models of the forecaster: the only room with pymc and arviz."""
