"""The distribution of spending: closed forms against numerical integration, the fit, words of its errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtri

from forecaster.benefits import fitted_severity
from forecaster.demography.tables import load_wpp
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.layers import load_stack
from forecaster.resources import data_dir
from forecaster.severity import fit_severity, limited_size, read_severity, severity_of, size_above, top_share

SHAPES = [(0.7, 0.05), (1.85, 0.27), (2.4, 0.6)]


@pytest.mark.parametrize(("spread", "index"), SHAPES)
@pytest.mark.parametrize("tail", [0.02, 0.2])
def test_limited_values_are_integrals_of_the_chance_above(spread, index, tail):
    def above(size):
        return float(size_above(np.array(size), spread, index, tail))

    start = float(np.exp(-spread * ndtri(tail)))
    for size in (0.05, 0.8, start, 3.0 * start, 40.0 * start):
        parts = [
            quad(above, low, high, limit=400)[0] for low, high in ((0.0, min(size, start)), (start, max(size, start)))
        ]
        assert float(limited_size(size, spread, index, tail)) == pytest.approx(sum(parts), rel=1e-6)
    assert above(start * (1 - 1e-9)) == pytest.approx(tail, rel=1e-6)
    assert above(start * (1 + 1e-9)) == pytest.approx(tail, rel=1e-6)


@pytest.mark.parametrize(("spread", "index"), SHAPES)
def test_the_density_has_no_jump_where_the_tail_begins(spread, index):
    tail = 0.05
    file = read_severity("cn_residents")
    severity = severity_of(file, *(np.array([v]) for v in (1000.0, spread, index)))
    start = float(severity.start_of_tail[0])
    step = 1e-6 * start
    before, after = (
        float(
            size_above(start + a * step, spread, index, tail) - size_above(start + (a + 1) * step, spread, index, tail)
        )
        for a in (-1, 0)
    )
    assert after == pytest.approx(before, rel=1e-3)


def test_quantiles_undo_the_chance_above():
    severity = fitted_severity(load_stack("cn_residents")).best
    for band in (0, 5, 7):
        for share in (0.3, 0.8, 0.97, 0.9999):
            amount = float(severity.quantile(np.array(share), np.array(band)))
            assert float(severity.above(amount)[band, 0]) == pytest.approx(1.0 - share, rel=1e-6)
        assert severity.quantile(np.array(0.5 * (1.0 - severity.users[band])), np.array(band)) == 0.0


def test_mean_is_the_limit_and_scales():
    severity = fitted_severity(load_stack("cn_residents")).draws(5, seed=2)
    np.testing.assert_allclose(severity.limited(1e13), severity.mean(), rtol=1e-4)
    np.testing.assert_allclose(severity.scaled(1.3).limited(1300.0), 1.3 * severity.limited(1000.0), rtol=1e-12)


def test_the_fit_finds_the_shape_that_made_the_figures():
    """Figures computed from a known severity are met by that severity again."""
    file = read_severity("cn_residents")
    truth = severity_of(file, *(np.array([v]) for v in (2500.0, 1.4, 0.35)))
    mean = float(truth.people @ truth.mean()[:, 0])
    figures = {
        "mean": mean,
        "top_share": top_share(truth, 0.159),
        "layer_share": float(truth.people @ truth.above(30000.0)[:, 0]),
        "layer_mean": mean - float(truth.people @ truth.limited(30000.0)[:, 0]),
        "tail_index": 0.35,
    }
    targets = tuple(t.model_copy(update={"value": figures[t.kind], "spread": 0.01}) for t in file.targets)

    def predict(severity, target):
        if target.kind == "layer_share":
            return float(severity.people @ severity.above(30000.0)[:, 0])
        return float(severity.people @ (severity.mean() - severity.limited(30000.0))[:, 0])

    found = fit_severity(file.model_copy(update={"targets": targets}), predict)
    assert np.exp(found.estimate[0]) == pytest.approx(2500.0, rel=1e-4)
    assert np.exp(found.estimate[1]) == pytest.approx(1.4, rel=1e-3)
    assert found.estimate[2] == pytest.approx(0.35, abs=1e-3)
    drawn = found.draws(4000, seed=3)
    assert np.log(drawn.spread).std() == pytest.approx(np.sqrt(found.covariance[1, 1]), rel=0.1)


def test_targets_that_contradict_each_other_are_told():
    file = read_severity("cn_residents")
    targets = (
        *(t for t in file.targets if t.kind == "mean"),
        file.targets[0].model_copy(update={"kind": "top_share", "at": 0.1, "value": 0.11, "spread": 0.01}),
    )
    with pytest.raises(
        ForecasterError, match=r"severity/cn_residents.toml: targets\[1\] \(top_share\) wants 0.11, the best"
    ):
        fit_severity(file.model_copy(update={"targets": targets}), lambda *_: 0.0)


def test_ages_are_those_of_the_population():
    """Both severities' ages together are the nation's of 2023, the employees' none of the children."""
    counts = {"cn_employees": 370.95, "cn_residents": 0.0}
    tables = load_wpp("CHN")
    people = tables.population_1july[list(tables.years).index(2023)].sum(axis=0) / 1e6
    residents, employees = read_severity("cn_residents"), read_severity("cn_employees")
    counts["cn_residents"] = people.sum() - counts["cn_employees"]
    for mine, theirs in zip(residents.bands, employees.bands, strict=True):
        together = mine.people * counts["cn_residents"] + theirs.people * counts["cn_employees"]
        assert together == pytest.approx(people[mine.first_age : mine.last_age + 1].sum(), rel=0.01)
    assert employees.bands[0].people == 0.0


def test_spending_by_age_keeps_the_published_ratios():
    """60-69 and over 70 against the under-60s, weighted with the ages of the sample's year."""
    tables = load_wpp("CHN")
    people = tables.population_1july[list(tables.years).index(2017)].sum(axis=0)
    bands = read_severity("cn_residents").bands
    weight = np.array([people[band.first_age : band.last_age + 1].sum() for band in bands])
    relative = np.array([band.relative for band in bands])
    young, old = slice(0, 5), slice(6, 8)
    under_60 = np.average(relative[young], weights=weight[young])
    assert relative[5] / under_60 == pytest.approx(3.535, rel=0.01)
    assert np.average(relative[old], weights=weight[old]) / under_60 == pytest.approx(6.66, rel=0.01)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("first_age = 15", "first_age = 16", r"bands\[1\].first_age: found 16; allowed: 15, the age after"),
        ("people = 0.1", "people = 0.2", r"bands\[\*\].people: found shares that sum to"),
        ('kind = "mean"', 'kind = "tail_index"', "targets: found 0 of kind 'mean'; allowed: exactly one"),
        ("at = 0.159\n", "", r"targets\[4\].at: found None; allowed: a share, with kind 'top_share' only"),
        ("tail_share = 0.05", "tail_share = 0.7", "tail_share: found 0.7"),
        ("year = 2023", "yaer = 2023", r"unknown key 'yaer'; allowed: the keys in docs/stack.md"),
    ],
)
def test_faulty_files_are_told(tmp_path, old, new, words):
    text = (data_dir() / "severity" / "cn_residents.toml").read_text("utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(FaultyInput, match=words):
        read_severity(path)


def test_an_unknown_severity_is_told():
    with pytest.raises(ForecasterError, match=r"no severity 'de'. Shipped: cn_employees, cn_residents"):
        read_severity("de")
