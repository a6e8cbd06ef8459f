"""``forecaster who-pays``: premiums and public money by payer, category, income group and birth cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import (
    LAST_HORIZON,
    Draws,
    Fits,
    Force,
    Json,
    Out,
    ReformName,
    SchemeName,
    Settings,
    console,
    default_start,
    error_console,
    print_json,
    read_given,
    read_law,
    read_reform,
    refuse_idle,
)
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.basis import Basis
    from forecaster.export import Scenario
    from forecaster.lifetimes import Cohorts, PastAccounts
    from forecaster.policy import Policy
    from forecaster.who_pays import Incidence

FIRST_BIRTH, BIRTH_STEP = 1940, 10
PAYING = ("insured", "employers", "government")


def who_pays(
    scheme: SchemeName,
    year: Annotated[
        int | None, typer.Option("--year", help="Year of the yearly tables; the second projected one when left out.")
    ] = None,
    horizon: Annotated[
        int, typer.Option("--horizon", max=LAST_HORIZON, help="Last year of the lifetimes.")
    ] = LAST_HORIZON,
    discount: Annotated[
        float,
        typer.Option(
            "--discount", min=-0.1, max=0.2, help="Yearly discount of lifetimes beyond the growth of GDP per head."
        ),
    ] = 0.0,
    settings: Settings = None,
    reform: ReformName = None,
    draws: Draws = None,
    fits: Fits = None,
    out: Out = None,
    force: Force = False,
    json_: Json = False,
) -> None:
    """Show who pays, under the law and under a reform: payers, categories, income groups, birth cohorts.

    Example: forecaster who-pays tw_nhi_2g --set grading_ceiling=500000@2027-01-01
    """
    from forecaster.export import check_target, run_scenarios, write_folder
    from forecaster.fitted import load_fit
    from forecaster.lifetimes import past_accounts
    from forecaster.manifest import run_manifest
    from forecaster.policy import Policy
    from forecaster.pools import find_pool
    from forecaster.who_pays import incidence_of

    if out is not None:
        check_target(out, force=force)
    law = read_law(scheme)
    incidence = incidence_of(law.pool)
    changes = read_reform(settings, reform)
    Policy(law, changes)
    with error_console().status("drawing the basis ..."):
        given = read_given(law, None, horizon, draws, fits)
        reformed = given.reformed(changes)
        refuse_idle(given.basis, given.law, reformed)
        scenarios = run_scenarios(given.basis, given.law, reformed)
        shown = default_start(given.basis).year if year is None else year
        if not given.basis.years[0] <= shown <= given.basis.years[-1]:
            allowed = f"{given.basis.years[0]} to {given.basis.years[-1]}"
            raise ForecasterError(f"--year {shown}: the basis covers {allowed}")
        past = past_accounts(law.place, load_fit(find_pool(law.path), fits).history)
        tables = tables_of(scenarios, shown, incidence, discount, past)
        manifest = run_manifest(given.basis, given.law, reformed, given.fit, given.record)
        notes = [*notes_of(incidence, past, given.basis, discount), *held_notes(given.basis, given.law, incidence)]
        if out is not None:
            write_folder(out, _files(tables, manifest, notes), force=force)
    if json_:
        rows = {name: table.to_dict("records") for name, table in tables.items()}
        print_json({"scheme": law.id, "basis": given.basis.label, "year": shown, **rows, "notes": notes})
        return
    _print(tables, scenarios, shown, law.money, notes)
    if out is not None:
        console().print(f"Tables written to {out}", soft_wrap=True)


def tables_of(
    scenarios: tuple[Scenario, ...], year: int, incidence: Incidence, discount: float, past: PastAccounts
) -> dict[str, pd.DataFrame]:
    """Tables by name, long, one row a scenario and thing; money nominal, lives in thousands of the first year's.

    ``lifetimes`` are whole lives, or from the scheme's first year on; ``cohorts`` what remains of them.
    """
    import pandas as pd

    from forecaster.lifetimes import birth_cohorts
    from forecaster.who_pays import by_category, income_groups

    names = ("categories", "groups", "progressivity", "lifetimes", "cohorts")
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in names}
    basis = scenarios[0].basis
    t, births = int(year - basis.years[0]), range(FIRST_BIRTH, int(basis.years[0]) + 1, BIRTH_STEP)
    place = scenarios[0].policy.scheme.place
    for scenario in scenarios:
        policy, result = scenario.policy, scenario.projection
        rows = [(c, p, amount[t].mean()) for (c, p), amount in by_category(result, policy).items() if amount.any()]
        paid = result.by_payer()
        general = {
            payer: sum(mean for _, p, mean in rows if p == payer) for payer in ("insured", "employers", "government")
        }
        rows += [("other than general premium", payer, paid[payer][t].mean() - general[payer]) for payer in general]
        rows += [
            ("other than general premium", name, paid[name][t].mean()) for name in ("earmarked_and_other", "investment")
        ]
        found["categories"].append(pd.DataFrame(rows, columns=["category", "payer", "mean"]))
        groups = income_groups(basis, policy, result, year, incidence)
        found["groups"].append(groups.table())
        found["progressivity"].append(pd.DataFrame(list(groups.progressivity().items()), columns=["measure", "index"]))
        for name, known in (("lifetimes", past), ("cohorts", None)):
            found[name].append(_lives(birth_cohorts(basis, result, incidence, births, place, discount, known)))
        for name in names:
            found[name][-1] = found[name][-1].assign(scenario=scenario.name)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def _lives(cohorts: Cohorts) -> pd.DataFrame:
    """Cohorts as rows: year of birth, first and last year counted, line, median and middle 80% over draws."""
    import numpy as np
    import pandas as pd

    parts = []
    for line, values in {**cohorts.payments, "benefits": cohorts.benefits, "net": cohorts.net}.items():
        low, middle, high = np.quantile(values, (0.1, 0.5, 0.9), axis=1) / 1e3
        counted = {"born": cohorts.births, "first": cohorts.first, "last": cohorts.last}
        parts.append(pd.DataFrame({**counted, "line": line, "q50": middle, "q10": low, "q90": high}))
    return pd.concat(parts, ignore_index=True)


def _files(tables: dict[str, pd.DataFrame], manifest: dict[str, Any], notes: list[str]) -> dict[str, bytes]:
    from forecaster import export
    from forecaster.manifest import manifest_bytes

    warnings = (manifest["backtest"] or {}).get("warnings", [])
    files = export.table_files(tables, manifest["run_hash"], warnings)
    files["README.txt"] = ("\n".join(notes) + "\n").encode()
    hashes = {name: export.sha256(content) for name, content in sorted(files.items())}
    files[export.MARK] = manifest_bytes({**manifest, "files": hashes})
    return files


def notes_of(incidence: Incidence, past: PastAccounts, basis: Basis, discount: float) -> list[str]:
    """What the tables are and what they assume, to be shown with them."""
    guessed = past.years[~past.published]
    return [
        "Categories: general premium in the year, mean over draws; a category whose employer is the state has it as "
        "government. Other than general premium: supplementary premium, government top-up and injection.",
        "Income groups: fifths of the charged heads by income, TWD a month. Kakwani's index is above zero where those "
        "who are better off pay more than in proportion to income. What care a group has is not told: no figure of use "
        "by income was found.",
        f"Birth cohorts: whole lives from birth, of those born before {past.years[0]} from {past.years[0]} on, when "
        f"the insurance began; to the age of 99, or {basis.years[-1]} if that is earlier. Per person alive in the "
        f"first year counted; present value in that year at the growth of GDP per head plus {discount:.1%} a year, in "
        f"thousands of TWD of {basis.years[0]}. Medians over futures, which do not add up; the last two columns are "
        "the ends of the middle 80% of net.",
        f"Accounts to {past.years[-1]} are outturn; those of {len(guessed)} of these {len(past.years)} years were not "
        "found whole and are the fit's medians.",
        f"What remains of a life is counted from {basis.years[0]} on, per person then alive, by the same rule.",
        *incidence.notes,
    ]


def held_notes(basis: Basis, law: Policy, incidence: Incidence) -> list[str]:
    """The assumed incomes: what they reproduce, and a figure that they were not fitted to."""
    from forecaster.who_pays import income_check, insured_amounts

    decile, wages = income_check(basis, law, incidence)
    at_floor = insured_amounts(basis, law, incidence).at_floor
    return [
        "The assumed incomes held against other figures: "
        f"the {incidence.lowest_step_people:,.0f} people whom the rise of the lowest step concerned (published), "
        f"{at_floor:.0%} of the insured by our count, are taken to stand at it; the ninth decile of insured amounts is "
        f"{decile:,.0f} TWD a month in {basis.years[0]}, "
        f"that of employees' wages with bonuses was {wages:,.0f} in 2024 (TW-S134), to which nothing was fitted."
    ]


def _print(
    tables: dict[str, pd.DataFrame], scenarios: tuple[Scenario, ...], year: int, money: str, notes: list[str]
) -> None:
    screen = console()
    titles = {"baseline": "the law", "reform": "the reform"}
    for scenario in scenarios:
        mine = {name: table[table["scenario"] == scenario.name] for name, table in tables.items()}
        screen.print(f"\nUnder {titles[scenario.name]}", style="bold")
        labels = {name: category.label for name, category in scenario.policy.scheme.categories.items()}
        paying = mine["categories"][mine["categories"]["payer"].isin(PAYING)]
        wide = paying.pivot_table(index="category", columns="payer", values="mean", sort=False, aggfunc="sum")
        body = [[labels.get(name, name), *row] for name, row in zip(wide.index, wide.to_numpy(), strict=True)]
        body.append(["all", *wide.sum()])
        _table(f"Paid in {year}, {money}", ["", *wide.columns], body, 1)
        groups = mine["groups"].drop(columns="scenario")
        groups["own_share_of_income"] *= 100.0
        names = [name.replace("_", " ") for name in groups.columns]
        names[-1] = "own, % of income"
        _table(f"Income groups in {year}, TWD a month per head", names, groups.to_numpy().tolist(), 1)
        indices = ", ".join(f"{row.measure} {row.index:+.3f}" for row in mine["progressivity"].itertuples(index=False))
        screen.print(f"Gini of income, and Kakwani's index of payments: {indices}", soft_wrap=True)
        for name, title in (("lifetimes", "Lives"), ("cohorts", "What remains of them")):
            _print_lives(mine[name], f"{title} by year of birth, thousand TWD per person")
    for note in notes:
        screen.print(f"- {note}", soft_wrap=True)


def _print_lives(table: pd.DataFrame, title: str) -> None:
    wide = table.pivot_table(index=["born", "first"], columns="line", values="q50", sort=False)
    bands = table[table["line"] == "net"].set_index("born")
    body = [
        [str(born), str(first), *row, bands["q10"][born], bands["q90"][born]]
        for (born, first), row in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    _table(title, ["born", "from", *wide.columns, "10%", "90%"], body, 0)


def _table(title: str, columns: list[str], rows: list[list[Any]], digits: int) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    for i, column in enumerate(columns):
        table.add_column(str(column), justify="left" if i == 0 else "right")
    for row in rows:
        cells = [f"{cell:,.{digits}f}" if isinstance(cell, float) and cell == cell else cell for cell in row]
        table.add_row(*(cell if isinstance(cell, str) else "" for cell in cells))
    screen = console()
    screen.print(f"\n{title}", style="bold")
    screen.print(table)
