"""Theories of cost growth on the scales of a backtest: origin by origin, each weighed by what was known by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecaster.scores import ESTIMATED, MODEL, QUESTIONS
from forecaster.theories import assigned, distances, equal_weights, stacked_weights, thinned

Array = np.ndarray
# Share of the outcomes that a theory must have forecast to be weighed.
MOST = 2 / 3
# Draws of a forecast by which its theory is weighed, and which are kept, so that weights can be found again.
WEIGHED_DRAWS = 1000
Draws = dict[str, dict[str, Array]]
_KEYS = ["origin", "target", "actual"]


@dataclass(frozen=True)
class Forecast:
    """A forecast of outgo by all theories of an origin: target year, what came, draws by theory."""

    origin: int
    year: int
    came: float
    draws: dict[str, Array]


class Scales:
    """Weighs theories by their forecasts of outgo; origins are to come in the order of time.

    Parameters
    ----------
    outcomes
        Table of :func:`forecaster.scores.outcome_table`.
    """

    def __init__(self, outcomes: pd.DataFrame) -> None:
        rows = outcomes[(outcomes["line"] == "outgo") & (outcomes["kind"] != ESTIMATED)]
        self._came = dict(zip(rows["year"].astype(int), rows["value"].astype(float), strict=True))
        self._forecasts: list[Forecast] = []
        self._origins: dict[str, dict[str, Any]] = {}

    def averaged(self, origin: int, draws: Draws, *, agreed: bool = True) -> Draws:
        """Draws by rule, those of a question's theories put together; what has no theories stays as it is.

        Every draw follows one theory through all years and lines. An origin whose chains had not ``agreed`` weighs no
        theory: what was carried over from it proves nothing.
        """
        theories = [rule.partition(".")[2] for rule in draws if rule.startswith(f"{MODEL}.")]
        if not theories:
            return draws
        weights, outcomes = self._weights(theories, until=origin)
        self._origins[str(origin)] = {"weights": weights, "outcomes": outcomes}
        found = {rule: lines for rule, lines in draws.items() if rule.partition(".")[0] not in QUESTIONS}
        for question in QUESTIONS:
            each = [draws[f"{question}.{name}"] for name in theories]
            whose = assigned(weights, each[0]["outgo"].shape[1])
            found[question] = {line: np.choose(whose, [lines[line] for lines in each]) for line in each[0]}
        # Spending does not hang on the premium rate, so that either question would do.
        outgo = {name: draws[f"{MODEL}.{name}"]["outgo"] for name in theories}
        for step in range(len(outgo[theories[0]])):
            came = self._came.get(origin + step + 1)
            if came is not None and agreed:
                told = {name: thinned(values[step], WEIGHED_DRAWS) for name, values in outgo.items()}
                self._forecasts.append(Forecast(origin, origin + step + 1, came, told))
        return found

    def _shared(self, theories: list[str], until: int | None = None) -> tuple[list[str], list[Forecast]]:
        """Theories that have forecast most outcomes of up to a year, and the outcomes that all of these have forecast.

        A theory that could not be carried over at some origins is weighed by the others, if those are enough.
        """
        known = [forecast for forecast in self._forecasts if until is None or forecast.year <= until]
        told = {name: sum(name in forecast.draws for forecast in known) for name in theories}
        weighed = [name for name in theories if told[name] >= MOST * len(known)] or theories
        return weighed, [forecast for forecast in known if set(weighed) <= set(forecast.draws)]

    def _weights(self, theories: list[str], until: int | None = None) -> tuple[dict[str, float], int]:
        """Weights from the outcomes of up to a year, and the number of outcomes that they rest on."""
        weighed, shared = self._shared(theories, until)
        found = stacked_weights(
            _by_theory(weighed, shared),
            [forecast.came for forecast in shared],
            [forecast.origin for forecast in shared],
            [forecast.year for forecast in shared],
        )
        return {name: found.get(name, 0.0) for name in theories}, len(shared)

    def learnt(self) -> dict[str, Any] | None:
        """What the certificate says of theories; None where there are none.

        ``weights`` from all outcomes, ``outcomes``, their number; ``crps``, each theory's mean CRPS of outgo relative
        to the outcome, with that of the average with these weights and with equal ones; ``origins``, weights and number
        of outcomes by origin.
        """
        if not self._origins:
            return None
        weights, outcomes = self._weights(
            list(dict.fromkeys(name for origin in self._origins.values() for name in origin["weights"]))
        )
        weighed, shared = self._shared(list(weights))
        scored = {}
        if shared:
            told = distances(_by_theory(weighed, shared), [forecast.came for forecast in shared])
            scored = {name: told.crps({name: 1.0}) for name in weighed}
            scored |= {"averaged": told.crps(weights), "equal": told.crps(equal_weights(weighed))}
        return {
            "weights": weights,
            "outcomes": outcomes,
            "crps": {name: round(score, 5) for name, score in scored.items()},
            "origins": self._origins,
        }

    def kept(self) -> pd.DataFrame:
        """Forecasts that theories are weighed by: ``origin``, ``target``, ``actual`` and, draw by draw, each theory.

        Empty where there are no theories; a theory that an origin does not have is missing there.
        """
        tables = [
            pd.DataFrame(forecast.draws, dtype=np.float32).assign(
                origin=forecast.origin, target=forecast.year, actual=forecast.came
            )
            for forecast in self._forecasts
        ]
        found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
        return found[[*_KEYS, *found.columns.drop(_KEYS)]] if tables else found


def _by_theory(theories: list[str], forecasts: list[Forecast]) -> dict[str, list[Array]]:
    return {name: [forecast.draws[name] for forecast in forecasts] for name in theories}
