"""Who pays for the members' care, and which households it still ruins: of ``forecaster project``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecaster.cli.shared import console

if TYPE_CHECKING:
    from pandas import DataFrame

    from forecaster.export import Scenario

# Years of the households' table, where the projection reaches them.
NEED_YEARS = (2030, 2040)
_MEASURES = {
    "catastrophic_usual": "over 40%",
    "impoverished": "made poor",
    "forgone": "care forgone",
}


def care_tables(scenarios: tuple[Scenario, ...]) -> dict[str, DataFrame]:
    """Tables ``care`` and ``need`` of a projection under a law with a benefit stack; nothing under another.

    Of a stack that the made-up households do not know there is no ``need``.
    """
    from forecaster.household_people import read_households
    from forecaster.mainland import care_payers, households_in_need
    from forecaster.stack_report import care_table, need_table

    found = {s.name: care_payers(s.basis, s.policy, s.projection.outgo) for s in scenarios}
    known = {name: care for name, care in found.items() if care is not None}
    if not known:
        return {}
    tables = {"care": care_table(known, scenarios[0].policy.scheme.money)}
    if scenarios[0].policy.scheme.stack.id not in read_households().stacks:  # type: ignore[attr-defined]
        return tables
    basis = scenarios[0].basis
    years = [year for year in NEED_YEARS if year in basis.years] or [int(basis.years[-1])]
    places = ("all", "urban", "rural")
    need = {s.name: households_in_need(s.basis, s.policy, years, places) for s in scenarios}
    return {**tables, "need": need_table(need)}


def care_summary(scenarios: tuple[Scenario, ...], tables: dict[str, DataFrame], years: list[int]) -> dict[str, Any]:
    """What is printed of the tables: middle and 80% band; nothing where there are none."""
    if not tables:
        return {}
    stack = scenarios[0].policy.scheme.stack  # type: ignore[attr-defined]  # there are tables under such a law only
    care, need = tables["care"], tables.get("need")
    link, columns = stack.file.fund, ["q0.1", "q0.5", "q0.9"]
    return {
        "money": scenarios[0].policy.scheme.money,
        "stack": stack.id,
        "of_fund": list(link.pays),
        "of_fund_source": link.source,
        "labels": {layer.id: layer.label for layer in stack.layers} | {"out_of_pocket": "Out of pocket", "all": "All"},
        "payers": care[care["year"].isin(years)][["scenario", "payer", "year", *columns]].to_dict("records"),
        "households": []
        if need is None
        else need[["scenario", "year", "place", "measure", *columns]].to_dict("records"),
        "assumed": [name for name in stack.law.parameters if stack.law.parameters[name].values[-1].status == "assumed"],
    }


def print_care(found: dict[str, Any]) -> None:
    """A table for each of two years, and what it rests on."""
    if not found:
        return
    from rich.table import Table

    screen, reformed = console(), any(row["scenario"] == "reform" for row in found["payers"])
    heads = ("the law", "reform less law") if reformed else ("the law",)
    scenarios = ("baseline", "difference")[: len(heads)]
    care = {(row["scenario"], row["year"], row["payer"]): row for row in found["payers"]}
    need = {(r["scenario"], r["year"], r["measure"]): r for r in found["households"] if r["place"] == "all"}
    shown = list(dict.fromkeys(row["year"] for row in found["payers"]))
    years = [year for year in NEED_YEARS if year in shown] or shown[-1:]
    for year in years:
        table = Table(str(year))
        for head in heads:
            table.add_column(head, justify="right", no_wrap=True)
        for payer, label in found["labels"].items():
            bands = [care[scenario, year, payer] for scenario in scenarios]
            if bands[0]["q0.9"] >= _LEAST:
                mark = " *" if payer in found["of_fund"] else ""
                table.add_row(label + mark, *(_band(b, 1.0, i > 0) for i, b in enumerate(bands)))
        table.add_section()
        for measure, label in _MEASURES.items() if need else ():
            bands = [need[scenario, year, measure] for scenario in scenarios]
            table.add_row(f"households {label}, %", *(_band(b, 100.0, i > 0) for i, b in enumerate(bands)))
        words = f"Who pays for the members' care of {year}, {found['money']}" + (
            ", and households in need after all" if need else ""
        )
        screen.print(f"\n{words}: median (80% band); * from the fund", style="bold", soft_wrap=True)
        screen.print(table)
    screen.print(
        f"Stack {found['stack']} (forecaster stack {found['stack']} --terms): {len(found['assumed'])} of its terms are "
        "assumed. Spending is what makes its layers pay the fund's outgo; nobody is taken to use more care when it is "
        "paid better; incomes follow one assumed path. Which levers of the fund reach households: docs/stack.md, "
        "section 8.",
        soft_wrap=True,
    )


# A payer of less is not shown, in the pool's unit of money.
_LEAST = 0.05


def _band(row: dict[str, Any], times: float, signed: bool) -> str:
    """``12.3 (11.0 to 14.0)``, all three with as many decimals as the middle one needs."""
    low, middle, high = (times * row[key] for key in ("q0.1", "q0.5", "q0.9"))
    digits = 0 if abs(middle) >= 20.0 else 1 if abs(middle) >= 1.0 else 2
    # Adding zero after rounding turns "-0" into "0".
    low, middle, high = (round(value, digits) + 0.0 for value in (low, middle, high))
    form = f"{'+' if signed else ''},.{digits}f"
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"
