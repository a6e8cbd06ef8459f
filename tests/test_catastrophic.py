"""The catastrophically ill: the walk starts from what is published and divides the outgo."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from forecaster.basis import read_basis
from forecaster.catastrophic import FADING, catastrophic_cohort, walked
from forecaster.errors import ForecasterError
from forecaster.observations import load_observations


class Still(np.random.Generator):
    """Draws zeros."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def standard_normal(self, size: object = None) -> np.ndarray:  # type: ignore[override]
        return np.zeros(size)  # type: ignore[call-overload]


def test_without_chance_the_walk_goes_on_by_the_mean_step_that_fades() -> None:
    published = np.array([0.20, 0.25, 0.28])
    logit = np.log(published / (1 - published))
    step = (logit[2] - logit[0]) / 2
    expected = logit[2] + step * np.array([FADING, FADING + FADING**2 + FADING**3])
    share = walked(published, np.array([1, 3]), 2, Still())
    np.testing.assert_allclose(np.log(share / (1 - share)), expected[:, None] * np.ones(2), rtol=1e-12)


def test_the_walk_spreads_by_its_published_steps() -> None:
    published = np.array([0.20, 0.25, 0.20, 0.25])
    spread = np.diff(np.log(published / (1 - published))).std(ddof=1)
    share = walked(published, np.arange(1, 3), 40_000, np.random.default_rng(1))
    logit = np.log(share / (1 - share))
    # The drift's error and one year's chance.
    assert logit[0].std() == pytest.approx(spread * np.sqrt(1 + FADING**2 / 3), rel=0.02)


def test_the_cohort_is_a_part_of_people_and_outlay() -> None:
    plain = read_basis("tw_nhi_committee_2020")
    people = np.full_like(plain.outlay, 23.5e6)
    basis = dataclasses.replace(plain, drivers={"population": people})
    cohort = catastrophic_cohort(basis, load_observations("twn"), 1)
    assert cohort.last_published == 2014
    np.testing.assert_array_equal(cohort.outlay, cohort.spending_share * basis.outlay)
    np.testing.assert_array_equal(cohort.people, cohort.people_share * people)
    assert 0.02 < cohort.people_share.min() <= cohort.people_share.max() < 0.07
    assert 0.18 < cohort.spending_share.min() <= cohort.spending_share.max() < 0.40


def test_a_place_without_the_figures_is_refused() -> None:
    basis = read_basis("tw_nhi_committee_2020")
    with pytest.raises(ForecasterError, match="published for Taiwan's fund only"):
        catastrophic_cohort(basis, load_observations("twn"), 1)
