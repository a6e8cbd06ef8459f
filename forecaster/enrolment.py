r"""Voluntary enrolment: who joins at what own premium, who stays away, and what that makes of the cost per member.

People are thirds of equal number by expected cost :math:`k_h`. With *c* what a member may expect back, *o* the own
premium, *w* the mean wage, *d* the enrolment drive, *r* the part of bills settled at the counter:

.. math::
    u_{h,t} &= a + b \log\frac{k_h\, c_t\,(1 + g r_t)}{o_t} - m\,\frac{1000\,o_t}{w_t} + e\,d_t \\
    \operatorname{logit} p_t &= \rho \operatorname{logit} p_{t-1}
        + (1 - \rho) \operatorname{logit} \tfrac13 \sum_h \sigma(u_{h,t}) \\
    \text{cost per member} &= \bar c\, \frac{\sum_h p_h k_h}{\sum_h p_h}

:math:`\rho` is habit. Where the own premium has to bear the cost that the subsidy leaves, premium, take-up and cost
hang together: :func:`fixed_point` follows them until they rest, or tells that they do not.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from forecaster.errors import ForecasterError
from forecaster.resources import data_dir

Array = np.ndarray

# Expected cost of the healthy, the middle and the sick third against the mean: assumed.
THIRDS = np.array([0.4, 0.8, 1.8])
FITTED = "cn_enrolment"
# Below this take-up a voluntary pool is taken to have come apart.
COLLAPSE = 0.1
MOST_ROUNDS, RESTING = 500, 1e-8


@dataclass(frozen=True)
class TakeUp:
    """Draws of what governs take-up, each ``(draw,)``; names as in the module's equations.

    Attributes
    ----------
    level, benefit, burden, habit
        *a*, *b*, *m* and :math:`\\rho`, learnt.
    drive, counter
        *e* and *g*: priors alone, no figure tells them.
    """

    level: Array
    benefit: Array
    burden: Array
    habit: Array
    drive: Array
    counter: Array

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return len(self.level)

    def first(self, n: int) -> TakeUp:
        """So many draws, from the beginning and again where more are wanted than there are."""
        at = np.arange(n) % self.n_draws
        return TakeUp(*(getattr(self, item.name)[at] for item in fields(self)))


@dataclass(frozen=True)
class State:
    """What a person who may join looks at; numbers, or arrays ``(draw,)``.

    Attributes
    ----------
    benefit
        What a person of mean cost may expect back, nominal CNY a year.
    own
        Own premium, nominal CNY a year.
    wage
        Mean wage, nominal CNY a year.
    drive, counter
        Steps of the enrolment drive; part of bills settled at the counter.
    """

    benefit: Array | float
    own: Array | float
    wage: Array | float
    drive: Array | float = 0.0
    counter: Array | float = 0.0


def wanted_by_third(takeup: TakeUp, state: State) -> Array:
    """Take-up that the thirds tend to, healthy first, ``(3, draw)``."""
    value = np.log(state.benefit * (1.0 + takeup.counter * state.counter) / np.maximum(state.own, 1e-6))
    burden = takeup.burden * 1000.0 * state.own / state.wage
    common = takeup.level + takeup.benefit * value - burden + takeup.drive * state.drive
    shares: Array = expit(common + takeup.benefit * np.log(THIRDS)[:, None])
    return shares


def cost_ratio(by_third: Array) -> Array:
    """Cost per member against that of everybody, from take-up by third, ``(draw,)``."""
    ratio: Array = (by_third * THIRDS[:, None]).sum(axis=0) / by_third.sum(axis=0) / THIRDS.mean()
    return ratio


def calibrated(takeup: TakeUp, state: State, share: float) -> TakeUp:
    """The same with the level at which a given take-up is at rest, draw by draw."""
    low, high = np.full(takeup.n_draws, -40.0), np.full(takeup.n_draws, 40.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        over = wanted_by_third(replace(takeup, level=middle), state).mean(axis=0) > share
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return replace(takeup, level=0.5 * (low + high))


@dataclass(frozen=True)
class Course:
    """Take-up over years: ``share`` and ``cost_ratio``, ``(year, draw)``."""

    share: Array
    cost_ratio: Array


def course(takeup: TakeUp, states: list[State], before: Array | float) -> Course:
    """Take-up year by year from that of the year before the first, ``before``; thirds move with the whole."""
    now = np.broadcast_to(np.asarray(before, dtype=float), (takeup.n_draws,))
    shares, ratios = [], []
    for state in states:
        wanted = wanted_by_third(takeup, state)
        moved = takeup.habit * logit(now) + (1.0 - takeup.habit) * logit(wanted.mean(axis=0))
        # The thirds keep their distances on the logit scale while habit holds the whole back.
        by_third = expit(logit(wanted) + moved - logit(wanted.mean(axis=0)))
        now = expit(moved)
        shares.append(now)
        ratios.append(cost_ratio(by_third))
    return Course(np.array(shares), np.array(ratios))


@dataclass(frozen=True)
class Rest:
    """Where premium, take-up and cost come to rest; each ``(draw,)`` but ``path``.

    Attributes
    ----------
    outcome
        ``at rest``, ``spiral`` (take-up fell below :data:`COLLAPSE`) or ``no rest`` (it went on moving).
    share, own, cost
        Take-up, own premium and cost per member in the last round, CNY a year.
    rounds
        Years that it took: in each the premium of the next is set from the cost of this one.
    path
        Take-up by round, ``(round, draw)``; it stands still from a draw's last round on.
    """

    outcome: Array
    share: Array
    own: Array
    cost: Array
    rounds: Array
    path: Array


def fixed_point(takeup: TakeUp, state: State, subsidy: float) -> Rest:
    """Premium -> take-up -> cost -> premium, where members pay all that the subsidy leaves.

    Parameters
    ----------
    state
        Where it begins; its ``benefit`` is what a person of mean cost draws from the pool in a year.
    subsidy
        Money of the government per member, CNY a year.
    """
    by_third = wanted_by_third(takeup, state)
    share, cost = by_third.mean(axis=0), state.benefit * cost_ratio(by_third)
    own, path = np.maximum(0.0, cost - subsidy), [share]
    outcome = np.full(takeup.n_draws, "no rest", dtype="<U8")
    rounds = np.full(takeup.n_draws, MOST_ROUNDS)
    for round_ in range(1, MOST_ROUNDS + 1):
        moving = outcome == "no rest"
        if not moving.any():
            break
        asked = np.maximum(0.0, cost - subsidy)
        by_third = wanted_by_third(takeup, replace(state, own=asked))
        tended = takeup.habit * logit(share) + (1.0 - takeup.habit) * logit(by_third.mean(axis=0))
        now, paid = expit(tended), state.benefit * cost_ratio(by_third)
        resting = (np.abs(now - share) < RESTING) & (np.abs(paid - cost) < RESTING * cost)
        share, own, cost = (np.where(moving, new, old) for new, old in ((now, share), (asked, own), (paid, cost)))
        outcome[moving & resting] = "at rest"
        outcome[moving & (share < COLLAPSE)] = "spiral"
        rounds[moving] = round_
        path.append(share)
    return Rest(outcome, share, own, cost, rounds, np.array(path))


def fit_folder() -> Path:
    """Where the shipped draws lie."""
    return data_dir() / "fitted" / FITTED


@cache
def shipped_takeup() -> TakeUp:
    """Draws of the shipped fit (``forecaster enrolment --fit`` makes them anew).

    Raises
    ------
    ForecasterError
        When they are missing.
    """
    path = fit_folder() / "draws.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise ForecasterError(
            f"no draws of take-up ({error.strerror}); make them: forecaster enrolment --fit"
        ) from None
    return TakeUp(*(np.array([float(row[item.name]) for row in rows]) for item in fields(TakeUp)))


@dataclass(frozen=True)
class Joining:
    """What levers on take-up start from: draws of its law, the last state observed, and the take-up in it."""

    takeup: TakeUp
    state: State
    share: float


def resident_factors(
    start: Joining, n_draws: int, own_share: Array, levers: Mapping[str, Array], worth: Array | float = 1.0
) -> tuple[Array, Array, Array]:
    """What levers make of a residents' scheme's income, outlay and members: factors on the law's, ``(year, draw)``.

    Wages, benefits and premium grow alike under the law, so that take-up rests there.

    Parameters
    ----------
    n_draws
        Draws of the basis; those of take-up are used in turn.
    own_share
        Part of the funding that is own premium, ``(year,)``.
    levers
        ``own_premium_growth_adjustment``, ``subsidy_growth_adjustment``, ``enrolment_drive``, ``claim_at_counter``,
        each ``(year,)``.
    worth
        What a person expects of joining against the law, from rules on joining late and on staying, ``(year,)``.
    """
    resting = calibrated(start.takeup.first(n_draws), start.state, start.share)
    own = np.cumprod(1.0 + levers["own_premium_growth_adjustment"])
    subsidy = np.cumprod(1.0 + levers["subsidy_growth_adjustment"])
    drive, counter = levers["enrolment_drive"], levers["claim_at_counter"]
    benefits = start.state.benefit * np.broadcast_to(worth, own.shape)
    states = [
        replace(start.state, benefit=benefit, own=start.state.own * own[t], drive=drive[t], counter=counter[t])
        for t, benefit in enumerate(benefits)
    ]
    found = course(resting, states, start.share)
    law = cost_ratio(wanted_by_third(resting, start.state))
    heads = found.share / start.share
    funding = (own_share * own + (1.0 - own_share) * subsidy)[:, None]
    return heads * funding, heads * found.cost_ratio / law, heads
