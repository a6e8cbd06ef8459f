"""People: published tables, life tables, the cohort-component step and futures drawn from fitted models."""
