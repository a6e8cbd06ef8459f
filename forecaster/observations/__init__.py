"""Sourced figures of a place: load them, list their sources, name their quality."""

from forecaster.observations.load import (
    Observations,
    grade_error,
    list_places,
    list_sources,
    load_observations,
    load_table,
    observation_hash,
)
from forecaster.observations.tables import period_months

__all__ = [
    "Observations",
    "grade_error",
    "list_places",
    "list_sources",
    "load_observations",
    "load_table",
    "observation_hash",
    "period_months",
]
