"""Made-up funds for tests: small ones to work by hand, a large random one with every lever in reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from forecaster.basis import Basis, PaymentSizes
from forecaster.members import members_ahead
from forecaster.policy import Policy
from forecaster.pools import find_pool
from forecaster.schemes import load_scheme

THRESHOLD_ITEMS = ("part_time", "fees", "dividends", "interest", "rent")
MAINLAND_YEARS = np.arange(2025, 2061)
# Concentrations of the category mix, in the order of the scheme's categories: mostly employees, as in Taiwan.
MIX = (30.0, 3.0, 180.0, 15.0, 36.0, 12.0, 1.2, 2.4, 1.8, 0.6, 18.0)


def random_basis(n_draws: int = 200, n_years: int = 30, seed: int = 0, first_year: int = 2026) -> Basis:
    """A fund of Taiwan's size whose every series wanders at random; no posterior, only a shape."""
    rng = np.random.default_rng(seed)
    policy = Policy(load_scheme("tw_nhi_2g"))
    scheme = policy.scheme
    years = np.arange(first_year, first_year + n_years)

    def growing(level: float, sd: float = 0.02) -> np.ndarray:
        return level * np.exp(np.cumsum(rng.normal(0.03, sd, (n_years, n_draws)), axis=0))

    # One object for the items but part-time wages, as a fit leaves it.
    wide = PaymentSizes(np.full(n_draws, 1e5), np.full(n_draws, 2.2))
    part_time = PaymentSizes(np.full(n_draws, 1e5), np.full(n_draws, 2.2))
    thresholds = {k: policy.path(f"supplementary_threshold.{k}", years) for k in THRESHOLD_ITEMS}
    return Basis(
        label="made-up fund of tests",
        years=years,
        opening_reserve=rng.normal(180.0, 5.0, n_draws),
        general_base=growing(12000.0),
        category_mix=rng.dirichlet(MIX, n_draws).T,
        categories=tuple(scheme.categories),
        reference_dependants=0.58,
        supplementary_base={item: growing(450.0) for item in scheme.supplementary_items},
        other_income={"tobacco": growing(13.0), "miscellaneous": growing(4.0)},
        outlay=growing(880.0),
        investment_yield=np.full((n_years, n_draws), 0.01),
        payment_sizes={k: part_time if k == "part_time" else wide for k in THRESHOLD_ITEMS},
        payment_size_index=growing(1.5),
        law_thresholds=thresholds,
        law_ceiling=policy.path("supplementary_ceiling", years),
        drivers={"gdp": growing(28000.0)},
        assumptions=("everything in it is made up",),
    )


def mainland_basis(pool: str, years: np.ndarray = MAINLAND_YEARS, n_draws: int = 3) -> Basis:
    """A plain basis of round figures with the mainland pool's own members."""
    shape = (len(years), n_draws)
    grown = 1.05 ** np.arange(len(years))[:, None] * np.linspace(0.9, 1.1, n_draws)
    categories = tuple(load_scheme(pool).categories)
    return Basis(
        label=pool,
        money="CNY bn",
        years=years,
        opening_reserve=np.full(n_draws, 1000.0),
        general_base=1000.0 * grown if pool == "cn_urrbmi" else 30000.0 * grown,
        category_mix=np.full((len(categories), n_draws), 1.0 / len(categories)),
        categories=categories,
        reference_dependants=0.0,
        supplementary_base={},
        other_income={},
        outlay=1100.0 * grown**1.2,
        investment_yield=np.zeros(shape),
        payment_sizes={},
        payment_size_index=np.ones(shape),
        law_thresholds={},
        law_ceiling=np.zeros(len(years)),
        drivers={},
        members=members_ahead(find_pool(pool), int(years[0]) - 1, int(years[-1])),
    )


@contextmanager
def few_households() -> Iterator[None]:
    """Differences on the same households are told by few of them, and at two cost scales."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("forecaster.fund_need.HOUSEHOLDS", 3000)
        patch.setattr("forecaster.fund_need._KNOTS", 2)
        yield
