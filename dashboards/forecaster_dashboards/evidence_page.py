"""The page of sources and evidence: what the figures rest on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from forecaster.certificate import NO_FIT, certificate_lines
from forecaster.errors import ForecasterError
from forecaster.language import terms
from forecaster.parameters import Parameter
from forecaster.schemes import Scheme
from forecaster.scores import MODEL
from forecaster_dashboards import effects_section, language, service, words
from forecaster_dashboards.language import _, number, percent, said
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import sheet, table


def show(ref: Reference) -> None:
    """Draw the page."""
    st.markdown(
        _("What the figures rest on: sources, known contradictions, the fit's own checks, and what is assumed.")
    )
    if language.current() != language.ENGLISH:
        st.caption(_("Titles and notes of sources stand in the language in which they were written."))
    _verdict(ref)
    _record(ref)
    _learnt(ref)
    _past(ref)
    effects_section.show(ref)
    parameters = parameter_frame(ref.scheme)
    st.subheader(_("Parameters of the law that are assumed"), anchor=False)
    status = _("status")
    sheet(parameters[parameters[status] == terms.statuses()["assumed"]].drop(columns=[_("parameter"), status]))
    with st.expander(_("All parameters of the scheme")):
        table(parameters)
    st.subheader(_("Assumed, not learnt from figures"), anchor=False)
    st.markdown("\n".join(f"- {said(text)}" for text in ref.basis.assumptions))
    st.subheader(_("Known limits"), anchor=False)
    st.markdown("\n".join(f"- {text}" for text in limits()))
    _sources(ref)
    with st.expander(_("Manifest of the fit")):
        st.json(dict(ref.manifest), expanded=1)


def limits() -> tuple[str, ...]:
    """What the forecasts cannot do."""
    return (
        _(
            "Where no account of a year is published, the past shows a range, and the starting point of the forecast "
            "is itself uncertain."
        ),
        _(
            "Nobody changes behaviour unless a lever says so: a higher rate moves neither wages nor the form in which "
            "income is paid."
        ),
        _(
            "A negative reserve is carried on, with the yield as cost of borrowing. The law would act before that; the "
            "futures show what happens if it does not."
        ),
        _(
            "Every future keeps the law as it stands, but for the levers. Rates are raised by a rule only where the "
            "yearly review is switched on."
        ),
        _(
            "Bands show what the model and its figures do not know. They do not show that the model itself may be "
            "wrong."
        ),
    )


def parameter_frame(scheme: Scheme) -> pd.DataFrame:
    """Every dated value of the scheme, one row each, with its article, unit, status, source and note."""
    rows = [
        {
            _("parameter"): name,
            _("label"): said(parameter.label),
            _("article"): said(parameter.article),
            _("from"): value.start.isoformat(),
            _("value"): value_text(parameter, value.value),
            _("status"): terms.statuses().get(value.status, value.status),
            _("source"): terms.source(value.source),
            _("note"): said(value.note),
        }
        for name, parameter in scheme.parameters.items()
        for value in parameter.values
    ]
    return pd.DataFrame(rows)


def value_text(parameter: Parameter, value: float | str) -> str:
    """A value of the law in full precision with its unit, a share in percent."""
    if isinstance(value, str):
        return terms.choices().get(value, value)
    if parameter.unit == "share":
        return f"{100.0 * value:.10g}%"
    unit = "" if parameter.unit == "times" else words.unit(parameter)
    return f"{value * terms.data_scale(parameter.unit):.10g} {unit}".strip()


def verdict_frame(manifest: Mapping[str, Any]) -> pd.DataFrame:
    """The checks of each block of the fit: verdict, disagreement of chains, effective draws, divergences."""
    columns = {
        "accepted": (_("accepted"), 0),
        "max_rhat": (_("largest r-hat"), 4),
        "min_ess_bulk": (_("least effective draws"), 0),
        "min_ess_tail": (_("in the tails"), 0),
        "divergences": (_("divergences"), 0),
        "min_ebfmi": (_("least E-BFMI"), 2),
    }
    rows = []
    for name, block in manifest.get("blocks", {}).items():
        row: dict[str, object] = {_("block"): words.named(terms.blocks(), name)}
        for key, (column, digits) in columns.items():
            found = block.get(key)
            row[column] = _verdict_cell(found, digits)
        rows.append(row)
    return pd.DataFrame(rows)


def _verdict_cell(found: object, digits: int) -> str:
    if isinstance(found, bool):
        return _("yes") if found else _("no")
    return "" if found is None else f"{found:.{digits}f}" if isinstance(found, float) else str(found)


def _verdict(ref: Reference) -> None:
    st.subheader(_("The fit's verdict"), anchor=False)
    if not ref.manifest:
        st.warning(_("These figures come from a basis without a fit, so there is no verdict."))
        return
    fit = ref.fit_hash[:12]
    if ref.manifest.get("accepted"):
        st.success(_("Fit {fit} passed the gates on convergence and is the accepted reference.", fit=fit))
    else:
        st.error(_("Fit {fit} did not pass the gates on convergence. Do not use its figures.", fit=fit))
    checks = verdict_frame(ref.manifest)
    if len(checks):
        sheet(checks)
        st.caption(
            _(
                "r-hat compares the chains and is 1 when they agree; effective draws say how much independent "
                "information the chains hold; divergences are steps at which the sampler failed."
            )
        )


def record_lines() -> dict[str, str]:
    """Lines that the backtest scores."""
    return {
        "income": _("Income"),
        "outgo": _("Outgo"),
        "balance": _("Balance"),
        "reserve": _("Reserve"),
        "reserve_months": _("Reserve in months"),
    }


def record_frame(content: Mapping[str, Any]) -> pd.DataFrame:
    """How many outcomes the 80% bands held, by line, under both questions of the backtest."""
    questions = {
        "model": _("80% band, later law known"),
        "forecast": _("80% band, only the law of the day known"),
    }
    rows = []
    for line, label in record_lines().items():
        row: dict[str, object] = {_("line"): label}
        for question, column in questions.items():
            record = content["questions"][question]["lines"].get(line)
            row[column] = "" if record is None else held(record["held"]["80"], record["n"])
        rows.append(row)
    return pd.DataFrame(rows)


def held(count: int, of: int) -> str:
    """How many outcomes a band held."""
    return _("{n} of {total} ({share})", n=count, total=of, share=percent(count / of)) if of else _("no outcome known")


def lost_frame(content: Mapping[str, Any]) -> pd.DataFrame:
    """Lines and horizons at which a naive rule scored better, with both mean scores."""
    lines = record_lines()
    rows = [
        (lines[row["line"]], row["horizon"], said(row["label"]), row["n"], f"{row['ours']:.4f}", f"{row['rival']:.4f}")
        for row in content["comparisons"][MODEL]["lost"]
    ]
    columns = [_("line"), _("years ahead"), _("naive rule"), _("outcomes"), _("our score"), _("its score")]
    return pd.DataFrame(rows, columns=columns)


def _record(ref: Reference) -> None:
    """How forecasts of earlier years did, in plain words."""
    st.subheader(_("How forecasts of earlier years did"), anchor=False)
    if ref.record is None:
        st.caption(said(NO_FIT))
        return
    content = ref.record.content
    if content is None:
        return
    _record_words(content)
    sheet(record_frame(content))
    st.caption(
        _(
            "A good 80% band holds 80 of 100 outcomes: fewer mean that it was too narrow, all of them that it was "
            "wider than need be. Forecasts from neighbouring years share most of their luck, so that so few years "
            "prove little."
        )
    )
    with st.expander(_("The record in full, as the certificate has it")):
        st.markdown("\n".join(f"- {text}" for text in certificate_lines(content, _)))
    lost = lost_frame(content)
    if len(lost):
        with st.expander(_("Where a naive rule did better")):
            sheet(lost)
            st.caption(
                _(
                    "The score is the continuous ranked probability score, smaller is better: about the mean error of "
                    "income and outgo as a share, of balance and reserve as a share of a year's outgo, of the "
                    "reserve in months."
                )
            )


def _record_words(content: Mapping[str, Any]) -> None:
    """The record in two sentences."""
    origins = [int(origin) for origin in content["origins"]]
    st.markdown(
        _(
            "The model was refitted at the end of {n} earlier years, {first} to {last}, on the figures of up to "
            "then, and its forecasts were held against what came. Naive rules scored better in {lost} cases, listed "
            "below.",
            n=len(origins),
            first=min(origins),
            last=max(origins),
            lost=len(content["comparisons"][MODEL]["lost"]),
        )
    )


def learnt_frame(learnt: pd.DataFrame) -> pd.DataFrame:
    """Each prior beside its posterior, figures to four significant digits, those that the data taught most first."""
    ordered = learnt.sort_values("learnt", ascending=False, kind="stable")
    cells: dict[str, list[str]] = {}
    for side in ("prior", "posterior"):
        low, mid, high = (ordered[f"{side}_{q}"] for q in ("q5", "q50", "q95"))
        cells[f"{side}_q50"] = [f"{value:.4g}" for value in mid]
        cells[f"{side}_range"] = [f"{one:.4g} – {other:.4g}" for one, other in zip(low, high, strict=True)]
    share = [f"{100 * value:.0f}%" for value in ordered["learnt"].clip(lower=0.0)]
    named = {
        "block": _("block"),
        "name": _("parameter"),
        "prior_q50": _("prior, median"),
        "prior_range": _("prior, 90% range"),
        "posterior_q50": _("with the data, median"),
        "posterior_range": _("with the data, 90% range"),
        "learnt": _("learnt"),
        "why": _("why this prior"),
    }
    blocks = ordered["block"].map(lambda name: words.named(terms.blocks(), str(name)))
    why = ordered["why"].fillna("").map(said)
    return ordered.assign(**cells, learnt=share, block=blocks, why=why)[list(named)].rename(columns=named)


def check_frame(checks: pd.DataFrame) -> pd.DataFrame:
    """Futures under the priors alone and with the data, beside the past: median and 90% range."""
    known = words.checked() | record_lines()
    heads = {"quantity": _("ten years ahead"), "line": _("of"), "unit": _("unit")}
    told = {head: [words.named(known, text) for text in checks[column].astype(str)] for column, head in heads.items()}
    sides = {"prior": _("priors alone (90% range)"), "posterior": _("with the data (90% range)")}
    for side, head in sides.items():
        low, mid, high = (checks[f"{side}_{q}"] for q in ("q5", "q50", "q95"))
        told[head] = [f"{m:.3f} ({lo:.3f} – {hi:.3f})" for lo, m, hi in zip(low, mid, high, strict=True)]
    told[_("the past")] = [
        words.with_note(f"{value:.3f}", _steps(str(years))) if value == value else ""
        for value, years in zip(checks["past"], checks["past_years"].fillna(""), strict=True)
    ]
    return pd.DataFrame(told)


def _steps(years: str) -> str:
    """Steps of the past that a check counts, such as ``10 steps, 1999-2021``, in the reader's words."""
    found = re.fullmatch(r"(\d+) steps, (\d+)-(\d+)", years)
    return _("{n} steps, {first} to {last}", n=found[1], first=found[2], last=found[3]) if found else years


def _learnt(ref: Reference) -> None:
    """What the data made of the priors."""
    if ref.learnt is None or ref.checks is None:
        return
    st.subheader(_("What the data taught"), anchor=False)
    absurd = ref.manifest.get("absurd_futures")
    if absurd:
        st.markdown(
            _(
                "Before it has seen a figure, the model makes {prior} of 100 futures in which outgo shrinks by more "
                "than 2% or grows by more than 20% a year over ten years; with the data {posterior}.",
                prior=number(100 * absurd["prior"], 1),
                posterior=number(100 * absurd["posterior"], 1),
            )
        )
    sheet(check_frame(ref.checks))
    st.caption(
        _("Growth is logarithmic, 0.05 is about 5% a year. The past counts only steps between two published figures.")
    )
    with st.expander(_("Every prior beside its posterior")):
        table(learnt_frame(ref.learnt))
        st.caption(
            _(
                "Learnt: by how much the data have narrowed the prior's 90% range. Where it is near 0% the figures say "
                "nothing, and the forecast rests on what the prior assumes."
            )
        )


def _past(ref: Reference) -> None:
    st.subheader(_("The past as the charts show it"), anchor=False)
    st.caption(
        _("Published rows equal their source. In years without a published figure the fit gives a range instead.")
    )
    columns = ["line", "year", "kind", "q2.5", "q50", "q97.5", "unit", "source"]
    past = ref.history[columns].sort_values(["line", "year"])
    kinds, scale = words.series(), past["unit"].map(terms.data_scale)
    past = past.assign(
        **{name: past[name] * scale for name in ("q2.5", "q50", "q97.5")},
        line=past["line"].map(record_lines()),
        kind=past["kind"].map(lambda kind: kinds.get(kind, kind)),
        unit=past["unit"].map(terms.data_unit),
        source=past["source"].replace("fit", _("the fit")),
    )
    named = {
        "line": _("line"), "year": _("Year"), "kind": _("kind"), "q2.5": _("2.5% are below"), "q50": _("median"),
        "q97.5": _("97.5% are below"), "unit": _("unit"), "source": _("source"),
    }  # fmt: skip
    table(past.rename(columns=named), digits=2)
    try:
        breaks = service.observations(ref.place).breaks
    except ForecasterError:
        st.caption(_("This fund rests on its own accounts; no shipped sources stand behind it."))
        return
    st.subheader(_("Where the sources contradict their own accounts"), anchor=False)
    st.caption(_("These breaks are declared in the data and reported, not smoothed away."))
    sheet(break_frame(breaks))


def break_frame(breaks: pd.DataFrame) -> pd.DataFrame:
    """Declared breaks of the accounts in the reader's words."""
    named = {
        "identity": _("what does not add up"), "period": _("Year"), "size": _("by how much"), "unit": _("unit"),
        "reason": _("reason"), "source": _("source"),
    }  # fmt: skip
    known = words.checked()
    told = {
        "size": [f"{size:,.10g}" for size in pd.to_numeric(breaks["size"]) * breaks["unit"].map(terms.data_scale)],
        "identity": breaks["identity"].map(lambda name: words.named(known, str(name))),
        "unit": breaks["unit"].map(terms.data_unit),
        "reason": breaks["reason"].map(said),
    }
    return breaks.assign(**told)[list(named)].rename(columns=named)


def _sources(ref: Reference) -> None:
    st.subheader(_("Sources"), anchor=False)
    try:
        sources = service.observations(ref.place).sources
    except ForecasterError:
        st.caption(_("This fund rests on its own accounts; no shipped sources stand behind it."))
        return
    wanted = st.text_input(_("Search title, publisher, number"), key="source_filter", max_chars=100)
    cells = sources[["id", "title", "publisher", "note"]].fillna("").agg(" ".join, axis=1)
    kept = sources[cells.str.contains(wanted, case=False, regex=False)] if wanted else sources
    st.caption(_("{shown} of {total} sources", shown=len(kept), total=len(sources)))
    named = {
        "id": _("number"), "title": _("title"), "publisher": _("publisher"), "date": _("date"), "link": _("link"),
        "note": _("note"),
    }  # fmt: skip
    st.dataframe(
        kept[list(named)].rename(columns=named),
        hide_index=True,
        width="stretch",
        column_config={named["link"]: st.column_config.LinkColumn(display_text=_("open"))},
    )
