"""A pool of one's own: from an empty folder to a forecast, and every fault of its figures in plain words."""

from __future__ import annotations

import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.cli.fit import default_folder
from forecaster.cli.pool import _spans
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.pool_accounts import Accounts, read_accounts
from forecaster.pool_doubts import doubts, unguarded
from forecaster.pool_reserves import spans
from forecaster.pools import find_pool, find_shipped_pool, known_accounts, pool_names

HEADER = "year,income,outgo,reserve,rate,note"
YEARS = range(2000, 2012)


def rows_of(**changed: dict[int, str]) -> list[str]:
    """Sound accounts: 3% growth a year, a reserve that follows from its flows; single cells may be changed."""
    lines, reserve = [], 20.0
    for year in YEARS:
        income, outgo = 100.0 * 1.03 ** (year - 2000), 98.0 * 1.03 ** (year - 2000)
        reserve += income - outgo
        cells = {"income": f"{income:.4f}", "outgo": f"{outgo:.4f}", "reserve": f"{reserve:.4f}", "rate": "0.146"}
        cells |= {name: values[year] for name, values in changed.items() if year in values}
        lines.append(f"{year},{cells['income']},{cells['outgo']},{cells['reserve']},{cells['rate']},")
    return lines


def write(folder: Path, lines: list[str], header: str = HEADER) -> Path:
    path = folder / "accounts.csv"
    path.write_text("\n".join(["# a comment", header, *lines]) + "\n", encoding="utf-8")
    return path


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A new German pool, not filled in."""
    folder = tmp_path_factory.mktemp("made") / "krankenkasse"
    assert run("pool", "new", folder, "--country", "deu", "--unit", "m").exit_code == 0
    return folder


@pytest.fixture
def german(made, tmp_path: Path) -> Path:
    """Folder of a made-up German pool with gaps in every column."""
    folder = Path(shutil.copytree(made, tmp_path / "krankenkasse"))
    gaps = {
        "income": {2003: "", 2007: ""},
        "outgo": {2005: "", 2007: ""},
        "reserve": {2001: "", 2011: ""},
        "rate": {2002: ""},
    }
    write(folder, rows_of(**gaps))
    return folder


def faults_of(path: Path) -> str:
    try:
        found = doubts(read_accounts(path))
    except FaultyInput as error:
        return str(error)
    return "\n".join(str(fault) for fault in found) or pytest.fail("nothing was doubted")


# --- a new folder -----------------------------------------------------------------------------------------------------
def test_a_new_pool_is_a_folder_that_asks_to_be_filled(tmp_path):
    folder = tmp_path / "mine"
    result = run("pool", "new", folder, "--country", "DEU", "--unit", "bn")
    assert result.exit_code == 0
    assert {path.name for path in folder.iterdir()} == {"pool.toml", "scheme.toml", "accounts.csv", "accounts.xlsx"}
    assert 'currency = "EUR"' in (folder / "pool.toml").read_text()
    result = run("pool", "check", folder)
    assert result.exit_code == 2
    assert "a header and no rows" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("mine", "--country", "DUE"), "no country of this three-letter code"),
        (("tw_nhi", "--country", "TWN"), "name of a shipped pool"),
        (("a b", "--country", "DEU"), "letters, digits"),
        (("mine", "--country", "DEU", "--unit", "dozen"), "bn, m, thousand, one"),
        (("mine", "--country", "DEU", "--currency", "euro"), "three capital letters"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    result = run("pool", "new", *words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_never_overwritten(german):
    result = run("pool", "new", german, "--country", "DEU")
    assert result.exit_code == 2
    assert "exists already" in result.stderr


# --- what a pool is ---------------------------------------------------------------------------------------------------
def test_a_pool_is_found_by_folder_and_by_its_files(german):
    pool = find_pool(german)
    assert (pool.name, pool.place, pool.model, pool.money) == ("krankenkasse", "deu", "plain", "EUR m")
    assert pool.first_year == 2012
    assert find_pool(german / "pool.toml") == find_pool(german / "scheme.toml") == pool
    assert pool.fits == german / "fits"


def test_the_shipped_pool_is_data():
    pool = find_pool("tw_nhi_1g")
    assert pool_names() == ("cn_nrcms", "cn_uebmi", "cn_urrbmi", "tw_nhi")
    assert (pool.name, pool.scheme, pool.money, pool.folder) == ("tw_nhi", "tw_nhi_2g", "TWD bn", None)
    assert pool.law.money == "TWD bn"
    with pytest.raises(ForecasterError, match="no plain accounts"):
        known_accounts(pool)


def test_an_unknown_pool_says_how_to_make_one():
    words = r"shipped pools: cn_nrcms, cn_uebmi, cn_urrbmi, tw_nhi; .*forecaster pool new nowhere --country DEU"
    with pytest.raises(ForecasterError, match=words):
        find_pool("nowhere")


def test_a_law_without_a_fund_says_what_can_be_done_with_it():
    with pytest.raises(ForecasterError, match=r"cn_urbmi is a law without a fund.* --basis cn_urbmi_2011"):
        find_pool("cn_urbmi")
    for name in ("cn", "*", "/x"):
        with pytest.raises(ForecasterError, match=r"can be fitted; there are: cn_nrcms, cn_uebmi, cn_urrbmi, tw_nhi$"):
            find_shipped_pool(name)


def test_the_law_takes_its_rates_from_the_accounts(german):
    lines = rows_of(rate=dict.fromkeys(range(2006, 2012), "0.155"))
    write(german, [*lines, "2012,,,,0.16,decided"])
    pool = find_pool(german)
    assert pool.first_year == 2012
    law = pool.law
    assert (law.id, law.place, law.money) == ("krankenkasse", "DEU", "EUR m")
    dated = law.parameter("general_premium_rate").in_force()
    assert [(day.year, value) for day, value in dated] == [(2000, 0.146), (2006, 0.155), (2012, 0.16)]
    before = law.content_hash
    write(german, rows_of())
    assert find_pool(german).law.content_hash != before


def test_money_is_stated_once(german):
    path = german / "scheme.toml"
    path.write_text('currency = "USD"\n' + path.read_text())
    with pytest.raises(FaultyInput, match=r"stands in pool\.toml"):
        _ = find_pool(german).law


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('unit = "m"', 'unit = "million"', "unit"),
        ('country = "DEU"', 'country = "Germany"', "country"),
        ('label = "krankenkasse"', 'label = "k"\nfirst_year = 2020', "remove 'first_year'"),
        ('label = "krankenkasse"', 'label = "k"\ncolour = 3', "unknown key 'colour'"),
    ],
)
def test_faults_of_the_pool_file_are_named(german, old, new, told):
    path = german / "pool.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FaultyInput, match=told):
        find_pool(german)


# --- the figures ------------------------------------------------------------------------------------------------------
def test_gaps_are_read_as_gaps(german):
    accounts = known_accounts(find_pool(german))
    assert accounts.years.tolist() == list(YEARS)
    assert np.isnan(accounts.income[[3, 7]]).all()
    assert int(np.isnan(accounts.reserve).sum()) == 2
    # 2005: outgo = income less the growth of the reserve, by hand.
    assert accounts.derived("outgo")[5] == pytest.approx(98.0 * 1.03**5, abs=1e-3)
    assert np.isnan(accounts.derived("outgo")[7])
    assert accounts.rate_filled[2] == 0.146
    result = run("pool", "check", german)
    assert result.exit_code == 0
    assert "income: no figure for 2003, 2007; estimated in the fit" in result.stdout
    assert "rate: no figure for 2002; the last one before is taken" in result.stdout
    assert "Money in EUR m" in result.stdout
    assert json.loads(run("pool", "check", german, "--json").stdout)["missing"]["outgo"] == [2005, 2007]


def test_years_in_a_row_are_told_as_one():
    assert _spans([2001, 2002, 2003, 2007]) == "2001-2003, 2007"


def test_rates_before_the_first_known_one_are_the_first():
    rates = {2005: 0.1, 2007: 0.2}
    nothing = np.full(5, np.nan)
    accounts = Accounts(np.arange(2004, 2009), nothing, nothing, nothing, nothing, np.zeros(5), rates, {})
    assert accounts.rate_filled.tolist() == [0.1, 0.1, 0.1, 0.2, 0.2]
    assert accounts.until(2006).rates == {2005: 0.1}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"outgo": {2004: "-110.3"}}, "row 7 (2004), outgo: found -110.3; allowed: more than zero"),
        ({"income": {2004: "about 100"}}, "row 7 (2004), income: found 'about 100'; allowed: a number, or nothing"),
        ({"income": {2004: "inf"}}, "row 7 (2004), income: found 'inf'"),
        ({"income": {2004: "1_00"}}, "row 7 (2004), income: found '1_00'"),
        ({"rate": {2004: "14.6"}}, "To mend: write 0.146 for 14.6%"),
        ({"rate": dict.fromkeys(YEARS, "")}, "column rate: found no figure at all"),
        ({"reserve": dict.fromkeys(YEARS, "")}, "column reserve: found no figure at all"),
        ({"outgo": {2004: "1103.0"}}, "row 7 (2004), outgo: found 1103, about 10 times more than its neighbours"),
        ({"outgo": {2011: "1356.5"}}, "row 14 (2011), outgo: found 1356.5"),
        ({"outgo": {2000: "9.8"}}, "row 3 (2000), outgo: found 9.8"),
        ({"rate": {2004: "0.0146"}}, "row 7 (2004), rate"),
        ({"reserve": {2004: "60"}}, "year = 2004, amount = "),
        ({"reserve": {2004: "60"}}, "row 7 (2004), reserve: found 60, but the reserve of 2003"),
        ({"income": {y: f"{100000 * 1.03 ** (y - 2000):.1f}" for y in YEARS}}, "income 1.02e+03 times outgo"),
        # Ten times the reserve between flows of which some are missing: 28.4 is true, 130 is no slip of it.
        (
            {"income": {2003: ""}, "outgo": {2004: ""}, "reserve": {2002: "", 2003: "284"}},
            "row 6 (2003), reserve: found 284, but flows and the reserves beside it fit 28.4: divided by 10; allowed",
        ),
        (
            {"income": {2003: ""}, "outgo": {2004: ""}, "reserve": {2002: "", 2003: "130"}},
            "row 6 (2003), reserve: found 130, but from 24.06 in 2001 flows like those of the years around lead to",
        ),
        (
            {"rate": {**dict.fromkeys(YEARS, ""), 2003: "0.146", 2009: "0.0155"}},
            "row 6 (2003), rate: found 0.146, about 9.42 times more than its neighbours lead one to expect (2009: 0",
        ),
        # One wrong figure between sound ones, and a column in another unit.
        ({"reserve": {2004: "60"}}, "from which the reserve of 2005 follows"),
        (
            {"reserve": {y: f"{2000 + 200 * (1.03 ** (y - 1999) - 1) / 0.03:.1f}" for y in YEARS}},
            "columns reserve, income and outgo: found reserves that follow from their flows only divided by 100",
        ),
        ({"income": dict.fromkeys(range(2000, 2008), ""), "reserve": dict.fromkeys(range(2000, 2008), "")}, "4 years"),
    ],
)
def test_each_fault_names_its_row_and_the_mend(tmp_path, changed, told):
    words = faults_of(write(tmp_path, rows_of(**changed)))
    assert told in words or pytest.fail(words)


def test_a_doubt_is_told_once(tmp_path):
    words = faults_of(write(tmp_path, [*rows_of()[5:], *rows_of()[:5]]))
    assert words.count("To mend") == 1
    words = faults_of(write(tmp_path, rows_of(outgo={y: f"{980 * 1.03 ** (y - 2000):.1f}" for y in YEARS})))
    assert words.count("To mend") == 1  # the unit, not every reserve that does not fit it
    odd = {"income": {2003: ""}, "reserve": {2002: "", 2003: "262", **dict.fromkeys(range(2004, 2012), "")}}
    accounts = read_accounts(write(tmp_path, rows_of(**odd)))
    assert [fault.where for fault in doubts(accounts)] == ["row 6 (2003), reserve"]
    assert doubts(accounts, ["reserve 2003"]) == []


def test_every_slipped_digit_is_named_at_its_figure_or_told_to_be_beyond_the_check(tmp_path):
    gaps = {"income": {2003: "", 2007: "", 2008: ""}, "outgo": {2005: "", 2007: ""}, "reserve": {2001: "", 2007: ""}}
    sound = read_accounts(write(tmp_path, rows_of(**gaps)))
    assert doubts(sound) == []
    assert unguarded(sound) == {}
    for name in ("income", "outgo", "reserve", "rate"):
        for year, figure in zip(sound.years.tolist(), getattr(sound, name).tolist(), strict=True):
            for factor in (10.0, 0.1) if np.isfinite(figure) else ():
                changed = {**gaps, name: {**gaps.get(name, {}), year: f"{figure * factor:.6g}"}}
                told = faults_of(write(tmp_path, rows_of(**changed)))
                assert f"({year}), {name}: found" in told, told
    alone = {"reserve": dict.fromkeys(range(2000, 2011), ""), "rate": dict.fromkeys(range(2001, 2012), "")}
    assert unguarded(read_accounts(write(tmp_path, rows_of(**alone)))) == {"reserve": [2011], "rate": [2000]}


def test_a_small_reserve_ten_times_too_small_is_named(tmp_path):
    reserve = {year: 1.6 + 2.0 * sum(1.03**k for k in range(year - 1999)) for year in YEARS}
    low = {year: f"{value - reserve[2011] + 0.9:.4f}" for year, value in reserve.items()}
    assert doubts(read_accounts(write(tmp_path, rows_of(reserve=low)))) == []
    # 0.8 of an outgo of 136 is less than the 1% that reserve and flows may be apart.
    told = faults_of(write(tmp_path, rows_of(reserve={**low, 2011: "0.09"})))
    assert "row 14 (2011), reserve: found 0.09, but flows and the reserves beside it fit 0.9: times 10" in told
    assert doubts(read_accounts(write(tmp_path, rows_of(reserve={**low, 2011: "0.5"})))) == []


def test_a_unit_that_changes_for_good_is_found(tmp_path):
    changed = {
        name: {y: f"{base * 1.03 ** (y - 2000) * 1000:.1f}" for y in range(2006, 2012)}
        for name, base in (("income", 100.0), ("outgo", 98.0))
    }
    words = faults_of(write(tmp_path, rows_of(**changed)))
    assert "row 9 (2006), income" in words
    assert "(a factor near 1,000)" in words


@pytest.mark.parametrize(
    ("lines", "header", "told"),
    [
        (
            lambda rows: [*rows[:3], rows[2], *rows[3:]],
            HEADER,
            "2002 again; allowed: each year once; it stands in row 5",
        ),
        (lambda rows: [rows[1], rows[0], *rows[2:]], HEADER, "2000 after 2001; allowed: years in ascending order"),
        (lambda rows: [rows[0].replace("2000", "00"), *rows[1:]], HEADER, "row 3, year: found '00'"),
        (lambda rows: ['2000,"1,000",980,2,0.1,'], HEADER, "row 3 (2000), income: found '1,000'"),
        (lambda rows: ["2000,1,000,980,2,0.1,x"], HEADER, "thousands separators"),
        (lambda rows: rows, HEADER.replace("outgo", "spending"), "no column 'outgo'"),
        (lambda rows: rows, HEADER.replace(",", ";"), "columns parted by semicolons"),
    ],
)
def test_faults_of_the_rows_are_named(tmp_path, lines, header, told):
    words = faults_of(write(tmp_path, lines(rows_of()), header))
    assert told in words or pytest.fail(words)


def test_a_true_jump_is_confirmed_and_a_broken_reserve_declared(german):
    jump = {2011: f"{98.0 * 1.03**11 * 5:.4f}"}
    write(german, rows_of(outgo=jump, reserve=dict.fromkeys(range(2005, 2012), "")))
    assert 'confirmed = ["outgo 2011"]' in run("pool", "check", german).stderr
    (german / "pool.toml").write_text((german / "pool.toml").read_text() + 'confirmed = ["outgo 2011"]\n')
    assert run("pool", "check", german).exit_code == 0
    shifted = {y: f"{20.0 + sum(2.0 * 1.03**k for k in range(y - 1999)) + 30.0:.4f}" for y in range(2006, 2012)}
    write(german, rows_of(reserve=shifted))
    words = run("pool", "check", german).stderr
    assert "[[adjustments]] with year = 2006, amount = 30" in words
    declared = '[[adjustments]]\nyear = 2006\namount = 30.0\nreason = "a grant"\n'
    (german / "pool.toml").write_text((german / "pool.toml").read_text() + declared)
    result = run("pool", "check", german)
    assert result.exit_code == 0
    assert "declared: 2006 +30 EUR m, a grant" in result.stdout


def test_declared_years_are_told_and_must_be_of_the_accounts(german):
    path = german / "pool.toml"
    before = path.read_text()
    entry = '[[breaks]]\nline = "outgo"\nfirst = {}\nlast = {}\nspread = 0.04\nkind = "perimeter"\n'
    entry += 'reason = "r"\nsource = "s"\n'
    path.write_text(before + entry.format(2001, 2004))
    result = run("pool", "check", german)
    assert "declared: outgo of 2001-2004 on another footing (perimeter), r" in result.stdout
    for first, last in ((2004, 2001), (1990, 1999)):
        path.write_text(before + entry.format(first, last))
        told = run("pool", "check", german).stderr
        assert f"breaks, outgo: found {first} to {last}; allowed: years of the accounts, 2000 to 2011, in order" in told
    path.write_text(before + '[[adjustments]]\nyear = 2021\namount = 3.0\nreason = "r"\n')
    assert "adjustments: found 2021; allowed: years of the accounts" in run("pool", "check", german).stderr
    path.write_text(path.read_text().replace("2021", "2012"))  # a loan that is decided, before the accounts of its year
    assert run("pool", "check", german).exit_code == 0


def test_reserves_across_years_without_one_are_held_to_the_flows_between(tmp_path):
    accounts = read_accounts(write(tmp_path, rows_of(reserve={2004: "", 2005: "", 2006: "70"})))
    span = next(span for span in spans(accounts) if accounts.years[span.after] == 2006)
    assert (accounts.years[span.before], span.whole, span.broken(accounts.reserve)) == (2003, True, True)
    # 70 against the growth of the reserve since 2003, by hand.
    assert span.off(accounts.reserve) == pytest.approx(50.0 - sum(2.0 * 1.03**k for k in range(7)), abs=1e-3)


def test_faulty_accounts_stop_a_fit_before_anything_is_sampled(german, monkeypatch):
    import forecaster_models.fit as fit

    monkeypatch.setattr(fit, "_fit_blocks", lambda *_: pytest.fail("sampled in vain"))
    write(german, rows_of(outgo={2004: "1103.0"}))
    result = run("fit", german, "--quick", "--out", german / "out")
    assert result.exit_code == 2
    assert "row 7 (2004), outgo" in result.stderr


# --- money in what is written -----------------------------------------------------------------------------------------
def plain_posterior(n: int = 40) -> dict[str, np.ndarray]:
    """Made-up draws of all blocks of a plain pool."""
    from forecaster.demography.futures import POSTERIOR_NAMES

    level = {"fertility_mean": 0.4, "fertility_age_limit": 31.0, "fertility_nu": 5.0, "migration_nu": 5.0}
    level |= {"fertility_rho": 0.9, "fertility_age_rho": 0.9, "migration_rho": 0.8, "mortality_gap_rho": 0.9}
    level |= {"plain_log_cost_end": np.log(135.0), "plain_log_base_end": np.log(950.0), "plain_growth": 0.03}
    level |= {"plain_cost_sd": 0.01, "plain_base_sd": 0.01, "plain_noise_sd": 0.005, "plain_ageing": 1.0}
    level |= {"plain_cost_drift_sd": 0.01, "plain_base_drift_sd": 0.01}
    names = ("cost_drift_end", "base_drift_end", "cost_excess", "base_excess", "drift_correlation", "correlation")
    every = [*POSTERIOR_NAMES, *level, *(f"plain_{name}" for name in names)]
    return {name: np.full(n, level.get(name, 0.0)) for name in every}


@pytest.fixture
def stored(german, monkeypatch):
    """The German pool with a made-up fit."""
    from forecaster.fitted import Fit

    write(german, rows_of())
    manifest = {"pool": "krankenkasse", "hash": "f" * 64, "seed": 7, "quick": True, "inputs": {}, "accepted": True}
    fit = Fit(find_pool(german), manifest, None, german)
    monkeypatch.setattr(Fit, "posterior", property(lambda self: plain_posterior()))
    monkeypatch.setattr("forecaster.fitted.load_fit", lambda pool, root=None: fit)
    return german


def test_an_own_pool_is_projected_in_its_own_money(stored, tmp_path):
    out = tmp_path / "result"
    result = run("project", stored, "--horizon", 2030, "--out", out)
    assert result.exit_code == 0, result.output
    written = {path.name: path.read_text(errors="ignore") for path in out.iterdir() if path.suffix != ".parquet"}
    assert all("TWD" not in text for text in [result.output, *written.values()])
    assert "EUR m per year" in written["forecast.csv"]
    assert "EUR m" in written["lines.csv"]
    assert "Cost by age: a general profile (assumed)" in written["README.txt"]
    basis = __import__("forecaster.fitted", fromlist=["load_fit"]).load_fit("x").basis(2020)
    assert basis.dataset()["outlay"].attrs["unit"] == "EUR m per year"
    assert basis.years[0] == 2012


def test_the_required_rate_of_an_own_pool_is_found(stored):
    result = run("solve", stored, "--months", 1, "--year", 2020, "--json")
    assert result.exit_code == 0, result.output


def test_the_forecast_starts_where_the_accounts_end(stored):
    from forecaster.fitted import make_basis
    from forecaster.policy import Policy

    pool = find_pool(stored)
    law = Policy(pool.law)
    known = dict(law=law, seed=3, label="t")
    whole = make_basis(pool, plain_posterior(), last_year=None, horizon=2016, **known)
    longer = make_basis(pool, plain_posterior(), last_year=None, horizon=2030, **known)
    assert np.array_equal(longer.until(2016).outlay, whole.outlay)
    accounts = known_accounts(pool)
    assert (whole.opening_reserve == accounts.reserve[-1]).all()
    assert whole.other_income == {}
    earlier = make_basis(pool, plain_posterior(), last_year=2008, horizon=2010, **known)
    assert earlier.years.tolist() == [2009, 2010]
    assert (earlier.opening_reserve == accounts.until(2008).reserve[-1]).all()


def test_income_that_the_rate_does_not_move(stored):
    from forecaster.fitted import make_basis
    from forecaster.policy import Policy

    path = stored / "pool.toml"
    path.write_text(path.read_text() + "other_income_share = 0.2\n")
    pool = find_pool(stored)
    law = Policy(pool.law)
    basis = make_basis(pool, plain_posterior(), law, last_year=None, horizon=2014, seed=1, label="t")
    # Premium = 0.146 of the base is four fifths, the rest one fifth.
    assert basis.other_income["other"] == pytest.approx(0.25 * 0.146 * basis.general_base)
    assert any("0.2 of all" in text for text in basis.assumptions)


def test_fit_says_what_a_plain_pool_rests_on(stored, monkeypatch, tmp_path):
    import sys

    stand_in = types.ModuleType("forecaster_models.fit")
    blocks = {"plain": {"accepted": True, "reasons": []}}
    stand_in.fit_pool = lambda pool, **_: {"pool": pool.name, "accepted": True, "blocks": blocks}
    monkeypatch.setitem(sys.modules, "forecaster_models.fit", stand_in)
    monkeypatch.chdir(tmp_path)  # where no run store lies
    result = run("fit", stored, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "On priors alone, or assumed:" in " ".join(result.stdout.split())
    assert "no economic series is read" in result.stdout
    assert f"forecaster project {stored} --fits {tmp_path}" in result.stdout


def test_a_quick_fit_serves_a_pool_of_ones_own_until_a_full_one_does(german):
    pool, place = find_pool(german), german / "fits" / "krankenkasse"
    elsewhere = Path("fits")
    assert default_folder(pool, quick=True) == default_folder(pool, quick=False) == german / "fits"
    assert default_folder(find_pool("tw_nhi"), quick=True) == elsewhere
    place.mkdir(parents=True)
    for text, folder in (
        ('{"quick": true}', pool.fits),
        ('{"quick": false}', elsewhere),
        ("torn", elsewhere),
        ("[]", elsewhere),
    ):
        (place / "manifest.json").write_text(text)
        assert default_folder(pool, quick=True) == folder


# --- priors of one's own ----------------------------------------------------------------------------------------------
def own_priors(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text)
    return path


GROWTH = '[plain.growth]\ndistribution = "Normal"\nmu = 0.02\nsigma = 0.01\nwhy = "our own outlook"\n'


def test_priors_of_ones_own_lie_over_the_defaults_and_into_the_hash(german):
    from forecaster_models.fit import current_inputs, pool_priors

    pool, path = find_pool(german), own_priors(german, GROWTH)
    default, laid = pool_priors(pool), pool_priors(pool, path)
    assert laid["plain"]["growth"]["mu"] == 0.02
    assert {name for name in default["plain"] if default["plain"][name] != laid["plain"][name]} == {"growth"}
    assert default["mortality"] == laid["mortality"]
    before, after = current_inputs(pool), current_inputs(pool, path)
    assert [name for name in before if before[name] != after[name]] == ["own_priors"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            GROWTH.replace("plain.growth", "plain.grwth"),
            "plain.grwth: found no prior of that name; allowed: such as growth",
        ),
        (GROWTH.replace("plain.growth", "fund.tilt"), "fund: found no block of that name"),
        (GROWTH.replace('why = "our own outlook"\n', ""), "give Normal these keys and no others"),
        (GROWTH.replace('"Normal"', '"Cauchy"'), "distribution 'Cauchy'"),
        ("plain = 3", "plain: found no block of that name"),
        ("[plain]\ngrowth = 3", "write [plain.growth]"),
        ("[plain.growth", "TOML 1.0"),
    ],
)
def test_faults_of_priors_of_ones_own_stop_the_fit_at_once(german, text, told):
    result = run("fit", german, "--quick", "--out", german / "out", "--priors", own_priors(german, text))
    assert result.exit_code == 2
    assert told in result.stderr
