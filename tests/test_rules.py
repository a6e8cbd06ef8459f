"""The yearly review of the rate and the top-up paid a year later: worked by hand, and what must always hold."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.basis import Basis
from forecaster.cli.project import questions_of
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.export import run_scenarios
from forecaster.policy import Policy, Reform
from forecaster.rules import overridden_rates
from forecaster.schemes import load_scheme
from forecaster.solve import Goal, required_value
from forecaster.solvency import limit_binds, pay_as_you_go_rate
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
NO_FLOOR = "government_floor_share=0@2026-01-01"
REVIEW = "yearly_review=on@2026-01-01"


def under(*settings_: str) -> Policy:
    return LAW.reform(Reform.parse(settings_))


def plain_basis(outlay: list[float], opening: float, other: float = 0.0) -> Basis:
    """One draw, employees only, 10,000 bn of base, nothing supplementary: at 5.17% premiums are 517."""
    years = np.arange(2026, 2026 + len(outlay))
    shape = (len(outlay), 1)
    return Basis(
        label="by hand",
        years=years,
        opening_reserve=np.array([opening]),
        general_base=np.full(shape, 10000.0),
        category_mix=np.ones((1, 1)),
        categories=("c12",),
        reference_dependants=0.56,
        supplementary_base={},
        other_income={"other": np.full(shape, other)},
        outlay=np.array(outlay).reshape(shape),
        investment_yield=np.zeros(shape),
        payment_sizes={},
        payment_size_index=np.ones(shape),
        law_thresholds={},
        law_ceiling=np.full(len(outlay), 1e7),
        drivers={},
    )


def test_three_years_of_review_by_hand() -> None:
    # 2026: 517 + 3 other - 600 = -80 on 100 leaves 20 = 0.4 months, below the band. Wanted for 2027: the deficit of 80
    # and a third of (2 - 0.4) x 50 = 80, so 5.17% x (1 + (80 + 26.67) / 517) = 6.2367%, beyond the limit: 6%.
    # 2027: 600 + 3 - 540 = 63 more, 83 = 1.844 months, within the band: 6% stays. 2028: 603 - 480 = 123, 206 = 5.15
    # months, above it. 2029: a surplus of 123 and a third of 3.15 x 40 = 126 too much: 6% x (1 - 165 / 600) = 4.35%.
    result = project(plain_basis([600.0, 540.0, 480.0, 480.0], 100.0, other=3.0), under(NO_FLOOR, REVIEW))
    assert result.premiums.rate[:, 0] == pytest.approx([0.0517, 0.06, 0.06, 0.0435])
    assert result.closing[:3, 0] == pytest.approx([20.0, 83.0, 206.0])
    assert result.limit_binds[:, 0].tolist() == [False, True, False, False]
    assert limit_binds(result).quantile(1.0) == 2027
    assert result.income["general_premium"][:, 0] == pytest.approx([517.0, 600.0, 600.0, 435.0])


def test_the_target_and_the_years_to_return_count() -> None:
    basis = plain_basis([560.0, 560.0], 70.0)
    # 2026 ends with 27 = 0.579 months; deficit 43; missing to two months 66.33, to one 19.67.
    for setting, missing in (("review_return_years=1", 66.333), ("review_target_months=1", 19.667 / 3)):
        result = project(basis, under(NO_FLOOR, REVIEW, f"{setting}@2026-01-01"))
        wanted = np.ceil(517.0 * (1 + (43.0 + missing) / 517.0)) / 1e4
        assert result.premiums.rate[1, 0] == pytest.approx(min(wanted, 0.06))


@pytest.mark.parametrize(
    ("floor_basis", "wanted"),
    [
        # Premiums 517, a tenth of them the government's; outgo 740 on 150. On income the top-up is 0.26 x 517 / 0.64 =
        # 210.03, so 137.03 is left: 2.222 months, above the band. Deficit 12.97, and a third of 1.222 x 61.667 = 25.12
        # too much. 727.03 moves with the rate: 5.17% x (1 - 12.15 / 727.03) = 5.0836%, rounded up 5.09%.
        ("income", 0.0509),
        # On outlay the government bears 0.36 x 740 = 266.4 in all: 517 x 0.9 + 266.4 = 731.7, deficit 8.3, 141.7 left,
        # 2.298 months, 26.68 too much. Only 465.3 moves: 5.17% x (1 - 18.38 / 465.3) = 4.9658%, rounded up 4.97%.
        ("outlay", 0.0497),
    ],
)
def test_the_top_up_moves_with_the_rate_as_the_floor_is_measured(floor_basis: str, wanted: float) -> None:
    policy = under(
        REVIEW,
        f"government_floor_basis={floor_basis}@2026-01-01",
        "reserve_floor_months=0.5@2026-01-01",
        "reserve_ceiling_months=1@2026-01-01",
        "review_target_months=1@2026-01-01",
    )
    assert project(plain_basis([740.0, 740.0], 150.0), policy).premiums.rate[1, 0] == pytest.approx(wanted)


def test_without_a_review_nothing_depends_on_its_figures() -> None:
    basis = random_basis(40, 12)
    off = project(basis, under("review_target_months=9@2026-01-01", "review_return_years=1@2026-01-01"))
    assert np.array_equal(off.closing, project(basis, LAW).closing)
    assert off.premiums.rate.shape == (12, 1)


def test_the_review_keeps_the_identity_the_tie_and_the_limit_in_every_draw() -> None:
    basis = random_basis(300, 30, seed=3)
    policy = under("yearly_review=on@2028-01-01", "government_injection=5@2027-01-01")
    result = project(basis, policy)
    assert np.abs(result.opening + result.total_income - result.outgo - result.closing).max() < 1e-9
    rate, q = result.premiums.rate, result.premiums.supplementary_rate
    assert (rate[:2] == 0.0517).all()
    assert (rate[2:].std(axis=1) > 0).all()
    assert rate.max() <= 0.06 + 1e-12
    assert q[1:] == pytest.approx(np.round(q[:-1] * rate[1:] / rate[:-1], 4), abs=1e-12)
    assert sum(result.by_payer().values()) == pytest.approx(result.total_income, rel=1e-12)
    assert result.income["general_premium"] == pytest.approx(
        rate * basis.general_base * sum(result.premiums.terms.weights.values())
    )
    # Where the rate rose, the reserve had left the band below; where it fell, above.
    months = result.reserve_months
    rose, fell = rate[2:] > rate[1:-1], rate[2:] < rate[1:-1]
    assert (months[1:-1][rose] < 1.0).all()
    assert (months[1:-1][fell] > 3.0).all()
    assert rose.any()
    assert fell.any()
    assert (rate[result.limit_binds] == 0.06).all()
    assert limit_binds(result).by_year[-1] > 0.0


def test_a_review_narrows_the_reserve() -> None:
    basis = random_basis(300, 25, seed=3)
    law, reviewed = project(basis, LAW), project(basis, under(REVIEW))
    assert reviewed.reserve_months[-1].std() < 0.5 * law.reserve_months[-1].std()


def test_the_pay_as_you_go_rate_does_not_depend_on_the_rate_in_force() -> None:
    basis = random_basis(40, 12, seed=3)
    law, reviewed = (pay_as_you_go_rate(basis, p, project(basis, p)) for p in (LAW, under(REVIEW)))
    # The tied rate is rounded to a hundredth of a percent, which moves income a little.
    assert reviewed == pytest.approx(law, rel=2e-3)


@pytest.mark.parametrize("floor_basis", ["income", "outlay"])
def test_a_top_up_paid_the_year_after_is_last_years(floor_basis: str) -> None:
    basis = random_basis(30, 8)
    floor = f"government_floor_basis={floor_basis}@2026-01-01"
    now, later = (
        project(basis, under(floor)),
        project(basis, under(floor, "government_top_up_payment=year_after@2026-01-01")),
    )
    assert later.top_up_owed == pytest.approx(now.income["government_top_up"])
    assert later.income["government_top_up"][1:] == pytest.approx(now.income["government_top_up"][:-1])
    assert np.array_equal(later.income["government_top_up"][0], now.income["government_top_up"][0])
    assert later.top_up_receivable[-1] == pytest.approx(later.top_up_owed[-1] - later.top_up_owed[0])
    assert np.abs(later.opening + later.total_income - later.outgo - later.closing).max() < 1e-9


def test_a_rise_paid_later_gains_less_in_its_first_year() -> None:
    """Premiums rise at once; what the rise makes the government owe follows a year later."""
    basis = plain_basis([700.0, 700.0, 700.0], 100.0)
    later = "government_top_up_payment=year_after@2026-01-01"
    law, risen = project(basis, under(later)), project(basis, under(later, "general_premium_rate=0.0527@2027-01-01"))
    gain = risen.total_income - law.total_income
    # A tenth of a point of 10,000 is 10; the government bears a tenth of it, so 2.6 / 0.64 more is owed a year later.
    assert gain[:, 0] == pytest.approx([0.0, 10.0, 10.0 + 10.0 * 0.26 / 0.64])
    on_outlay = "government_floor_basis=outlay@2026-01-01"
    law = project(basis, under(later, on_outlay))
    risen = project(basis, under(later, on_outlay, "general_premium_rate=0.0527@2027-01-01"))
    # Measured on outlay the government's whole part is fixed: what it pays more as a tenth of premiums it tops up less.
    assert (risen.total_income - law.total_income)[:, 0] == pytest.approx([0.0, 10.0, 9.0])


@given(target=st.floats(1.0, 3.0), seed=st.integers(0, 20))
@settings(max_examples=20, deadline=None)
def test_a_reviewed_rate_stays_within_the_law(target: float, seed: int) -> None:
    result = project(random_basis(50, 15, seed=seed), under(REVIEW, f"review_target_months={target}@2026-01-01"))
    assert ((result.premiums.rate >= 0.0) & (result.premiums.rate <= 0.06 + 1e-12)).all()
    assert np.allclose(result.premiums.rate * 1e4, np.round(result.premiums.rate * 1e4), atol=1e-6)


def test_dated_rates_that_a_review_overrides_are_told() -> None:
    years = np.arange(2026, 2032)
    early, late = "general_premium_rate=0.053@2026-07-01", "general_premium_rate=0.0557@2028-01-01"
    own = "supplementary_premium_rate=0.03@2029-01-01"
    off = "yearly_review=off@2030-01-01", "general_premium_rate=0.055@2030-01-01"
    assert overridden_rates(under(early, late, own), years) == ()
    assert overridden_rates(under("yearly_review=on@2027-01-01"), years) == ()
    found = overridden_rates(under("yearly_review=on@2027-01-01", early, late, own, *off), years)
    assert found == (
        "general_premium_rate=0.0557@2028-01-01 counts for nothing: the yearly review sets the rate",
        "supplementary_premium_rate=0.03@2029-01-01 counts for nothing: the yearly review sets the rate",
    )
    # And it is so: without them every account is the same.
    basis = random_basis(20, 6)
    with_them, without = (
        project(basis, under("yearly_review=on@2027-01-01", early, *more, *off)) for more in ((late, own), ())
    )
    assert np.array_equal(with_them.closing[:4], without.closing[:4])


def test_no_rate_is_asked_for_where_a_review_sets_it() -> None:
    asked = questions_of(run_scenarios(random_basis(20, 12), LAW, under("yearly_review=on@2027-01-01")))
    assert {question.scenario for question in asked} == {"baseline"}
    asked = questions_of(run_scenarios(random_basis(20, 12), LAW, under("yearly_review=on@2029-01-01")))
    assert {question.scenario for question in asked} == {"baseline", "reform"}


def test_a_rate_that_a_review_sets_is_not_solved_for() -> None:
    goal = Goal(1.0, 2032, dt.date(2027, 1, 1), 0.5)
    for lever in ("general_premium_rate", "supplementary_premium_rate"):
        with pytest.raises(ForecasterError, match=f"{lever}: the yearly review sets it by 2032"):
            required_value(random_basis(20, 8), under(REVIEW), lever, goal)
    with pytest.raises(ForecasterError, match="in 0 of the draws: allowed is a share above 0 up to 1"):
        Goal(1.0, 2032, dt.date(2027, 1, 1), 0.0)


def test_a_rate_that_a_rich_fund_lowered_can_rise_again() -> None:
    # 5,000 bn are years of outgo: the rate falls to the least step at once; when 600 a year have eaten them it is
    # raised from there as far as the law allows.
    basis = plain_basis([600.0] * 14, 5000.0)
    result = project(basis, under(NO_FLOOR, REVIEW))
    assert np.isfinite(result.closing).all()
    assert result.premiums.rate[1, 0] == pytest.approx(1e-4)
    assert result.premiums.rate[-1, 0] == pytest.approx(0.06)
    # A law without premiums has nothing to review.
    none = project(basis, under(NO_FLOOR, REVIEW, "general_premium_rate=0@2026-01-01"))
    assert (none.premiums.rate == 0.0).all()
    assert np.isfinite(none.closing).all()
