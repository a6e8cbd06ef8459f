"""Theories of cost growth on the scales of a backtest: origin by origin, each weighed by what was known by then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from forecaster.scores import MODEL, QUESTIONS, crps
from forecaster.theories import assigned, equal_weights, stacked_weights

Array = np.ndarray
# Share of the outcomes that a theory must have forecast to be weighed.
MOST = 2 / 3
Draws = dict[str, dict[str, Array]]
# A forecast's draws by theory.
Each = dict[str, Array]


class Scales:
    """Weighs theories by their forecasts of outgo; origins are to come in the order of time.

    Parameters
    ----------
    outcomes
        Table of :func:`forecaster.scores.outcome_table`.
    """

    def __init__(self, outcomes: pd.DataFrame) -> None:
        rows = outcomes[outcomes["line"] == "outgo"]
        self._came = dict(zip(rows["year"].astype(int), rows["value"].astype(float), strict=True))
        # Target year, what came, and each theory's draws, of all origins so far.
        self._forecasts: list[tuple[int, float, Each]] = []
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
                each_step = {name: values[step] for name, values in outgo.items()}
                self._forecasts.append((origin + step + 1, came, each_step))
        return found

    def _shared(self, theories: list[str], until: int | None = None) -> tuple[list[str], list[tuple[float, Each]]]:
        """Theories that have forecast most outcomes of up to a year, and the outcomes that all of these have forecast.

        A theory that could not be carried over at some origins is weighed by the others, if those are enough.
        """
        known = [(came, each) for year, came, each in self._forecasts if until is None or year <= until]
        told = {name: sum(name in each for _, each in known) for name in theories}
        weighed = [name for name in theories if told[name] >= MOST * len(known)] or theories
        return weighed, [(came, each) for came, each in known if set(weighed) <= set(each)]

    def _weights(self, theories: list[str], until: int | None = None) -> tuple[dict[str, float], int]:
        """Weights from the outcomes of up to a year, and the number of outcomes that they rest on."""
        weighed, shared = self._shared(theories, until)
        forecasts = {name: [each[name] for _, each in shared] for name in weighed}
        found = stacked_weights(forecasts, [came for came, _ in shared])
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

        def mean_score(parts: dict[str, float]) -> float:
            whose = assigned(parts, len(shared[0][1][weighed[0]]))
            scores = [crps(np.choose(whose, [each[name] for name in parts]) / came, 1.0) for came, each in shared]
            return round(float(np.mean(scores)), 5)

        scored = {name: mean_score({name: 1.0}) for name in weighed} if shared else {}
        if shared:
            scored["averaged"] = mean_score({name: weights[name] for name in weighed})
            scored["equal"] = mean_score(equal_weights(weighed))
        return {"weights": weights, "outcomes": outcomes, "crps": scored, "origins": self._origins}
