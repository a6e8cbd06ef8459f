"""The sections that answer: results, what moved them, how uncertain they are, findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from forecaster.export import NOT_WITHIN
from forecaster.language import _, said
from forecaster.pictures import fan_chart, line_chart, waterfall_chart
from forecaster.reconcile import FIRST, SECOND, WEIGHTS, waterfall
from forecaster.report.blocks import Block, Bullets, Heading, Paragraph, Picture, Table
from forecaster.report.care import who_pays
from forecaster.report.material import PAST, Material, as_months, as_share
from forecaster.report.texts import Texts

FONTS = {
    "en": "Noto Sans, DejaVu Sans, Noto Sans CJK TC",
    "zh-Hant": "Noto Sans CJK TC, Noto Sans TC, PingFang TC",
    "zh-Hans": "Noto Sans CJK SC, Noto Sans SC, PingFang SC",
}
# No premium takes so much of its base: the rate is then an index of the funding.
_INDEX = 0.9


def results(m: Material, t: Texts) -> Iterator[Block]:
    """Section 7: flows, reserve, chances, required rates, valuation periods, who pays for care."""
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
    floor, zero = (as_share(m.below(years[-1], name)) for name in ("below_floor_by_year", "depleted_by_year"))
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
        (str(year), *(m.amount(values[year]) for values in lines.values()), f"{float(rate[year]):.2%}")
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
                as_share(m.below(year)),
                as_share(m.below(year, "depleted_by_year")),
            )
            for year in m.key_years
        ),
    )
    yield from _rates(m, t)
    yield from _valuation(m, t)
    yield from who_pays(m, t)


def _rates(m: Material, t: Texts) -> Iterator[Block]:
    table = m.table("required_rates")
    if not len(table):
        return
    rows = [
        (f"{row['months']:g}", str(row["through_year"]), as_share(row["probability"]), _rate(row))
        for row in table.to_dict("records")
    ]
    yield Table(t("required_head"), (t("months"), t("through"), t("chance"), t("rate")), tuple(rows))
    if float(m.line("general_premium_rate")["mean"].iloc[0]) >= _INDEX:
        yield Paragraph(t("rate_index", label=said(m.scheme.parameters["general_premium_rate"].label)))


def _rate(row: Mapping[Any, Any]) -> str:
    rounded = row["rounded_rate"]
    return said(str(row["answer"])) if pd.isna(rounded) else f"{float(rounded):.2%}"


def _valuation(m: Material, t: Texts) -> Iterator[Block]:
    table = m.table("valuation")
    if not len(table):
        return
    measures = list(dict.fromkeys(table["measure"]))
    wide = table.pivot(index="period", columns="measure", values="q0.5")
    rows = [
        (str(period), *(_measure(m, measure, float(wide.loc[period, measure])) for measure in measures))
        for period in wide.index.tolist()
    ]
    yield Table(t("valuation_head"), (t("period"), *(t(f"m_{measure}") for measure in measures)), tuple(rows))


def _measure(m: Material, name: str, value: float) -> str:
    return f"{m.amount(value, 0)} {m.money}" if name == "unfunded_obligation" else f"{value:.2%}"


def reconciliation(m: Material, t: Texts) -> Iterator[Block]:
    """Section 8: what moved the result since the previous run."""
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
        (_step(step, t), *(m.amount(wide.loc[step, year]) for year in years)) for step in dict.fromkeys(reserve["step"])
    ]
    yield Table(t("reconcile_head", money=m.money), (t("step"), *map(str, years)), tuple(rows))
    bars = waterfall(m.moved, "reserve", shared[-1])
    bars = bars.assign(step=[_step(step, t) for step in bars["step"]])
    told = t("listed").join(
        f"{step}{_(': ')}{m.amount(value)}" for step, value in zip(bars["step"], bars["value"], strict=True)
    )
    bars[["start", "end", "value"]] *= m.money_scale
    title = t("waterfall_title", year=shared[-1], money=m.money)
    yield Picture(waterfall_chart(bars, title, FONTS[t.language]), title, told)
    if m.came is not None and len(m.came):
        cells = tuple(
            (
                t(PAST[row["line"]]),
                str(row["year"]),
                m.amount(row["q0.5"]),
                f"{m.amount(row['q0.1'])} ... {m.amount(row['q0.9'])}",
                m.amount(row["came"]),
                t("yes") if row["within"] else t("no"),
            )
            for row in m.came.to_dict("records")
        )
        yield Table(t("came_head"), ("", t("year_word"), t("median"), t("band80"), t("came"), t("came_within")), cells)


def _step(step: str, t: Texts) -> str:
    named = {FIRST: "step_first", SECOND: "step_second", WEIGHTS: "step_weights"}
    return t(named[step]) if step in named else " + ".join(t(f"step_{part}") for part in step.split(" + "))


def uncertainty(m: Material, t: Texts) -> Iterator[Block]:
    """Section 9: sensitivities, stress, scenarios, the tail."""
    yield Heading(t("s9"))
    draws = int(m.run.manifest["basis"]["draws"])
    yield Paragraph(t("stochastic", draws=f"{draws:,}") if draws > 1 else t("stochastic_one"))
    years = sorted(set(m.tests["year"]))
    yield Table(t("tests_head"), (t("test"), *map(str, years)), tuple(_rows(m.tests, "test", "t_", t)))
    if len(m.groups):
        header = (t("group"), *map(str, years))
        yield Table(t("groups_head", last=m.years[-1]), header, tuple(_rows(m.groups, "group", "f_", t)))
    own = m.tests[m.tests["test"] == "as_projected"].set_index("year")
    yield Paragraph(t("tail", year=years[-1], value=m.amount(own["tail"][years[-1]]), money=m.money))
    yield Paragraph(t("demographic"))
    yield Paragraph(t("coverage"))


def _rows(table: pd.DataFrame, key: str, prefix: str, t: Texts) -> Iterator[tuple[str, ...]]:
    """A row for each test or group: median months of reserve and chance of a shortfall, by year."""
    for name, found in table.groupby(key, sort=False):
        pairs = zip(found["months"], found["below"], strict=True)
        yield (t(f"{prefix}{name}"), *(f"{months:.1f} / {as_share(below)}" for months, below in pairs))


def findings(m: Material, t: Texts) -> Iterator[Block]:
    """Section 10: in frequencies, for all readers."""
    yield Heading(t("s10"))
    last = m.years[-1]
    n = round(100 * m.below(last))
    told = [t("finding_chance", floor=as_months(m.floor, t), last=last, n=n, half=_half(m, t))]
    told.append(t("finding_median", months=f"{float(m.line('reserve_months')['q0.5'][last]):.1f}", year=last))
    for row in m.table("required_rates").to_dict("records"):
        given = {
            "floor": as_months(row["months"], t),
            "year": row["through_year"],
            "chance": as_share(row["probability"]),
        }
        told.append(t("finding_rate", rate=_rate(row), **given))
    yield Bullets(tuple(told))
    yield Paragraph(t("audience", n=n, last=last, rest=100 - n))
    yield Paragraph(t("recommend"))


def _half(m: Material, t: Texts) -> str:
    """Year by which half of the futures have fallen below the least, as a clause; nothing where fewer do."""
    table = m.table("first_years")
    table = table[(table["event"] == "first_below_floor") & (table["year"].astype(str) != NOT_WITHIN)]
    reached = table["probability"].cumsum().to_numpy() >= 0.5 - 1e-12
    return t("half_by", year=int(table["year"].iloc[int(reached.argmax())])) if reached.any() else ""
