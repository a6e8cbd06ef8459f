"""A forecaster to be backtested without a model: drift and noise that are known, so that the record is known too.

It stands in a module of its own because the workers of a backtest import it by name.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forecaster.scores import FORECAST, MODEL

# Taiwan's published outgo and income lie near these lines from 2013 on, TWD bn.
START, GROWTH = 500.0, 0.04


@dataclass(frozen=True)
class Double:
    """Lognormal outgo and income around a line, the reserve gathering their difference.

    Attributes
    ----------
    spread
        Standard deviation of a year's log error; bands scale with it.
    kill_at
        Origin whose worker kills itself once, while ``marker`` is not there yet.
    rejected
        Origins whose fit calls itself rejected.
    """

    horizon: int = 3
    spread: float = 0.05
    kill_at: int | None = None
    marker: Path | None = None
    rejected: tuple[int, ...] = ()

    def inputs(self) -> dict[str, Any]:
        """What decides the draws; how it is interrupted does not."""
        return {"spread": self.spread, "rejected": self.rejected}

    def __call__(self, origin: int, tell: Callable[[float, str], None]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Draws of 400 futures; the second question gets half a percent more income."""
        tell(0.5, "made up")
        if origin == self.kill_at and self.marker is not None and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        rng = np.random.default_rng(origin)
        steps = np.arange(1, self.horizon + 1)[:, None]
        middle = START * np.exp(GROWTH * (origin - 2013 + steps))
        noise = rng.normal(0.0, self.spread, (2, self.horizon, 400)).cumsum(axis=1)
        outgo, income = middle * np.exp(noise[0]), 1.05 * middle * np.exp(noise[1])
        questions = {FORECAST: _lines(income, outgo), MODEL: _lines(1.005 * income, outgo)}
        accepted = origin not in self.rejected
        return questions, {"accepted": accepted, "reasons": [] if accepted else ["made up"]}


def _lines(income: np.ndarray, outgo: np.ndarray) -> dict[str, np.ndarray]:
    balance = income - outgo
    reserve = 150.0 + balance.cumsum(axis=0)
    lines = {"income": income, "outgo": outgo, "balance": balance, "reserve": reserve}
    return lines | {"reserve_months": 12.0 * reserve / outgo}


@dataclass(frozen=True)
class Sleeper(Double):
    """Writes the number of its process to ``marker`` and then takes far too long."""

    def __call__(self, origin: int, tell: Callable[[float, str], None]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sleep, then answer as the double does."""
        assert self.marker is not None
        self.marker.write_text(str(os.getpid()))
        time.sleep(600)
        return super().__call__(origin, tell)
