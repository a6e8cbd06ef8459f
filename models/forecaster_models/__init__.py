"""PyMC models of the forecaster: the only room with pymc and arviz."""

import warnings

# The plain model's density is one operation in NumPy on purpose; that Numba says so to every user helps nobody.
warnings.filterwarnings("ignore", message="Numba will use object mode to run _LogDensity")
