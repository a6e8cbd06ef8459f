"""Effects that published studies report beside ours: of ``forecaster effects``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.cli.shared import console, error_console, print_json, read_given

if TYPE_CHECKING:
    from forecaster.schemes import Scheme
    from forecaster.studies import BesideStudy, HeldStudy, Ours, StudyProjection


def show_studies(law: Scheme, draws: int | None, fits: Path | None, *, json_: bool) -> None:
    """Print what studies of a fund report of reforms, what we get, and why the two differ."""
    from forecaster.certificate import officials_of
    from forecaster.pools import find_pool
    from forecaster.studies import HORIZON, beside_study, hold_study, published_studies, study_projection

    studies = published_studies(law)
    with error_console().status("drawing the basis ..."):
        given = read_given(law, None, HORIZON, draws, fits)
        found = [hold_study(given.basis, given.law, study) for study in studies]
        told = study_projection(law)
        past = officials_of(find_pool(law.path)) if fits is None else []
        beside = beside_study(told, given.basis, given.law, past) if told is not None else ()
    if json_:
        answer = {"scheme": law.id, "basis": given.basis.label, "studies": [_row(held) for held in found]}
        print_json({**answer, "projection": [asdict(row) for row in beside]})
        return
    _print(found, given.basis.label, law.money)
    if told is not None:
        _print_beside(beside, told, law.money)


def _row(held: HeldStudy) -> dict[str, Any]:
    told = {name: getattr(held.study, name) for name in ("id", "label", "measure", "at", "low", "high")}
    for name, ours in (("ours", held.ours), ("on_premise", held.on_premise)):
        told[name] = None if ours is None else {**vars(ours), "near": ours.near(held.study)}
    return told | {name: getattr(held.study, name) for name in ("premise", "premise_why", "reason", "source")}


def _print(found: list[HeldStudy], basis: str, money: str) -> None:
    from rich.table import Table

    from forecaster.studies import UNITS

    table = Table("", "reform and figure")
    for column in ("published", "ours (80%)", "on its premise"):
        table.add_column(column, justify="right")
    screen, remarks = console(), []
    for number, held in enumerate(found, start=1):
        study, unit = held.study, UNITS[held.study.measure]
        times, digits = (100.0, 0) if unit == "share" else (1.0, 1)
        ends = [f"{times * value:.{digits}f}" for value in dict.fromkeys((study.low, study.high))]
        unit = {"share": "%", "tn": f"{money.split()[0]} tn"}.get(unit, unit)
        table.add_row(
            str(number), f"{study.label}, {unit}", " to ".join(ends),
            _words(held.ours, times, digits), _words(held.on_premise, times, digits),
        )  # fmt: skip
        premise = f"premise: {study.premise_why}" if study.premise else ""
        remarks.append(f"{number}. {'; '.join(text for text in (study.reason, premise, study.source) if text)}")
    screen.print(f"Basis: {basis}")
    screen.print("What studies say a reform does, and what it does here", style="bold")
    screen.print(table)
    for remark in remarks:
        screen.print(remark, style="dim", soft_wrap=True)
    known = [held for held in found if held.ours is not None]
    near = [held for held in known if held.ours and held.ours.near(held.study)]
    on_premise = [h for h in known if h not in near and h.on_premise and h.on_premise.near(h.study)]
    screen.print(
        f"{len(found)} published figures: {len(near)} within their range or 30% of it, {len(on_premise)} more on the "
        f"study's premise, {len(known) - len(near) - len(on_premise)} further off, {len(found) - len(known)} without a "
        "lever.",
        soft_wrap=True,
    )


def _print_beside(rows: Sequence[BesideStudy], told: StudyProjection, money: str) -> None:
    from rich.table import Table

    screen = console()
    screen.print(
        f"\nA study's projection beside ours and what came, {money}: {told.label} ({told.source})", style="bold"
    )
    table = Table("", "year")
    for column in ("study", "ours (80%)", "came"):
        table.add_column(column, justify="right")
    for line in ("income", "outgo", "reserve"):
        of_line = [row for row in rows if row.line == line]
        for row in of_line:
            came = "" if row.came is None else f"{row.came:,.0f}"
            ours = "" if row.ours is None else f"{row.ours.middle:,.0f} ({row.ours.low:,.0f} to {row.ours.high:,.0f})"
            last = row is of_line[-1]
            table.add_row(line, str(row.year), f"{row.study:,.0f}", ours, came, end_section=last)
    screen.print(table)
    screen.print(
        "Ours is the median: of the years that are over by the refit at the end of the year before the study's first, "
        "of the others by today's. The study prints income without interest.",
        soft_wrap=True,
    )


def _words(ours: Ours | None, times: float, digits: int) -> str:
    if ours is None:
        return ""
    # Adding zero after rounding turns "-0" into "0".
    middle, low, high = (f"{round(times * v, digits) + 0.0:.{digits}f}" for v in (ours.middle, ours.low, ours.high))
    return f"{middle} ({low} to {high})"
