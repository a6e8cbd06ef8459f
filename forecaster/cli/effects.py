"""``forecaster effects``: official yearly effects of changes of the law, or those that studies report, beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecaster.cli.shared import (
    Draws,
    Fits,
    Json,
    SchemeName,
    console,
    error_console,
    print_json,
    read_given,
    read_law,
)

if TYPE_CHECKING:
    from forecaster.effects import Held

_EVIDENCE = {"independent": "", "fitted": "the fund model saw it", "set": "the lever is made from it"}


def effects(scheme: SchemeName, draws: Draws = None, fits: Fits = None, json_: Json = False) -> None:
    """Hold effects of reforms as officials or published studies give them against ours.

    Example: forecaster effects tw_nhi_2g
    """
    from forecaster.cli.studies import show_studies
    from forecaster.effects import hold, official_effects
    from forecaster.pools import find_pool
    from forecaster.studies import has_studies

    law = read_law(scheme)
    if has_studies(law):
        show_studies(law, draws, fits, json_=json_)
        return
    official = official_effects(law)
    with error_console().status("drawing the basis ..."):
        given = read_given(law, None, find_pool(law.path).first_year + 1, draws, fits)
        found = [hold(given.basis, given.law, effect) for effect in official]
    if json_:
        print_json({"scheme": law.id, "basis": given.basis.label, "effects": [_row(held) for held in found]})
        return
    _print(found, given.basis.label, law.money)


def _row(held: Held) -> dict[str, Any]:
    effect = held.effect
    figures = {"official_low": effect.low, "official_high": effect.high, "ours": held.ours, "q10": held.low}
    words = {"evidence": effect.evidence, "reason": effect.reason, "source": effect.source}
    told = {"id": effect.id, "label": effect.label, "year": effect.year, "line": effect.line}
    return {**told, **figures, "q90": held.high, "ratio": held.ratio, "within": held.within, **words}


def _print(found: list[Held], basis: str, money: str) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table("", "change", "year", box=SIMPLE, pad_edge=False, collapse_padding=True)
    for column in ("official", "ours (80%)", "ratio"):
        table.add_column(column, justify="right", no_wrap=True)
    remarks = []
    for number, held in enumerate(found, start=1):
        effect = held.effect
        official = f"{effect.low:g}" if effect.low == effect.high else f"{effect.low:g} to {effect.high:g}"
        ours = "" if held.ours is None else f"{held.ours:.2f} ({held.low:.2f} to {held.high:.2f})"
        ratio = "" if held.ratio is None else f"{held.ratio:.2f}"
        table.add_row(str(number), effect.label, str(effect.year), official, ours, ratio)
        words = "; ".join(text for text in (_EVIDENCE[effect.evidence], effect.reason, effect.source) if text)
        remarks.append(f"{number}. {words}")
    screen = console()
    screen.print(f"Basis: {basis}")
    screen.print(f"Yearly effects, {money} at the incomes of the year named", style="bold")
    screen.print(table)
    for remark in remarks:
        screen.print(remark, style="dim")
    outside = [held for held in found if held.ours is not None and not held.within]
    screen.print(
        f"{len(found)} official figures: {sum(held.within for held in found)} within 30%, {len(outside)} further off, "
        f"{sum(held.ours is None for held in found)} without a lever. Remarks say which ones ours was made from."
    )
