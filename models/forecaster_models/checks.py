"""What a fit learnt: its priors against its posterior, and the futures that either of them makes.

Both tables are kept with the fit, ``priors.csv`` and ``checks.csv``. The prior's futures answer whether the model
without its data would make absurd funds; the posterior's are held against the fund's own past.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.fitted import make_basis
from forecaster.policy import Policy
from forecaster.pools import Pool
from forecaster_models.blocks import Block
from forecaster_models.priors import DISTRIBUTIONS, Priors, marginals

if TYPE_CHECKING:
    import pymc as pm

Array = np.ndarray

PRIOR_DRAWS = 1000
QUANTILES = {"q5": 0.05, "q50": 0.5, "q95": 0.95}
PRIOR_COLUMNS = (
    "block",
    "name",
    "prior",
    *(f"prior_{q}" for q in QUANTILES),
    *(f"posterior_{q}" for q in QUANTILES),
    "learnt",
    "prior_below",
    "why",
)
CHECK_COLUMNS = (
    "quantity",
    "line",
    "unit",
    *(f"prior_{q}" for q in QUANTILES),
    *(f"posterior_{q}" for q in QUANTILES),
    "past",
    "past_years",
    "posterior_below_past",
)
# Probability of a prior's tail in which a posterior's median contradicts it.
CONTRADICTED = 0.01
# Yearly steps over which the futures are judged.
STEPS = 10
# Fewer steps between published figures say nothing of spread and extremes.
LEAST_STEPS = 5
# Average growth of outgo over these steps, a year, beyond which a future is called absurd.
ABSURD_GROWTH = (-0.02, 0.20)


# --- priors -----------------------------------------------------------------------------------------------------------
def prior_words(prior: Mapping[str, Any]) -> str:
    """A prior as text, ``Normal(mu=0.018, sigma=0.007)``."""
    keys = DISTRIBUTIONS[prior["distribution"]]
    values = (f"{key}=[{', '.join(f'{v:g}' for v in np.ravel(prior[key]))}]" if np.ndim(prior[key]) else
              f"{key}={prior[key]:g}" for key in keys)  # fmt: skip
    return f"{prior['distribution']}({', '.join(values)})"


def prior_table(priors: Mapping[str, Priors], posterior: Mapping[str, Array]) -> pd.DataFrame:
    """Each prior of a fit against what the data left of it.

    Parameters
    ----------
    priors
        By block and name.
    posterior
        Draws of ``block_name``, draw first. A prior without draws was not used in this fit and is left out.

    Returns
    -------
    pandas.DataFrame
        :data:`PRIOR_COLUMNS`: 5%, 50% and 95% quantiles of both; ``learnt``, one less the ratio of the widths between
        the outer quantiles: 0 where the data said nothing, near 1 where they settled it; and ``prior_below``, the
        prior's probability of less than the posterior's median: near 0 or 1 where the data contradict the prior.
    """
    rows = []
    for block, own in priors.items():
        for name, prior in own.items():
            draws = posterior.get(f"{block}_{name}")
            if draws is None:
                continue
            values = np.asarray(draws, dtype=float).reshape(len(draws), -1)
            for i, marginal in enumerate(marginals(prior)):
                before = marginal.ppf(list(QUANTILES.values()))
                after = np.quantile(values[:, i], list(QUANTILES.values()))
                label = name if values.shape[1] == 1 else f"{name}[{i}]"
                learnt = 1.0 - (after[2] - after[0]) / (before[2] - before[0])
                below = float(marginal.cdf(after[1]))
                rows.append((block, label, prior_words(prior), *before, *after, learnt, below, prior["why"]))
    return _rounded(pd.DataFrame(rows, columns=list(PRIOR_COLUMNS)))


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Six significant digits are more than any of these figures has."""
    floats = table.select_dtypes("float").columns
    return table.assign(**{name: [float(f"{value:.6g}") for value in table[name]] for name in floats})


def contradicted(table: pd.DataFrame) -> list[str]:
    """Priors that the data contradict: the posterior's median lies where the prior puts less than 1% on one side."""
    odd = table[(table["prior_below"] < CONTRADICTED) | (table["prior_below"] > 1.0 - CONTRADICTED)]
    return [f"{row.block}.{row.parameter}" for row in odd.rename(columns={"name": "parameter"}).itertuples()]


def prior_draws(block: Block, model: pm.Model, priors: Priors, seed: int, draws: int = PRIOR_DRAWS) -> dict[str, Array]:
    """What the block would hand on had it seen no data, draw first.

    A variable that hangs on a flat prior, such as the paths of the accounts, has no such draws and is left out; the
    future then starts from where the data leave it. Priors that the model integrates out are drawn directly.
    """
    import pymc as pm
    from pytensor.graph.traversal import ancestors

    rng = np.random.default_rng([seed, *b"prior"])
    flat = {variable for variable in model.free_RVs if type(variable.owner.op).__name__ == "FlatRV"}
    direct = {
        f"{block.name}_{name}": marginal.rvs(draws, random_state=rng)
        for name in block.integrated
        for marginal in marginals(priors[name])
        if f"{block.name}_{name}" in block.keep
    }
    names = [name for name in block.keep if name not in direct and not flat & set(ancestors([model[name]]))]
    with warnings.catch_warnings():
        # The graph is run a thousand times only: quickly compiled is better than quickly run.
        warnings.simplefilter("ignore")
        draw = pm.compile([], [model[name] for name in names], mode="FAST_COMPILE", random_seed=seed)
        rows = [draw() for _ in range(draws)]
    return direct | {name: np.array([row[i] for row in rows], dtype=float) for i, name in enumerate(names)}


# --- futures ----------------------------------------------------------------------------------------------------------
def check_table(
    pool: Pool, posterior: Mapping[str, Array], prior: Mapping[str, Array], history: pd.DataFrame, seed: int
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Futures under the priors alone and under the posterior, and the same quantity in the fund's past.

    Parameters
    ----------
    posterior
        Kept variables of all blocks, draw first.
    prior
        Those of them that :func:`prior_draws` gave.
    history
        Income and outgo by year as the fit stores it, columns of :data:`forecaster.fitted.HISTORY_COLUMNS`.

    Returns
    -------
    tuple
        Table of :data:`CHECK_COLUMNS`; and the share of futures in which outgo grows by an absurd amount over ten
        years (:data:`ABSURD_GROWTH`, a year), ``prior`` and ``posterior``; 1 where no fund can be computed at all.
    """
    n = min(PRIOR_DRAWS, *(len(values) for values in (*posterior.values(), *prior.values())))
    started = {name: np.asarray(values)[:: max(1, len(values) // n)][:n] for name, values in posterior.items()}
    found = {"posterior": _futures(pool, started, seed)}
    try:
        found["prior"] = _futures(pool, started | {name: values[:n] for name, values in prior.items()}, seed)
    except ForecasterError:
        found["prior"] = {key: np.full(n, np.nan) for key in found["posterior"]}
    past = {(quantity, line): row for quantity, line, *row in _past(history)}
    rows = []
    for key, values in found["posterior"].items():
        quantity, line, unit = key
        both = [np.quantile(found[which][key], list(QUANTILES.values())) for which in ("prior", "posterior")]
        value, years = past.get((quantity, line), (math.nan, ""))
        below = math.nan if math.isnan(value) else float((values < value).mean())
        rows.append((quantity, line, unit, *both[0], *both[1], value, years, below))
    return _rounded(pd.DataFrame(rows, columns=list(CHECK_COLUMNS))), {
        which: absurd_share(quantities["mean growth", "outgo", "a year"]) for which, quantities in found.items()
    }


def absurd_share(growth: Array) -> float:
    """Share of futures whose average growth a year is absurd."""
    low, high = ABSURD_GROWTH
    return float(((growth < low) | (growth > high) | ~np.isfinite(growth)).mean())


def _futures(pool: Pool, draws: Mapping[str, Array], seed: int) -> dict[tuple[str, str, str], Array]:
    """Quantities of the simulated futures, each ``(draw,)``, by quantity, line and unit."""
    law = Policy(pool.law)
    horizon = pool.first_year + STEPS
    basis = make_basis(pool, draws, law, last_year=None, horizon=horizon, seed=seed, label="check")
    result = project(basis, law)
    found = {
        (quantity, line, "a year"): values
        for line, flow in (("income", result.total_income), ("outgo", result.outgo))
        for quantity, values in growth_figures(flow).items()
    }
    found[f"months after {STEPS} years", "reserve", "months of outgo"] = result.reserve_months[-1]
    return found | dict(_drivers(basis))


def _drivers(basis: Basis) -> Iterator[tuple[tuple[str, str, str], Array]]:
    if "population" in basis.drivers:
        people = basis.drivers["population"]
        yield ("mean growth", "population", "a year"), np.log(people[-1] / people[0]) / STEPS
    if "share_65_and_over" in basis.drivers:
        yield (f"share after {STEPS} years", "65 and over", "of all"), basis.drivers["share_65_and_over"][-1]


def growth_figures(flow: Array) -> dict[str, Array]:
    """Mean, spread, largest and smallest of the yearly log growth of a flow ``(year, draw)``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return _figures(np.diff(np.log(flow), axis=0))


def _figures(steps: Array) -> dict[str, Array]:
    return {
        "mean growth": steps.mean(axis=0),
        "spread of growth": steps.std(axis=0),
        "largest growth": steps.max(axis=0),
        "smallest growth": steps.min(axis=0),
    }


def _past(history: pd.DataFrame) -> Iterator[tuple[str, str, float, str]]:
    """The same quantities of the last yearly steps between two published figures, and the years they span.

    Years that the fit has filled in are left out: their mean is smoother than any year was.
    """
    published = history[history["kind"] == "published"].sort_values("year")
    for line in ("income", "outgo"):
        known = published[published["line"] == line]
        years, values = known["year"].to_numpy(), known["mean"].to_numpy(dtype=float)
        steps = np.flatnonzero(np.diff(years) == 1)[-STEPS:]
        if len(steps) < LEAST_STEPS:
            continue
        text = f"{len(steps)} steps, {years[steps[0]]}-{years[steps[-1] + 1]}"
        for quantity, value in _figures(np.log(values[steps + 1] / values[steps])[:, None]).items():
            yield quantity, line, float(value[0]), text
