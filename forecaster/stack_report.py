"""Tables of a benefit stack: who pays what of a claim and in the mean, its terms, its households."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import forecaster
from forecaster.benefits import StackResult, evaluate, fitted_severity, pay_claims
from forecaster.errors import Fault, FaultyInput
from forecaster.export.files import WARNING, csv_bytes, table_files
from forecaster.export.folder import MARK
from forecaster.export.tables import BASELINE, DIFFERENCE, QUANTILE_COLUMNS, REFORM
from forecaster.fund_stack import CarePaid
from forecaster.hashing import digest, sha256
from forecaster.household import MEASURES, HouseholdResult
from forecaster.household_people import HouseholdFile
from forecaster.layers import Stack
from forecaster.manifest import LIBRARIES, code_hash, data_hashes, manifest_bytes
from forecaster.observations import load_observations
from forecaster.policy import Policy, Reform
from forecaster.severity import Severity, severity_facts
from forecaster.solvency import QUANTILES, quantiles

CLAIMS = (500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0, 200_000.0, 500_000.0)
ALL_AGES, ALL = "all ages", "all"
# Published incidence to hold the households against: series, our place; both readings of one survey stand in it.
_PUBLISHED = (
    ("che_incidence|all", "all", "catastrophic"),
    ("che_incidence|urban", "urban", "catastrophic"),
    ("che_incidence|rural", "rural", "catastrophic"),
    ("che_overshoot_intensity|all", "all", "overshoot"),
    ("impoverishment_rate|all", "all", "impoverished"),
)


@dataclass(frozen=True)
class StackScenario:
    """A policy over a stack and what its payers pay; ``name`` is ``baseline`` or ``reform``."""

    name: str
    law: Policy
    order: tuple[str, ...]
    paid: StackResult
    households: HouseholdResult | None = None


def run_stack(
    stack: Stack,
    law: Policy,
    reform: Policy | None,
    years: Sequence[int],
    draws: int,
    order: Sequence[str] | None = None,
) -> tuple[StackScenario, ...]:
    """The payments of the law in legal order, and of a reform or another order on the same draws.

    Parameters
    ----------
    reform
        The changed law; None when nothing but perhaps the order differs.
    draws
        1 for the best fit of the severity alone.
    """
    severity = _severity(stack, draws)
    legal = tuple(layer.id for layer in stack.layers)
    scenarios = [StackScenario(BASELINE, law, legal, evaluate(stack, law, np.asarray(years), severity))]
    if reform is not None or (order is not None and tuple(order) != legal):
        other = law if reform is None else reform
        paid = evaluate(stack, other, np.asarray(years), severity, order=order)
        scenarios.append(StackScenario(REFORM, other, tuple(order or legal), paid))
    return tuple(scenarios)


def refuse_idle(stack: Stack, reform: Policy, year: int) -> None:
    """Refuse changes that move no payment of the year: silence would look like an answer.

    Raises
    ------
    FaultyInput
        Naming each parameter and the likely reasons.
    """
    years = np.array([year])
    law = evaluate(stack, Policy(stack.law), years).expected
    faults = []
    for name in sorted({change.name for change in reform.change.changes}):
        changes = tuple(change for change in reform.change.changes if change.name == name)
        if np.array_equal(evaluate(stack, Policy(stack.law, Reform(changes)), years).expected, law):
            found = f"{'; '.join(map(str, changes))}, which changes no payment of {year}"
            mend = "choose an earlier day or a later year; premiums and administration are shown, not computed with"
            faults.append(Fault(name, found, "a change that moves who pays", mend))
    if faults:
        raise FaultyInput("the reform", faults)


def _severity(stack: Stack, draws: int) -> Severity:
    fit = fitted_severity(stack)
    return fit.best if draws == 1 else fit.draws(draws)


def payment_table(scenarios: Sequence[StackScenario]) -> pd.DataFrame:
    """Mean payment per insured by payer, year and age band; with two scenarios their difference, draw by draw."""
    values = {s.name: dict(zip(s.paid.payers, _with_all_ages(s.paid), strict=True)) for s in scenarios}
    if len(scenarios) == 2:
        values[DIFFERENCE] = {payer: values[REFORM][payer] - paid for payer, paid in values[BASELINE].items()}
    first = scenarios[0].paid
    parts = []
    for name, payers in values.items():
        for payer, paid in payers.items():
            for b, band in enumerate((*first.bands, ALL_AGES)):
                part = {"scenario": name, "payer": payer, "year": first.years, "band": band}
                part |= {"unit": f"{first.currency} per person-year", "mean": paid[:, b].mean(axis=1) + 0.0}
                part |= dict(zip(QUANTILE_COLUMNS, quantiles(paid[:, b]) + 0.0, strict=True))
                parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def _with_all_ages(paid: StackResult) -> np.ndarray:
    """Payments with the mean over all ages as a last band, ``(payer, year, band + 1, draw)``."""
    return np.concatenate([paid.expected, paid.per_head()[:, :, None, :]], axis=2)


def claim_table(
    stack: Stack,
    scenarios: Sequence[StackScenario],
    year: int,
    claims: Sequence[float] = CLAIMS,
    covered: tuple[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Who pays what of each claim, in every group of people; ``covered`` gives one group further cover."""
    parts = []
    for scenario in scenarios:
        for group in stack.groups:
            more = covered[1] if covered is not None and covered[0] == group else ()
            paid = pay_claims(stack, scenario.law, year, np.asarray(claims), group, more, scenario.order)
            for payer, row in zip(scenario.paid.payers, paid, strict=True):
                part = {"scenario": scenario.name, "group": group, "payer": payer, "claim": claims, "paid": row + 0.0}
                parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def terms_table(stack: Stack, law: Policy, year: int) -> pd.DataFrame:
    """Every parameter of the stack with what holds in a year, its source and whether it is enacted or assumed."""
    rows = []
    changed = {change.name: change for change in law.change.changes if change.start.year <= year}
    for name, parameter in law.scheme.parameters.items():
        held = [v for v in parameter.values if v.status != "proposed" and v.start.year <= year] or [parameter.values[0]]
        row = {"parameter": name, "label": parameter.label, "value": str(held[-1].value), "unit": parameter.unit}
        row |= {"from": held[-1].start.isoformat(), "status": held[-1].status, "source": held[-1].source}
        row |= {"note": held[-1].note}
        if name in changed:
            change = changed[name]
            row |= {"value": str(change.value), "from": change.start.isoformat(), "status": "reform"}
            row |= {"source": "reform", "note": ""}
        rows.append(row)
    return pd.DataFrame(rows)


def household_table(scenarios: Sequence[StackScenario]) -> pd.DataFrame:
    """Household measures by place and stage of payment."""
    parts = [s.households.measures.assign(scenario=s.name, year=s.households.year) for s in scenarios if s.households]
    table = pd.concat(parts, ignore_index=True)
    return table[["scenario", "year", "place", "stage", "measure", "value", "standard_error"]]


def left_behind_table(scenarios: Sequence[StackScenario]) -> pd.DataFrame:
    """Who is still catastrophic after all payers."""
    parts = [s.households.left_behind.assign(scenario=s.name) for s in scenarios if s.households]
    table = pd.concat(parts, ignore_index=True)
    return table[["scenario", *(name for name in table.columns if name != "scenario")]]


def published_table(place: str = "chn") -> pd.DataFrame:
    """Published incidence, overshoot and impoverishment, contradictions side by side."""
    observed = load_observations(place)
    parts = []
    for series, where, measure in _PUBLISHED:
        rows = observed.series(series)
        parts.append(
            pd.DataFrame(
                {
                    "measure": measure,
                    "place": where,
                    "year": rows["year"],
                    "value": rows["value"],
                    "source": rows["source"],
                    "note": rows["note"],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def care_table(found: Mapping[str, CarePaid], money: str) -> pd.DataFrame:
    """Who pays for the members' care in a projection, by scenario, payer and year; payer ``all`` is their sum.

    With two scenarios also their difference, draw by draw.
    """
    amounts = {
        name: dict(zip((*care.payers, ALL), (*care.amounts, care.spending), strict=True))
        for name, care in found.items()
    }
    if REFORM in amounts:
        amounts[DIFFERENCE] = {payer: amounts[REFORM][payer] - values for payer, values in amounts[BASELINE].items()}
    years = next(iter(found.values())).years
    parts = []
    for name, payers in amounts.items():
        for payer, values in payers.items():
            part = {"scenario": name, "payer": payer, "year": years, "unit": f"{money} per year"}
            part |= {"mean": values.mean(axis=1) + 0.0}
            part |= dict(zip(QUANTILE_COLUMNS, quantiles(values) + 0.0, strict=True))
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def need_table(found: Mapping[str, Mapping[tuple[int, str, str], np.ndarray]]) -> pd.DataFrame:
    """Households in need after all payers in a projection: shares of households over the draws."""
    whole = {name: dict(values) for name, values in found.items()}
    if REFORM in whole:
        whole[DIFFERENCE] = {key: whole[REFORM][key] - values for key, values in whole[BASELINE].items()}
    rows = []
    for name, values in whole.items():
        for (year, place, measure), shares in values.items():
            row = {"scenario": name, "year": year, "place": place, "measure": measure, "mean": shares.mean() + 0.0}
            rows.append(row | dict(zip(QUANTILE_COLUMNS, quantiles(shares[None, :])[:, 0] + 0.0, strict=True)))
    return pd.DataFrame(rows)


def stack_tables(
    stack: Stack, scenarios: Sequence[StackScenario], year: int, covered: tuple[str, Sequence[str]] | None = None
) -> dict[str, pd.DataFrame]:
    """All tables by name."""
    tables = {
        "claims": claim_table(stack, scenarios, year, covered=covered),
        "payments": payment_table(scenarios),
        "terms": terms_table(stack, scenarios[-1].law, year),
        "severity": pd.DataFrame(severity_facts(fitted_severity(stack))),
    }
    if scenarios[-1].households is not None:
        targeting = [
            pd.DataFrame({"scenario": s.name, "measure": list(t), "value": list(t.values())})
            for s in scenarios
            if s.households is not None
            for t in (s.households.targeting,)
        ]
        tables |= {"households": household_table(scenarios), "left_behind": left_behind_table(scenarios)}
        tables |= {"targeting": pd.concat(targeting, ignore_index=True), "published": published_table()}
    return tables


_SCENARIO = "baseline = the law; reform = the law with the changes, or another order; difference = reform less baseline"
_COLUMNS = (
    ("claims", "scenario", "", _SCENARIO),
    ("claims", "group", "", "people to whom layers apply differently"),
    ("claims", "payer", "", "layer, or out_of_pocket: the household"),
    ("claims", "claim", "CNY", "a person's spending in the year"),
    ("claims", "paid", "CNY", "what the payer pays of it"),
    ("payments", "scenario", "", _SCENARIO),
    ("payments", "payer", "", "layer, or out_of_pocket: the household"),
    ("payments", "year", "calendar year", "year of the payments"),
    ("payments", "band", "", "age band, or all ages"),
    ("payments", "unit", "", "unit of mean and quantiles, nominal"),
    ("payments", "mean", "see unit", "mean payment per insured, over all groups and covers; mean over the draws"),
    *(
        ("payments", name, "see unit", f"{p:g} quantile over the draws")
        for name, p in zip(QUANTILE_COLUMNS, QUANTILES, strict=True)
    ),
    ("terms", "parameter", "", "LAYER.PARAMETER, or a parameter of the stack"),
    ("terms", "label", "", "what it is"),
    ("terms", "value", "see unit", "what holds in the year"),
    ("terms", "unit", "", "unit of the value"),
    ("terms", "from", "day", "since when"),
    ("terms", "status", "", "enacted, assumed, projected; reform where the run changes it"),
    ("terms", "source", "", "id in the list of sources, or assumed"),
    ("terms", "note", "", "remark"),
    ("severity", "target", "", "figure that the distribution of spending is fitted to"),
    ("severity", "wanted", "see target", "the figure"),
    ("severity", "spread", "share", "its relative standard deviation; of tail_index the absolute one"),
    ("severity", "fitted", "see target", "what the fit gives"),
    ("severity", "status", "", "observed, derived or assumed"),
    ("severity", "source", "", "id in the list of sources, or assumed"),
    ("severity", "note", "", "remark"),
    ("households", "scenario", "", _SCENARIO),
    ("households", "year", "calendar year", "year of the measures"),
    ("households", "place", "", "all, urban or rural"),
    ("households", "stage", "", "what has paid so far: all kinds of layer up to this one"),
    ("households", "measure", "", "; ".join(f"{name}: {meaning}" for name, meaning in MEASURES.items())),
    ("households", "value", "share", "share of households; overshoot: share of capacity to pay"),
    ("households", "standard_error", "share", "of the simulation"),
    ("left_behind", "scenario", "", _SCENARIO),
    ("left_behind", "by", "", "income fifth, age of the oldest member, or registered poverty"),
    ("left_behind", "group", "", "group of households"),
    ("left_behind", "households", "share", "of all households"),
    ("left_behind", "catastrophic", "share", "of the group, after all payers, usual reading"),
    ("left_behind", "of_all_catastrophic", "share", "of all catastrophic households"),
    ("left_behind", "registered_poor", "share", "of the group's catastrophic households"),
    ("left_behind", "forgone", "share", "of the group: care beyond the household's reach"),
    ("targeting", "scenario", "", _SCENARIO),
    ("targeting", "measure", "", "see docs/stack.md"),
    ("targeting", "value", "share", "share; concentration: index between -1 and 1"),
    ("published", "measure", "", "what was measured"),
    ("published", "place", "", "all, urban or rural"),
    ("published", "year", "calendar year", "year of the survey"),
    ("published", "value", "share", "as published"),
    ("published", "source", "", "id in the list of sources"),
    ("published", "note", "", "as in the observed table"),
)


def stack_manifest(
    stack: Stack, scenarios: Sequence[StackScenario], draws: int, homes: HouseholdFile | None, sample: int
) -> dict[str, Any]:
    """What the tables were made from, as hashes, with ``run_hash`` over all of it."""
    severity = fitted_severity(stack).file
    content: dict[str, Any] = {
        "stack": {"id": stack.id, "sha256": stack.law.content_hash, "layers": [layer.id for layer in stack.layers]},
        "policies": [
            {"scenario": s.name, "changes": [str(c) for c in s.law.change.changes], "order": list(s.order)}
            for s in scenarios
        ],
        "years": [int(year) for year in scenarios[0].paid.years],
        "severity": {"id": severity.id, "sha256": severity.content_hash, "draws": draws},
        "households": None if homes is None else {"id": homes.id, "sha256": homes.content_hash, "drawn": sample},
        "data": data_hashes(stack.file.place),
        "code": {"version": forecaster.__version__, "sha256": code_hash()},
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES}
        | {"python": platform.python_version()},
    }
    return {"run_hash": digest(content), **content}


def stack_files(tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Everything that is written to a folder: tables, data dictionary, manifest."""
    files = table_files(tables, manifest["run_hash"])
    columns = pd.DataFrame(_COLUMNS, columns=["table", "column", "unit", "meaning"])
    files["columns.csv"] = csv_bytes(columns[columns["table"].isin(list(tables)) & (columns["column"] != WARNING)])
    hashes = {name: sha256(content) for name, content in sorted(files.items())}
    files[MARK] = manifest_bytes({**manifest, "files": hashes})
    return files
