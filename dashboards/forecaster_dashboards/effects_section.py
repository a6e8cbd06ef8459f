"""What officials and published studies say a change brings, beside what the levers make of it: sections of the
evidence."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from forecaster.effects import TOLERANCE, Held
from forecaster.studies import TOLERANCE as STUDY_TOLERANCE
from forecaster.studies import UNITS, BesideStudy, HeldStudy, Ours, Study
from forecaster_dashboards import service, words
from forecaster_dashboards.language import _, money_scale, money_unit, number, percent, said
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import sheet


def show(ref: Reference) -> None:
    """Draw what is held for the law: official effects, and those of studies."""
    if ref.effects_held:
        _officials(ref, ref.effects_held)
    with st.spinner(_("Holding our projection against published studies ...")):
        found = service.studies(ref)
    if found is not None:
        _studies(ref, found)


def _officials(ref: Reference, held: tuple[Held, ...]) -> None:
    st.subheader(_("What officials say a change brings, and what the levers say"), anchor=False)
    sheet(effects_frame(held, ref.money))
    st.caption(
        _(
            "{within} of {n} figures lie within {tolerance} of the officials'; below stands why the others lie further "
            "off, and what else is to be known. All are effects of one year, at the incomes of the year named.",
            within=sum(one.within for one in held),
            n=len(held),
            tolerance=percent(TOLERANCE),
        )
    )
    st.markdown("\n".join(f"- {reason}" for reason in reasons(held)))


def reasons(held: tuple[Held, ...]) -> list[str]:
    """What is to be said of single changes, in full."""
    return [
        _("{change}: {reason}", change=said(one.effect.label), reason=said(one.effect.reason))
        for one in held
        if one.effect.reason
    ]


def effects_frame(held: tuple[Held, ...], unit: str) -> pd.DataFrame:
    """A row each: change, year, official figure or range, ours with its middle 80%, ratio, remark, source."""
    scale = money_scale(unit)
    evidence = {
        "independent": "",
        "fitted": _("the fund model saw it"),
        "set": _("the lever is made from it"),
    }

    def amount(value: float) -> str:
        return number(scale * value, 2 if abs(scale * value) < 10.0 else 1)

    def span(low: float, high: float) -> str:
        return f"{amount(low)} – {amount(high)}"

    rows = []
    for one in held:
        effect = one.effect
        official = amount(effect.low) if effect.low == effect.high else span(effect.low, effect.high)
        ours = ""
        if one.ours is not None and one.low is not None and one.high is not None:
            ours = f"{amount(one.ours)} ({span(one.low, one.high)})"
        rows.append(
            {
                _("change"): said(effect.label),
                _("Year"): effect.year,
                _("officials, {unit} a year", unit=money_unit(unit)): official,
                _("ours (middle 80%)"): ours,
                _("ours over theirs"): "" if one.ratio is None else number(one.ratio, 2),
                _("remark"): evidence[effect.evidence],
                _("source"): effect.source,
            }
        )
    return pd.DataFrame(rows)


def _studies(ref: Reference, found: service.Studies) -> None:
    st.subheader(_("What published studies say a reform does, and what the levers say"), anchor=False)
    sheet(studies_frame(found.held, ref.scheme.currency))
    near = [one for one in found.held if one.ours and one.ours.near(one.study)]
    on_premise = [one for one in found.held if one not in near and one.on_premise and one.on_premise.near(one.study)]
    st.caption(
        _(
            "{near} of {n} published figures: ours lies within their range or {tolerance} of it; of {premise} more it "
            "does on the study's own premise. Ours is the median, in brackets the middle 80% of the simulated futures.",
            near=len(near),
            n=len(found.held),
            premise=len(on_premise),
            tolerance=percent(STUDY_TOLERANCE),
        )
    )
    st.markdown("\n".join(f"- {remark}" for remark in remarks(found.held)))
    if found.told is not None:
        title = _("A study's projection beside ours and what came: {study}", study=said(found.told.label))
        with st.expander(f"{title} ({found.told.source})"):
            sheet(beside_frame(found.beside, ref.money))
            st.caption(
                _(
                    "Ours is the median: of the years that are over by the refit at the end of the year before the "
                    "study's first, of the others by today's. The study prints income without interest."
                )
            )


def remarks(held: tuple[HeldStudy, ...]) -> list[str]:
    """Why ours and the study's differ, and what its premise is."""
    found = []
    for one in held:
        premise = _("; premise: {why}", why=said(one.study.premise_why)) if one.study.premise else ""
        found.append(_("{change}: {reason}", change=said(one.study.label), reason=said(one.study.reason)) + premise)
    return found


def studies_frame(held: tuple[HeldStudy, ...], currency: str) -> pd.DataFrame:
    """A row each: reform with the unit, the published figure or range, ours, ours on the study's premise, source."""
    rows = []
    for one in held:
        study = one.study
        ends = dict.fromkeys((study.low, study.high))
        rows.append(
            {
                _("reform"): _("{label}, {unit}", label=said(study.label), unit=_unit(study, currency)),
                _("published"): " – ".join(_figure(study, value) for value in ends),
                _("ours (middle 80%)"): _ours(study, one.ours),
                _("ours on the study's premise"): _ours(study, one.on_premise),
                _("source"): study.source,
            }
        )
    return pd.DataFrame(rows)


def _unit(study: Study, currency: str) -> str:
    unit = UNITS[study.measure]
    return {"share": "%", "years": _("years")}.get(unit) or _("{currency} trillion", currency=money_unit(currency))


def _figure(study: Study, value: float) -> str:
    return number(100.0 * value) if UNITS[study.measure] == "share" else number(value, 1)


def _ours(study: Study, found: Ours | None) -> str:
    if found is None:
        return ""
    return f"{_figure(study, found.middle)} ({_figure(study, found.low)} – {_figure(study, found.high)})"


def beside_frame(rows: tuple[BesideStudy, ...], unit: str) -> pd.DataFrame:
    """A study's projection, ours and what came, by line and year."""
    scale, lines = money_scale(unit), words.lines()

    def amount(value: float) -> str:
        return number(scale * value)

    told = [
        {
            _("line"): lines[row.line],
            _("Year"): row.year,
            _("study, {unit}", unit=money_unit(unit)): amount(row.study),
            _("ours (middle 80%)"): ""
            if row.ours is None
            else f"{amount(row.ours.middle)} ({amount(row.ours.low)} – {amount(row.ours.high)})",
            _("what came"): "" if row.came is None else amount(row.came),
        }
        for row in sorted(rows, key=lambda row: list(lines).index(row.line))
    ]
    return pd.DataFrame(told)
