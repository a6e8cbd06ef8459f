"""From the draws of a plain pool to a basis: population, spending and contribution base carried forward, NumPy only.

A plain pool knows its yearly accounts and nothing of ages and categories. With *D* the need of the country's population
(persons by age times an assumed cost profile), *P* its persons, *W* its persons of 20 to 64, or the same of the pool's
members where they are counted (:mod:`forecaster.members`):

    log C(t) = log C(t-1) + d log P + a (d log D - d log P) + g + c + u(t) + e(t)
    log B(t) = log B(t-1) + d log W                          + g + b + v(t) + f(t)

g is the long-run growth of money per head, c and b the long-run excess of cost and base over it, u and v drifts that
return to zero, e and f heavy-tailed shocks; a booked year differs from C and B by noise that the next year does not
inherit. Random numbers come year by year from one stream: the same seed gives the same bits, a longer horizon leaves
the earlier years as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from forecaster.basis import Basis
from forecaster.demography.futures import observed_people, simulate_population
from forecaster.demography.tables import N_AGES, load_wpp
from forecaster.members import PENSIONER_COST, MemberPeople, cost_by_age, employee_heads, law_ages, member_steps
from forecaster.policy import Policy
from forecaster.pool_accounts import Accounts
from forecaster.pools import Pool

Array = np.ndarray
Posterior = Mapping[str, Array]

# Share of a drift's deviation that is left a year later.
DRIFT_PERSISTENCE = 0.9
# Student-t degrees of freedom of yearly shocks; future ones are cut at so many scale units.
SHOCK_NU, LARGEST_SHOCK = 4.0, 10.0

ASSUMPTIONS = (
    "Cost by age: a general profile (assumed), for the accounts tell no ages; how much of it counts is uncertain.",
    "Growth of wages and prices: learnt from the pool's accounts and a wide prior alone; no economic series is read.",
    "Yield of the reserve: within the income of the accounts, so that a larger or smaller reserve does not change it.",
)


_COUNTRY = (
    "Members: the pool is assumed to grow and age as its country's population does; its own drift takes up the rest."
)
_EMPLOYEES = (
    "Members: contributors and pensioners follow from people by age and the retirement ages of the law, at today's "
    "coverage; 9 of 10 retiring contributors are taken to stay insured."
)
_RESIDENTS = (
    "Members: everyone outside the employees' scheme, at today's take-up; a policy moves it only by its levers."
)


def plain_notes(accounts: Accounts, pool: Pool) -> tuple[str, ...]:
    """What is assumed of this pool in particular: its members, rates that are filled in, breaks, fixed income."""
    other_income_share = pool.other_income_share
    kind = pool.members.kind if pool.members else ""
    notes = [{"employees": _EMPLOYEES, "residents": _RESIDENTS}.get(kind, _COUNTRY)]
    notes += [
        f"{item.line} of {item.first} to {item.last} on another footing, off by about {item.size:+.0%} give or take "
        f"{item.spread:.0%}: {item.reason}"
        for item in pool.breaks
    ]
    missing = accounts.years[np.isnan(accounts.rate)]
    if missing.size:
        years = ", ".join(str(year) for year in missing)
        notes.append(f"Premium rate of {years}: not given; the last known one is taken, or else the first.")
    if other_income_share:
        notes.append(f"Income that the premium rate does not move: {other_income_share:.3g} of all, as pool.toml says.")
    else:
        notes.append("All income moves with the premium rate, since pool.toml states no other_income_share.")
    gaps = {name: int(np.isnan(getattr(accounts, name)).sum()) for name in ("income", "outgo", "reserve")}
    told = ", ".join(f"{name} {count}" for name, count in gaps.items() if count)
    if told:
        notes.append(f"Years without a figure, estimated: {told}.")
    return tuple(notes)


def need_weights() -> Array:
    """Weights of persons by sex and age: all, 20 to 64, 65 and over, and the cost profile; ``(4, 2, 101)``."""
    weights = np.ones((4, 2, N_AGES))
    ages = np.arange(N_AGES)
    weights[1] = (ages >= 20) & (ages < 65)
    weights[2] = ages >= 65
    weights[3] = cost_by_age()
    return weights


def past_people(place: str, first_year: int, last_year: int) -> Array:
    """Persons under :func:`need_weights` as published, after the last estimate by the medium variant, ``(4, year)``."""
    return observed_people(load_wpp(place), need_weights(), first_year, last_year)


def simulate_plain_basis(
    posterior: Posterior,
    place: str,
    law: Policy,
    *,
    first_year: int,
    horizon: int,
    population_year: int,
    other_income_share: float,
    category_mix: Mapping[str, float] | None = None,
    members: MemberPeople | None = None,
    seed: int,
    label: str,
    notes: tuple[str, ...] = (),
) -> Basis:
    """Carry the posterior draws of a plain pool forward to a basis for the engine.

    Parameters
    ----------
    posterior
        Kept variables of the demography and plain blocks, draw first.
    first_year, horizon
        First and last projected year; the draws stand at the end of the year before the first.
    population_year
        Jump-off year of the demography blocks.
    other_income_share
        Share of the income before the first year that the premium rate does not move.
    category_mix
        Category of the law to its share in the base; equal shares when left out.
    members
        What the pool's members follow from, its first year the one before ``first_year``; the country's people when
        left out.
    notes
        What else is assumed, shown with the results.
    """
    posterior = {name: np.asarray(value, dtype=float) for name, value in posterior.items()}
    years = np.arange(first_year, horizon + 1)
    people = _people(posterior, place, first_year - 1, horizon, population_year, seed)
    total, working, old, need = people
    kind = members.kind if members else ""
    heads, workers, ageing = _log_steps(people, kind)
    if members is not None:
        # The members' own course stands on the medium variant; what a draw's country does otherwise comes on top.
        medium = _log_steps(past_people(place, first_year - 1, horizon), kind)
        heads, workers, ageing = (
            (step - usual)[:, None] + path
            for step, usual, path in zip(member_steps(members, law), medium, (heads, workers, ageing), strict=True)
        )
    outlay, base = _paths(posterior, heads + posterior["plain_ageing"] * ageing, workers, seed)
    categories = tuple(law.scheme.categories)
    mix = category_mix or dict.fromkeys(categories, 1.0 / len(categories))
    share = other_income_share
    # Income that the rate does not move stays in its proportion to the base at the rate of the year before.
    per_base = share / (1.0 - share) * law.path("general_premium_rate", years[:1])[0] if share else 0.0
    return Basis(
        label=label,
        money=law.scheme.money,
        years=years,
        opening_reserve=posterior["plain_reserve_end"].copy(),
        general_base=base,
        category_mix=np.repeat(np.array([[mix[name]] for name in categories]), outlay.shape[1], axis=1),
        categories=categories,
        reference_dependants=0.0,
        supplementary_base={},
        other_income={"other": per_base * base} if share else {},
        outlay=outlay,
        investment_yield=np.zeros_like(outlay),
        payment_sizes={},
        payment_size_index=np.ones_like(outlay),
        law_thresholds={},
        law_ceiling=np.zeros(len(years)),
        drivers={
            "population": total[1:],
            "share_65_and_over": old[1:] / total[1:],
            "population_20_to_64": working[1:],
            "need_index": need[1:] / need[1],
            **_member_drivers(members, law, outlay.shape[1]),
        },
        members=members,
        assumptions=(*notes, *ASSUMPTIONS),
    )


def _log_steps(people: Array | tuple[Array, ...], kind: str) -> tuple[Array, Array, Array]:
    """Yearly log changes of heads, payers and need a head, from persons under :func:`need_weights`.

    Children are no members of an employees' scheme: there the heads are those of 20 and over.
    """
    total, working, old, need = people
    if kind == "employees":
        total, need = working + old, working + PENSIONER_COST * old
    heads, workers, ageing = (np.diff(np.log(row), axis=0) for row in (total, working, need / total))
    return heads, workers, ageing


def _member_drivers(members: MemberPeople | None, law: Policy, n_draws: int) -> dict[str, Array]:
    """Contributors and pensioners under the law, million, the same in every draw."""
    if members is None or members.kind != "employees":
        return {}
    heads = employee_heads(members, law_ages(law, members.years))
    rows = {"contributors": heads.workers[1:], "pensioners": heads.retired[1:]}
    return {name: np.repeat(row[:, None], n_draws, axis=1) for name, row in rows.items()}


def _people(
    posterior: Posterior, place: str, first: int, last: int, population_year: int, seed: int
) -> tuple[Array, Array, Array, Array]:
    """Persons under :func:`need_weights` from ``first`` to ``last``: published, then simulated; ``(year, draw)``."""
    n_draws = len(posterior["plain_reserve_end"])
    wpp, weights = load_wpp(place), need_weights()
    parts = []
    if first <= population_year:
        known = observed_people(wpp, weights, first, min(last, population_year))
        parts.append(np.broadcast_to(known[:, :, None], (*known.shape, n_draws)))
    if last > population_year:
        futures = simulate_population(posterior, wpp, population_year + 1, last, seed, weights=weights)
        parts.append(futures.collapsed[:, max(0, first - population_year - 1) :])
    total, working, old, need = np.concatenate(parts, axis=1)
    return total, working, old, need


def _paths(posterior: Posterior, need_step: Array, worker_step: Array, seed: int) -> tuple[Array, Array]:
    """Booked outlay and base by the steps of the plain model, ``(year, draw)``."""
    rng = np.random.default_rng([seed, *b"plain"])
    own = {name.removeprefix("plain_"): value for name, value in posterior.items() if name.startswith("plain_")}
    drift = {"cost": own["cost_drift_end"], "base": own["base_drift_end"]}
    level = {"cost": own["log_cost_end"], "base": own["log_base_end"]}
    step = {"cost": need_step, "base": worker_step}
    fresh = np.sqrt(1.0 - DRIFT_PERSISTENCE**2)
    result = {name: np.empty_like(need_step) for name in level}
    for t in range(len(need_step)):
        z = rng.standard_normal((4, need_step.shape[1]))
        shock = np.clip(rng.standard_t(SHOCK_NU, (2, need_step.shape[1])), -LARGEST_SHOCK, LARGEST_SHOCK)
        wander = {"cost": z[0], "base": _correlated(z[0], z[1], own["drift_correlation"])}
        shocks = {"cost": shock[0], "base": _correlated(shock[0], shock[1], own["correlation"])}
        for i, name in enumerate(level):
            drift[name] = DRIFT_PERSISTENCE * drift[name] + own[f"{name}_drift_sd"] * fresh * wander[name]
            growth = own["growth"] + own[f"{name}_excess"] + drift[name]
            level[name] = level[name] + step[name][t] + growth + own[f"{name}_sd"] * shocks[name]
            result[name][t] = np.exp(level[name] + own["noise_sd"] * z[2 + i])
    return result["cost"], result["base"]


def _correlated(first: Array, second: Array, correlation: Array) -> Array:
    return correlation * first + np.sqrt(1.0 - correlation**2) * second
