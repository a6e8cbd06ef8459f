"""``forecaster project``: baseline and reform on the same draws, as tables and as a short summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import (
    Also,
    BasisName,
    Draws,
    Fits,
    Force,
    Horizon,
    Json,
    Options,
    Out,
    ReformName,
    Save,
    SchemeName,
    Settings,
    TheoryName,
    console,
    default_start,
    error_console,
    in_futures,
    months_word,
    print_json,
    read_given,
    read_law,
    read_reform,
    refuse_idle,
    theory_name,
)

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console

    from forecaster.basis import Basis
    from forecaster.export import RateQuestion, Scenario
    from forecaster.policy import Reform

RATE_YEARS = (2030, 2035)
RATE_CHANCES = (0.5, 0.9)


def project(
    scheme: SchemeName,
    horizon: Horizon = None,
    settings: Settings = None,
    reform: ReformName = None,
    basis: BasisName = None,
    draws: Draws = None,
    fits: Fits = None,
    option: Options = None,
    theory: TheoryName = None,
    stack: Annotated[
        str | None, typer.Option("--stack", metavar="FILE|NAME", help="Another benefit stack behind the fund.")
    ] = None,
    out: Out = None,
    force: Force = False,
    also: Also = None,
    save: Save = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    json_: Json = False,
) -> None:
    """Project the fund under the law and under a reform.

    Example: forecaster project tw_nhi_2g --horizon 2060 --set general_premium_rate=0.0557@2027-01-01 --out result
    """
    from forecaster.cli.care import care_summary, care_tables
    from forecaster.cli.recording import Asked, check_saving, further_files, save_projection
    from forecaster.export import check_target, run_scenarios, write_folder
    from forecaster.manifest import run_manifest
    from forecaster.need import SpendingOptions
    from forecaster.policy import Policy

    if out is not None:
        check_target(out, force=force)
    check_saving(also, out, save)
    law = read_law(scheme, stack)
    options = SpendingOptions.parse(option) if option else None
    changes = read_reform(settings, reform)
    Policy(law, changes)  # a wrong name or value is told before the seconds that the basis takes
    with error_console().status("drawing the basis ...") as status:
        if quiet:
            status.stop()
        given = read_given(law, basis, horizon, draws, fits, options, theory)
        reformed = given.reformed(changes)
        refuse_idle(given.basis, given.law, reformed)
        scenarios = run_scenarios(given.basis, given.law, reformed)
        questions = questions_of(scenarios)
        care = {} if quiet and out is None and save is None else care_tables(scenarios)
        manifest = run_manifest(given.basis, given.law, reformed, given.fit, given.record)
        if out is not None:
            files = result_files(
                scenarios, questions, manifest, care, also=further_files(also, scenarios, questions, manifest, care)
            )
            write_folder(out, files, force=force)
        if save is not None:
            asked = Asked(law, basis, draws, fits, changes, theory=theory_name(theory), options=tuple(option or ()))
            saved = save_projection(asked, given, manifest, result_files(scenarios, questions, manifest, care), save)
    summary = summary_of(scenarios, questions, manifest, changes)
    summary["care"] = care_summary(scenarios, care, summary["years"])
    if save is not None:
        summary["saved"] = saved.id
    if json_:
        print_json(summary)
    elif not quiet:
        _print(summary, given.basis, out)


def questions_of(scenarios: tuple[Scenario, ...]) -> list[RateQuestion]:
    """The rates that keep the law's least reserve, for the usual years and chances."""
    from forecaster.export import RateQuestion
    from forecaster.rules import yearly_review
    from forecaster.solve import required_rate

    basis = scenarios[0].basis
    start, last = default_start(basis), int(basis.years[-1])
    years = [year for year in RATE_YEARS if start.year <= year <= last] or [last]
    chances = RATE_CHANCES if basis.n_draws > 1 else RATE_CHANCES[:1]
    return [
        RateQuestion(
            scenario.name,
            scenario.floor_months,
            year,
            start.isoformat(),
            chance,
            required_rate(
                basis, scenario.policy, months=scenario.floor_months, year=year, start=start, probability=chance
            ),
        )
        for scenario in scenarios
        # Where a yearly review sets the rate there is none to ask for.
        if not yearly_review(scenario.policy, basis.years).on[int(start.year - basis.years[0])]
        for year in years
        for chance in chances
    ]


def result_files(
    scenarios: tuple[Scenario, ...],
    questions: list[RateQuestion],
    manifest: dict[str, Any],
    more: dict[str, DataFrame] | None = None,
    also: dict[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Everything that ``--out`` writes, by name: tables (``more`` of them too), data dictionary, readme, manifest.

    ``also`` are files in further formats.
    """
    from forecaster import export
    from forecaster.manifest import manifest_bytes

    warnings = (manifest["backtest"] or {}).get("warnings", [])
    tables = {**export.forecast_tables(scenarios, questions), **(more or {})}
    files = export.table_files(tables, manifest["run_hash"], warnings)
    files["columns.csv"] = export.csv_bytes(export.column_table())
    files["lines.csv"] = export.csv_bytes(export.line_table(scenarios[0].policy.scheme.money))
    files["README.txt"] = _readme(scenarios, manifest).encode()
    files |= also or {}
    hashes = {name: export.sha256(content) for name, content in sorted(files.items())}
    files[export.MARK] = manifest_bytes({**manifest, "files": hashes})
    return files


def _readme(scenarios: tuple[Scenario, ...], manifest: dict[str, Any]) -> str:
    from forecaster.certificate import NO_FIT
    from forecaster.policy import assumed_terms

    basis, policy = scenarios[0].basis, scenarios[0].policy
    baseline = policy.change.token or "the law"
    reform = scenarios[1].policy.change.token or "the law" if len(scenarios) > 1 else "none"
    stated = (*basis.assumptions, *assumed_terms(scenarios[-1].policy))
    assumptions = "\n".join(f"- {text}" for text in stated) or "- none stated"
    backtest = manifest["backtest"] or {"warnings": [], "record": [NO_FIT]}
    warnings = "".join(f"{text}\n" for text in backtest["warnings"])
    record = "\n".join(f"- {text}" for text in backtest["record"]) or "- none"
    return f"""\
{warnings}Forecast of {policy.scheme.label} ({policy.scheme.id})
Basis: {basis.label}, {basis.n_draws} draws, {basis.years[0]} to {basis.years[-1]}
Baseline: {baseline}
Reform: {reform}
Run: {manifest["run_hash"]}

forecast        mean and quantiles of every line by scenario and year; the lines are explained in lines.csv
probabilities   chances by year of a deficit, a reserve below the law's floor, and below zero
first_years     distribution of the first year of each
valuation       summarised rates, balance, level rate and unfunded obligation of 25, 50 and 75 years
spending        growth of outgo since the first year by driver, where the basis knows its people
care, need      who pays for the members' care, and households in need, where a benefit stack stands behind the fund
required_rates  general premium rate that keeps the law's least reserve; of `forecaster project`
attribution     part of each lever in the difference of reform and baseline; of `forecaster compare`
columns.csv     meaning and unit of every column
manifest.json   hashes of law, reform, basis, fit, data, code, and of the files here

Every table is there as CSV (UTF-8) and as Parquet. Rates are shares: 0.0517 is 5.17%. Means add up: opening reserve
+ total income - outgo = reserve. Quantiles do not add up, for each is taken by itself.

How forecasts of earlier years did:
{record}

Assumed, not learnt:
{assumptions}
"""


def summary_of(
    scenarios: tuple[Scenario, ...], questions: list[RateQuestion], manifest: dict[str, Any], changes: Reform
) -> dict[str, Any]:
    """The short answer as plain data: what ``--json`` prints and the terminal words."""
    from forecaster import export
    from forecaster.passing import other_pool_told
    from forecaster.policy import assumed_terms
    from forecaster.rules import overridden_rates
    from forecaster.solvency import quantiles

    basis, policy = scenarios[0].basis, scenarios[0].policy
    by_name = {scenario.name: scenario for scenario in scenarios}
    years = selected_years(basis)
    rows = [int(year - basis.years[0]) for year in years]
    answer: dict[str, Any] = {
        "scheme": policy.scheme.id,
        "label": policy.scheme.label,
        "rate_label": policy.scheme.parameter("general_premium_rate").label,
        "basis": basis.label,
        "draws": basis.n_draws,
        "first_year": int(basis.years[0]),
        "last_year": int(basis.years[-1]),
        "law_changes_of_the_basis": [str(change) for change in policy.change.changes],
        "reform": [str(change) for change in changes.changes],
        "floor_months": {name: scenario.floor_months for name, scenario in by_name.items()},
        "years": years,
        "probabilities": {},
        "first_years": {},
        "reserve_months": {},
        "point_value": {},
    }
    for name, scenario in by_name.items():
        table = export.probability_table([scenario]).iloc[rows]
        answer["probabilities"][name] = {
            key: table[key].tolist()
            for key in table.columns
            # Empty is what this law has no word of.
            if key.endswith(("_by_year", "_in_year")) and table[key].notna().all()
        }
        answer["first_years"][name] = {
            event: {"median": found.quantile(0.5), "not_within_horizon": found.not_within_horizon}
            for event, found in export.events(scenario).items()
        }
        low, middle, high = quantiles(scenario.projection.reserve_months, (0.1, 0.5, 0.9))[:, rows]
        answer["reserve_months"][name] = {"q0.1": low.tolist(), "q0.5": middle.tolist(), "q0.9": high.tolist()}
        if (value := scenario.projection.point_value) is not None:
            low, middle, high = quantiles(value, (0.1, 0.5, 0.9))[:, rows]
            answer["point_value"][name] = {"q0.1": low.tolist(), "q0.5": middle.tolist(), "q0.9": high.tolist()}
    answer["required_rates"] = export.required_rate_table(questions).to_dict("records")
    answer["warnings"] = [text for s in scenarios for text in overridden_rates(s.policy, basis.years)]
    answer["warnings"] += [text for s in scenarios for text in other_pool_told(s.policy)]
    answer["assumptions"] = [*basis.assumptions, *assumed_terms(scenarios[-1].policy)]
    answer["backtest"] = manifest["backtest"]
    answer["run_hash"] = manifest["run_hash"]
    return answer


def selected_years(basis: Basis) -> list[int]:
    """First and last year, and the round ones between: each fifth up to twenty years ahead, then each tenth."""
    first, last = int(basis.years[0]), int(basis.years[-1])
    between = [y for y in range(first + 1, last) if y % 5 == 0 and (y - first <= 20 or y % 10 == 0)]
    return sorted({first, *between, last})


def _print(summary: dict[str, Any], basis: Basis, out: Path | None) -> None:
    from forecaster.cli.care import print_care

    screen = console()
    draws, names = summary["draws"], list(summary["probabilities"])
    floor = months_word(summary["floor_months"]["baseline"])
    future = f"{draws:,} simulated futures" if draws > 1 else "one path"
    for text in (summary["backtest"] or {}).get("warnings", ()):
        screen.print(text, style="bold")
    screen.print(f"{summary['label']} ({summary['scheme']}), {basis.years[0]} to {basis.years[-1]}", style="bold")
    screen.print(f"Basis: {summary['basis']}, {future}")
    if summary["law_changes_of_the_basis"]:
        screen.print(f"The basis takes as given: {'; '.join(summary['law_changes_of_the_basis'])}")
    screen.print(f"Reform: {'; '.join(summary['reform']) or 'none, only the law is projected'}")
    for text in summary["warnings"]:
        screen.print(f"Note: {text}.", style="bold")
    screen.print()
    for name in names:
        screen.print(_sentence(summary, name, floor))
    for title, key in (
        (f"Reserve below {floor} at the end of that year or an earlier one", "below_floor_by_year"),
        ("Reserve below zero at the end of that year or an earlier one", "depleted_by_year"),
    ):
        cells = {name: [in_futures(p, draws) for p in summary["probabilities"][name][key]] for name in names}
        _print_table(screen, title, summary["years"], cells)
    cells = {name: _banded(summary["reserve_months"][name], draws) for name in names}
    band = ": median (80% band)" if draws > 1 else ""
    _print_table(screen, f"Reserve in months of outgo at the end of the year{band}", summary["years"], cells)
    for title, key in (
        (
            "Even the highest rate allowed would not cover the outgo, in that year or an earlier one",
            "limit_short_by_year",
        ),
        (
            "The yearly review wanted a higher rate than is allowed, in that year or an earlier one",
            "rate_limit_by_year",
        ),
    ):
        chances = {name: summary["probabilities"][name].get(key, []) for name in names}
        if any(any(chances[name]) for name in names):
            cells = {name: [in_futures(p, draws) for p in chances[name]] for name in names}
            _print_table(screen, title, summary["years"], cells)
    if summary["point_value"]:
        cells = {name: _banded(summary["point_value"][name], draws, 2) for name in names}
        title = f"Money per point of providers under the budget, before any guarantee{band}"
        _print_table(screen, title, summary["years"], cells)
    if summary["required_rates"]:
        _print_rates(screen, summary["required_rates"], draws, summary["rate_label"])
    print_care(summary["care"])
    screen.print()
    if summary["assumptions"]:
        screen.print("Assumed, not learnt:")
        for text in summary["assumptions"]:
            screen.print(f"- {text}")
    if summary["backtest"] and summary["backtest"]["record"]:
        screen.print(f"Backtest: {summary['backtest']['record'][1]}")
    screen.print(f"Run {summary['run_hash']}")
    if "saved" in summary:
        screen.print(f"Kept as run {summary['saved'][:12]}; forecaster runs show {summary['saved'][:12]}")
    if out is not None:
        screen.print(f"Tables written to {out}", soft_wrap=True)


def _sentence(summary: dict[str, Any], name: str, floor: str) -> str:
    """What happens, in frequencies: the year in which half of the futures have got there, or how many never do."""
    law = "Under the law" if name == "baseline" else "Under the reform"
    draws, last, first = summary["draws"], summary["last_year"], summary["first_years"][name]
    parts = []
    for event, words in (("first_below_floor", f"below {floor}"), ("first_depletion", "below zero")):
        share, median = 1.0 - first[event]["not_within_horizon"], first[event]["median"]
        if draws == 1:
            parts.append(f"falls {words} in {median}" if median else f"does not fall {words} by {last}")
        else:
            half = f" (in half of all by {median})" if median else ""
            parts.append(f"falls {words} by {last} in {in_futures(share, draws)} simulated futures{half}")
    return f"{law} the reserve {parts[0]}; it {parts[1]}."


def _banded(found: dict[str, list[float]], draws: int, digits: int = 1) -> list[str]:
    if draws == 1:
        return [f"{round(m, 2) + 0.0:.2f}" for m in found["q0.5"]]
    triples = zip(found["q0.5"], found["q0.1"], found["q0.9"], strict=True)
    # Adding zero after rounding turns "-0.0" into "0.0".
    rounded = ([round(value, digits) + 0.0 for value in triple] for triple in triples)
    return [f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})" for middle, low, high in rounded]


_NAMES = {"baseline": "the law", "reform": "the reform"}


def _print_table(screen: Console, title: str, years: list[int], cells: dict[str, list[str]]) -> None:
    from rich.table import Table

    table = Table("year")
    for name in cells:
        table.add_column(_NAMES[name], justify="right")
    for i, year in enumerate(years):
        table.add_row(str(year), *(column[i] for column in cells.values()))
    screen.print(f"\n{title}", style="bold")
    screen.print(table)


def _print_rates(screen: Console, rows: list[dict[str, Any]], draws: int, label: str) -> None:
    from rich.table import Table

    table = Table("under", "months", "through", *(["chance"] if draws > 1 else []))
    table.add_column("rate, rounded up", justify="right", no_wrap=True)
    table.add_column("exact", justify="right")
    for row in rows:
        chance = [f"{row['probability']:.0%}"] if draws > 1 else []
        exact = f"{row['exact_rate']:.4%}"
        name, through = _NAMES[row["scenario"]].removeprefix("the "), str(row["through_year"])
        table.add_row(name, f"{row['months']:g}", through, *chance, row["answer"], exact)
    screen.print(f"\n{label}: required from {rows[0]['start']} on for a reserve of so many months", style="bold")
    screen.print(table)
