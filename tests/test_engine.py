"""The ledger: a fund worked by hand, identities with every lever away from zero, and what each lever does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from forecaster.basis import Basis, PaymentSizes, read_basis
from forecaster.charged_payments import LEAST_CHARGED, charged_share
from forecaster.engine import project
from forecaster.errors import FaultyInput
from forecaster.policy import Policy, Reform
from forecaster.revenue import premium_terms
from forecaster.schemes import load_scheme
from funds import THRESHOLD_ITEMS, random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
EVERY_LEVER = (
    "general_premium_rate=0.0557@2027-04-01",
    "supplementary_premium_rate=0.025@2028-01-01",
    "average_dependants=0.51@2027-01-01",
    "supplementary_ceiling=50000000@2027-01-01",
    "government_floor_share=0.38@2029-01-01",
    "government_injection=12@2027-01-01",
    "budget_growth_adjustment=0.004@2028-01-01",
    "copayment_reform_yield=6@2027-01-01",
    "supplementary_threshold.dividends=5000@2027-01-01",
    "grading_ceiling=400000@2027-01-01",
    "supplementary_settlement_yield=10@2027-01-01",
    "premium_share.c2.insured=0.5@2027-01-01",
    "premium_share.c2.government=0.5@2027-01-01",
)


def hand_basis() -> Basis:
    """Two years, two draws; all in category 1.2 but a tenth in category 1.1, whose employer is the state."""
    ones = np.ones((2, 2))
    return Basis(
        label="by hand",
        years=np.array([2026, 2027]),
        opening_reserve=np.array([100.0, 50.0]),
        general_base=10000.0 * ones,
        category_mix=np.array([[0.1, 0.1], [0.9, 0.9]]),
        categories=("c11", "c12"),
        reference_dependants=0.56,
        supplementary_base={"employer": 1000.0 * ones, "dividends": 2000.0 * ones},
        other_income={"tobacco": 10.0 * ones},
        outlay=np.array([[700.0, 800.0], [770.0, 900.0]]),
        investment_yield=0.02 * ones,
        payment_sizes={},
        payment_size_index=ones,
        law_thresholds={},
        law_ceiling=np.full(2, 1e7),
        drivers={},
    )


def test_two_years_by_hand() -> None:
    result = project(hand_basis(), LAW)
    # General 5.17% of 10,000; supplementary 2.11% of 3,000. State: 7% of the general premium as employer, 9% as
    # government, and a tenth of the employers' supplementary premium. Floor: 36% of premiums and top-up together.
    general, supplementary = 517.0, 63.3
    state = 517.0 * (0.1 * 0.7 + 0.9 * 0.1) + 21.1 * 0.1
    top_up = (0.36 * (general + supplementary) - state) / 0.64
    assert result.income["general_premium"] == pytest.approx(np.full((2, 2), general))
    assert result.income["supplementary_premium"] == pytest.approx(np.full((2, 2), supplementary))
    assert result.income["government_top_up"] == pytest.approx(np.full((2, 2), top_up))
    flow = general + supplementary + top_up + 10.0 - 700.0
    first = 100.0 + flow + 0.02 * (100.0 + flow / 2)
    assert result.closing[0, 0] == pytest.approx(first)
    flow = general + supplementary + top_up + 10.0 - 770.0
    assert result.closing[1, 0] == pytest.approx(first + flow + 0.02 * (first + flow / 2))
    government = result.by_payer()["government"][0, 0]
    assert government == pytest.approx(0.36 * (general + supplementary + top_up))


def test_the_floor_on_outlay_is_fixed_whatever_the_rate() -> None:
    on_outlay = "government_floor_basis=outlay@2026-01-01"
    low = project(hand_basis(), LAW.reform(Reform.parse([on_outlay])))
    high = project(hand_basis(), LAW.reform(Reform.parse([on_outlay, "general_premium_rate=0.0527@2026-01-01"])))
    for result in (low, high):
        assert result.by_payer()["government"] == pytest.approx(0.36 * (hand_basis().outlay - 10.0))


def test_identities_hold_with_every_lever_away_from_zero() -> None:
    basis = random_basis(300, 40)
    result = project(basis, LAW.reform(Reform.parse(EVERY_LEVER)))
    late = result.years >= 2029
    assert all((np.abs(line[late]) > 0).all() for line in result.income.values())
    assert np.abs(result.opening + result.total_income - result.outgo - result.closing).max() < 1e-9
    assert np.array_equal(result.opening[1:], result.closing[:-1])
    # The kernel and the payers' tables are two computations of the same premiums.
    paid = result.premiums
    assert sum(paid.general.values()) == pytest.approx(result.income["general_premium"], rel=1e-12)
    assert sum(paid.supplementary.values()) == pytest.approx(result.income["supplementary_premium"], rel=1e-12)
    assert sum(result.by_payer().values()) == pytest.approx(result.total_income, rel=1e-12)
    assert result.balance == pytest.approx(result.total_income - result.outgo, abs=1e-9)


def test_the_government_stands_at_its_floor_where_it_adds_anything() -> None:
    result = project(random_basis(), LAW)
    paid = result.premiums
    binding = result.income["government_top_up"] > 0
    assert binding.any()
    share = (paid.government + result.income["government_top_up"]) / (paid.total + result.income["government_top_up"])
    assert share[binding] == pytest.approx(0.36, abs=1e-12)
    assert (share[~binding] >= 0.36 - 1e-12).all()


def test_a_reform_changes_nothing_before_its_day() -> None:
    basis = random_basis(50, 20)
    law, reform = project(basis, LAW), project(basis, LAW.reform(Reform.parse(EVERY_LEVER)))
    assert np.array_equal(law.closing[:1], reform.closing[:1])
    assert (law.closing[1:] != reform.closing[1:]).all()


@pytest.mark.parametrize("setting", [*EVERY_LEVER[:-2], EVERY_LEVER[-2:]])
def test_every_lever_moves_the_fund(setting: str | tuple[str, ...]) -> None:
    basis = random_basis(20, 6)
    reform = Reform.parse([setting] if isinstance(setting, str) else setting)
    moved = project(basis, LAW.reform(reform)).closing[-1]
    assert (moved != project(basis, LAW).closing[-1]).all()


def test_shares_that_no_longer_sum_to_one_are_refused() -> None:
    with pytest.raises(FaultyInput) as caught:
        LAW.reform(Reform.parse(["premium_share.c2.insured=0.5@2027-01-01"]))
    for word in ("premium_share.c2", "sum to 0.9", "1 exactly", "premium_share.c2.government", "2027-01-01"):
        assert word in str(caught.value)


def test_a_deterministic_basis_and_one_draw_of_many_take_the_same_path() -> None:
    basis = random_basis(5, 8)
    single = replace(
        basis,
        opening_reserve=basis.opening_reserve[2:3].copy(),
        category_mix=basis.category_mix[:, 2:3].copy(),
        payment_sizes={
            k: PaymentSizes(v.median[2:3].copy(), v.spread[2:3].copy()) for k, v in basis.payment_sizes.items()
        },
        supplementary_base={k: v[:, 2:3].copy() for k, v in basis.supplementary_base.items()},
        other_income={k: v[:, 2:3].copy() for k, v in basis.other_income.items()},
        drivers={},
        **{
            k: getattr(basis, k)[:, 2:3].copy()
            for k in ("general_base", "outlay", "investment_yield", "payment_size_index")
        },
    )
    assert project(single, LAW).closing[:, 0] == pytest.approx(project(basis, LAW).closing[:, 2], rel=1e-12)


def test_a_cut_basis_gives_the_same_years() -> None:
    basis = random_basis(20, 20)
    assert np.array_equal(project(basis.until(2030), LAW).closing, project(basis, LAW).closing[:5])
    with pytest.raises(FaultyInput, match="2026 to 2045"):
        basis.until(2046)


def test_charged_share_agrees_with_a_million_payments() -> None:
    rng = np.random.default_rng(1)
    spread, median = 1.5, 80000.0
    # By count the log-mean is lower by the variance than by value.
    payments = rng.lognormal(np.log(median) - spread**2, spread, 2_000_000)
    charged = np.where(payments >= 20000.0, np.minimum(payments, 1e6), 0.0)
    sizes = PaymentSizes(np.array([median]), np.array([spread]))
    expected = charged_share(sizes, np.ones((1, 1)), np.array([20000.0]), np.array([1e6]))[0, 0]
    error = charged.std() / payments.mean() / np.sqrt(len(payments))
    assert abs(charged.mean() / payments.mean() - expected) < 5 * error


@given(
    thresholds=st.lists(st.floats(0.0, 1e6), min_size=2, max_size=2).map(sorted),
    median=st.floats(1e4, 1e6),
    spread=st.floats(0.3, 3.0),
)
@settings(max_examples=60)
def test_a_higher_threshold_never_charges_more(thresholds: list[float], median: float, spread: float) -> None:
    sizes = PaymentSizes(np.array([median]), np.array([spread]))
    one = np.ones((1, 1))
    low, high = (charged_share(sizes, one, np.array([x]), np.array([1e7]))[0, 0] for x in thresholds)
    assert -1e-9 <= high <= low + 1e-12 <= 1.0 + 1e-9


def test_the_grading_ceiling_gives_the_official_effects() -> None:
    """Bn a year at the first projected year's level: 3.3 for the rise of 2025; officially 1.7 for that of 2022."""
    basis = random_basis(40, 6)
    law = project(basis, LAW).income["general_premium"]
    level = law.mean(axis=1) / (0.0517 * basis.general_base[0].mean())

    def lost(step: float) -> np.ndarray:
        lower = project(basis, LAW.reform(Reform.parse([f"grading_ceiling={step}@2026-01-01"]))).income
        return (law - lower["general_premium"]).mean(axis=1) / level

    assert lost(219500.0) == pytest.approx(np.full(6, 3.3), rel=1e-9)
    # 3.3 x (182,000^-0.5 - 219,500^-0.5) / (219,500^-0.5 - 313,000^-0.5); official at the wages of 2022: 1.7.
    earlier = lost(182000.0) - lost(219500.0)
    assert earlier == pytest.approx(np.full(6, 1.994), abs=1e-3)
    assert abs(earlier[0] / 1.7 - 1.0) < 0.3
    more = project(basis, LAW.reform(Reform.parse(["grading_ceiling=400000@2027-01-01"]))).income["general_premium"]
    assert (more[1:] > law[1:]).all()
    assert np.array_equal(more[0], law[0])


@pytest.mark.parametrize("gain", [10.0, 20.0])
def test_yearly_settlement_gains_what_is_said_and_then_grows_with_its_base(gain: float) -> None:
    basis = random_basis(40, 6)
    policy = LAW.reform(Reform.parse([f"supplementary_settlement_yield={gain}@2026-01-01"]))
    more = project(basis, policy).premiums.supplementary
    law = project(basis, LAW).premiums.supplementary
    gained = (more["insured"] - law["insured"]).mean(axis=1)
    assert gained[0] == pytest.approx(gain)
    assert gained[-1] / gain == pytest.approx(law["insured"][-1].mean() / law["insured"][0].mean())
    assert np.array_equal(more["employer"], law["employer"])


def by_scipy(sizes: PaymentSizes, index: np.ndarray, threshold: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """The share charged by the formula of :func:`charged_share`, SciPy's normal distribution function in it."""
    log_median, spread = np.log(sizes.median * index), sizes.spread
    above, at_ceiling = (np.log(x)[:, None] for x in (np.maximum(threshold, 1e-3), ceiling))
    counted = np.exp(at_ceiling - log_median + spread**2 / 2) * ndtr((log_median - spread**2 - at_ceiling) / spread)
    return ndtr((log_median - above) / spread) - ndtr((log_median - at_ceiling) / spread) + counted


def test_the_share_charged_is_that_of_the_exact_distribution_function() -> None:
    rng = np.random.default_rng(4)
    sizes = PaymentSizes(np.exp(rng.uniform(np.log(3e3), np.log(3e6), 400)), rng.uniform(0.2, 3.5, 400))
    index = np.exp(rng.normal(0.5, 1.0, (6, 400)))
    threshold, ceiling = np.array([0.0, 1e3, 5e3, 2e4, 3e4, 1e6]), np.array([1e6, 1e7, 1e7, 5e7, 1e9, 1e12])
    found = charged_share(sizes, index, threshold, ceiling)
    assert np.abs(found - by_scipy(sizes, index, threshold, ceiling)).max() < 5e-12


def test_a_policys_charged_base_is_the_laws_times_the_ratio_of_shares() -> None:
    """What is kept with the basis and shared between items gives what each item alone would."""
    basis = random_basis(30, 8, seed=6)
    settings_ = ["supplementary_threshold.rent=5000@2028-07-01", "supplementary_threshold.part_time=9000@2029-01-01"]
    for ceiling in ([], ["supplementary_ceiling=50000000@2027-01-01"]):
        policy = LAW.reform(Reform.parse([*settings_, *ceiling]))
        cap = policy.path("supplementary_ceiling", basis.years)
        expected = basis.supplementary_base["bonus"].copy()
        for item in THRESHOLD_ITEMS:
            sizes, index = basis.payment_sizes[item], basis.payment_size_index
            now = by_scipy(sizes, index, policy.path(f"supplementary_threshold.{item}", basis.years), cap)
            before = by_scipy(sizes, index, basis.law_thresholds[item], basis.law_ceiling)
            expected += basis.supplementary_base[item] * now / before
        for _ in range(2):  # computed, then from what is kept
            assert premium_terms(basis, policy).charged["insured"] == pytest.approx(expected, rel=1e-9)


def test_a_draw_whose_law_charges_next_to_nothing_does_not_blow_up() -> None:
    """Where payments shrink until the law charges next to none of them, a lower threshold must not divide by that."""
    basis = random_basis(4, 3)
    tiny = replace(basis, payment_size_index=np.full((3, 4), 1e-5))
    policy = LAW.reform(Reform.parse(["supplementary_threshold.fees=0@2027-01-01"]))
    more = premium_terms(tiny, policy).charged["insured"] - premium_terms(tiny, LAW).charged["insured"]
    assert more[1:] == pytest.approx(basis.supplementary_base["fees"][1:] / LEAST_CHARGED, rel=2e-3)


@given(rates=st.lists(st.floats(0.0, 0.06), min_size=2, max_size=2).map(sorted), seed=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("floor_basis", ["income", "outlay"])
def test_a_higher_rate_never_lowers_the_reserve_in_any_draw(floor_basis: str, rates: list[float], seed: int) -> None:
    basis = random_basis(40, 12, seed=seed)
    low, high = (
        project(
            basis,
            LAW.reform(
                Reform.parse(
                    [f"government_floor_basis={floor_basis}@2026-01-01", f"general_premium_rate={rate}@2027-01-01"]
                )
            ),
        ).closing
        for rate in rates
    )
    assert (high >= low - 1e-9).all()


@given(
    item=st.sampled_from(THRESHOLD_ITEMS),
    thresholds=st.lists(st.floats(0.0, 1e6), min_size=2, max_size=2).map(sorted),
)
@settings(max_examples=40, deadline=None)
def test_a_higher_threshold_never_raises_supplementary_income(item: str, thresholds: list[float]) -> None:
    basis = random_basis(40, 6, seed=1)
    low, high = (
        project(basis, LAW.reform(Reform.parse([f"supplementary_threshold.{item}={x}@2027-01-01"]))).income
        for x in thresholds
    )
    assert (high["supplementary_premium"] <= low["supplementary_premium"] + 1e-9).all()


def test_a_lower_threshold_raises_only_its_own_items() -> None:
    basis = random_basis(20, 6)
    settings_ = [f"supplementary_threshold.{item}=5000@2027-01-01" for item in THRESHOLD_ITEMS if item != "part_time"]
    more = project(basis, LAW.reform(Reform.parse(settings_))).premiums.supplementary
    law = project(basis, LAW).premiums.supplementary
    assert (more["insured"][1:] > law["insured"][1:]).all()
    assert np.array_equal(more["employer"], law["employer"])


def test_a_faulty_basis_names_every_fault() -> None:
    basis = random_basis(4, 3)
    outlay = basis.outlay.copy()
    outlay[0, 0] = np.nan
    with pytest.raises(FaultyInput) as caught:
        replace(basis, outlay=outlay, opening_reserve=np.ones(5))
    text = str(caught.value)
    assert "outlay: found" in text
    assert "general_base: found shape (3, 4); allowed: shape (3, 5)" in text


def test_a_wrong_basis_file_is_refused_in_plain_words(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "mine.toml"
    path.write_text("label = 'mine'\nyears = [2026]\nsurplus = 1\n", encoding="utf-8")
    with pytest.raises(FaultyInput) as caught:
        read_basis(path)
    text = str(caught.value)
    assert "outlay: found nothing" in text
    assert "surplus: found unknown key" in text
    with pytest.raises(FaultyInput, match="tw_nhi_committee_2020"):
        read_basis("no_such_basis")
