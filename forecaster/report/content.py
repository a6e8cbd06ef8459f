"""The thirteen sections, filled from what a run recorded (docs/report.md says from what)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecaster.export import BASELINE, NOT_WITHIN, REFORM
from forecaster.pictures import fan_chart, line_chart, waterfall_chart
from forecaster.reconcile import FIRST, SECOND, waterfall
from forecaster.report.blocks import Blank, Block, Bullets, Heading, Paragraph, Picture, Table
from forecaster.report.texts import Texts
from forecaster.schemes import Scheme
from forecaster.store import Run

FONTS = {
    "en": "Noto Sans, DejaVu Sans, Noto Sans CJK TC",
    "zh-Hant": "Noto Sans CJK TC, Noto Sans TC, PingFang TC",
    "zh-Hans": "Noto Sans CJK SC, Noto Sans SC, PingFang SC",
}
# Lines of the fit's history by the words for them.
_PAST = {"income": "line_income", "outgo": "line_outgo", "reserve": "line_reserve"}
_MOST_PRIORS, _MOST_PARAMETERS, _MOST_SOURCES, _LAST_YEARS = 24, 40, 40, 8
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Material:
    """Everything a report is made of.

    Attributes
    ----------
    run
        The run.
    tables
        Its tables by name, as recorded: forecast, probabilities, first_years, valuation, required_rates.
    scheme
        The law it was projected under.
    tests
        See :func:`forecaster.report.stress.sensitivities`; computed today.
    differing
        Inputs that are not today as they were when the run was made.
    history, priors
        Tables of its fit; None for a basis written by hand.
    fit
        Manifest of its fit.
    sources
        Rows of the sources that the history names: ``id``, ``title``, ``publisher``, ``date``, ``link``.
    previous
        Earlier run, if one was named.
    moved, came
        Reconciliation with it, see :mod:`forecaster.reconcile`.
    """

    run: Run
    tables: Mapping[str, pd.DataFrame]
    scheme: Scheme
    tests: pd.DataFrame
    differing: Sequence[str] = ()
    history: pd.DataFrame | None = None
    priors: pd.DataFrame | None = None
    fit: Mapping[str, Any] | None = None
    sources: Sequence[Mapping[str, str]] = ()
    previous: Run | None = None
    moved: pd.DataFrame | None = None
    came: pd.DataFrame | None = None

    @property
    def scenario(self) -> str:
        """The scenario that is reported: the reform where there is one."""
        return REFORM if self.run.manifest["reform"] is not None else BASELINE

    def table(self, name: str) -> pd.DataFrame:
        """Rows of a table that belong to the scenario; empty where the run has no such table."""
        found = self.tables.get(name)
        if found is None:
            return pd.DataFrame()
        return found[found["scenario"] == self.scenario]

    def line(self, name: str) -> pd.DataFrame:
        """Rows of one line of the forecast, indexed by year."""
        forecast = self.table("forecast")
        return forecast[forecast["line"] == name].set_index("year")

    @property
    def money(self) -> str:
        """Unit of money."""
        return self.scheme.money

    @property
    def years(self) -> list[int]:
        """Projected years."""
        return [int(year) for year in self.line("reserve").index]

    @property
    def floor(self) -> float:
        """Least reserve of the law, months."""
        return float(self.table("probabilities")["floor_months"].iloc[0])

    @property
    def key_years(self) -> list[int]:
        """First and last year and each fifth between."""
        years = self.years
        return [year for year in years if year in {years[0], years[-1]} or year % 5 == 0]

    def below(self, year: int, column: str = "below_floor_by_year") -> float:
        """A chance of the table of probabilities in a year."""
        table = self.table("probabilities")
        return float(table.loc[table["year"] == year, column].iloc[0])


def report_blocks(material: Material, texts: Texts) -> list[Block]:
    """The whole report, in order."""
    parts = (
        _face,
        _purpose,
        _data,
        _method,
        _assumptions,
        _model,
        _assets,
        _results,
        _reconciliation,
        _uncertainty,
        _findings,
        _review,
        _opinion,
        _governance,
    )
    return [block for part in parts for block in part(material, texts)]


def title_of(material: Material, texts: Texts) -> str:
    """Title of the report."""
    return texts("title", label=material.scheme.label)


def _face(m: Material, t: Texts) -> Iterator[Block]:
    """First page: warnings and record before anything else."""
    years = m.years
    yield Paragraph(t("subtitle", year=years[0] - 1, first=years[0], last=years[-1]))
    backtest = m.run.manifest["backtest"]
    for warning in [] if backtest is None else backtest["warnings"]:
        yield Paragraph(warning, "warning")
    if m.differing:
        yield Paragraph(t("outdated", inputs=", ".join(m.differing)), "warning")
    yield Paragraph(t("made_by", run=m.run.short))
    yield Paragraph(t("draft"))
    yield Heading(t("record_head"))
    if backtest is None:
        yield Paragraph(t("no_record"))
    else:
        yield Bullets(tuple(backtest["record"]) or (t("none"),))
    yield Paragraph(t("quoted"), "note")


def _purpose(m: Material, t: Texts) -> Iterator[Block]:
    years, scheme = m.years, m.scheme
    yield Heading(t("s1"))
    yield Paragraph(t("purpose", why=m.run.why, when=m.run.created[:16].replace("T", " "), who=m.run.who))
    yield Paragraph(t("scope", first=years[0], last=years[-1], money=m.money, year=years[0] - 1))
    yield Paragraph(t("law", label=scheme.label, scheme=scheme.id, start=scheme.start.isoformat()))
    reform = m.run.manifest["reform"]
    given = m.run.manifest["law"]["changes"]
    changes = [*given, *(change for change in (reform["changes"] if reform else ()) if change not in given)]
    yield Paragraph(t("reform", changes="; ".join(changes)) if changes else t("reform_none"))
    day = dt.date(years[0] - 1, 12, 31)
    rows, labels = [], [parameter.label for parameter in scheme.parameters.values()]
    for name, parameter in scheme.parameters.items():
        held = [value for value in parameter.values if value.start <= day and value.status != "proposed"]
        if held and (parameter.lever or parameter.unit == "share"):
            value = held[-1]
            shown = _provision(value.value, parameter.unit)
            # Layers of benefits share the labels of their terms.
            label = parameter.label or name
            named = label if labels.count(label) < 2 else f"{label} ({name})"
            rows.append((named, shown, parameter.article, value.source, value.status))
    header = (t("parameter"), t("value"), t("article"), t("source"), t("status"))
    yield Table(t("provisions", year=day.year), header, tuple(rows[:_MOST_PARAMETERS]), words=True)
    if len(rows) > _MOST_PARAMETERS:
        yield Paragraph(t("provisions_more", n=len(rows) - _MOST_PARAMETERS, scheme=scheme.id))


def _provision(value: float | str, unit: str) -> str:
    """A value of the law as it is printed: shares in percent, thousands apart."""
    if isinstance(value, str):
        return value
    if unit == "share":
        return f"{100.0 * value:.10g}%"
    return f"{value:,.10g} {unit}"


def _data(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s2"))
    if m.history is None:
        yield Paragraph(t("data_own", label=m.run.manifest["basis"]["label"]))
        yield Paragraph(t("data_privacy"))
        return
    known = m.history[m.history["kind"] == "published"]
    for line, word in _PAST.items():
        found = known.loc[known["line"] == line, "year"]
        lost = m.history.loc[(m.history["line"] == line) & (m.history["kind"] != "published"), "year"]
        if len(found):
            missing = ", ".join(map(str, sorted(lost))) or t("none")
            yield Paragraph(
                t("published", line=t(word), n=len(found), first=found.min(), last=found.max(), missing=missing)
            )
    checked, apart = balances(m.history)
    which = f" ({', '.join(map(str, apart))})" if apart else ""
    yield Paragraph(t("meets", n=checked, bad=len(apart), which=which))
    wide = m.history.pivot(index="year", columns="line", values="mean").tail(_LAST_YEARS)
    kinds = m.history.set_index(["line", "year"])["kind"].to_dict()
    rows = [
        (str(year), *(_past_cell(wide.loc[year].get(line), kinds.get((line, year))) for line in _PAST))
        for year in wide.index.tolist()
    ]
    yield Table(t("last_years", money=m.money), (t("year_word"), *(t(word) for word in _PAST.values())), tuple(rows))
    yield Paragraph(t("data_adjust"))
    yield Paragraph(t("data_privacy"))
    if m.sources:
        cells = tuple((s["id"], s["title"], s["publisher"], s["date"]) for s in m.sources[:_MOST_SOURCES])
        yield Table(t("data_sources"), ("id", t("source"), "", ""), cells, words=True)


def _past_cell(value: Any, kind: str | None) -> str:
    """A figure of the past; an estimate is marked."""
    if value is None or pd.isna(value):
        return ""
    return f"{float(value):,.1f}" + ("" if kind == "published" else " *")


def balances(history: pd.DataFrame) -> tuple[int, list[int]]:
    """Years whose published reserve can be checked, and those that it does not follow in from the flows."""
    known = history[history["kind"] == "published"]
    by_line: dict[str, dict[int, float]] = {line: {} for line in _PAST}
    for line, year, figure in zip(known["line"], known["year"], known["mean"], strict=True):
        by_line[line][int(year)] = float(figure)
    income, outgo, reserve = by_line["income"], by_line["outgo"], by_line["reserve"]
    years = [year for year in reserve if year - 1 in reserve and year in income and year in outgo]
    apart = [
        year
        for year in years
        if abs(reserve[year] - reserve[year - 1] - income[year] + outgo[year]) > _TOLERANCE * outgo[year]
    ]
    return len(years), sorted(apart)


def _method(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s3"))
    draws = f"{m.run.manifest['basis']['draws']:,}"
    yield Paragraph(t("method_basis") if m.fit is None else t("method_model", draws=draws))
    yield Paragraph(t("method_opinion"))


def _assumptions(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s4"))
    yield Heading(t("assumed"), 2)
    yield Bullets(tuple(m.run.manifest["basis"]["assumptions"]) or (t("assumed_none"),))
    if m.priors is None or not len(m.priors):
        return
    rows = []
    for row in m.priors.head(_MOST_PRIORS).to_dict("records"):
        before, after = (
            " / ".join(f"{float(row[f'{kind}_{q}']):.3g}" for q in ("q5", "q50", "q95"))
            for kind in ("prior", "posterior")
        )
        rows.append((f"{row['block']} {row['name']}", before, after, str(row["why"])))
    header = (t("prior_name"), t("prior"), t("posterior"), t("why_word"))
    yield Table(t("priors_table"), header, tuple(rows), words=True)
    yield Paragraph(t("priors_rest", n=len(m.priors)))


def _model(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s5"))
    yield Paragraph(t("model_flows"))
    yield Paragraph(t("model_equation"))
    yield Paragraph(t("model_measures", floor=f"{m.floor:g}"))


def _assets(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s6"))
    opening = m.line("opening_reserve")
    low, middle, high = (f"{float(opening[name].iloc[0]):,.1f}" for name in ("q0.1", "q0.5", "q0.9"))
    yield Paragraph(t("assets", opening=middle, money=m.money, year=m.years[0] - 1, low=low, high=high))


def _results(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s7"))
    years, font = m.years, FONTS[t.language]
    months = m.line("reserve_months")
    middle = months["q0.5"]
    alternative = t(
        "fan_alt", first=f"{middle.iloc[0]:.1f}", start=years[0], last=f"{middle.iloc[-1]:.1f}", end=years[-1]
    )
    fan = fan_chart({t("median"): months.reset_index()}, t("fan_title"), t("months"), font=font)
    yield Picture(fan, t("fan_title"), alternative)
    chances = m.table("probabilities")
    shares = {
        t("below_floor"): chances["below_floor_by_year"].tolist(),
        t("below_zero"): chances["depleted_by_year"].tolist(),
    }
    floor, zero = (_share(m.below(years[-1], name)) for name in ("below_floor_by_year", "depleted_by_year"))
    told = t("chance_alt", end=years[-1], floor=floor, zero=zero)
    yield Picture(line_chart(shares, years, t("chance_title"), font), t("chance_title"), told)
    lines = {
        word: m.line(name)["mean"]
        for word, name in (
            ("income", "total_income"),
            ("outgo", "outgo"),
            ("balance", "balance"),
            ("reserve", "reserve"),
        )
    }
    rate = m.line("pay_as_you_go_rate")["q0.5"]
    rows = [
        (str(year), *(f"{float(values[year]):,.1f}" for values in lines.values()), f"{float(rate[year]):.2%}")
        for year in m.key_years
    ]
    header = (t("year_word"), *(t(word) for word in lines), t("balanced"))
    yield Table(t("results_flows", money=m.money), header, tuple(rows))
    yield Table(
        t("results_months"),
        (t("year_word"), t("median"), t("band80"), t("below_floor"), t("below_zero")),
        tuple(
            (
                str(year),
                f"{float(middle[year]):.1f}",
                f"{float(months['q0.1'][year]):.1f} ... {float(months['q0.9'][year]):.1f}",
                _share(m.below(year)),
                _share(m.below(year, "depleted_by_year")),
            )
            for year in m.key_years
        ),
    )
    yield from _rates(m, t)
    yield from _valuation(m, t)


def _rates(m: Material, t: Texts) -> Iterator[Block]:
    table = m.table("required_rates")
    if not len(table):
        return
    rows = [
        (f"{row['months']:g}", str(row["through_year"]), _share(row["probability"]), _rate(row))
        for row in table.to_dict("records")
    ]
    yield Table(t("required_head"), (t("months"), t("through"), t("chance"), t("rate")), tuple(rows))


def _rate(row: Mapping[Any, Any]) -> str:
    rounded = row["rounded_rate"]
    return str(row["answer"]) if pd.isna(rounded) else f"{float(rounded):.2%}"


def _valuation(m: Material, t: Texts) -> Iterator[Block]:
    table = m.table("valuation")
    if not len(table):
        return
    measures = list(dict.fromkeys(table["measure"]))
    wide = table.pivot(index="period", columns="measure", values="q0.5")
    rows = [
        (str(period), *(_measure(measure, float(wide.loc[period, measure]), m.money) for measure in measures))
        for period in wide.index.tolist()
    ]
    yield Table(t("valuation_head"), (t("period"), *(t(f"m_{measure}") for measure in measures)), tuple(rows))


def _measure(name: str, value: float, money: str) -> str:
    return f"{value:,.0f} {money}" if name == "unfunded_obligation" else f"{value:.2%}"


def _reconciliation(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s8"))
    if m.previous is None or m.moved is None:
        yield Paragraph(t("no_previous"))
        return
    yield Paragraph(t("previous", run=m.previous.short, why=m.previous.why))
    reserve = m.moved[m.moved["measure"] == "reserve"]
    shared = sorted(set(reserve["year"]))
    years = [year for year in shared if year in {shared[0], shared[-1]} or year % 5 == 0]
    wide = reserve.pivot(index="step", columns="year", values="value")
    rows = [
        (_step(step, t), *(f"{float(wide.loc[step, year]):,.1f}" for year in years))
        for step in dict.fromkeys(reserve["step"])
    ]
    yield Table(t("reconcile_head", money=m.money), (t("step"), *map(str, years)), tuple(rows))
    bars = waterfall(m.moved, "reserve", shared[-1])
    bars = bars.assign(step=[_step(step, t) for step in bars["step"]])
    title = t("waterfall_title", year=shared[-1], money=m.money)
    told = "; ".join(f"{step}: {value:,.1f}" for step, value in zip(bars["step"], bars["value"], strict=True))
    yield Picture(waterfall_chart(bars, title, FONTS[t.language]), title, told)
    if m.came is not None and len(m.came):
        cells = tuple(
            (
                t(_PAST[row["line"]]),
                str(row["year"]),
                f"{row['q0.5']:,.1f}",
                f"{row['q0.1']:,.1f} ... {row['q0.9']:,.1f}",
                f"{row['came']:,.1f}",
                t("yes") if row["within"] else t("no"),
            )
            for row in m.came.to_dict("records")
        )
        yield Table(t("came_head"), ("", t("year_word"), t("median"), t("band80"), t("came"), t("came_within")), cells)


def _step(step: str, t: Texts) -> str:
    named = {FIRST: "step_first", SECOND: "step_second"}
    return t(named[step]) if step in named else " + ".join(t(f"step_{part}") for part in step.split(" + "))


def _uncertainty(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s9"))
    draws = int(m.run.manifest["basis"]["draws"])
    yield Paragraph(t("stochastic", draws=f"{draws:,}") if draws > 1 else t("stochastic_one"))
    years = sorted(set(m.tests["year"]))
    rows = []
    for name in dict.fromkeys(m.tests["test"]):
        found = m.tests[m.tests["test"] == name].set_index("year")
        cells = [f"{float(found['months'][year]):.1f} / {_share(float(found['below'][year]))}" for year in years]
        rows.append((t(f"t_{name}"), *cells))
    yield Table(t("tests_head"), (t("test"), *map(str, years)), tuple(rows))
    own = m.tests[m.tests["test"] == "as_projected"].set_index("year")
    yield Paragraph(t("tail", year=years[-1], value=f"{float(own['tail'][years[-1]]):,.1f}", money=m.money))
    yield Paragraph(t("demographic"))
    yield Paragraph(t("coverage"))


def _findings(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s10"))
    last = m.years[-1]
    n = round(100 * m.below(last))
    findings = [t("finding_chance", floor=f"{m.floor:g}", last=last, n=n, half=_half(m, t))]
    findings.append(t("finding_median", months=f"{float(m.line('reserve_months')['q0.5'][last]):.1f}", year=last))
    for row in m.table("required_rates").to_dict("records"):
        given = {"floor": f"{row['months']:g}", "year": row["through_year"], "chance": _share(row["probability"])}
        findings.append(t("finding_rate", rate=_rate(row), **given))
    yield Bullets(tuple(findings))
    yield Paragraph(t("audience", n=n, last=last, rest=100 - n))
    yield Paragraph(t("recommend"))


def _half(m: Material, t: Texts) -> str:
    """Year by which half of the futures have fallen below the least, as a clause; nothing where fewer do."""
    table = m.table("first_years")
    table = table[(table["event"] == "first_below_floor") & (table["year"].astype(str) != NOT_WITHIN)]
    reached = table["probability"].cumsum().to_numpy() >= 0.5 - 1e-12
    return t("half_by", year=int(table["year"].iloc[int(reached.argmax())])) if reached.any() else ""


def _review(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s11"))
    yield Paragraph(t("review"))
    rows = tuple((t(f"r{i}", run=m.run.short), "") for i in range(1, 6))
    yield Table("", (t("review_item"), t("review_answer")), rows, words=True)
    yield Blank((t("reviewer"),))


def _opinion(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s12"))
    yield Paragraph(t("opinion_note"))
    yield Blank(tuple(t(f"o{i}") for i in range(1, 7)))


def _governance(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s13"))
    yield Paragraph(t("g_purpose"))
    manifest = m.run.manifest
    rows = [
        ("run", m.run.id),
        ("run_hash", str(manifest["run_hash"])),
        ("scheme", f"{manifest['scheme']['id']} {manifest['scheme']['sha256']}"),
        ("basis", f"{manifest['basis']['label']} {manifest['basis']['sha256']}"),
        ("data", ", ".join(f"{k} {v}" for k, v in manifest["data"].items())),
        ("code", f"{manifest['code']['version']} {manifest['code']['sha256']}"),
        ("libraries", ", ".join(f"{k} {v}" for k, v in manifest["libraries"].items())),
    ]
    if m.fit is not None:
        rows.append(("fit", f"{m.fit['hash']}, seed {m.fit['seed']}"))
        rows.append(("fit libraries", ", ".join(f"{k} {v}" for k, v in m.fit["versions"].items())))
    yield Table(t("g_run"), (t("key"), t("value")), tuple(rows), words=True)
    if m.fit is not None:
        cells = tuple(
            (
                name,
                t("accepted") if block["accepted"] else t("rejected"),
                f"{block['max_rhat']:.4f}",
                f"{block['min_ess_bulk']:,.0f}",
                f"{block['min_ess_tail']:,.0f}",
                str(block["divergences"]),
            )
            for name, block in m.fit["blocks"].items()
            if "max_rhat" in block
        )
        header = (t("block"), t("verdict"), "r-hat", "ESS bulk", "ESS tail", "diverged")
        yield Table(t("g_fit"), header, cells)
    yield Paragraph(t("g_others"))
    yield Paragraph(t("g_risk"))


def _share(value: float) -> str:
    """A share as percent that is never rounded to certainty."""
    if 0.0 < value < 0.005:
        return "< 1%"
    if 0.995 <= value < 1.0:
        return "> 99%"
    return f"{value:.0%}"
