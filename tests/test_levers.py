"""Splitting of payments, co-payments, a guaranteed value of points, and what the government pays late: by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from forecaster.attribution import idle_levers, spending_growth
from forecaster.basis import Basis, PaymentSizes, Points, read_basis
from forecaster.copayments import CAPPED_DAYS, OTHER_DAYS
from forecaster.engine import project
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.export import Scenario, line_values
from forecaster.futures import further_income, lottery_money
from forecaster.observations import load_observations
from forecaster.points import drift_beyond_need, point_facts, simulate_points
from forecaster.policy import Policy, Reform, assumed_terms
from forecaster.resources import data_dir
from forecaster.revenue import charged_dependants, late_fee_share, premium_terms
from forecaster.schemes import load_scheme
from forecaster.solve import Goal, required_value
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))

FLOOR = "grading_floor=32230@2027-01-01"


def under(*texts: str) -> Policy:
    return LAW.reform(Reform.parse(texts))


def fund(outlay: float = 1000.0, n_years: int = 3, points: Points | None = None) -> Basis:
    """One draw from 2026 on: dividends of 100 bn charged at 20,000 or more, median 40,000, spread 1."""
    shape = (n_years, 1)
    return Basis(
        label="by hand",
        years=np.arange(2026, 2026 + n_years),
        opening_reserve=np.array([100.0]),
        general_base=np.full(shape, 10000.0),
        category_mix=np.ones((1, 1)),
        categories=("c12",),
        reference_dependants=0.56,
        supplementary_base={"dividends": np.full(shape, 100.0)},
        other_income={"other": np.zeros(shape)},
        outlay=np.full(shape, outlay),
        investment_yield=np.zeros(shape),
        payment_sizes={"dividends": PaymentSizes(np.array([4e4]), np.array([1.0]))},
        payment_size_index=np.ones(shape),
        law_thresholds={"dividends": np.full(n_years, 20000.0)},
        law_ceiling=np.full(n_years, 1e7),
        drivers={},
        points=points,
    )


# --- dependants, categories, bonuses ----------------------------------------------------------------------------------


def test_the_insured_pay_for_their_own_dependants_up_to_the_cap() -> None:
    # Geometric with mean 0.56: q = 0.56/1.56 have one or more, q^2 two or more; up to three q + q^2 + q^3 = 0.5341.
    q = 0.56 / 1.56
    capped = q + q**2 + q**3
    mean = np.array([0.56])
    assert charged_dependants(mean, np.array([1.0]), np.array([3.0])) == pytest.approx([capped])
    assert charged_dependants(mean, np.array([1.0]), np.array([1.5])) == pytest.approx([q + 0.5 * q**2])
    assert charged_dependants(mean, np.array([1.0]), np.array([0.0])) == pytest.approx([0.0])
    assert charged_dependants(mean, np.array([1.0]), np.array([60.0])) == pytest.approx(mean)
    # Poisson: 1 - e^-0.56 = 0.4288, 0.1089 and 0.0193 have one, two and three or more.
    assert charged_dependants(mean, np.array([1e6]), np.array([3.0])) == pytest.approx([0.5570], abs=1e-4)
    # 5.17% of 10,000 bn, 30% from the insured: 155.1 at a cap of three. Employers and government pay on the average.
    law = project(fund(), LAW).premiums.general
    none = project(fund(), under("charged_dependants_cap=0@2027-01-01")).premiums.general
    assert none["insured"][:, 0] == pytest.approx([155.1, *[155.1 / (1.0 + capped)] * 2])
    assert none["employer"] == pytest.approx(law["employer"])
    assert none["government"] == pytest.approx(law["government"])
    # Of a spread that is not the law's both the reform and the law's cap are told, so that the law stays as it is.
    assert project(fund(), under("own_dependants_shape=9@2027-01-01")).premiums.general["insured"] == pytest.approx(
        law["insured"]
    )


def test_the_cap_reaches_those_who_pay_for_dependants_alone() -> None:
    # Dependants of veterans are charged for themselves only: with a cap of one, q of q + q^2 + q^3.
    q = 0.56 / 1.56
    basis = replace(fund(), categories=("c61d",))
    for cap, factor in ((1, q / (q + q**2 + q**3)), (0, 0.0)):
        found = project(basis, under(f"charged_dependants_cap={cap}@2027-01-01")).premiums.general["insured"]
        assert found[1, 0] == pytest.approx(factor * project(basis, LAW).premiums.general["insured"][1, 0])


@settings(max_examples=25, deadline=None)
@given(low=st.floats(0.0, 10.0), more=st.floats(0.0, 5.0), shape=st.floats(0.1, 100.0), mean=st.floats(0.0, 3.0))
def test_a_higher_cap_never_lowers_what_is_charged(low: float, more: float, shape: float, mean: float) -> None:
    first, second = (
        charged_dependants(np.array([mean]), np.array([shape]), np.array([cap]))[0] for cap in (low, low + more)
    )
    assert 0.0 <= first <= second + 1e-12
    assert second <= min(mean, low + more) + 1e-9


@pytest.mark.parametrize(
    ("category", "setting", "factor"),
    [
        ("c3", "category3_insured_amount=44250", 1.5),
        ("c5", "average_premium_c4_c5=3678", 2.0),
        ("c62", "average_premium_c6=688.5", 0.5),
        ("c12", "average_premium_c6=688.5", 1.0),
    ],
)
def test_amounts_set_for_a_category_move_its_premium(category: str, setting: str, factor: float) -> None:
    basis = replace(fund(), categories=(category,))
    law, found = (project(basis, policy).premiums.general for policy in (LAW, under(f"{setting}@2027-01-01")))
    for payer, premium in law.items():
        assert found[payer] == pytest.approx(premium * np.array([[1.0], [factor], [factor]]))


def test_bonuses_charged_from_another_multiple_of_the_insured_amount() -> None:
    # Half the multiple, a tail of 1: twice the bonuses are charged, 2.11% of 100 bn more; dividends stay.
    bases = {"bonus": np.full((3, 1), 100.0), "dividends": np.full((3, 1), 100.0)}
    basis = replace(fund(), supplementary_base=bases)
    found = project(basis, under("supplementary_bonus_multiple=2@2027-01-01")).premiums.supplementary["insured"]
    assert found[:, 0] == pytest.approx([4.22, 6.33, 6.33])
    # The official 7 to 8 bn for four times the lowest step, 2.24 times the mean insured amount, on 9.9 bn.
    tail = LAW.dated("supplementary_bonus_tail")[0][1]
    assert 7.0 <= 9.9 * ((2.24 / 4.0) ** -tail - 1.0) <= 8.0


def test_a_highest_step_below_five_times_the_lowest_is_refused() -> None:
    steps = ("grading_ceiling=160000@2027-01-01", "grading_floor=34000@2027-01-01")
    with pytest.raises(ForecasterError, match=r"grading_ceiling: 160,000 in 2027; allowed is 170,000 or more, 5 times"):
        project(fund(), under(*steps))
    project(fund(), under(*steps, "grading_least_ratio=4@2027-01-01"))
    with pytest.raises(FaultyInput, match=r"147500 to 1e\+07, by Art. 19"):
        under("grading_ceiling=140000@2027-01-01")


# --- splitting --------------------------------------------------------------------------------------------------------


def above(size: float) -> float:
    """Share of value in payments of that size or more."""
    return float(norm.cdf(np.log(4e4) - np.log(size)))


def test_part_of_the_payments_within_reach_of_a_threshold_is_split() -> None:
    # At 2.11% and an elasticity of 20 the share split is 1 - 0.9789^20 = 34.7% of the payments from the threshold to
    # twice it. The measured base of 100 already lacks what is split at 20,000.
    split = 1.0 - (1.0 - 0.0211) ** 20.0
    assert split == pytest.approx(0.3472, abs=1e-4)
    over = above(1e7) - 1e7 / 4e4 * np.exp(0.5) * norm.cdf(np.log(4e4) - 1.0 - np.log(1e7))
    before = above(2e4) - split * (above(2e4) - above(4e4)) - over
    after = above(5e3) - split * (above(5e3) - above(1e4)) - over
    settings_ = (
        "supplementary_threshold.dividends=5000@2027-01-01",
        "supplementary_splitting_elasticity=20@2026-01-01",
    )
    charged = premium_terms(fund(), under(*settings_)).charged["insured"][:, 0]
    assert charged == pytest.approx([100.0, *[100.0 * after / before] * 2], rel=1e-9)


def test_splitting_answers_to_the_rate_and_is_off_by_law() -> None:
    basis, rate = fund(), "supplementary_premium_rate=0.04@2027-01-01"
    law = premium_terms(basis, under(rate)).charged["insured"]
    assert (law == 100.0).all()
    found = premium_terms(basis, under(rate, "supplementary_splitting_elasticity=20@2026-01-01")).charged["insured"]
    assert found[0, 0] == 100.0
    assert (found[1:] < 99.0).all()
    # By itself it changes nothing, since the base is measured with it.
    alone = under("supplementary_splitting_elasticity=20@2026-01-01")
    assert idle_levers(basis, LAW, alone) == ("supplementary_splitting_elasticity",)


@settings(max_examples=25, deadline=None)
@given(
    elasticity=st.floats(0.0, 200.0),
    reach=st.floats(1.0, 12.0),
    low=st.floats(0.0, 1e5),
    rise=st.floats(0.0, 1e5),
)
def test_a_higher_threshold_never_raises_income_whatever_the_splitting(
    elasticity: float, reach: float, low: float, rise: float
) -> None:
    basis = random_basis(20, 4)
    found = [
        premium_terms(
            basis,
            under(
                f"supplementary_splitting_elasticity={elasticity:.6f}@2026-01-01",
                f"supplementary_splitting_reach={reach:.6f}@2026-01-01",
                f"supplementary_threshold.rent={threshold:.6f}@2027-01-01",
            ),
        ).charged["insured"]
        for threshold in (low, low + rise)
    ]
    assert (found[1] <= found[0] * (1.0 + 1e-9)).all()


def test_what_is_kept_for_one_policy_is_not_given_to_another() -> None:
    basis = random_basis(30, 4)
    texts = [
        "supplementary_threshold.rent=5000@2027-01-01",
        "supplementary_threshold.rent=50000@2027-01-01",
        "supplementary_ceiling=50000000@2027-01-01",
        "supplementary_threshold.part_time=5000@2027-01-01",
    ]
    fresh = [premium_terms(random_basis(30, 4), under(text)).charged["insured"] for text in texts]
    for text, expected in [*zip(texts, fresh, strict=True), *zip(texts[::-1], fresh[::-1], strict=True)]:
        assert np.array_equal(premium_terms(basis, under(text)).charged["insured"], expected)


# --- co-payments ------------------------------------------------------------------------------------------------------


def test_co_payments_lower_the_outlay_by_cost_times_rise() -> None:
    # Ten points more at medical centres, where 12.2% of the outlay arises: 12.2 bn of 1,000; a tenth of the cost of
    # catastrophic illness, 28% of the outlay: 28 bn.
    outgo = project(fund(), under("copayment_share.centre=0.261@2027-01-01")).outgo[:, 0]
    assert outgo == pytest.approx([1000.0, 987.8, 987.8])
    outgo = project(fund(), under("copayment_catastrophic=0.1@2027-01-01")).outgo[:, 0]
    assert outgo == pytest.approx([1000.0, 972.0, 972.0])


def test_the_cost_shares_make_the_reform_of_2023_worth_its_official_result() -> None:
    gains = {}
    for level in ("district", "regional", "centre"):
        before, after = (value for _, value in LAW.dated(f"copayment_share.{level}"))
        gains[level] = LAW.dated(f"copayment_cost_share.{level}")[0][1] * (after - before)
    budget = np.mean([836.433, 875.533])
    official = float(load_observations("twn").series("revenue_effect|copayment_reform_2023")["value"].iloc[0])
    assert budget * sum(gains.values()) == pytest.approx(official, rel=0.01)


def test_a_higher_lowest_step_gains_in_proportion_to_its_last_rise() -> None:
    # 910 a month more gain 4.3 bn by the official estimate, so 2,730 gain 12.9 at the first year's level, growing on.
    basis = replace(fund(), general_base=np.array([[10000.0], [10500.0], [11000.0]]))
    before, after = (project(basis, p).income["general_premium"][:, 0] for p in (LAW, under(FLOOR)))
    assert after - before == pytest.approx([0.0, 12.9 * 1.05, 12.9 * 1.1])
    lower = project(basis, under("grading_floor=28590@2027-01-01")).income["general_premium"][1, 0]
    assert before[1] - lower == pytest.approx(4.3 * 1.05)


def test_ceilings_of_stays_gain_their_official_estimate() -> None:
    # 11,000 people, one in eleven of whom reaches the ceiling of a year; officially 60.93 m a year; here of 1,000 bn.
    both = ("copayment_cap_stay=57000@2027-01-01", "copayment_cap_year=94000@2027-01-01")
    gain = 1000.0 - project(fund(), under(*both)).outgo[:, 0]
    assert gain == pytest.approx([0.0, 0.06093, 0.06093], rel=1e-3)
    # By hand at a tail of 2: 10,000 x 51,000 x (1 - 51/102) = 255 m for a ceiling of a stay twice as high, and 1,000 x
    # 86,000 x (1 - 86/172) = 43 m for one of a year.
    tail = "copayment_cap_tail=2@2027-01-01"
    for ceiling, expected in (("copayment_cap_stay=102000", 0.255), ("copayment_cap_year=172000", 0.043)):
        result = project(fund(), under(f"{ceiling}@2027-01-01", tail))
        assert 1000.0 - result.outgo[2, 0] == pytest.approx(expected)
    # A lower ceiling costs, and no ceiling gains no more than what lies above it.
    lower = project(fund(), under("copayment_cap_stay=31000@2027-01-01")).outgo[2, 0]
    none = project(fund(), under("copayment_cap_stay=1000000@2027-01-01")).outgo[2, 0]
    assert lower > 1000.0 > none > 1000.0 - 10000 * 51000 / 1.02 / 1e9


@pytest.mark.parametrize(
    ("setting", "cost", "rise"),
    [
        ("copayment_share.tests=0.06", "copayment_cost_share.tests", 0.06),
        ("copayment_inpatient.acute_60=0.3", "copayment_stay_cost.acute_60", 0.1),
        ("copayment_inpatient.acute_long=0.2", "copayment_stay_cost.acute_long", -0.1),
        ("copayment_inpatient.chronic_30=0.1", "copayment_stay_cost.chronic_30", 0.05),
        ("copayment_inpatient.chronic_90=0.2", "copayment_stay_cost.chronic_90", 0.1),
        ("copayment_inpatient.chronic_180=0.3", "copayment_stay_cost.chronic_180", 0.1),
        ("copayment_inpatient.chronic_long=0.2", "copayment_stay_cost.chronic_long", -0.1),
        ("copayment_childbirth=0.1", "childbirth_cost_share", 0.1),
        ("copayment_remote=0.1", "remote_cost_share", 0.1),
    ],
)
def test_rates_of_stays_tests_and_exemptions_move_their_part_of_the_outlay(
    setting: str, cost: str, rise: float
) -> None:
    outgo = project(fund(), under(f"{setting}@2027-01-01", f"{cost}=0.04@2026-01-01")).outgo[:, 0]
    assert outgo == pytest.approx([1000.0, *[1000.0 - 40.0 * rise] * 2])


def test_a_higher_rate_for_the_first_thirty_days_gains_nothing_from_those_at_the_ceiling() -> None:
    # Days 1 to 30 cost 100 bn and bear 10 bn. At 20% and a tail of 2 a stay reaches the ceiling of 51,000 where it owed
    # 25,500 before: between these the tail holds 10,000 x 51,000 x (2 - 1) = 510 m, and 1,000 x 86,000 = 86 m at the
    # ceiling of a year, so 2 x (10 - 0.596) - 10 bn more.
    known = ("copayment_stay_cost.acute_30=0.1@2026-01-01", "copayment_cap_tail=2@2026-01-01")
    twice = "copayment_inpatient.acute_30=0.2@2027-01-01"
    outgo = project(fund(), under(twice, *known)).outgo[:, 0]
    assert outgo == pytest.approx([1000.0, *[1000.0 - (2.0 * (10.0 - 0.596) - 10.0)] * 2])
    # With twice the ceilings as well everyone pays twice what they did, those at the ceilings too.
    ceilings = ("copayment_cap_stay=102000@2027-01-01", "copayment_cap_year=172000@2027-01-01")
    outgo = project(fund(), under(twice, *known, *ceilings)).outgo[:, 0]
    assert outgo[1:] == pytest.approx(990.0)
    free = project(fund(), under("copayment_inpatient.acute_30=0@2027-01-01", *known)).outgo[:, 0]
    assert free == pytest.approx([1000.0, 1010.0, 1010.0])


@pytest.mark.parametrize(
    ("place", "rate", "paid", "rise"),
    # Fixed sums follow the rate of Art. 43: at clinics 25% instead of 20% makes 5% of the cost 6.25%.
    [("clinic", 0.25, 0.05, 0.0125), ("district", 0.15, 0.067, -0.0335), ("centre", 0.6, 0.161, 0.0322)],
)
def test_fixed_sums_of_outpatients_move_with_the_rate_that_they_are_set_from(
    place: str, rate: float, paid: float, rise: float
) -> None:
    cost = f"copayment_cost_share.{place}=0.1@2026-01-01"
    outgo = project(fund(), under(f"copayment_rate.{place}={rate}@2027-01-01", cost)).outgo[:, 0]
    assert outgo == pytest.approx([1000.0, *[1000.0 - 100.0 * rise] * 2])
    # Where what is paid is moved too, both count.
    both = (f"copayment_rate.{place}={rate}@2027-01-01", f"copayment_share.{place}={2.0 * paid}@2027-01-01", cost)
    assert project(fund(), under(*both)).outgo[1, 0] == pytest.approx(1000.0 - 100.0 * (2.0 * (paid + rise) - paid))


def test_home_care_bears_its_rate() -> None:
    moved = ("copayment_rate.home=0.1@2027-01-01", "copayment_cost_share.home=0.04@2026-01-01")
    assert project(fund(), under(*moved)).outgo[1, 0] == pytest.approx(1000.0 - 1000.0 * 0.04 * 0.05)


def test_stays_as_a_whole_bear_what_the_parts_say() -> None:
    # A third of the cost is that of stays; two fifths of the 95% in acute wards and a fifth of the rest bear it.
    stays = float(load_observations("twn").series("medical_points_inpatient")["value"].iloc[0])
    every = load_observations("twn").series("medical_points_total").set_index("year")["value"][2017]
    names = (CAPPED_DAYS, *OTHER_DAYS)
    parts = {days: LAW.dated(f"copayment_stay_cost.{days}")[0][1] for days in names}
    acute = sum(cost for days, cost in parts.items() if days.startswith("acute"))
    assert acute == pytest.approx(stays / every * 0.95 * 0.4, abs=1e-3)
    assert sum(parts.values()) - acute == pytest.approx(stays / every * 0.05 * 0.2, abs=1e-4)


def test_answers_name_what_is_assumed_behind_a_lever_that_was_moved() -> None:
    assert assumed_terms(LAW) == ()
    assert assumed_terms(under("general_premium_rate=0.055@2027-01-01")) == ()
    told = assumed_terms(under("copayment_childbirth=0.1@2027-01-01", "copayment_childbirth=0.2@2029-01-01"))
    assert told == (
        "copayment_childbirth rests on childbirth_cost_share = 0.006: assumed: of the order of 130,000 births at "
        "40,000 TWD; no figure of their cost was found (LAW-L1).",
    )
    for setting, words in (
        ("copayment_inpatient.acute_30=0.12", "no table by ward, length or exemption was found"),
        ("charged_dependants_cap=5", "own_dependants_shape = 1: their mean is the announced average"),
        ("supplementary_bonus_multiple=3", "supplementary_bonus_tail = 1: derived"),
        ("copayment_rate.home=0.1", "no figure of it was found (TW-S45)"),
        ("late_fee_daily=0.002", "late_payment_share = 0.01: the collection rate is above 99%"),
    ):
        assert words in assumed_terms(under(f"{setting}@2027-01-01"))[0]
    moved = under("charged_dependants_cap=5@2027-01-01", "own_dependants_shape=9@2027-01-01")
    assert "own_dependants_shape = 9" in assumed_terms(moved)[0]


def test_the_part_of_the_plan_on_tests_gains_its_official_estimate() -> None:
    plan = Reform.read(data_dir() / "reforms" / "copayment_plan_2022_tests.toml")
    observed = load_observations("twn")
    official = float(observed.series("revenue_effect|copayment_plan_2022_tests")["value"].iloc[0])
    points = float(observed.series("tests_outpatient")["value"].iloc[0])
    assert plan.changes[0].value == pytest.approx(official / points, abs=5e-4)
    # Of the outlay of 2021, 727.5 bn.
    gain = 727.5 - project(fund(727.5), LAW.reform(plan)).outgo[1, 0]
    assert gain == pytest.approx(official, rel=0.01)


def test_recovered_claims_lower_the_outlay() -> None:
    outgo = project(fund(), under("supervision_recovery=0.01@2027-01-01")).outgo[:, 0]
    assert outgo == pytest.approx([1000.0, 990.0, 990.0])


def test_what_patients_pay_is_a_share_of_what_the_budget_leaves() -> None:
    # Ten points a year off the budget: 900 and 810 of 1,000; 2% recovered and 50 from patients leave 93% of it.
    more = "budget_growth_adjustment=-0.1@2027-01-01", "supervision_recovery=0.02@2027-01-01"
    yields = "copayment_reform_yield=50@2027-01-01"
    outgo = project(fund(), under(*more, yields)).outgo[:, 0]
    assert outgo == pytest.approx([1000.0, 0.93 * 900.0, 0.93 * 810.0])
    # A fund cut for as long as it lasts still pays something.
    assert (project(fund(n_years=75), under(*more)).outgo > 0.0).all()
    with pytest.raises(ForecasterError, match="co-payments and recoveries: 102% of the outlay of 2027; allowed"):
        project(fund(50.0), under(more[1], yields))
    # Co-payments are within the budget (Art. 2(4)): a point of providers is worth what it was.
    paid_by_points = fund(points=Points(np.full((3, 1), 1000.0), np.array([0.9])))
    assert project(paid_by_points, under(more[1], yields)).point_value[:, 0] == pytest.approx([0.9] * 3)
    guaranteed = project(paid_by_points, under(yields, "point_value_guarantee=0.95@2027-01-01"))
    assert guaranteed.outgo[:, 0] == pytest.approx([1000.0, 950.0 + 50.0, 950.0 + 50.0])


def test_another_share_of_the_tobacco_surcharge_moves_it_in_proportion() -> None:
    # Half of the surcharge is 14 bn, so seventy percent of it 19.6; other lines stay.
    lines = {"tobacco_surcharge": np.full((3, 1), 14.0), "miscellaneous": np.full((3, 1), 5.0)}
    basis = replace(fund(), other_income=lines)
    more = under("tobacco_share=0.7@2027-01-01")
    result = project(basis, more)
    assert result.income["earmarked_and_other"][:, 0] == pytest.approx([19.0, 24.6, 24.6])
    assert result.closing[2] - project(basis, LAW).closing[2] == pytest.approx(2 * 5.6)
    told = line_values(Scenario("reform", basis, more, result))
    assert told["tobacco_surcharge"][1] + told["miscellaneous"][1] == told["earmarked_and_other"][1]
    assert idle_levers(fund(), LAW, more) == ("tobacco_share",)  # a fund that does not tell the surcharge apart


def test_lottery_money_and_late_fees_move_with_their_terms() -> None:
    lines = {"lottery": np.full((3, 1), 1.6), "late_fees": np.full((3, 1), 0.4), "miscellaneous": np.full((3, 1), 3.0)}
    basis = replace(fund(), other_income=lines)

    def other(*texts: str) -> list[float]:
        return project(basis, under(*(f"{text}@2027-01-01" for text in texts))).income["earmarked_and_other"][:, 0]

    assert other("lottery_share=0.1") == pytest.approx([5.0, 6.6, 6.6])
    # 60 days at 0.2% a day are 12% of what is late instead of 6; at 0.5% a day the limit of 15% holds, 2.5 times 6%.
    assert other("late_fee_daily=0.002") == pytest.approx([5.0, 5.4, 5.4])
    assert other("late_fee_daily=0.005") == pytest.approx([5.0, 5.6, 5.6])
    assert other("late_payment_share=0.03") == pytest.approx([5.0, 5.8, 5.8])
    assert late_fee_share(LAW, np.array([2027])) == pytest.approx([0.01 * 60 * 0.001])
    # Told apart within what a fit found of it all: never more than that, and nothing below zero.
    parts = further_income(np.array([5.0, 1.8, 1.0]), np.array([[1.0], [2.0]]), 1.6, np.array([0.4, 0.4, 0.4]))
    assert parts["lottery"][0] == pytest.approx([1.6, 1.6, 1.0])
    assert parts["late_fees"][0] == pytest.approx([0.4, 0.2, 0.0])
    assert parts["miscellaneous"][1] == pytest.approx([6.0, 0.0, 0.0])


def test_lottery_money_is_that_of_the_last_period_known() -> None:
    observed = load_observations("twn")
    # Five percent of 201.081 bn over seven years and of 65.880 bn over two.
    assert lottery_money(observed, 2025) == pytest.approx(0.05 * 65.880 / 2, abs=5e-4)
    assert lottery_money(observed, 2024) == pytest.approx(0.05 * 201.081 / 7, abs=5e-4)
    assert lottery_money(observed, 2011) == 0.0


@pytest.mark.parametrize("gain", [7.5, 16.0])
def test_another_threshold_for_bonuses_gains_its_estimate(gain: float) -> None:
    law, found = project(fund(), LAW), project(fund(), under(f"supplementary_bonus_yield={gain}@2027-01-01"))
    rise = found.income["supplementary_premium"] - law.income["supplementary_premium"]
    assert rise[:, 0] == pytest.approx([0.0, gain, gain])
    both = under("supplementary_bonus_yield=3@2027-01-01", "supplementary_settlement_yield=10@2027-01-01")
    rise = project(fund(), both).income["supplementary_premium"] - law.income["supplementary_premium"]
    assert rise[:, 0] == pytest.approx([0.0, 13.0, 13.0])


# --- points -----------------------------------------------------------------------------------------------------------


def test_a_guaranteed_point_value_costs_what_the_officials_said() -> None:
    facts = point_facts(load_observations("twn"))
    assert (facts.anchor, facts.anchor_points, facts.anchor_budget) == pytest.approx((2024, 900.0, 784.5))
    # A fund whose points and money are those of 2024: 0.95 costs 70.5 bn a year, 1 costs 115.5.
    points = Points(np.full((3, 1), facts.anchor_points), np.array([0.9]))
    basis = fund(facts.anchor_budget / 0.9, points=points)
    law = project(basis, LAW)
    assert law.point_value is not None
    assert law.point_value[:, 0] == pytest.approx([0.87167] * 3, abs=1e-5)
    for value, cost in ((0.95, 70.5), (1.0, 115.5)):
        found = project(basis, under(f"point_value_guarantee={value}@2027-01-01"))
        assert (found.outgo - law.outgo)[:, 0] == pytest.approx([0.0, cost, cost])
        assert found.point_value == pytest.approx(law.point_value)


def test_budget_growth_raises_the_value_and_lowers_the_cost_of_a_guarantee() -> None:
    basis = fund(1000.0, points=Points(np.full((3, 1), 1000.0), np.array([0.9])))
    growth = "budget_growth_adjustment=0.05@2027-01-01"
    # v = 0.9 x 1.05 = 0.945 in 2027: 0.95 costs 5 bn; in 2028 it is above and costs nothing.
    found, plain = (project(basis, under(growth, *more)) for more in (("point_value_guarantee=0.95@2027-01-01",), ()))
    assert found.point_value[:, 0] == pytest.approx([0.9, 0.945, 0.99225])  # type: ignore[index]
    assert (found.outgo - plain.outgo)[:, 0] == pytest.approx([0.0, 5.0, 0.0], abs=1e-9)


def test_a_guarantee_without_points_is_refused_and_one_that_never_binds_is_idle() -> None:
    guarantee = under("point_value_guarantee=0.5@2027-01-01")
    with pytest.raises(ForecasterError, match=r"knows no points of providers.*use the pool's fit"):
        project(fund(), guarantee)
    basis = fund(points=Points(np.full((3, 1), 1000.0), np.array([0.9])))
    assert idle_levers(basis, LAW, guarantee) == ("point_value_guarantee",)
    with pytest.raises(FaultyInput, match=r"points\.claimed: found 0; allowed: above zero"):
        fund(points=Points(np.zeros((3, 1)), np.array([0.9])))


def test_drugs_above_their_target_cheapen_points_and_cost_the_fund_only_under_a_guarantee() -> None:
    # A hundredth of 1,000 bn less for 1,000 bn points: 0.9 falls to 0.89; a guarantee of 0.9 then costs 10 bn.
    basis = fund(1000.0, points=Points(np.full((3, 1), 1000.0), np.array([0.9])))
    drugs = "drug_overshoot=0.01@2027-01-01"
    found = project(basis, under(drugs))
    assert found.point_value is not None
    assert found.point_value[:, 0] == pytest.approx([0.9, 0.89, 0.89])
    assert np.array_equal(found.closing, project(basis, LAW).closing)
    assert idle_levers(basis, LAW, under(drugs)) == ()
    guaranteed = project(basis, under(drugs, "point_value_guarantee=0.9@2026-01-01"))
    assert guaranteed.outgo[:, 0] == pytest.approx([1000.0, 1010.0, 1010.0])


def test_the_solver_finds_the_guarantee_that_a_reserve_affords() -> None:
    # Premiums and the government's floor against an outlay of 700 leave the fund growing; the highest guarantee that
    # keeps a month is found on its grid, and a hundredth of a percent more is too much.
    basis = fund(700.0, points=Points(np.full((3, 1), 900.0), np.array([0.9])))
    goal = Goal(1.0, 2028, LAW.scheme.start.replace(year=2027))
    answer = required_value(basis, LAW, "point_value_guarantee", goal)
    assert answer.rounded is not None
    assert not answer.raises
    for step, enough in ((0.0, True), (1e-4, False)):
        found = project(basis, under(f"point_value_guarantee={answer.rounded + step:.4f}@2027-01-01"))
        assert bool((found.reserve_months[1:] >= 1.0 - 1e-9).all()) is enough


def test_a_guarantee_counts_as_policy_in_the_growth_of_spending() -> None:
    basis = fund(1000.0, points=Points(np.full((3, 1), 1000.0), np.array([0.9])))
    levels = {"population": 2e7, "need_index": 1.0, "gdp_nominal": 3e4}
    known = {name: np.full((3, 1), level) for name, level in levels.items()}
    basis = replace(basis, drivers=known)
    parts = spending_growth(basis, under("point_value_guarantee=0.95@2027-01-01"))
    assert parts["policy"][:, 0] == pytest.approx([0.0, 50.0, 50.0])


def test_points_of_a_basis_file(tmp_path: Path) -> None:
    text = """
label = "own"
years = [2026, 2027]
opening_reserve = 100.0
general_base = 10000.0
outlay = 1000.0
reference_dependants = 0.56
category_mix = { c12 = 1.0 }
points = { claimed = [1000.0, 1050.0], floating_share = 0.9 }
"""
    path = tmp_path / "own.toml"
    path.write_text(text, "utf-8")
    found = project(read_basis(path), under("point_value_guarantee=0.9@2027-01-01"))
    assert found.outgo[:, 0] == pytest.approx([1000.0, 1045.0])
    path.write_text(text.replace(", floating_share = 0.9", ""), "utf-8")
    with pytest.raises(FaultyInput, match="points: found claimed; allowed: claimed, floating_share"):
        read_basis(path)


def test_points_beyond_need_by_hand() -> None:
    # Points grow by 12% and 18% (in logs) over three years each, need by 6% each: 2% and 4% a year beyond need.
    facts = replace(
        point_facts(load_observations("twn")),
        years=np.array([2013, 2016, 2019]),
        reviewed=600.0 * np.exp([0.0, 0.12, 0.30]),
        budgets={2024: 800.0, 2026: 880.0},
    )
    mean, sd = drift_beyond_need(facts, np.array([[0.0], [0.06], [0.12]]))
    assert mean == pytest.approx([0.03])
    assert sd == pytest.approx([np.std([0.02, 0.04], ddof=1) * np.sqrt(3.0)])
    # Without spread, two years on: 900 points grown by 3% a year and need by 5%; money 784.5 x 880 / 800 = 862.95.
    even = replace(facts, reviewed=600.0 * np.exp([0.0, 0.15, 0.30]))
    past = np.array([[0.0], [0.06], [0.12], [0.2]])
    years, outlay = np.array([2026, 2027]), np.array([[900.0], [950.0]])
    found = simulate_points(even, past, np.array([[0.25], [0.27]]), years, outlay, np.random.default_rng(1))
    assert found.claimed[:, 0] == pytest.approx(900.0 * np.exp([0.11, 0.16]))
    assert found.floating_share == pytest.approx([862.95 / 900.0])


def test_the_error_of_points_grows_with_the_drift_and_the_years() -> None:
    # n years on the log spreads by the drift's error, sd / sqrt 6 times n, and by n yearly shocks.
    facts = replace(point_facts(load_observations("twn")), reviewed=600.0 * np.exp([0.0, 0.12, 0.30]))
    need, years = np.zeros((21, 1)), np.arange(2026, 2047)
    outlay = np.full((21, 20000), 900.0)
    found = simulate_points(facts, np.zeros((4, 1)), need, years, outlay, np.random.default_rng(2))
    sd = np.std([0.04, 0.06], ddof=1) * np.sqrt(3.0)
    for t, n in ((0, 2), (20, 22)):
        spread = np.log(found.claimed[t]).std()
        assert spread == pytest.approx(np.hypot(sd / np.sqrt(6.0) * n, sd * np.sqrt(n)), rel=0.03)
        assert np.log(found.claimed[t]).mean() == pytest.approx(np.log(facts.anchor_points) + 0.05 * n, abs=0.01)


# --- what the government pays late ------------------------------------------------------------------------------------


def test_arrears_of_the_government_by_hand() -> None:
    # Employees only: it pays a tenth of 517 bn, and a top-up of (0.36 x 517 - 51.7) / 0.64 = 210.03. Of what it owes it
    # pays eight tenths within the year: of D, then of 1.2 D, then of 1.24 D.
    basis = replace(fund(), supplementary_base={}, payment_sizes={}, law_thresholds={})
    whole = project(basis, LAW)
    result = project(basis, under("government_payment_share=0.8@2026-01-01"))
    due = float(whole.government.due[0, 0])
    assert due == pytest.approx(51.7 + 210.03125)
    assert result.government.paid[:, 0] == pytest.approx([0.8 * due, 0.96 * due, 0.992 * due])
    assert result.government.arrears[:, 0] == pytest.approx([0.2 * due, 0.24 * due, 0.248 * due])
    assert np.array_equal(result.closing, whole.closing)
    assert result.cash_reserve == pytest.approx(result.closing - result.government.arrears)
    assert (whole.government.arrears == 0.0).all()
    # By law it bears its 36%; of that it pays eight tenths in the first year.
    lines = line_values(Scenario("reform", basis, under("government_payment_share=0.8@2026-01-01"), result))
    assert lines["government_share_due"][:, 0] == pytest.approx([0.36] * 3)
    assert lines["government_share_paid"][:, 0] == pytest.approx([0.288, 0.3456, 0.35712])
    assert np.array_equal(whole.cash_reserve, whole.closing)


def test_a_top_up_paid_the_year_after_is_due_for_its_year_and_payable_later() -> None:
    basis = random_basis(50, 5)
    result = project(basis, under("government_top_up_payment=year_after@2027-01-01"))
    money = result.government
    assert money.due - money.payable == pytest.approx(result.top_up_owed - result.income["government_top_up"])
    assert np.array_equal(money.paid, money.payable)


def test_a_law_kept_from_before_these_levers_is_projected_as_it_was() -> None:
    # Runs of earlier days replay under the law that they kept, which has fewer parameters.
    new = ("own_dependants_shape", "supplementary_bonus_tail", "lottery_share", "late_fee_cap", "late_payment_share",
           "late_payment_days", "copayment_cap_year_known", "copayment_cap_year_persons", "copayment_share.clinic",
           "copayment_cost_share.clinic", "copayment_cost_share.home")  # fmt: skip
    kept = {name: parameter for name, parameter in LAW.scheme.parameters.items() if name not in new}
    old = Policy(LAW.scheme.model_copy(update={"parameters": kept}))
    lines = {name: np.full((3, 1), 5.0) for name in ("tobacco_surcharge", "lottery", "late_fees")}
    basis = replace(fund(), other_income=lines)
    assert project(basis, old).closing == pytest.approx(project(basis, LAW).closing)
    assert late_fee_share(old, np.array([2026, 2027])).tolist() == [0.0, 0.0]
    moved = old.reform(Reform.parse(["charged_dependants_cap=5@2027-01-01", "general_premium_rate=0.055@2027-01-01"]))
    alone = old.reform(Reform.parse(["general_premium_rate=0.055@2027-01-01"]))
    assert idle_levers(basis, old, moved) == ("charged_dependants_cap",)
    assert project(basis, moved).closing == pytest.approx(project(basis, alone).closing)
