"""Record of the population's bands: as wide as the United Nations' own, and held against what came.

Two questions, for the seven places. How wide are the bands of today's fit beside those of WPP 2024 (of WPP 2022 for
people of 65 and over, the last revision whose bounds by age are held)? And how often did bands made from what an
earlier revision knew hold what WPP 2024 says, beside that revision's own intervals?
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd

import forecaster
from forecaster.demography.futures import PopulationFutures, age_band_weights, simulate_population
from forecaster.demography.patterns import (
    FertilityHistory,
    MigrationHistory,
    MortalityHistory,
    fertility_history,
    migration_history,
    mortality_history,
)
from forecaster.demography.tables import PLACES, VINTAGE, WppTables, load_wpp, wpp_bounds
from forecaster.demography.vintages import LAST_ESTIMATE, PUBLISHED, five_year_bounds, load_vintage, over_period
from forecaster.resources import data_dir
from forecaster_models.demography import (
    FERTILITY_KEEP,
    MIGRATION_KEEP,
    MORTALITY_KEEP,
    demography_priors,
    fertility_model,
    migration_model,
    mortality_model,
)

Array = np.ndarray
Draws = dict[str, Array]

VINTAGES = tuple(PUBLISHED)
CHAINS, DRAWS, TUNE = 4, 1000, 1000
LEVELS = {"80": (0.1, 0.9), "95": (0.025, 0.975)}
# Years ahead of the jump-off at which the widths of today's bands are compared.
AHEAD = (5, 10, 15, 25, 50)
LAST_YEAR = LAST_ESTIMATE[VINTAGE] + AHEAD[-1] + 1
# Rows of the weights handed to the simulation.
TOTAL, OLD = 0, 1
WIDTH_COLUMNS = (
    "place",
    "quantity",
    "ahead",
    "year",
    "low80",
    "high80",
    "wpp_low80",
    "wpp_high80",
    "ratio80",
    "ratio95",
)
CASE_COLUMNS = (
    "vintage",
    "place",
    "quantity",
    "time",
    "ahead",
    "came",
    *("median", "low80", "high80", "low95", "high95"),
    *("wpp_median", "wpp_low80", "wpp_high80", "wpp_low95", "wpp_high95"),
)
# Priors that no data inform: drawn directly, so that places share compiled models.
UNINFORMED = {
    "mortality": ("regime_shift", "base_error"),
    "fertility": ("regime_shift", "base_error", "pace"),
    "migration": ("policy_shift", "base_error", "base_error_old"),
}


class Fitter:
    """Fits the three blocks of any place and revision, compiling a model once for all that share its shape."""

    def __init__(self) -> None:
        self._compiled: dict[str, Any] = {}
        self.worst_rhat = 1.0

    def draws(self, place: str, vintage: str, seed: int) -> Draws:
        """Posterior of all three blocks at the last estimate of a revision, ``(draw,)`` each."""
        tables = load_vintage(place, vintage)
        priors = demography_priors(place)
        last = tables.last_estimate_year
        deaths = mortality_history(tables, last)
        births = fertility_history(tables, last)
        moves = migration_history(tables, last)
        return {
            **self._block("mortality", deaths, ("common", "gap"), mortality_model, MORTALITY_KEEP, priors, seed),
            **self._block(
                "fertility", births, ("log_tfr", "mean_age"), fertility_model, FERTILITY_KEEP, priors, seed + 1
            ),
            **self._block("migration", moves, ("rate",), migration_model, MIGRATION_KEEP, priors, seed + 2),
        }

    def _block(
        self,
        name: str,
        history: MortalityHistory | FertilityHistory | MigrationHistory,
        series: tuple[str, ...],
        build: Callable[..., Any],
        keep: tuple[str, ...],
        priors: Mapping[str, Any],
        seed: int,
    ) -> Draws:
        import nutpie

        own, direct = dict(priors[name]), UNINFORMED[name]
        for prior in direct:
            own[prior] = {**own[prior], "mu": 0.0, "sigma": 1.0}
        # Mortality's matrices depend on the years, the others' shapes do not matter to the compiled model.
        years = history.years.tolist() if name == "mortality" else ()
        figures = {prior: {k: v for k, v in given.items() if k != "why"} for prior, given in own.items()}
        key = json.dumps([name, figures, years], sort_keys=True)
        values = {column: np.asarray(getattr(history, column), dtype=float) for column in series}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if key not in self._compiled:
                self._compiled[key] = nutpie.compile_pymc_model(build(_symbolic(history, values), own))
            result = nutpie.sample(
                self._compiled[key].with_data(**values),
                draws=DRAWS,
                tune=TUNE,
                chains=CHAINS,
                cores=1,
                seed=seed,
                target_accept=0.95,
                progress_bar=False,
            )
        posterior = result["posterior"].dataset
        worst = az.rhat(posterior[[variable for variable in keep if np.ptp(posterior[variable].values)]])
        self.worst_rhat = max(self.worst_rhat, *(float(worst[variable]) for variable in worst.data_vars))
        found = {variable: posterior[variable].values.reshape(-1) for variable in keep}
        for prior in direct:
            given = priors[name][prior]
            found[f"{name}_{prior}"] = given["mu"] + given["sigma"] * found[f"{name}_{prior}"]
        return found


def _symbolic(history: Any, values: Mapping[str, Array]) -> Any:
    """The same history with series that a compiled model reads anew."""
    import pytensor

    shared = {name: pytensor.shared(value, name=name, shape=(None,)) for name, value in values.items()}
    return type(history)(**{**vars(history), **shared})


def futures_of(draws: Draws, tables: WppTables, end_year: int, seed: int) -> PopulationFutures:
    """Futures from the year after the last estimate, with all and the old counted."""
    weights = age_band_weights([(0, 100), (65, 100)])
    return simulate_population(draws, tables, tables.last_estimate_year + 1, end_year, seed, weights=weights)


def widths(place: str, futures: PopulationFutures) -> Iterator[tuple[Any, ...]]:
    """Rows of :data:`WIDTH_COLUMNS` for today's fit: our bands beside those of WPP 2024."""
    first = int(futures.years[0])
    old_years, old_bounds = old_people_bounds(place)
    for ahead in AHEAD:
        at, year = ahead, first - 1 + ahead
        ours = {
            ("tfr", "b"): futures.tfr[at - 1],
            ("e0", "m"): futures.e0[0, at - 1],
            ("e0", "f"): futures.e0[1, at - 1],
            ("net_migration", "b"): futures.net_migration[at - 1] / 1e3,
            ("pop_31dec", "b"): (futures.population[at - 1] + futures.population[at]) / 2e3,
        }
        for (indicator, sex), values in ours.items():
            years, bounds = wpp_bounds(place, indicator, sex)
            yield _width_row(place, _quantity(indicator, sex), ahead, year, values, bounds[list(years).index(year)])
        # WPP 2022 starts two years earlier: the same distance, in proportion to its own median.
        bounds = old_bounds[list(old_years).index(year - 2)]
        values = futures.collapsed[OLD, at - 1]
        yield _width_row(place, "people 65+", ahead, year, values / np.median(values), bounds / bounds[2])


def _quantity(indicator: str, sex: str) -> str:
    return {"pop_31dec": "people", "net_migration": "net migration"}.get(indicator, indicator) + (
        "" if sex == "b" else f" {sex}"
    )


def _width_row(place: str, quantity: str, ahead: int, year: int, values: Array, bounds: Array) -> tuple[Any, ...]:
    own = {level: np.quantile(values, ends) for level, ends in LEVELS.items()}
    ratio80 = np.ptp(own["80"]) / (bounds[3] - bounds[1])
    ratio95 = np.ptp(own["95"]) / (bounds[4] - bounds[0])
    return (place, quantity, ahead, year, *own["80"], bounds[1], bounds[3], ratio80, ratio95)


def old_people_bounds(place: str) -> tuple[Array, Array]:
    """Years and bounds of persons of 65 and over on 1 July by WPP 2022, as :func:`wpp_bounds` orders them."""
    table = pd.read_parquet(data_dir() / "demography" / "bounds_age_structure_wpp2022.parquet")
    own = table[(table["iso3"] == place) & (table["indicator"] == "pop") & (table["age"] == "65+")]
    wide = own.pivot_table(index="year", columns="stat", values="value", observed=True)
    return wide.index.to_numpy(), wide[["95l", "80l", "median", "80u", "95u"]].to_numpy(dtype=float)


def cases(place: str, vintage: str, futures: PopulationFutures) -> Iterator[tuple[Any, ...]]:
    """Rows of :data:`CASE_COLUMNS`: what WPP 2024 says of the years since a revision, our bands and the revision's own.

    Five-year means of total fertility and life expectancy, people on 1 July of the years that end the periods; of
    WPP 2022 the single year 2023, its last that is an estimate of WPP 2024.
    """
    latest = load_wpp(place)
    start = LAST_ESTIMATE[vintage] + 1
    rates = {
        "tfr": (futures.tfr, latest.tfr),
        "e0 m": (futures.e0[0], latest.e0[:, 0]),
        "e0 f": (futures.e0[1], latest.e0[:, 1]),
    }
    people = {"people": TOTAL, "people 65+": OLD}
    if vintage == "WPP2022":
        for quantity, (ours, came) in rates.items():
            indicator, _, sex = quantity.partition(" ")
            years, bounds = wpp_bounds(place, indicator, sex or "b", vintage)
            value = float(came[latest.year_slice(2023, 2023)][0])
            yield _case_row(
                vintage, place, quantity, "2023", 2, value, ours[2023 - start], bounds[list(years).index(2023)]
            )
        ends = [2023]
    else:
        for first in range(start, 2021, 5):
            period = f"{first}-{first + 5}"
            for quantity, (ours, came) in rates.items():
                indicator, _, sex = quantity.partition(" ")
                value = float(over_period(latest.years, came, period))
                mean = over_period(futures.years, ours, period)
                own = five_year_bounds(place, indicator, sex or "b", period, vintage)
                yield _case_row(vintage, place, quantity, period, first + 5 - start, value, mean, own)
        ends = list(range(start + 5, 2026, 5))
    for year in ends:
        at = latest.year_slice(year, year)
        came = np.array([latest.population_1july[at].sum(), latest.population_1july[at][..., 65:].sum()])
        for quantity, row in people.items():
            own = np.full(5, np.nan)
            if quantity == "people" and vintage != "WPP2022":
                own = 1e3 * five_year_bounds(place, "pop_1july", "b", str(year), vintage)
            ours = futures.collapsed[row, year - start]
            yield _case_row(vintage, place, quantity, str(year), year - start, float(came[row]), ours, own)


def _case_row(
    vintage: str, place: str, quantity: str, time: str, ahead: int, came: float, values: Array, own: Array
) -> tuple[Any, ...]:
    bands = [np.quantile(values, probability) for ends in LEVELS.values() for probability in ends]
    published = (own[2], own[1], own[3], own[0], own[4])
    return (vintage, place, quantity, time, ahead, came, float(np.median(values)), *bands, *published)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """How often the bands held what came, ours and the revision's own, by quantity.

    Parameters
    ----------
    table
        Rows of :data:`CASE_COLUMNS`.

    Returns
    -------
    pandas.DataFrame
        ``vintages`` (``2012-2019`` pools the five-year cases, ``2022`` the single year), ``quantity``, ``n``, shares
        held within 80 and 95% (``wpp_`` those of the revision; NaN where it publishes none) and mean size of the error
        of the median (logs; years for life expectancy).
    """
    rows = []
    group = np.where(table["vintage"] == "WPP2022", "2022", "2012-2019")
    for (vintages, quantity), own in table.groupby([group, "quantity"]):
        scale = (lambda values: values) if str(quantity).startswith("e0") else np.log
        errors = [float(np.abs(scale(own[m]) - scale(own["came"])).mean()) for m in ("median", "wpp_median")]
        held = [_held(own, low, high) for level in LEVELS for low, high in _bounds_of(level)]
        rows.append((vintages, quantity, len(own), *held, *errors))
    columns = ("vintages", "quantity", "n", "held80", "wpp_held80", "held95", "wpp_held95", "error", "wpp_error")
    return pd.DataFrame(rows, columns=list(columns))


def _bounds_of(level: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (f"low{level}", f"high{level}"), (f"wpp_low{level}", f"wpp_high{level}")


def _held(table: pd.DataFrame, low: str, high: str) -> float:
    if table[low].isna().any():
        return float("nan")
    return float(((table["came"] >= table[low]) & (table["came"] <= table[high])).mean())


def record_inputs() -> dict[str, str]:
    """Hashes of what the record depends on: figures, priors and code."""
    engine, own, data = Path(forecaster.__file__).parent, Path(__file__).parent, data_dir()
    groups = {
        "figures": sorted((data / "demography").glob("*.parquet")),
        "priors": [data / "priors" / "demography.toml"],
        "models": [
            *sorted((engine / "demography").glob("*.py")),
            own / "demography.py",
            own / "demography_record.py",
        ],
    }
    return {
        name: hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
        for name, paths in groups.items()
    }


def make_record(folder: Path, progress: Callable[[float, str], None] | None = None, seed: int = 20261122) -> None:
    """Fit the seven places at every revision; store ``widths.csv``, ``cases.csv``, ``summary.csv`` and the manifest.

    Parameters
    ----------
    progress
        Called with the share done and what is being fitted.
    """
    fitter, wide, judged = Fitter(), [], []
    for i, vintage in enumerate(VINTAGES):
        for j, place in enumerate(PLACES):
            if progress is not None:
                progress((i + j / len(PLACES)) / len(VINTAGES), f"{place} {vintage}")
            draws, tables = fitter.draws(place, vintage, seed + 10 * j), load_vintage(place, vintage)
            if vintage == VINTAGES[-1]:
                wide += list(widths(place, futures_of(draws, tables, LAST_YEAR, seed)))
            else:
                judged += list(cases(place, vintage, futures_of(draws, tables, int(VINTAGE[-4:]) + 2, seed)))
    held = pd.DataFrame(judged, columns=list(CASE_COLUMNS))
    tables_of = {
        "widths": pd.DataFrame(wide, columns=list(WIDTH_COLUMNS)),
        "cases": held,
        "summary": summary(held),
    }
    manifest = {
        "inputs": record_inputs(),
        "seed": seed,
        "settings": {"chains": CHAINS, "draws": DRAWS, "tune": TUNE},
        "worst_rhat": round(fitter.worst_rhat, 4),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables_of.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
