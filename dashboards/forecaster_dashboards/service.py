"""What the pages ask for: the reference fit's basis, projections of it, solved rates, sources. No widget stands here.

The draws are loaded once per process and shared by all sessions, read-only. Everything kept is kept under the hash of
the basis and the canonical text of the levers, never under arrays.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from threadpoolctl import threadpool_limits

from forecaster.attribution import Attribution, attribute
from forecaster.basis import Basis
from forecaster.certificate import Record, read_record
from forecaster.drivers import path_groups, shapley_shares
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.export import BASELINE, REFORM, Scenario
from forecaster.observations import Observations, load_observations
from forecaster.policy import Change, Policy, Reform
from forecaster.pools import Pool, find_pool, pool_names
from forecaster.resources import data_dir
from forecaster.schemes import Scheme
from forecaster.solve import Goal, Required, required_value
from forecaster.transplant import transplant
from forecaster.who_pays import (
    Cohorts,
    Incidence,
    IncomeGroups,
    birth_cohorts,
    by_category,
    incidence_of,
    income_groups,
)
from forecaster_dashboards import state
from forecaster_dashboards.frames import Outcome, Past, history_of

POOL = "tw_nhi"
LAST_YEAR = 2060
HORIZONS = (2035, 2045, 2060)
# The headline meter's years, whatever the charts show.
METER_YEARS = (2035, 2045)
# Draws behind the population pyramid: enough for its 80% range, and drawn in a moment.
PYRAMID_DRAWS = 400
# Official series to the line of the accounts that they are about.
OFFICIAL_SERIES = {
    "reserve_months": "reserve_months",
    "reserve_end": "reserve",
    "balance": "balance",
    "revenue": "total_income",
    "cost": "outgo",
}


@dataclass(frozen=True)
class Preset:
    """A known plan: a file of ``data/reforms`` that changes something in the projected years."""

    name: str
    label: str
    description: str
    source: str
    status: str
    reform: Reform


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
    posterior
        Kept variables of all blocks, draw first; what the population is drawn from.
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
    posterior: Mapping[str, np.ndarray] | None = None

    @cached_property
    def presets(self) -> tuple[Preset, ...]:
        """Known plans for this law, by name."""
        return presets_of(self.law.scheme, self.first_year)

    @cached_property
    def levers(self) -> tuple[str, ...]:
        """Parameters that are offered as levers."""
        return state.lever_names(self.law.scheme, tuple(preset.reform for preset in self.presets))

    @property
    def last_start_year(self) -> int:
        """Last year in which a reform may start."""
        return int(self.basis.years[-1])

    @property
    def money(self) -> str:
        """Unit of all its money."""
        return self.law.scheme.money

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


def own_pools(arguments: Sequence[str] | None = None) -> tuple[str, ...]:
    """Folders of pools of one's own that the dashboard was started with, ``--pool FOLDER`` each."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--pool", action="append", default=[])
    found, _rest = parser.parse_known_args(sys.argv[1:] if arguments is None else list(arguments))
    return tuple(found.pool)


def has_fit(pool: Pool) -> bool:
    """Whether a fit of the pool lies where it belongs."""
    return (pool.fits / pool.name / "manifest.json").is_file()


@st.cache_resource(show_spinner=False)
def served_pools() -> dict[str, Pool]:
    """Pools by name: shipped ones that have a fit, Taiwan's first, then those that the dashboard was started with.

    Raises
    ------
    ForecasterError
        When a folder that it was started with is no pool.
    """
    shipped = [find_pool(name) for name in sorted(pool_names(), key=lambda name: (name != POOL, name))]
    own = [find_pool(folder) for folder in own_pools()]
    return {pool.name: pool for pool in (*(p for p in shipped if has_fit(p) or p.name == POOL), *own)}


def presets_of(scheme: Scheme, first_year: int) -> tuple[Preset, ...]:
    """Plans of ``data/reforms`` for that law, proposed or assumed ones that change something in the projected years."""
    found = []
    for path in sorted((data_dir() / "reforms").glob("*.toml")):
        raw = tomllib.loads(path.read_text("utf-8"))
        if raw.get("scheme") != scheme.id or raw.get("status") == "enacted":
            continue
        reform = Reform.read(path)
        if all(change.start.year < first_year for change in reform.changes):
            continue
        words = [str(raw.get(key, "")) for key in ("label", "description", "source", "status")]
        found.append(Preset(path.stem, *words, reform))
    return tuple(found)


def obtain(pool: str) -> Reference:
    """Read the pool's fit and draw the basis from it: seconds, once per process."""
    from forecaster.fitted import load_fit

    meant = served_pools()[pool]
    fit = load_fit(meant.address)
    return Reference(
        pool=pool,
        place=fit.place,
        law=Policy(meant.law),
        basis=fit.basis(LAST_YEAR),
        history=fit.history,
        manifest=fit.manifest,
        record=read_record(fit.pool, fit.manifest["inputs"]),
        learnt=fit.table("priors"),
        checks=fit.table("checks"),
        posterior=fit.posterior,
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
def _required(  # the arguments beginning with an underscore are not part of the key, their hashes are
    _basis: Basis, _law: Policy, basis_hash: str, law_hash: str, token: str, lever: str, goal: Goal
) -> Required:
    return required_value(_basis, _law.reform(_reform(token)), lever, goal)


def required(ref: Reference, reform: Reform, lever: str, goal: Goal) -> Required:
    """Mildest constant value of a lever that meets the goal; other levers as set.

    Raises
    ------
    ForecasterError
        When the lever does not move the reserve in the years that count.
    """
    token = Reform(tuple(c for c in reform.changes if c.name != lever)).token
    basis = _cut(ref.basis, ref.basis.hash, goal.year)
    return _required(basis, ref.law, basis.hash, ref.law.hash, token, lever, goal)


@st.cache_resource(show_spinner=False, max_entries=64)
def _attribution(_basis: Basis, _law: Policy, basis_hash: str, law_hash: str, horizon: int, token: str) -> Attribution:
    basis = _cut(_basis, basis_hash, horizon)
    return attribute(basis, _law, _law.reform(_reform(token)))


def attribution(ref: Reference, horizon: int, reform: Reform) -> Attribution:
    """What each lever of the reform does, see :func:`forecaster.attribution.attribute`."""
    return _attribution(ref.basis, ref.law, ref.basis.hash, ref.law.hash, horizon, reform.token)


def spread_shares(outcome: Outcome, year: int) -> dict[str, float]:
    """Share of the spread of the reserve in months that each driver explains, and ``rest``; they sum to one."""
    at = year - int(outcome.years[0])
    scenario = outcome.scenario
    key = (scenario.basis.hash, scenario.policy.hash, at)
    return _spread_shares(outcome, key, year)


@st.cache_resource(show_spinner=False, max_entries=64)
def _spread_shares(_outcome: Outcome, key: tuple[str, str, int], year: int) -> dict[str, float]:
    shares = shapley_shares(path_groups(_outcome.basis, year), _outcome.projection.reserve_months[key[2]])
    return shares | {"rest": 1.0 - sum(shares.values())}


@st.cache_resource(show_spinner=False, max_entries=8)
def _transplanted(
    _ref: Reference, _donor: Reference, hashes: tuple[str, str], rule: str, year: int
) -> tuple[Outcome, Outcome, tuple[str, ...]]:
    start = dt.date(_ref.first_year + 1, 1, 1)
    found = transplant(rule, _donor.law, _ref.law, _ref.basis.until(year), start, lambda: _donor.basis.until(year))
    pairs = ((found.basis, found.policy, BASELINE), (found.with_basis, found.with_policy, REFORM))
    before, after = (Outcome(Scenario(name, held, law, project(held, law))) for held, law, name in pairs)
    return before, after, found.assumptions


def transplanted(ref: Reference, donor: str, rule: str, year: int) -> tuple[Outcome, Outcome, tuple[str, ...]]:
    """The fund without and with a rule of another fund's law, and what that assumes.

    Raises
    ------
    ForecasterError
        When the donor has no such rule, or the two do not fit together.
    """
    giver = reference(donor)
    return _transplanted(ref, giver, (ref.basis.hash + ref.law.hash, giver.basis.hash + giver.law.hash), rule, year)


@st.cache_resource(show_spinner=False)
def _incidence(pool: str) -> Incidence | None:
    try:
        return incidence_of(pool)
    except ForecasterError:
        return None


def incidence(ref: Reference) -> Incidence | None:
    """Who bears what in this pool; None where nothing is held."""
    return _incidence(ref.pool)


def categories(outcome: Outcome, year: int) -> dict[tuple[str, str], float]:
    """General premium by category and payer in a year, mean over draws, see :func:`forecaster.who_pays.by_category`."""
    at = year - int(outcome.years[0])
    return {key: float(v[at].mean()) for key, v in by_category(outcome.projection, outcome.policy).items()}


@st.cache_resource(show_spinner=False, max_entries=64)
def _incomes(_outcome: Outcome, key: tuple[str, str], year: int, pool: str) -> IncomeGroups:
    given = _incidence(pool)
    if given is None:
        raise ForecasterError(f"nothing is held of who bears what in {pool}")
    return income_groups(_outcome.basis, _outcome.policy, _outcome.projection, year, given)


def incomes(ref: Reference, outcome: Outcome, year: int) -> IncomeGroups:
    """Payments by income in a year, see :func:`forecaster.who_pays.income_groups`."""
    return _incomes(outcome, (outcome.basis.hash, outcome.policy.hash), year, ref.pool)


@st.cache_resource(show_spinner=False, max_entries=16)
def _cohorts(_ref: Reference, _outcome: Outcome, key: tuple[str, str], births: tuple[int, ...], pool: str) -> Cohorts:
    given = _incidence(pool)
    if given is None:
        raise ForecasterError(f"nothing is held of who bears what in {pool}")
    return birth_cohorts(_outcome.basis, _outcome.projection, given, births, _ref.place)


def cohorts(ref: Reference, reform: Reform, births: tuple[int, ...]) -> Cohorts:
    """What birth cohorts still pay and receive to the last year of the basis."""
    outcome = reformed(ref, int(ref.basis.years[-1]), reform)
    return _cohorts(ref, outcome, (outcome.basis.hash, outcome.policy.hash), births, ref.pool)


@dataclass(frozen=True)
class Frontier:
    """Chance of meeting a goal for pairs of rates: ``(supplementary, general)``."""

    general: tuple[float, ...]
    supplementary: tuple[float, ...]
    chance: np.ndarray


@st.cache_resource(show_spinner=False, max_entries=32)
def _frontier(
    _basis: Basis,
    _law: Policy,
    basis_hash: str,
    law_hash: str,
    token: str,
    goal: Goal,
    pairs: tuple[tuple[float, ...], ...],
) -> Frontier:
    general, supplementary = pairs
    kept = tuple(c for c in _reform(token).changes if c.name not in {state.GENERAL, state.SUPPLEMENTARY})
    counted = _basis.years >= goal.start.year if goal.throughout else _basis.years == goal.year
    chance = np.empty((len(supplementary), len(general)))
    for i, s in enumerate(supplementary):
        for j, g in enumerate(general):
            rates = (Change(state.GENERAL, goal.start, g), Change(state.SUPPLEMENTARY, goal.start, s))
            result = project(_basis, _law.reform(Reform((*kept, *rates))))
            chance[i, j] = (result.reserve_months[counted] >= goal.months).all(axis=0).mean()
    return Frontier(general, supplementary, chance)


def frontier(ref: Reference, reform: Reform, goal: Goal) -> Frontier:
    """Chance of meeting the goal under pairs of a general and a supplementary rate; other levers as set.

    The general rate runs to the law's limit, the supplementary one from half of today's to twice as much.
    """
    limit = (ref.scheme.parameters[state.GENERAL].bounds or (0.0, 0.06))[1]
    today = state.law_value(ref.law, state.GENERAL, goal.start)
    other = state.law_value(ref.law, state.SUPPLEMENTARY, goal.start)
    general = _around(today, np.linspace(max(0.0, today - 0.005), limit, 11))
    supplementary = _around(other, np.linspace(0.5 * other, 2.0 * other, 8))
    basis = _cut(ref.basis, ref.basis.hash, goal.year)
    pairs = (general, supplementary)
    return _frontier(basis, ref.law, basis.hash, ref.law.hash, reform.token, goal, pairs)


@st.cache_resource(show_spinner=False, max_entries=12)
def _pyramids(_ref: Reference, fit_hash: str, year: int) -> tuple[np.ndarray, np.ndarray]:
    from forecaster.demography.futures import POSTERIOR_NAMES, simulate_population
    from forecaster.demography.tables import load_wpp

    thinned = {
        name: values[:: max(1, len(values) // PYRAMID_DRAWS)]
        for name, values in (_ref.posterior or {}).items()
        if name in POSTERIOR_NAMES
    }
    tables = load_wpp(_ref.place)
    seed = int(_ref.manifest["seed"])
    futures = simulate_population(
        thinned, tables, tables.last_estimate_year + 1, year, seed, weights=np.ones((1, 2, 101)),
        pyramid_years=(_ref.first_year, year),
    )  # fmt: skip
    return futures.pyramid_quantiles(_ref.first_year, [0.5])[0], futures.pyramid_quantiles(year, [0.1, 0.5, 0.9])


def pyramids(ref: Reference, year: int) -> tuple[np.ndarray, np.ndarray] | None:
    """People by sex and age: the median of the first projected year, ``(2, 101)``, and of a later one the 10%, 50% and
    90% quantile, ``(3, 2, 101)``; None where the fit knows no ages. From :data:`PYRAMID_DRAWS` draws of the posterior.
    """
    if not ref.posterior or "mortality_drift_mean" not in ref.posterior:
        return None
    return _pyramids(ref, ref.fit_hash, year)


def _around(today: float, grid: np.ndarray) -> tuple[float, ...]:
    """The grid in hundredths of a percent, today's value in the place of its nearest."""
    found = np.round(grid, 4)
    found[np.abs(found - today).argmin()] = today
    return tuple(np.unique(found).tolist())


def officials(ref: Reference, line: str) -> list[dict[str, Any]]:
    """Officials' published forecasts of a line: ``year``, ``median`` (the figure), ``made``, ``text``.

    Those that assume another general rate than the law then had, and rough ones ("about"), are left out.
    """
    return _officials(ref.law, ref.law.hash, ref.place, line) if ref.pool == POOL else []


@st.cache_resource(show_spinner=False)
def _officials(_law: Policy, law_hash: str, place: str, line: str) -> list[dict[str, Any]]:
    table = observations(place).table
    rows = table[(table["quality"] == "P") & table["basis"].str.startswith("official") & table["year"].notna()]
    found = []
    for row in rows.to_dict("records"):
        series, _sep, condition = str(row["series"]).partition("|")
        if OFFICIAL_SERIES.get(series) != line or (row["qualifier"] == row["qualifier"] and str(row["qualifier"])):
            continue
        year = int(row["year"])
        law = state.law_value(_law, state.GENERAL, dt.date(year, 7, 1))
        # A forecast for another rate than the law then had is an answer to another question.
        if condition and (not condition.startswith("rate_") or abs(float(condition[5:]) - law) > 1e-9):
            continue
        note = "" if row["note"] != row["note"] else str(row["note"])
        text = f"{row['source']}. {note}".strip()
        found.append({"year": year, "median": float(row["value"]), "made": str(row["made"]), "text": text})
    return found


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
