"""Official figures of what changes of the law bring, beside what the levers make of them: a section of the evidence."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from forecaster.effects import TOLERANCE, Held
from forecaster_dashboards.language import _, money_scale, money_unit, number, percent, said
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import table


def show(ref: Reference) -> None:
    """Draw the section; nothing for a law of which no official effects are held."""
    held = ref.effects_held
    if not held:
        return
    st.subheader(_("What officials say a change brings, and what the levers say"), anchor=False)
    table(effects_frame(held, ref.money))
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
