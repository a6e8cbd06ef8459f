"""What the pages ask for: projections of the basis, solved rates, sources. No widget stands here.

Everything kept is kept for all sessions together, by fit, law and canonical levers, never by arrays.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecaster.attribution import Attribution, attribute, same_accounts
from forecaster.basis import Basis
from forecaster.drivers import path_groups, shapley_shares
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.export import BASELINE, REFORM, Scenario
from forecaster.lifetimes import Cohorts, birth_cohorts, past_accounts
from forecaster.mainland import care_payers, households_in_need
from forecaster.observations import Observations, load_observations
from forecaster.policy import Change, Policy, Reform
from forecaster.solve import Goal, Required, required_value
from forecaster.studies import (
    HORIZON,
    BesideStudy,
    HeldStudy,
    StudyProjection,
    beside_study,
    has_studies,
    hold_study,
    published_studies,
    study_projection,
)
from forecaster.transplant import Transplanted, idle_rule, transplant
from forecaster.transplant_need import households
from forecaster.who_pays import Incidence, IncomeGroups, by_category, incidence_of, income_groups
from forecaster_dashboards import references, state
from forecaster_dashboards.frames import Outcome, Past, history_of
from forecaster_dashboards.kept import kept
from forecaster_dashboards.references import POOL, Reference

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


@kept(24)
def cut(ref: Reference, horizon: int) -> Basis:
    """The basis to the year ``horizon``."""
    return ref.basis.until(horizon)


def baseline(ref: Reference, horizon: int) -> Outcome:
    """Today's law to the year ``horizon``."""
    return reformed(ref, horizon, Reform())


@kept(12)
def reformed(ref: Reference, horizon: int, reform: Reform) -> Outcome:
    """The law with the reform, on the same draws as :func:`baseline`; the baseline itself when the reform is empty.

    Raises
    ------
    ForecasterError
        When the engine refuses a value; its text names bounds and their source.
    """
    basis, policy = cut(ref, horizon), ref.law.reform(reform)
    scenario = Scenario(REFORM if reform.changes else BASELINE, basis, policy, project(basis, policy))
    result = scenario.projection
    for array in (*result.income.values(), result.outgo, result.opening, result.closing):
        array.flags.writeable = False
    return Outcome(scenario)


@kept(64)
def meter(ref: Reference, reform: Reform, last: int) -> dict[int, float]:
    """Chance that the reserve has not fallen below the law's floor by the end of each of the meter's years.

    ``last`` stands in for them where the basis ends before the first.
    """
    years = [year for year in METER_YEARS if year <= ref.basis.years[-1]] or [last]
    outcome = reformed(ref, years[-1], reform)
    above = outcome.projection.reserve_months >= outcome.scenario.floor_months
    return {year: float(above[: year - ref.first_year + 1].all(axis=0).mean()) for year in years}


@kept(512)
def _required(ref: Reference, reform: Reform, lever: str, goal: Goal) -> Required:
    return required_value(cut(ref, goal.year), ref.law.reform(reform), lever, goal)


def required(ref: Reference, reform: Reform, lever: str, goal: Goal) -> Required:
    """Mildest constant value of a lever that meets the goal; other levers as set.

    Raises
    ------
    ForecasterError
        When the lever does not move the reserve in the years that count.
    """
    return _required(ref, Reform(tuple(c for c in reform.changes if c.name != lever)), lever, goal)


@kept(64)
def attribution(ref: Reference, horizon: int, reform: Reform) -> Attribution:
    """What each lever of the reform does, see :func:`forecaster.attribution.attribute`."""
    return attribute(cut(ref, horizon), ref.law, ref.law.reform(reform))


@kept(64)
def spread_shares(ref: Reference, horizon: int, reform: Reform) -> dict[str, float]:
    """Share of the spread of the reserve in months that each driver explains, and ``rest``; they sum to one."""
    outcome = reformed(ref, horizon, reform)
    shares = shapley_shares(path_groups(outcome.basis, horizon), outcome.projection.reserve_months[-1])
    return shares | {"rest": 1.0 - sum(shares.values())}


@kept(8)
def _laid_over(ref: Reference, donor: str, rule: str, year: int) -> Transplanted:
    giver = references.reference(donor)
    start = dt.date(ref.first_year + 1, 1, 1)
    return transplant(rule, giver.law, ref.law, cut(ref, year), start, lambda: giver.basis.until(year))


@kept(8)
def transplanted(ref: Reference, donor: str, rule: str, year: int) -> tuple[Outcome, Outcome, tuple[str, ...]]:
    """The fund without and with a rule of another fund's law, and what that assumes.

    Raises
    ------
    ForecasterError
        When the donor has no such rule, or the two do not fit together.
    """
    found = _laid_over(ref, donor, rule, year)
    pairs = ((found.basis, found.policy, BASELINE), (found.with_basis, found.with_policy, REFORM))
    before, after = (Outcome(Scenario(name, held, law, project(held, law))) for held, law, name in pairs)
    if same_accounts(before.projection, after.projection):
        raise idle_rule(rule, found)
    return before, after, found.assumptions


@kept(8)
def transplanted_need(ref: Reference, donor: str, rule: str, year: int) -> dict[str, dict[str, float]]:
    """Households in need at the end of ``year`` without and with a rule: reading, measure to the median share.

    The readings are those of :func:`forecaster.transplant_need.households`.

    Raises
    ------
    ForecasterError
        Where nothing tells it, with the reason.
    """
    giver = references.reference(donor)
    joining = (cut(giver, year), giver.law) if rule == "merge" else None
    own = (cut(ref, year), ref.law)
    found = households(rule, _laid_over(ref, donor, rule, year), own, [year], ref.first_year + 1, joining)
    return {
        reading: {measure: float(np.median(shares)) for (_at, _place, measure), shares in need.items()}
        for reading, need in found.items()
    }


@dataclass(frozen=True)
class Studies:
    """What published studies report of reforms beside ours, and a study's whole projection where one is held."""

    held: tuple[HeldStudy, ...]
    told: StudyProjection | None
    beside: tuple[BesideStudy, ...]


@kept(4)
def studies(ref: Reference) -> Studies | None:
    """Studies of a fund held against its fit, on draws that reach as far as theirs; None where none are known."""
    if not has_studies(ref.scheme):
        return None
    from forecaster.certificate import officials_of
    from forecaster.fitted import load_fit

    pool = references.served_pools()[ref.pool]
    basis, law, told = load_fit(pool.address).basis(HORIZON), Policy(pool.law), study_projection(pool.law)
    held = tuple(hold_study(basis, law, study) for study in published_studies(pool.law))
    return Studies(held, told, beside_study(told, basis, law, officials_of(pool)) if told else ())


@kept(8)
def care(ref: Reference, horizon: int, reform: Reform) -> dict[str, np.ndarray]:
    """Who pays for the members' care: payer to the mean over draws, nominal money a year ``(year,)``; see
    :func:`forecaster.mainland.care_payers`. Nothing where no layers of benefits stand behind the fund.
    """
    outcome = reformed(ref, horizon, reform)
    found = care_payers(outcome.basis, outcome.policy, outcome.projection.outgo)
    return {} if found is None else dict(zip(found.payers, found.amounts.mean(axis=2), strict=True))


@kept(16)
def in_need(ref: Reference, horizon: int, reform: Reform, year: int) -> dict[str, np.ndarray]:
    """Households in need after all payers: measure to 10%, 50% and 90% quantile over draws of their share ``(3,)``.

    Raises
    ------
    ForecasterError
        When no households are held for the layers behind the fund.
    """
    outcome = reformed(ref, horizon, reform)
    found = households_in_need(outcome.basis, outcome.policy, [year])
    return {measure: np.quantile(shares, (0.1, 0.5, 0.9)) for (_at, _place, measure), shares in found.items()}


@kept(8)
def incidence(pool: str) -> Incidence | None:
    """Who bears what in this pool; None where nothing is held."""
    try:
        return incidence_of(pool)
    except ForecasterError:
        return None


def _held_incidence(pool: str) -> Incidence:
    given = incidence(pool)
    if given is None:
        raise ForecasterError(f"nothing is held of who bears what in {pool}")
    return given


def categories(outcome: Outcome, year: int) -> dict[tuple[str, str], float]:
    """General premium by category and payer in a year, mean over draws, see :func:`forecaster.who_pays.by_category`."""
    at = year - int(outcome.years[0])
    return {key: float(v[at].mean()) for key, v in by_category(outcome.projection, outcome.policy).items()}


@kept(64)
def incomes(ref: Reference, horizon: int, reform: Reform, year: int) -> IncomeGroups:
    """Payments by income in a year, see :func:`forecaster.who_pays.income_groups`."""
    outcome = reformed(ref, horizon, reform)
    return income_groups(outcome.basis, outcome.policy, outcome.projection, year, _held_incidence(ref.pool))


@kept(16)
def cohorts(ref: Reference, reform: Reform, births: tuple[int, ...]) -> Cohorts:
    """What birth cohorts pay and receive over their lives, to the last year of the basis."""
    outcome, given = reformed(ref, int(ref.basis.years[-1]), reform), _held_incidence(ref.pool)
    past = past_accounts(ref.place, ref.history)
    return birth_cohorts(outcome.basis, outcome.projection, given, births, ref.place, past=past)


@dataclass(frozen=True)
class Frontier:
    """Chance of meeting a goal for pairs of rates: ``(supplementary, general)``."""

    general: tuple[float, ...]
    supplementary: tuple[float, ...]
    chance: np.ndarray


def frontier(ref: Reference, reform: Reform, goal: Goal) -> Frontier:
    """Chance of meeting the goal under pairs of a general and a supplementary rate; other levers as set.

    The general rate runs to the law's limit, the supplementary one from half of today's to twice as much.
    """
    others = tuple(c for c in reform.changes if c.name not in {state.GENERAL, state.SUPPLEMENTARY})
    return _frontier(ref, Reform(others), goal)


@kept(32)
def _frontier(ref: Reference, others: Reform, goal: Goal) -> Frontier:
    limit = (ref.scheme.parameters[state.GENERAL].bounds or (0.0, 0.06))[1]
    today, other = (state.law_value(ref.law, name, goal.start) for name in (state.GENERAL, state.SUPPLEMENTARY))
    general = _around(today, np.linspace(max(0.0, today - 0.005), limit, 11))
    supplementary = _around(other, np.linspace(0.5 * other, 2.0 * other, 8))
    basis = cut(ref, goal.year)
    counted = basis.years >= goal.start.year if goal.throughout else basis.years == goal.year
    chance = np.empty((len(supplementary), len(general)))
    for i, s in enumerate(supplementary):
        for j, g in enumerate(general):
            rates = (Change(state.GENERAL, goal.start, g), Change(state.SUPPLEMENTARY, goal.start, s))
            result = project(basis, ref.law.reform(Reform((*others.changes, *rates))))
            chance[i, j] = (result.reserve_months[counted] >= goal.months).all(axis=0).mean()
    return Frontier(general, supplementary, chance)


def _around(today: float, grid: np.ndarray) -> tuple[float, ...]:
    """The grid in hundredths of a percent, today's value in the place of its nearest."""
    found = np.round(grid, 4)
    found[np.abs(found - today).argmin()] = today
    return tuple(np.unique(found).tolist())


@kept(12)
def pyramids(ref: Reference, year: int) -> tuple[np.ndarray, np.ndarray] | None:
    """People by sex and age: the median of the first projected year, ``(2, 101)``, and of a later one the 10%, 50% and
    90% quantile, ``(3, 2, 101)``; None where the fit knows no ages. From :data:`PYRAMID_DRAWS` draws of the posterior.
    """
    if not ref.posterior or "mortality_drift_mean" not in ref.posterior:
        return None
    from forecaster.demography.futures import POSTERIOR_NAMES, simulate_population
    from forecaster.demography.tables import load_wpp

    thinned = {
        name: values[:: max(1, len(values) // PYRAMID_DRAWS)]
        for name, values in ref.posterior.items()
        if name in POSTERIOR_NAMES
    }
    tables = load_wpp(ref.people or ref.place)
    seed = int(ref.manifest["seed"])
    futures = simulate_population(
        thinned, tables, tables.last_estimate_year + 1, year, seed, weights=np.ones((1, 2, 101)),
        pyramid_years=(ref.first_year, year),
    )  # fmt: skip
    return futures.pyramid_quantiles(ref.first_year, [0.5])[0], futures.pyramid_quantiles(year, [0.1, 0.5, 0.9])


@kept(24)
def officials(ref: Reference, line: str) -> tuple[dict[str, Any], ...]:
    """Officials' published forecasts of a line: ``year``, ``median`` (the figure), ``made``, ``text``.

    Those that assume another general rate than the law then had, and rough ones ("about"), are left out.
    """
    if ref.pool != POOL:
        return ()
    table = observations(ref.place).table
    rows = table[(table["quality"] == "P") & table["basis"].str.startswith("official") & table["year"].notna()]
    found = []
    for row in rows.to_dict("records"):
        series, _sep, condition = str(row["series"]).partition("|")
        if OFFICIAL_SERIES.get(series) != line or (row["qualifier"] == row["qualifier"] and str(row["qualifier"])):
            continue
        year = int(row["year"])
        law = state.law_value(ref.law, state.GENERAL, dt.date(year, 7, 1))
        # A forecast for another rate than the law then had is an answer to another question.
        if condition and (not condition.startswith("rate_") or abs(float(condition[5:]) - law) > 1e-9):
            continue
        note = "" if row["note"] != row["note"] else str(row["note"])
        text = f"{row['source']}. {note}".strip()
        found.append({"year": year, "median": float(row["value"]), "made": str(row["made"]), "text": text})
    return tuple(found)


@kept(24)
def past(ref: Reference, line: str) -> Past:
    """History of a line of the accounts, see :func:`forecaster_dashboards.frames.history_of`."""
    return history_of(ref.history, {"total_income": "income"}.get(line, line))


@kept(8)
def observations(place: str) -> Observations:
    """Sourced figures of a place."""
    return load_observations(place.lower())


@kept(8)
def _links(place: str) -> dict[str, str]:
    """Source to its address on the web."""
    try:
        sources = observations(place).sources
    except ForecasterError:
        return {}
    return {
        name: link for name, link in zip(sources["id"], sources["link"], strict=True) if str(link).startswith("http")
    }


def linked(place: str, text: str) -> str:
    """Markdown in which the names of sources in a text lead to them on the web."""
    known = _links(place)
    return re.sub(
        r"[A-Z]+-[A-Z0-9_]+", lambda name: f"[{name[0]}]({known[name[0]]})" if name[0] in known else name[0], text
    )


@kept(8)
def floor_and_ceiling(ref: Reference) -> tuple[float, float]:
    """The law's band for the reserve, months of outgo (Art. 78); NaN where it has none."""
    names = ("reserve_floor_months", "reserve_ceiling_months")
    year = np.array([ref.first_year])
    low, high = (float(ref.law.path(name, year)[0]) if ref.law.has(name) else float("nan") for name in names)
    return low, high
