"""From posterior draws to a basis: simulated futures of people, economy, base and spending.

NumPy only. Random numbers come year by year from one stream per quantity, so that the same seed gives the same bits and
a longer horizon leaves the earlier years as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forecaster.basis import Basis, PaymentSizes
from forecaster.demography.futures import simulate_population
from forecaster.demography.tables import N_AGES, VINTAGE, WppTables
from forecaster.demography.vintages import load_vintage
from forecaster.need import AGE_GROUPS, OLD_GROUPS, PROFILE_YEAR, SpendingOptions, in_age_groups, log_need
from forecaster.observations import Observations, load_observations
from forecaster.points import point_facts, simulate_points
from forecaster.policy import Policy
from forecaster.revenue import late_fee_share

Array = np.ndarray
Posterior = Mapping[str, Array]

# Persistence of the slowly moving means of growth and inflation, and of the drifts of base and spending.
MEAN_PERSISTENCE = 0.95
DRIFT_PERSISTENCE = 0.90
# Announced average number of dependants at which the contribution base is measured (the value of 2020).
REFERENCE_DEPENDANTS = 0.58
# Year to whose prices the payment sizes belong.
SIZE_YEAR = 2015
# First whole year of the thresholds under which the fund model measures the supplementary base.
MEASURED_YEAR = 2016
# Student-t degrees of freedom of yearly shocks of the economy; cut at ten scale units.
ECONOMY_NU, LARGEST_SHOCK = 5.0, 10.0
# Assumed, no series found: yield of the reserve (mean, standard deviation over draws) and the course of the tobacco
# surcharge.
YIELD = (0.012, 0.004)
TOBACCO_DRIFT, TOBACCO_SD = -0.01, 0.05

ASSUMPTIONS = (
    "Investment yield of the reserve: 1.2% a year, plus or minus 0.4 over draws (assumed; no series was found).",
    "Tobacco surcharge: from its average of 2021-25, falling 1% a year with a spread of 5% (assumed).",
    "Lottery money: 5% of the published surplus, 1.65 bn a year in 2024-25; late fees: on 1% of the premiums, 60 days "
    "late (assumed; no figure was found). Both are parts of the other income that the fit found, and grow with GDP.",
    "Split of the contribution base by category: assumed, corrected only by published payer shares of 2012 and 2020.",
    "Cost by age: five age bands of 2014 and three of 2010, both sexes alike; no finer table was found.",
    "Payment sizes of supplementary items: lognormal, fitted to three official effects; no splitting of payments.",
    "Outlay of 2026 follows the global budget agreed for 2026; later budgets follow the model, not a negotiation.",
    "Points of providers beyond need: from two intervals of published points; their part of the budget from the two "
    "published costs of a guarantee.",
    "No government money beyond the law after 2023-24, although such money has been paid before.",
)


@dataclass(frozen=True)
class MacroSteps:
    """Yearly log changes of an economy, published years and the published outlook; shape ``(year,)``.

    Attributes
    ----------
    nominal, price
        Nominal GDP and its deflator.
    per_worker, per_head
        Real GDP per person aged 20-64 and per inhabitant.
    observed
        Whether the year is published as actual.
    """

    years: Array
    nominal: Array
    price: Array
    per_worker: Array
    per_head: Array
    observed: Array

    def at(self, years: Array) -> MacroSteps:
        """The same for some of the years."""
        keep = np.isin(self.years, years)
        return MacroSteps(**{name: getattr(self, name)[keep] for name in self.__dataclass_fields__})


def macro_steps(place: str, vintage: str = VINTAGE) -> MacroSteps:
    """Yearly changes from the IMF's World Economic Outlook of October 2025 and a revision of the UN's population."""
    table = load_observations(place).table
    rows = table[table["source"] == "TW-S109"]
    imf = rows.pivot_table(index="year", columns="series", values="value")
    actual = rows[(rows["series"] == "gdp_nominal") & (rows["quality"] != "P")]["year"].max()
    years = np.asarray(imf.index[1:], dtype=int)
    wpp = load_vintage(place, vintage)
    people = wpp.population_1july.sum(axis=1)[np.searchsorted(wpp.years, np.append(years[0] - 1, years))]
    nominal = np.log(imf["gdp_nominal"]).diff().to_numpy()[1:]
    real = np.log1p(imf["gdp_real_growth"].to_numpy()[1:])
    workers = np.diff(np.log(people[:, 20:65].sum(axis=1)))
    heads = np.diff(np.log(people.sum(axis=1)))
    return MacroSteps(years, nominal, nominal - real, real - workers, real - heads, years <= actual)


def tobacco_surcharge(observed: Observations, years: Array, last_year: int) -> Array:
    """Tobacco surcharge paid into the fund, TWD bn nominal a year, as known at the end of ``last_year``.

    Between published years on a straight line, level after the last one (assumed); none before 2013.
    """
    total = float(observed.series("tobacco_surcharge_total")["value"].iloc[0])
    paid = observed.series("tobacco_surcharge_to_nhi").set_index("year")["value"]
    # 70% of the surcharge of 2010-14 went to the fund; the figure filed under 2025 is the average of 2021-25.
    points = {2013: 0.7 * total, 2014: 0.7 * total, 2015: paid[2015], 2016: paid[2016], 2021: paid[2025]}
    known = {year: value for year, value in points.items() if year <= last_year}
    return np.where(years >= 2013, np.interp(years, list(known), list(known.values())), 0.0)


def lottery_money(observed: Observations, last_year: int) -> float:
    """Lottery money of the fund, TWD bn nominal a year, by the last period published up to ``last_year``."""
    paid = observed.series("lottery_to_nhi")
    known = paid[paid["year"] <= last_year].sort_values("year")["value"]
    return float(known.iloc[-1]) if len(known) else 0.0


def further_income(rest: Array, grown: Array, lottery: float, late_fees: Array) -> dict[str, Array]:
    """Other income without the tobacco surcharge by line, TWD bn nominal a year, ``(year, draw)``.

    Lottery money and late fees are told apart within what the fit found of it all, so that their sum is the fit's.

    Parameters
    ----------
    rest
        What the fit found of a year at the level of the first projected one, ``(draw,)``.
    grown
        Growth of GDP since then, with which all of it grows (assumed), ``(year, draw)``.
    lottery, late_fees
        At the same level; a number and ``(draw,)``. Nothing is left below zero where both are more than all.
    """
    from_lottery = np.minimum(lottery, rest)
    late = np.minimum(late_fees, rest - from_lottery)
    parts = {"lottery": from_lottery, "late_fees": late, "miscellaneous": rest - from_lottery - late}
    return {name: level * grown for name, level in parts.items()}


def growth_surprise(growth: Array) -> Array:
    """Growth less the mean of the five years before (fewer at the start, 0 in the first), along the first axis."""
    result = np.zeros_like(growth)
    for t in range(1, len(growth)):
        result[t] = growth[t] - growth[max(0, t - 5) : t].mean(axis=0)
    return result


def simulate_basis(
    posterior: Posterior,
    place: str,
    law: Policy,
    *,
    first_year: int,
    horizon: int,
    seed: int,
    label: str,
    last_year: int | None = None,
    vintage: str = VINTAGE,
    options: SpendingOptions = SpendingOptions(),  # noqa: B008  frozen
) -> Basis:
    """Carry the posterior draws of all blocks forward to a basis for the engine.

    Parameters
    ----------
    posterior
        Kept variables of the demography, economy and fund blocks, draw first.
    law
        Today's law: the thresholds and the ceiling under which the supplementary base is measured.
    first_year
        First projected year, the one whose global budget the fund block has seen.
    horizon
        Last projected year.
    last_year
        Valuation date of the fit where it is not the latest: the economy is known up to that year and the population
        up to the year before, or the last estimate of the revision if that is earlier.
    vintage
        Revision of the UN's population that the demographic blocks were fitted to.
    options
        Readings of ageing other than the fit's own.
    """
    posterior = {name: np.asarray(value, dtype=float) for name, value in posterior.items()}
    macro, wpp = macro_steps(place, vintage), load_vintage(place, vintage)
    last_seen = int(macro.years[macro.observed][-1])
    if last_year is not None:
        last_seen = min(last_seen, last_year)
    years = np.arange(first_year, horizon + 1)
    ahead = np.arange(last_seen + 1, horizon + 1)
    people = _people(posterior, wpp, last_seen, horizon, seed)
    workers = np.diff(np.log(people["working_age"]), axis=0)
    heads = np.diff(np.log(people["total"]), axis=0)
    growth, price = _economy(posterior, macro, last_seen, ahead, seed)
    nominal = growth + workers + price
    seen = macro.years <= last_seen
    past = np.broadcast_to(macro.per_worker[seen][-5:, None], (5, growth.shape[1]))
    surprise = growth_surprise(np.concatenate([past, growth]))[5:]
    need = log_need(
        posterior["fund_log_profile"].T,
        posterior["fund_tilt"],
        people,
        wpp,
        last_seen=last_seen,
        first_year=first_year,
        options=options,
    )
    use = ahead >= first_year
    outlay, base = _cost_and_base(
        posterior,
        need_step=np.diff(need, axis=0)[use],
        price=price[use],
        per_head=(growth + workers - heads)[use],
        nominal=nominal[use],
        surprise=surprise[use],
        seed=seed,
    )
    booking = _booking(posterior, outlay.shape, seed)
    supplementary = _supplementary(posterior, nominal[use], seed)
    gdp_since = np.cumsum(nominal, axis=0)[use]
    grown = macro.nominal[(macro.years > SIZE_YEAR) & seen].sum() + gdp_since
    if last_seen < SIZE_YEAR:
        grown = gdp_since - macro.nominal[(macro.years > last_seen) & (macro.years <= SIZE_YEAR)].sum()
    gdp = np.exp(np.log(_nominal_gdp(place, last_seen)) + gdp_since)
    items = tuple(law.scheme.supplementary_items)
    wide = PaymentSizes(posterior["fund_size_median"], posterior["fund_size_spread"])
    part_time = PaymentSizes(posterior["fund_part_time_median"], posterior["fund_part_time_spread"])
    sizes = {"part_time": part_time, **dict.fromkeys(("fees", "dividends", "interest", "rent"), wide)}
    rng = _stream(seed, "other income")
    n_draws = outlay.shape[1]
    premium = law.path("general_premium_rate", years[:1])[0] * base[0]
    late_fees = late_fee_share(law, years[:1])[0] * premium
    tobacco = np.cumsum(TOBACCO_DRIFT + TOBACCO_SD * rng.standard_normal(outlay.shape), axis=0)
    surcharge = tobacco_surcharge(load_observations(place), years[:1], first_year - 1)
    earned = np.clip(_stream(seed, "yield").normal(*YIELD, n_draws), 0.0, None)
    total = people["total"][1:][use]
    measured = np.maximum(years, MEASURED_YEAR)
    points = None
    if last_year is None:  # an earlier valuation knew no point values
        facts = point_facts(load_observations(place))
        past = _past_need(posterior, wpp, np.append(facts.years, facts.anchor))
        points = simulate_points(facts, past, need[1:][use], years, outlay, _stream(seed, "points"))
    return Basis(
        label=label,
        money=law.scheme.money,
        years=years,
        opening_reserve=posterior["fund_reserve_end"].copy(),
        general_base=base * booking,
        category_mix=posterior["fund_category_mix"].T / posterior["fund_category_mix"].sum(axis=1),
        categories=tuple(law.scheme.categories),
        reference_dependants=REFERENCE_DEPENDANTS,
        supplementary_base={
            item: supplementary * booking * posterior["fund_item_share"][:, i] for i, item in enumerate(items)
        },
        other_income={
            "tobacco_surcharge": surcharge * np.exp(tobacco),
            **further_income(
                posterior["fund_miscellaneous"],
                np.exp(gdp_since - gdp_since[0]),
                lottery_money(load_observations(place), first_year - 1),
                late_fees,
            ),
        },
        outlay=outlay,
        investment_yield=np.broadcast_to(earned, outlay.shape).copy(),
        payment_sizes=sizes,
        payment_size_index=np.exp(grown),
        law_thresholds={item: law.path(f"supplementary_threshold.{item}", measured).copy() for item in sizes},
        law_ceiling=law.path("supplementary_ceiling", measured).copy(),
        drivers={
            "population": total,
            "share_65_and_over": people["old"][1:][use] / total,
            "population_20_to_64": people["working_age"][1:][use],
            "need_index": np.exp(need[1:][use] - need[1:][use][0]),
            "gdp_nominal": gdp,
        },
        assumptions=(*ASSUMPTIONS, *options.words),
        points=points,
    )


def _stream(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def _people(posterior: Posterior, wpp: WppTables, last_seen: int, horizon: int, seed: int) -> dict[str, Array]:
    """People from the last published year of the economy on.

    Persons on 1 July in all, 20-64, 65 and over and by age group; deaths of the year and life expectancy of both sexes.
    """
    start_year = min(last_seen, wpp.last_estimate_year + 1)
    weights = np.zeros((2 + len(AGE_GROUPS), 2, N_AGES))
    weights[0, :, 20:65] = 1.0
    weights[1, :, 65:] = 1.0
    group = np.searchsorted(AGE_GROUPS, np.arange(N_AGES), side="right") - 1
    weights[2 + group, :, np.arange(N_AGES)] = 1.0
    futures = simulate_population(posterior, wpp, start_year, horizon, seed, weights=weights)
    seen = last_seen - int(futures.years[0])
    people = futures.collapsed[:, seen:]
    return {
        "total": people[2:].sum(axis=0),
        "working_age": people[0],
        "old": people[1],
        "groups": people[2:],
        "deaths": futures.deaths[seen:],
        "e0": futures.e0.mean(axis=0)[seen:],
    }


def _economy(posterior: Posterior, macro: MacroSteps, last_seen: int, ahead: Array, seed: int) -> tuple[Array, Array]:
    """Growth per person of working age and inflation, log changes, ``(year, draw)``."""
    n_draws = len(posterior["economy_growth_mean"])
    paths: dict[str, Array] = {}
    shocks: dict[str, Array] = {}
    for name in ("growth", "inflation"):
        rng = _stream(seed, f"economy {name}")
        known = posterior[f"economy_{name}_ahead"]
        mean, gap = known[:, 0], posterior[f"economy_{name}_last_gap"]
        long_run, mean_sd, sd, phi = (posterior[f"economy_{name}_{k}"] for k in ("mean", "mean_sd", "sd", "phi"))
        path, shock = np.empty((len(ahead), n_draws)), np.empty((len(ahead), n_draws))
        for t in range(len(ahead)):
            wander, draw = rng.standard_normal(n_draws), rng.standard_t(ECONOMY_NU, n_draws)
            drawn = long_run + MEAN_PERSISTENCE * (mean - long_run) + mean_sd * wander
            mean = known[:, t + 1] if t + 1 < known.shape[1] else drawn
            shock[t] = sd * np.clip(draw, -LARGEST_SHOCK, LARGEST_SHOCK)
            if name == "inflation":
                shock[t] += posterior["economy_inflation_loading"] * shocks["growth"][t]
            gap = phi * gap + shock[t]
            path[t] = mean + gap
        paths[name], shocks[name] = path, shock
    if "economy_rebound" in posterior:
        paths["growth"][0] += posterior["economy_rebound"]
    return paths["growth"], paths["inflation"]


def _past_need(posterior: Posterior, wpp: WppTables, years: Array) -> Array:
    """Log of the age-weighted need of the UN's population in some years to the last published one, ``(year, draw)``."""
    groups = in_age_groups(wpp.population_1july[np.searchsorted(wpp.years, years)].sum(axis=1))
    tilt = posterior["fund_tilt"][None, None, :] * (years - PROFILE_YEAR)[None, :, None]
    cost = np.exp(posterior["fund_log_profile"].T[:, None, :] + tilt * OLD_GROUPS[:, None, None])
    return np.log(np.einsum("tg,gtd->td", groups, cost))


def _cost_and_base(
    posterior: Posterior,
    *,
    need_step: Array,
    price: Array,
    per_head: Array,
    nominal: Array,
    surprise: Array,
    seed: int,
) -> tuple[Array, Array]:
    """Outlay and contribution base by the steps of the fund model; the first year's outlay is the posterior's own.

    If that year was a pandemic's, what it stood apart from its course comes back in the second.
    """
    rng = _stream(seed, "fund")
    own = {k: posterior[f"fund_{k}"] for k in ("cost_sd", "base_sd", "correlation", "income_elasticity")}
    drift = {k: posterior[f"fund_{k}_drift_end"] for k in ("cost", "base")}
    level = {"cost": posterior["fund_log_cost_end"], "base": posterior["fund_log_base_end"]}
    fresh = np.sqrt(1.0 - DRIFT_PERSISTENCE**2)
    outlay, base = np.empty_like(price), np.empty_like(price)
    for t in range(len(price)):
        z = rng.standard_normal((4, price.shape[1]))
        shock = {
            "cost": own["cost_sd"] * z[0],
            "base": own["base_sd"] * (own["correlation"] * z[0] + np.sqrt(1.0 - own["correlation"] ** 2) * z[1]),
        }
        expected = {
            "cost": need_step[t] + price[t] + own["income_elasticity"] * per_head[t],
            "base": nominal[t],
        }
        for i, name in enumerate(("cost", "base")):
            if name == "cost" and t == 0:
                continue
            drift[name] = DRIFT_PERSISTENCE * drift[name] + posterior[f"fund_{name}_drift_sd"] * fresh * z[2 + i]
            pull = posterior[f"fund_{name}_surprise"] * surprise[t] + posterior[f"fund_{name}_drift"] + drift[name]
            level[name] = level[name] + expected[name] + pull + shock[name]
            if name == "cost" and t == 1:
                level[name] = level[name] + posterior.get("fund_rebound", 0.0)
        outlay[t], base[t] = np.exp(level["cost"]), np.exp(level["base"])
    return outlay, base


def _booking(posterior: Posterior, shape: tuple[int, ...], seed: int) -> Array:
    """Factor on premium income for what is booked in another year than it belongs to, ``(year, draw)``."""
    return np.exp(posterior["fund_booking_sd"] * _stream(seed, "booking").standard_normal(shape))


def _supplementary(posterior: Posterior, nominal: Array, seed: int) -> Array:
    """Supplementary base of all items, TWD bn nominal; its drift against GDP fades as the other drifts do."""
    shocks = _stream(seed, "supplementary").standard_normal(nominal.shape)
    fading = DRIFT_PERSISTENCE ** np.arange(1, len(nominal) + 1)[:, None]
    steps = nominal + posterior["fund_supplementary_drift"] * fading + posterior["fund_supplementary_sd"] * shocks
    return np.exp(posterior["fund_log_supplementary_end"] + np.cumsum(steps, axis=0))


def _nominal_gdp(place: str, year: int) -> float:
    series = load_observations(place).series("gdp_nominal")
    return float(series[series["year"] == year]["value"].iloc[0])
