"""Actuarial fund-sustainability forecaster for medical insurance pools: the engine.

Importing this package pulls in none of the heavy libraries; import the module you need.
"""

__version__ = "0.1.0"
