"""The benefit stack: order of payment, conservation, exact means, thresholds by law, words of its errors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.benefits import (
    OUT_OF_POCKET,
    compose,
    composition,
    cost_path,
    evaluate,
    fitted_severity,
    pay_claims,
    settle,
)
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.layers import Stack, Terms, group_shares, income_path, load_stack, stack_names, stack_terms
from forecaster.observations import load_observations
from forecaster.policy import Policy, Reform
from forecaster.resources import data_dir
from forecaster.severity import severity_facts

RNG = np.random.default_rng(20261122)


def law_of(stack: Stack, *settings_: str) -> Policy:
    return Policy(stack.law, Reform.parse(settings_))


@pytest.fixture(scope="module")
def residents() -> Stack:
    return load_stack("cn_residents")


def one_year(layers: list[dict], allowed: float = 0.8) -> Terms:
    """Terms of one year from plain figures."""
    widest = max(len(layer["rates"]) for layer in layers)
    edges, rates = np.full((len(layers), widest, 1), np.inf), np.zeros((len(layers), widest, 1))
    for i, layer in enumerate(layers):
        for j, (edge, rate) in enumerate(zip([*layer.get("edges", []), np.inf], layer["rates"], strict=True)):
            edges[i, j], rates[i, j] = edge, rate
    return Terms(
        base=np.array([layer["base"] for layer in layers]),
        deductible=np.array([layer["deductible"] for layer in layers], dtype=float).reshape(-1, 1, 1),
        ceiling=np.array([layer.get("ceiling", np.inf) for layer in layers], dtype=float).reshape(-1, 1, 1),
        edges=edges,
        rates=rates,
        coverage=np.ones((len(layers), 1)),
        allowed=np.array([allowed]),
    )


# A basic scheme, serious illness in two tranches, commercial cover of everything, assistance; 80% in the catalogue.
BASIC = {"base": 0, "deductible": 1000.0, "rates": [0.6], "ceiling": 60000.0}
SERIOUS = {"base": 0, "deductible": 10000.0, "rates": [0.5, 0.7], "edges": [20000.0], "ceiling": 40000.0}
COMMERCIAL = {"base": 2, "deductible": 20000.0, "rates": [0.8]}
ASSISTANCE = {"base": 0, "deductible": 2000.0, "rates": [0.7], "ceiling": 5000.0}

# Worked by hand: claim, basic, serious, commercial, assistance, out of pocket.
BY_HAND = np.array(
    [
        # 500: 400 allowed, below every deductible
        [500, 0, 0, 0, 0, 500],
        # 1,250: exactly 1,000 allowed
        [1250, 0, 0, 0, 0, 1250],
        # 5,000: 4,000 allowed; 0.6 x 3,000; 2,200 left; assistance 0.7 x 200
        [5000, 1800, 0, 0, 140, 3060],
        # 10,000: 8,000 allowed; 4,200; 3,800 left; 0.7 x 1,800
        [10000, 4200, 0, 0, 1260, 4540],
        # 30,000: 24,000 allowed; 13,800; 10,200 left; 0.5 x 200; 10,100 + 6,000: no commercial; 0.7 x 8,100 capped
        [30000, 13800, 100, 0, 5000, 11100],
        # 50,000: 40,000; 23,400; 16,600 left; 3,300; 13,300 + 10,000 = 23,300; 0.8 x 3,300 = 2,640; 10,660 left; capped
        [50000, 23400, 3300, 2640, 5000, 15660],
        # 100,000: 80,000; 47,400; 32,600 left; 10,000 + 0.7 x 2,600 = 11,820; 20,780 + 20,000; 0.8 x 20,780 = 16,624;
        # 4,156 allowed left; 0.7 x 2,156 = 1,509.2
        [100000, 47400, 11820, 16624, 1509.2, 22646.8],
        # 150,000: 120,000; 60,000 (ceiling); 60,000 left; 10,000 + 0.7 x 30,000 = 31,000; 29,000 + 30,000;
        # 0.8 x 39,000 = 31,200: all 29,000 allowed and 2,200 outside; nothing left for assistance
        [150000, 60000, 31000, 31200, 0, 27800],
        # 200,000: 160,000; 60,000; 100,000 left; 40,000 (ceiling); 60,000 + 40,000; 64,000, 60,000 of it allowed
        [200000, 60000, 40000, 64000, 0, 36000],
        # 1,000,000: 800,000; 60,000; 740,000; 40,000; 700,000 + 200,000; 704,000
        [1000000, 60000, 40000, 704000, 0, 196000],
    ]
)

# Claims beyond the last kink.
FAR = np.array([1.0, 1e5, 1e7])


def test_order_of_payment_on_ten_claims_by_hand():
    terms = one_year([BASIC, SERIOUS, COMMERCIAL, ASSISTANCE])
    claims, wanted = BY_HAND[:, 0], BY_HAND[:, 1:].T
    np.testing.assert_allclose(settle(terms, claims), wanted, atol=1e-6)
    np.testing.assert_allclose(compose(terms).pay(claims), wanted, atol=1e-6)


def test_assistance_before_commercial_cover_pays_first():
    after, before = (one_year([BASIC, SERIOUS, *rest]) for rest in ([COMMERCIAL, ASSISTANCE], [ASSISTANCE, COMMERCIAL]))
    # 50,000: 13,300 allowed left after serious illness; assistance 5,000 first; then 8,300 + 10,000 lie below 20,000.
    np.testing.assert_allclose(settle(before, np.array([50000.0]))[:, 0], [23400, 3300, 5000, 0, 18300])
    assert settle(after, np.array([50000.0]))[2, 0] == pytest.approx(2640.0)


def random_terms(n: int, layers: int = 6, tranches: int = 3) -> Terms:
    """Terms of ``n`` stacks at once, one a year of a made-up calendar."""
    shape = (layers, n)
    edges = np.cumsum(RNG.exponential(20000.0, (layers, tranches, n)), axis=1)
    edges[:, -1] = np.inf
    rates = np.minimum(RNG.uniform(0.0, 1.2, (layers, tranches, n)), 1.0)
    rates[RNG.random(rates.shape) < 0.15] = 0.0
    deductible = np.where(RNG.random(shape) < 0.3, 0.0, RNG.exponential(15000.0, shape))
    ceiling = np.where(RNG.random(shape) < 0.4, np.inf, deductible + RNG.exponential(40000.0, shape))
    return Terms(
        base=RNG.integers(0, 3, layers),
        deductible=deductible[..., None],
        ceiling=ceiling[..., None],
        edges=edges,
        rates=rates,
        coverage=np.ones(shape),
        allowed=np.where(RNG.random(n) < 0.1, 1.0, RNG.uniform(0.0, 1.0, n)),
    )


def paid_by_rule(terms: Terms, claims: np.ndarray) -> np.ndarray:
    """The rules as they are written, for all stacks at once: claims ``(stack, claim)`` to ``(payer, stack, claim)``."""
    left = [terms.allowed[:, None] * claims, (1.0 - terms.allowed)[:, None] * claims]
    paid = np.empty((len(terms.base) + 1, *claims.shape))
    for i, base in enumerate(terms.base):
        looked_at = left[0] + left[1] if base == 2 else left[base]
        over, low, amount = looked_at - terms.deductible[i], 0.0, np.zeros_like(claims)
        for end, rate in zip(terms.edges[i], terms.rates[i], strict=True):
            amount += rate[:, None] * np.maximum(np.minimum(over, end[:, None]) - low, 0.0)
            low = end[:, None]
        paid[i] = np.minimum(amount, terms.ceiling[i])
        first = np.minimum(paid[i], left[1 if base == 1 else 0])
        left[1 if base == 1 else 0] = left[1 if base == 1 else 0] - first
        left[1] = left[1] - (paid[i] - first)
    paid[-1] = left[0] + left[1]
    return paid


def test_every_yuan_is_paid_once_in_ten_thousand_random_stacks():
    """Conservation, no negative payment, and the composed functions against the rules applied one after the other."""
    n_stacks = 10000
    for _ in range(10):
        terms = random_terms(n_stacks // 10)
        found = [compose(terms, year) for year in range(n_stacks // 10)]
        claims = np.zeros((len(found), 2 * max(len(composed.kinks) for composed in found) + 2))
        for row, composed in zip(claims, found, strict=True):
            n, kinks = len(composed.kinks), composed.kinks
            row[:n], row[n : 2 * n - 1], row[-3:] = kinks, 0.5 * (kinks[1:] + kinks[:-1]), kinks[-1] + FAR
        by_rule = paid_by_rule(terms, claims)
        by_function = np.stack([composed.pay(row) for composed, row in zip(found, claims, strict=True)], axis=1)
        slack = 1.0 + claims
        assert (np.abs(by_rule.sum(axis=0) - claims) <= 1e-9 * slack).all()
        assert (np.abs(by_function - by_rule) <= 1e-7 * slack).all()
        assert (by_rule >= -1e-9 * slack).all()
        np.testing.assert_allclose(settle(terms, claims[7], 7), by_rule[:, 7], atol=1e-6)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "base": st.integers(0, 2),
                "deductible": st.floats(0, 1e5),
                "rates": st.lists(st.floats(0, 1), min_size=1, max_size=1),
                "ceiling": st.one_of(st.just(np.inf), st.floats(1e-3, 1e6)),
            }
        ),
        min_size=1,
        max_size=6,
    ),
    st.floats(0, 1),
    st.lists(st.floats(0, 1e7), min_size=1, max_size=20),
)
def test_conservation_at_the_edges_of_what_floats_allow(layers, allowed, claims):
    terms, amounts = one_year(layers, allowed), np.array(claims)
    paid = settle(terms, amounts)
    np.testing.assert_allclose(paid.sum(axis=0), amounts, atol=1e-8 * (1.0 + amounts.max()))
    np.testing.assert_allclose(compose(terms).pay(amounts), paid, atol=1e-6 * (1.0 + amounts.max()))


def test_a_million_simulated_claims_agree_with_the_exact_means(residents):
    law, year, n = law_of(residents), 2023, 1_000_000
    severity = fitted_severity(residents).best
    exact = composition(residents, law, year, "poor").expected(severity)[:, :, 0] @ severity.people
    band = RNG.choice(len(severity.bands), n, p=severity.people / severity.people.sum())
    claims = severity.quantile(RNG.random(n), band)
    paid = pay_claims(residents, law, year, claims, "poor")
    error = paid.std(axis=1) / np.sqrt(n)
    assert (error[[0, 1, 3, -1]] > 0.0).all()
    assert (np.abs(paid.mean(axis=1) - exact) <= 4.0 * error + 1e-9).all()


def test_the_compiled_means_are_those_of_the_compositions(residents):
    """All groups and all combinations of part coverage, several draws with thresholds of their own."""
    years = np.array([2019, 2021, 2024, 2050])
    law, severity = law_of(residents), fitted_severity(residents).draws(3, seed=5)
    income = income_path(law, years) * np.array([0.8, 1.0, 1.3])
    cost = cost_path(residents, law, years, severity.year) * np.array([1.0, 0.7, 1.6])
    found = evaluate(residents, law, years, severity, income=income, cost_scale=cost)
    wanted = np.zeros_like(found.expected)
    shares = group_shares(residents, law, years)
    for g, group in enumerate(residents.groups):
        terms = stack_terms(residents, law, years, group, income)
        for y in range(len(years)):
            for d in range(3):
                scaled = severity.scaled(cost[y, d])
                for code in range(2 ** len(residents.layers)):
                    on = np.array([bool(code >> i & 1) for i in range(len(residents.layers))])
                    weight = shares[g, y] * np.prod(np.where(on, terms.coverage[:, y], 1.0 - terms.coverage[:, y]))
                    if weight > 0.0:
                        wanted[:, y, :, d] += weight * compose(terms, y, on, d).expected(scaled)[:, :, d]
    # The compiled table of limited values is off by some millionths of a yuan.
    np.testing.assert_allclose(found.expected, wanted, rtol=1e-8, atol=1e-5)
    np.testing.assert_allclose(found.spending, severity.mean() * cost[:, None, :], rtol=1e-8)
    assert found.payers[-1] == OUT_OF_POCKET


def test_one_set_of_thresholds_for_all_draws_gives_the_same_as_one_each(residents):
    years, law, severity = np.array([2024, 2025]), law_of(residents), fitted_severity(residents).draws(4, seed=1)
    once = evaluate(residents, law, years, severity)
    each = evaluate(residents, law, years, severity, income=np.repeat(income_path(law, years), 4, axis=1))
    np.testing.assert_allclose(once.expected, each.expected, rtol=1e-12, atol=1e-9)


def test_a_higher_serious_illness_deductible_never_raises_its_payment(residents):
    years = np.arange(2024, 2030)
    levels = [0.2, 0.37, 0.5, 0.8]
    paid = [
        evaluate(residents, law_of(residents, f"cn_serious_illness.deductible_income_share={x}@2024-01-01"), years)
        for x in levels
    ]
    row = paid[0].payers.index("cn_serious_illness")
    for lower, higher in pairwise(paid):
        assert (higher.expected[row] < lower.expected[row]).all()
        assert (higher.expected[-1] > lower.expected[-1]).all()


def test_thresholds_follow_last_years_income(residents):
    law, years = law_of(residents), np.array([2023, 2024, 2030])
    income = income_path(law, years)[:, 0]
    # Published: 36,883 in 2022 and 39,218 in 2023; after that by 5% a year.
    np.testing.assert_allclose(income, [36883.0, 39218.0, 39218.0 * 1.05**6], rtol=1e-9)
    poor, other = (stack_terms(residents, law, years, group) for group in ("poor", "other"))
    place = [layer.id for layer in residents.layers].index("cn_serious_illness")
    np.testing.assert_allclose(other.deductible[place, :, 0], 0.37 * income)
    np.testing.assert_allclose(poor.deductible[place, :, 0], 0.5 * 0.37 * income)
    np.testing.assert_allclose(poor.rates[place, :, 0], [0.65, 0.7, 0.8])
    assert np.isinf(poor.ceiling[place]).all()
    # Amounts in plain yuan stay until 2024, then rise by an assumed 5% a year.
    np.testing.assert_allclose(other.ceiling[place, :, 0], 300000.0 * np.array([1.0, 1.0, 1.05**6]))


def test_two_thousand_nineteen_notice_raises_what_the_layer_pays(residents):
    severity = fitted_severity(residents).best
    law, years = law_of(residents), np.array([2018, 2019])
    steady = {"income": np.full((2, 1), 30000.0), "cost_scale": np.ones((2, 1))}
    found = evaluate(residents, law, years, severity, **steady).per_head()[1, :, 0]
    assert found[1] > 1.15 * found[0]


@pytest.mark.parametrize("name", stack_names())
def test_shipped_stacks_meet_the_published_figures(name):
    """The means that the deductibles and the accounts' ceiling were set for; all targets within reach."""
    stack = load_stack(name)
    for row in severity_facts(fitted_severity(stack)):
        off = row["fitted"] - row["wanted"] if row["target"] == "tail_index" else np.log(row["fitted"] / row["wanted"])
        assert abs(off) < 1.5 * row["spread"], row
    paid = evaluate(stack, law_of(stack), np.array([2023]))
    per_head = dict(zip(paid.payers, paid.per_head()[:, 0, 0], strict=True))
    if name == "cn_residents":
        assert per_head["cn_basic_residents"] == pytest.approx(991.0, rel=0.01)
    else:
        assert per_head["cn_basic_employees"] == pytest.approx(3141.0, rel=0.01)
        assert per_head["cn_personal_account"] == pytest.approx(1645.0, rel=0.02)


def test_serious_illness_relieves_its_patients_as_published(residents):
    """Figures that nothing was fitted to: own payments with and without the layer, part of the bills that is paid."""
    observed = load_observations("chn")
    law, year, n = law_of(residents), np.array([2018]), 300_000
    severity = fitted_severity(residents).best
    rng = np.random.default_rng(3)
    band = rng.choice(len(severity.bands), n, p=severity.people / severity.people.sum())
    claims = severity.quantile(rng.random(n), band) * cost_path(residents, law, year, severity.year)[0, 0]
    terms = stack_terms(residents, law, year, "other")
    held = terms.coverage[:, 0] == 1.0
    without = held.copy()
    without[1] = False
    after, before = (settle(terms, claims, covered=on) for on in (held, without))
    patients = after[1] > 0.0
    spent, left, borne = (values[patients].sum() for values in (claims, after[-1], before[-1]))

    def published(series: str) -> float:
        return float(
            observed.series(f"oop_per_cii_patient_{series}|serious_illness_two_rural_counties")["value"].iloc[0]
        )

    assert borne / patients.sum() == pytest.approx(published("before"), rel=0.1)
    assert left / patients.sum() == pytest.approx(published("after"), rel=0.2)
    lifts = [
        float(observed.series(f"increase_due_to_cii|serious_illness_{place}")["value"].iloc[0])
        for place in ("beijing", "siping", "yichang", "zhaoqing")
    ]
    assert min(lifts) < (borne - left) / spent < max(lifts)


def test_another_order_moves_money_between_payers_only(residents):
    order = [layer.id for layer in residents.layers]
    at, years = order.index("commercial_supplement"), np.array([2024])
    order[at], order[at + 1] = order[at + 1], order[at]
    law = law_of(residents, "commercial_supplement.poor.coverage=0.5@2024-01-01")
    one, other = evaluate(residents, law, years), evaluate(residents, law, years, order=order)
    paid = [dict(zip(r.payers, r.per_head()[:, 0, 0], strict=True)) for r in (one, other)]
    assert paid[1]["cn_medical_assistance"] > paid[0]["cn_medical_assistance"]
    assert paid[1]["commercial_supplement"] < paid[0]["commercial_supplement"]
    assert paid[1]["cn_basic_residents"] == pytest.approx(paid[0]["cn_basic_residents"], rel=1e-12)
    np.testing.assert_allclose(one.spending, other.spending)
    with pytest.raises(FaultyInput, match=r"each once of cn_basic_residents, .*name every layer once"):
        evaluate(residents, law, years, order=order[:-1])


def test_draws_that_do_not_fit_are_refused(residents):
    with pytest.raises(ForecasterError, match=r"draws do not fit each other: \[2, 3\]"):
        evaluate(
            residents,
            law_of(residents),
            np.array([2024]),
            fitted_severity(residents).draws(2),
            cost_scale=np.ones((1, 3)),
        )


def test_a_person_covered_by_nobody_in_the_group_is_refused(residents):
    law = law_of(residents)
    paid = pay_claims(residents, law, 2023, np.array([200000.0]), covered=["commercial_supplement"])
    assert paid[2, 0] > 0.0
    with pytest.raises(
        FaultyInput, match="covered: found 'cn_medical_assistance'; allowed: commercial_supplement, charity"
    ):
        pay_claims(residents, law, 2023, np.array([1.0]), covered=["cn_medical_assistance"])
    with pytest.raises(ForecasterError, match=r"no group 'rich'. Its groups: poor, other"):
        pay_claims(residents, law, 2023, np.array([1.0]), group="rich")


SERIOUS_FILE = "cn_serious_illness.toml"


def _copied(folder, changes: dict[str, tuple[str, str]]) -> str:
    """A copy of the residents' stack and its layers with texts replaced; the stack's path."""
    for kind in ("stacks", "layers"):
        (folder / kind).mkdir()
        for path in (data_dir() / kind).glob("*.toml"):
            text = path.read_text("utf-8")
            if path.name in changes:
                old, new = changes[path.name]
                assert old in text
                text = text.replace(old, new, 1)
            (folder / kind / path.name).write_text(text, "utf-8")
    return str(folder / "stacks" / "cn_residents.toml")


LAYER = r"layers/cn_serious_illness.toml: .*\n.*"
STACK = r"stacks/cn_residents.toml: .*\n.*"
FIRST, SECOND = '    "cn_basic_residents",\n', '    "cn_serious_illness",\n'


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (SERIOUS_FILE, "value = 100000.0", "value = 30000.0", LAYER + r"tranche.2.to: found 30000 in"),
        (
            SERIOUS_FILE,
            "value = 300000.0",
            "value = 9000.0",
            LAYER + r"deductible_income_share: found .* the ceiling being 9,000",
        ),
        (
            SERIOUS_FILE,
            "value = 0.05, ",
            "value = 0.3, ",
            LAYER + r"tranche.3.rate: found 1.05 in 20.*no more than is left",
        ),
        (
            SERIOUS_FILE,
            "value = 0.75",
            "value = 1.75",
            LAYER + r"tranche.3.rate.values\[0\]: found 1.75; allowed: 0.0 to 1.0",
        ),
        (SERIOUS_FILE, '"tranche.2.to"', '"tranche.2.upto"', LAYER + r"tranche.2.upto: found unknown parameter"),
        (
            SERIOUS_FILE,
            "[parameters.ceiling]",
            "[parameters.sealing]",
            LAYER + r"sealing: found unknown parameter; allowed: coverage, deductible",
        ),
        (
            SERIOUS_FILE,
            'kind = "serious_illness"',
            'kind = "basic"',
            STACK + r"of kind 'basic'; allowed: one layer of a kind. To mend: they overlap",
        ),
        (SERIOUS_FILE, 'base = "allowed"', 'base = "everything"', LAYER + r"base: found 'everything'"),
        ("cn_residents.toml", SECOND, 2 * SECOND, STACK + r"order: found cn_serious_illness twice"),
        (
            "cn_residents.toml",
            FIRST + SECOND,
            SECOND + FIRST,
            STACK + "order: found cn_serious_illness before the basic",
        ),
        (
            "cn_residents.toml",
            "[parameters.catalogue_share]",
            "[parameters.catalog_share]",
            STACK + "parameters.catalogue_share: found nothing",
        ),
        (
            "cn_residents.toml",
            '    "charity",\n',
            '    "charities",\n',
            "no layer 'charities': there is no .*charities.toml. Shipped layers: charity, ",
        ),
    ],
)
def test_faulty_files_are_named_with_the_key(tmp_path, file, old, new, words):
    with pytest.raises(ForecasterError, match=words):
        load_stack(_copied(tmp_path, {file: (old, new)}))


def test_a_stack_takes_the_severity_file_that_lies_beside_it(tmp_path):
    """Layers under other names need targets of their own; a name is still that of a shipped severity."""
    stack = _copied(
        tmp_path,
        {
            "cn_residents.toml": ('severity = "cn_residents"', 'severity = "mine.toml"'),
        },
    )
    text = (data_dir() / "severity" / "cn_residents.toml").read_text("utf-8")
    (tmp_path / "stacks" / "mine.toml").write_text(text.replace("value = 2630.0", "value = 2650.0"), "utf-8")
    found = fitted_severity(load_stack(stack))
    assert found.targets[0].value == 2650.0
    (tmp_path / "stacks" / "mine.toml").write_text(text.replace('layer = "cn_basic', 'layer = "cn_other'), "utf-8")
    fitted_severity.cache_clear()
    with pytest.raises(
        FaultyInput, match=r"found cn_other_residents; allowed: .* give the stack a severity file of its own"
    ):
        fitted_severity(load_stack(stack))


def test_a_reform_that_contradicts_itself_names_file_and_key(residents):
    law = law_of(residents, "cn_serious_illness.ceiling=5000@2025-01-01")
    with pytest.raises(
        FaultyInput, match=r"layers/cn_serious_illness.toml: .*\n.*deductible_income_share: found 15,236 in 2025"
    ):
        evaluate(residents, law, np.array([2024, 2025]))
    with pytest.raises(FaultyInput, match=r"cn_serious_illness.tranche.1.rate: found 1.2; allowed: 0 to 1"):
        law_of(residents, "cn_serious_illness.tranche.1.rate=1.2@2025-01-01")


def test_an_unknown_stack_is_answered_with_the_nearest():
    with pytest.raises(ForecasterError, match=r"Shipped stacks: cn_employees, cn_residents. Did you mean cn_residents"):
        load_stack("cn_resident")
