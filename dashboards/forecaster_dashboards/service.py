"""What the pages ask for: the reference fit's basis, projections of it, solved rates, sources. No widget stands here.

The draws are loaded once per process and shared by all sessions, read-only. Everything kept is kept under the hash of
the basis and the canonical text of the levers, never under arrays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from threadpoolctl import threadpool_limits

from forecaster.basis import Basis
from forecaster.certificate import Record, read_record
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.export import BASELINE, REFORM, Scenario
from forecaster.observations import Observations, load_observations
from forecaster.policy import Policy, Reform
from forecaster.schemes import Scheme, load_scheme, scheme_ids
from forecaster.solve import Required, required_rate
from forecaster_dashboards.frames import Outcome, Past, history_of

POOL = "tw_nhi"
LAST_YEAR = 2060
HORIZONS = (2035, 2045, 2060)


@dataclass(frozen=True)
class Reference:
    """A pool's accepted fit, as the pages need it.

    Attributes
    ----------
    law
        Today's law, no reform.
    basis
        Draws from the first projected year to :data:`LAST_YEAR`.
    history
        ``line`` (outgo, income, reserve), ``year``, ``mean``, ``q2.5`` to ``q97.5``, ``unit``, ``kind`` (published or
        estimated), ``source``; TWD bn nominal.
    manifest
        What the fit was made from, with ``hash`` and the verdict ``accepted``.
    record
        How the fit's model did in its backtest; None for a basis that comes from no fit.
    learnt, checks
        The fit's tables ``priors`` and ``checks``, see :meth:`forecaster.fitted.Fit.table`.
    """

    pool: str
    place: str
    law: Policy
    basis: Basis
    history: pd.DataFrame
    manifest: Mapping[str, Any] = field(default_factory=dict)
    record: Record | None = None
    learnt: pd.DataFrame | None = None
    checks: pd.DataFrame | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must stand on the face of every page and download."""
        return () if self.record is None else self.record.warnings

    @property
    def fit_hash(self) -> str:
        """SHA-256 of the fit; of the basis when it comes from no fit."""
        return str(self.manifest.get("hash") or self.basis.hash)

    @property
    def first_year(self) -> int:
        """First projected year."""
        return int(self.basis.years[0])

    @property
    def horizons(self) -> tuple[int, ...]:
        """Years that may be the last one shown."""
        return tuple(year for year in HORIZONS if year <= self.basis.years[-1]) or (int(self.basis.years[-1]),)

    @property
    def scheme(self) -> Scheme:
        """The scheme in force."""
        return self.law.scheme


def law_in_force(pool: str) -> Policy:
    """The pool's scheme without an end, no reform.

    Raises
    ------
    ForecasterError
        When no shipped scheme of the pool is in force.
    """
    for name in scheme_ids():
        scheme = load_scheme(name)
        if scheme.pool == pool and scheme.end is None:
            return Policy(scheme)
    raise ForecasterError(f"no shipped scheme of the pool {pool!r} is in force")


def obtain(pool: str) -> Reference:
    """Read the shipped fit and draw the basis from it: seconds, once per process."""
    from forecaster.fitted import load_fit

    fit = load_fit(pool)
    return Reference(
        pool=pool,
        place=fit.place,
        law=law_in_force(pool),
        basis=fit.basis(LAST_YEAR),
        history=fit.history,
        manifest=fit.manifest,
        record=read_record(fit.pool, fit.manifest["inputs"]),
        learnt=fit.table("priors"),
        checks=fit.table("checks"),
    )


@st.cache_resource(show_spinner=False)
def reference(pool: str) -> Reference:
    """The pool's fit, shared by all sessions of the process."""
    # Small products over many draws: more threads than one only get in each other's way.
    threadpool_limits(limits=1)
    return obtain(pool)


@st.cache_resource(show_spinner=False, max_entries=24)
def _cut(_basis: Basis, basis_hash: str, horizon: int) -> Basis:
    return _basis.until(horizon)


@st.cache_resource(show_spinner=False, max_entries=12)
def _outcome(_basis: Basis, _law: Policy, basis_hash: str, law_hash: str, horizon: int, token: str) -> Outcome:
    basis = _cut(_basis, basis_hash, horizon)
    policy = _law.reform(_reform(token))
    scenario = Scenario(REFORM if token else BASELINE, basis, policy, project(basis, policy))
    result = scenario.projection
    for array in (*result.income.values(), result.outgo, result.opening, result.closing):
        array.flags.writeable = False
    return Outcome(scenario)


def _reform(token: str) -> Reform:
    return Reform.parse(token.split(";")) if token else Reform()


def baseline(ref: Reference, horizon: int) -> Outcome:
    """Today's law to the year ``horizon``."""
    return _outcome(ref.basis, ref.law, ref.basis.hash, ref.law.hash, horizon, "")


def reformed(ref: Reference, horizon: int, reform: Reform) -> Outcome:
    """The law with the reform, on the same draws as :func:`baseline`; the baseline itself when the reform is empty.

    Raises
    ------
    ForecasterError
        When the engine refuses a value; its text names bounds and their source.
    """
    return _outcome(ref.basis, ref.law, ref.basis.hash, ref.law.hash, horizon, reform.token)


@st.cache_resource(show_spinner=False, max_entries=512)
def _rate(  # the arguments beginning with an underscore are not part of the key, their hashes are
    _basis: Basis,
    _law: Policy,
    basis_hash: str,
    law_hash: str,
    token: str,
    start: dt.date,
    months: float,
    year: int,
    probability: float,
    throughout: bool,
) -> Required:
    policy = _law.reform(_reform(token))
    return required_rate(
        _basis, policy, months=months, year=year, start=start, probability=probability, throughout=throughout
    )


def rate_for(
    ref: Reference,
    reform: Reform,
    start: dt.date,
    *,
    months: float,
    year: int,
    probability: float,
    throughout: bool = True,
) -> Required:
    """Constant general rate from ``start`` that keeps that many months with that chance; other levers as set."""
    token = Reform(tuple(c for c in reform.changes if c.name != "general_premium_rate")).token
    basis = _cut(ref.basis, ref.basis.hash, year)
    return _rate(basis, ref.law, basis.hash, ref.law.hash, token, start, months, year, probability, throughout)


@st.cache_resource(show_spinner=False, max_entries=24)
def _past(_history: pd.DataFrame, basis_hash: str, line: str) -> Past:
    return history_of(_history, line)


def past(ref: Reference, line: str) -> Past:
    """History of a line of the accounts, see :func:`forecaster_dashboards.frames.history_of`."""
    return _past(ref.history, ref.basis.hash, {"total_income": "income"}.get(line, line))


@st.cache_resource(show_spinner=False)
def observations(place: str) -> Observations:
    """Sourced figures of a place."""
    return load_observations(place.lower())


def floor_and_ceiling(ref: Reference) -> tuple[float, float]:
    """The law's band for the reserve, months of outgo (Art. 78); NaN where it has none."""
    names = ("reserve_floor_months", "reserve_ceiling_months")
    year = np.array([ref.first_year])
    low, high = (float(ref.law.path(name, year)[0]) if ref.law.has(name) else float("nan") for name in names)
    return low, high
