"""The thirteen sections, filled from what a run recorded (docs/report.md says from what)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from forecaster.certificate import certificate_lines, coverage_warnings
from forecaster.language import ENGLISH, _, current, said, speaking, terms
from forecaster.pools import OPEN_START
from forecaster.report.answers import findings, reconciliation, results, uncertainty
from forecaster.report.blocks import Blank, Block, Bullets, Heading, Paragraph, Table
from forecaster.report.law import change_words, provisions
from forecaster.report.material import PAST, Material, as_months
from forecaster.report.texts import Texts

_MOST_PRIORS, _MOST_SOURCES, _LAST_YEARS = 40, 40, 8
_TOLERANCE = 0.01


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
        results,
        reconciliation,
        uncertainty,
        findings,
        _review,
        _opinion,
        _governance,
    )
    with speaking(texts.catalogue):
        return [block for part in parts for block in part(material, texts)]


def title_of(material: Material, texts: Texts) -> str:
    """Title of the report."""
    with speaking(texts.catalogue):
        return texts("title", label=said(material.scheme.label))


def _face(m: Material, t: Texts) -> Iterator[Block]:
    """First page: warnings and record before anything else."""
    years = m.years
    yield Paragraph(t("subtitle", year=years[0] - 1, first=years[0], last=years[-1]))
    backtest = m.run.manifest["backtest"]
    for warning in [] if backtest is None else _warnings(m, backtest):
        yield Paragraph(warning, "warning")
    if m.differing:
        yield Paragraph(t("outdated", inputs=", ".join(m.differing)), "warning")
    yield Paragraph(t("made_by", run=m.run.short))
    yield Paragraph(t("draft"))
    yield Heading(t("record_head"))
    if backtest is None:
        yield Paragraph(t("no_record"))
    else:
        lines = certificate_lines(m.certificate, _) if m.certificate else tuple(backtest["record"])
        yield Bullets(lines or (t("none"),))
    yield Paragraph(t("quoted"), "note")


def _warnings(m: Material, backtest: Mapping[str, Any]) -> list[str]:
    """What must stand on the face, as the run recorded it; in another language put together from what is behind it."""
    if current() == ENGLISH or not backtest["warnings"]:
        return list(backtest["warnings"])
    told = [terms.records()[backtest["status"]]] if backtest["status"] in terms.records() else []
    if m.certificate is None and len(told) < len(backtest["warnings"]):
        # Kept before certificates were: its words as they stand, rather than none.
        return list(backtest["warnings"])
    return [*told, *(coverage_warnings(m.certificate, _) if m.certificate else ())]


def _purpose(m: Material, t: Texts) -> Iterator[Block]:
    years, scheme = m.years, m.scheme
    yield Heading(t("s1"))
    yield Paragraph(t("purpose", why=m.run.why, when=m.run.created[:16].replace("T", " "), who=m.run.who))
    yield Paragraph(t("scope", first=years[0], last=years[-1], money=m.money, year=years[0] - 1))
    in_force = "law_open" if scheme.start == OPEN_START else "law"
    yield Paragraph(t(in_force, label=said(scheme.label), scheme=scheme.id, start=scheme.start.isoformat()))
    reform = m.run.manifest["reform"]
    given = m.run.manifest["law"]["changes"]
    changes = [*given, *(change for change in (reform["changes"] if reform else ()) if change not in given)]
    told = t("listed").join(change_words(scheme, changes))
    yield Paragraph(t("reform", changes=told) if changes else t("reform_none"))
    yield from provisions(scheme, dt.date(years[0] - 1, 12, 31), t)


def _data(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s2"))
    if m.history is None:
        yield Paragraph(t("data_own", label=said(m.run.manifest["basis"]["label"])))
        yield Paragraph(t("data_privacy"))
        return
    known = m.history[m.history["kind"] == "published"]
    for line, word in PAST.items():
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
        (str(year), *(_past_cell(m, wide.loc[year].get(line), kinds.get((line, year))) for line in PAST))
        for year in wide.index.tolist()
    ]
    yield Table(t("last_years", money=m.money), (t("year_word"), *(t(word) for word in PAST.values())), tuple(rows))
    yield Paragraph(t("data_adjust"))
    if declared := tuple(_declared(m, t)):
        yield Paragraph(t("data_declared"))
        yield Bullets(declared)
    yield Paragraph(t("data_privacy"))
    if m.sources:
        cells = tuple((s["id"], s["title"], s["publisher"], s["date"]) for s in m.sources[:_MOST_SOURCES])
        yield Table(t("data_sources"), (t("id_word"), t("source"), t("publisher"), t("date")), cells, words=True)


def _declared(m: Material, t: Texts) -> Iterator[str]:
    """What the fund's file says of single years: loans and transfers, other footings, odd figures that are true."""
    if m.pool is None:
        return
    for item in m.pool.adjustments:
        amount = f"{item.amount * m.money_scale:+,g}"
        yield t("declared_adjustment", year=item.year, amount=amount, money=m.money, reason=said(item.reason))
    for found in m.pool.breaks:
        given = {"first": found.first, "last": found.last, "reason": said(found.reason), "source": found.source}
        yield t("declared_break", line=t(PAST[found.line]), **given)
    yield from (t("declared_confirmed", figure=said(figure)) for figure in m.pool.confirmed)


def _past_cell(m: Material, value: Any, kind: str | None) -> str:
    """A figure of the past; an estimate is marked."""
    if value is None or pd.isna(value):
        return ""
    return m.amount(value) + ("" if kind == "published" else " *")


def balances(history: pd.DataFrame) -> tuple[int, list[int]]:
    """Years whose published reserve can be checked, and those that it does not follow in from the flows."""
    known = history[history["kind"] == "published"]
    by_line: dict[str, dict[int, float]] = {line: {} for line in PAST}
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
    yield Bullets(tuple(map(said, m.assumed)) or (t("assumed_none"),))
    yield Paragraph(t("neutral") if m.fit is not None else t("neutral_own"))
    if m.priors is None or not len(m.priors):
        return
    rows = []
    for row in _by_weight(m.priors).head(_MOST_PRIORS).to_dict("records"):
        before, after = (
            " / ".join(f"{float(row[f'{kind}_{q}']):.3g}" for q in ("q5", "q50", "q95"))
            for kind in ("prior", "posterior")
        )
        block = terms.blocks().get(row["block"], row["block"])
        rows.append((f"{block} {row['name']}", before, after, said(str(row["why"]))))
    header = (t("prior_name"), t("prior"), t("posterior"), t("why_word"))
    yield Table(t("priors_table"), header, tuple(rows), words=True)
    yield Paragraph(t("priors_rest", n=len(m.priors)))


def _by_weight(priors: pd.DataFrame) -> pd.DataFrame:
    """Priors of the fund and of the economy first, then of people; single entries of a list last."""
    entry = priors["name"].str.contains("[", regex=False)
    place = priors["block"].map({"fund": 0, "plain": 0, "economy": 1}).fillna(2) + 3 * entry
    return priors.loc[place.sort_values(kind="stable").index]


def _model(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s5"))
    yield Paragraph(t("model_flows"))
    yield Paragraph(t("model_equation"))
    yield Paragraph(t("model_measures", floor=as_months(m.floor, t)))
    yield Paragraph(t("adequacy") if len(m.table("care")) else t("adequacy_none"))


def _assets(m: Material, t: Texts) -> Iterator[Block]:
    yield Heading(t("s6"))
    opening = m.line("opening_reserve")
    low, middle, high = (m.amount(opening[name].iloc[0]) for name in ("q0.1", "q0.5", "q0.9"))
    yield Paragraph(t("assets", opening=middle, money=m.money, year=m.years[0] - 1, low=low, high=high))


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
    rows = {
        "run": m.run.id,
        "run_hash": str(manifest["run_hash"]),
        "scheme": f"{manifest['scheme']['id']} {manifest['scheme']['sha256']}",
        "basis": f"{manifest['basis']['label']} {manifest['basis']['sha256']}",
        "data": _pairs(manifest["data"]),
        "code": f"{manifest['code']['version']} {manifest['code']['sha256']}",
        "libraries": _pairs(manifest["libraries"]),
    }
    if m.fit is not None:
        rows |= {"fit": f"{m.fit['hash']}, {t('seed')} {m.fit['seed']}", "fit_libraries": _pairs(m.fit["versions"])}
    named = tuple((t(f"key_{name}"), text) for name, text in rows.items())
    yield Table(t("g_run"), (t("key"), t("value")), named, words=True)
    if m.fit is not None:
        cells = tuple(
            (
                terms.blocks().get(name, name),
                t("accepted") if block["accepted"] else t("rejected"),
                f"{block['max_rhat']:.4f}",
                f"{block['min_ess_bulk']:,.0f}",
                f"{block['min_ess_tail']:,.0f}",
                str(block["divergences"]),
            )
            for name, block in m.fit["blocks"].items()
            if "max_rhat" in block
        )
        header = (t("block"), t("verdict"), t("rhat"), t("ess_bulk"), t("ess_tail"), t("diverged"))
        yield Table(t("g_fit"), header, cells)
    yield Paragraph(t("g_others"))
    yield Paragraph(t("g_risk"))


def _pairs(entries: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in entries.items())
