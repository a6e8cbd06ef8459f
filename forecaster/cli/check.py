"""``forecaster check``: every file that the program reads, and which of a law's parameters a projection reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import Json, console, print_json, read_law
from forecaster.errors import FaultyInput, ForecasterError

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from forecaster.basis import Basis
    from forecaster.members import MemberPeople
    from forecaster.schemes import Scheme


@dataclass
class Findings:
    """What a check has found; only faults make it fail."""

    sound: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    breaks: list[dict[str, Any]] = field(default_factory=list)
    unread: dict[str, dict[str, str]] = field(default_factory=dict)

    def attempt(self, read: Callable[[], str]) -> None:
        """Run one reading; it answers with a line to print, or its faults are kept."""
        try:
            self.sound.append(read())
        except ForecasterError as error:
            self.faults.append(str(error))


def check(
    scheme: Annotated[
        str | None,
        typer.Argument(metavar="[SCHEME]", help="Only this scheme: a shipped one, a scheme file, or a pool's folder."),
    ] = None,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="List the scheme's parameters with value, bounds and source.")
    ] = False,
    json_: Json = False,
) -> None:
    """Check every file that is read.

    Schemes, reforms, observed figures, bases and fits; it also says which parameters of a law no projection reads.
    Exit code 0 when all is sound, 1 when something is faulty.
    """
    from forecaster.schemes import scheme_ids

    findings = Findings()
    names = scheme_ids() if scheme is None else (scheme,)
    for name in names:
        findings.attempt(lambda name=name: _scheme(name, findings))  # type: ignore[misc]
    if scheme is None:
        _files(findings)
    listed: list[dict[str, Any]] = []
    if parameters and not findings.faults:
        listed = [row for name in names for row in parameter_rows(read_law(str(name)))]
    if json_:
        print_json({"accepted": not findings.faults, **vars(findings), "parameters": listed})
    else:
        _print(findings, listed)
    if findings.faults:
        raise typer.Exit(1)


def _scheme(name: str, findings: Findings) -> str:
    from forecaster.pools import pool_names

    scheme = read_law(name)
    unread = sorted(set(scheme.parameters) - read_parameters(scheme))
    findings.unread[scheme.id] = {name: scheme.parameters[name].not_read for name in unread}
    read = len(scheme.parameters) - len(unread)
    told = f"scheme {scheme.id}: {len(scheme.parameters)} parameters, {read} of them read by a projection"
    if _is_shipped(scheme) and scheme.pool not in pool_names():
        told += f"; a law without a fund. {' '.join(scheme.description.split())}"
    return told


def _is_shipped(scheme: Scheme) -> bool:
    from forecaster.schemes import scheme_ids

    return scheme.id in scheme_ids()


def read_parameters(scheme: Scheme) -> set[str]:
    """Names of the parameters that a projection of a small made-up basis with everything in it reads."""
    from forecaster.benefits import evaluate
    from forecaster.engine import project
    from forecaster.export import Scenario, forecast_tables
    from forecaster.fund_stack import LawWithStack, in_terms
    from forecaster.policy import Change, Policy, Reform

    basis = probe_basis(scheme)
    review = scheme.parameters.get("yearly_review")
    rules = [Reform()] if review is None else [Reform(), Reform((Change("yearly_review", scheme.start, "on"),))]
    policies = [Policy(scheme, rule) for rule in rules]
    for policy in policies:
        forecast_tables([Scenario("baseline", basis, policy, project(basis, policy))])
        if isinstance(scheme, LawWithStack):
            evaluate(scheme.stack, policy, basis.years, cost_scale=basis.outlay / basis.outlay)
            if basis.members is not None:
                in_terms(policy, scheme.stack, basis.years, basis.members)
    return set().union(*(policy.reads for policy in policies))


def probe_basis(scheme: Scheme) -> Basis:
    """Made-up basis of one draw with every category and item of the scheme, its thresholds other than the law's."""
    import numpy as np

    from forecaster.basis import Basis, PaymentSizes, Points

    last = max(day.start.year for parameter in scheme.parameters.values() for day in parameter.values) + 1
    last = last if scheme.end is None else min(last, scheme.end.year)
    years = np.array([last - 1, last])
    items = tuple(scheme.supplementary_items)
    sized = [item for item in items if f"supplementary_threshold.{item}" in scheme.parameters]
    n = len(scheme.categories)

    def level(value: float) -> np.ndarray:
        return np.full((2, 1), value)

    return Basis(
        label="probe",
        years=years,
        opening_reserve=np.array([100.0]),
        general_base=level(12000.0),
        category_mix=np.full((n, 1), 1.0 / n),
        categories=tuple(scheme.categories),
        reference_dependants=0.6,
        supplementary_base={item: level(300.0) for item in items},
        other_income={line: level(10.0) for line in ("tobacco_surcharge", "lottery", "late_fees")},
        outlay=level(800.0),
        investment_yield=level(0.01),
        payment_sizes={item: PaymentSizes(np.array([1e5]), np.array([2.0])) for item in sized},
        payment_size_index=level(1.0),
        law_thresholds={item: np.full(2, 1.0) for item in sized},
        law_ceiling=np.full(2, 1e6),
        drivers={},
        points=Points(level(850.0), np.array([0.9])),
        members=_probe_members(scheme, years),
    )


def _probe_members(scheme: Scheme, years: np.ndarray) -> MemberPeople | None:
    """Members of the scheme's pool as last counted, taken for those of the years before the probe's."""
    from dataclasses import replace

    import numpy as np

    from forecaster.members import members_ahead
    from forecaster.pools import find_shipped_pool, pool_names

    if scheme.pool not in pool_names():
        return None
    pool = find_shipped_pool(scheme.pool)
    people = members_ahead(pool, pool.first_year - 1, pool.first_year + len(years) - 1)
    return people and replace(people, years=np.arange(years[0] - 1, years[-1] + 1))


def _files(findings: Findings) -> None:
    from forecaster.basis import read_basis
    from forecaster.observations import list_places, load_observations
    from forecaster.policy import Policy, Reform
    from forecaster.pools import pool_names
    from forecaster.resources import data_dir
    from forecaster.schemes import load_scheme

    def observed(place: str) -> str:
        found = load_observations(place)
        columns = ["identity", "period", "size", "unit", "reason", "source"]
        rows: list[Any] = found.breaks[columns].to_dict("records")
        findings.breaks.extend({"place": place, **row} for row in rows)
        return f"observed figures of {place}: {len(found.table)} rows, {len(found.sources)} sources"

    def demography() -> str:
        from forecaster.demography.tables import PLACES, load_wpp

        for place in PLACES:
            load_wpp(place)
        return f"population tables: {', '.join(PLACES)}"

    def basis(name: str) -> str:
        found = read_basis(name)
        return f"basis {name}: {found.years[0]} to {found.years[-1]}"

    def reform(name: str) -> str:
        path = data_dir() / "reforms" / f"{name}.toml"
        changes = Reform.read(path)
        Policy(load_scheme(reform_scheme(name)), changes)
        return f"reform {name}: {changes.token}"

    def official(name: str) -> str:
        from forecaster.effects import official_effects

        return f"official effects {name}: {len(official_effects(load_scheme(name)))} figures"

    def studies(name: str) -> str:
        from forecaster.studies import published_studies

        law = read_law(name)
        found = published_studies(law)
        for study in found:
            for side in (study.before, study.after, study.premise):
                Policy(law, Reform.parse(side))
        return f"studies of {name}: {len(found)} figures"

    def incidence(name: str) -> str:
        from forecaster.who_pays import incidence_of

        return f"incidence {name}: {len(incidence_of(name).notes)} notes on what is assumed"

    def valuation(name: str) -> str:
        from forecaster.published import hold, read_document, value_document

        document = read_document(name)
        held = hold(value_document(document), document)
        if not held["within"].all():
            missed = ", ".join(held.loc[~held["within"], "measure"])
            raise ForecasterError(f"published valuation {name}: not held: {missed}; see forecaster valuation {name}")
        return f"published valuation {name}: {len(held)} answers held"

    def stack(name: str) -> str:
        from forecaster.benefits import fitted_severity, load_stack

        found = load_stack(name)
        fit = fitted_severity(found)
        return f"stack {name}: {len(found.layers)} layers, spending fitted to {len(fit.targets)} figures"

    def households(name: str) -> str:
        from forecaster.household_people import read_households

        return f"households {name}: {', '.join(read_households(name).places)}"

    for place in list_places():
        findings.attempt(lambda place=place: observed(place))  # type: ignore[misc]
    findings.attempt(demography)
    for path in sorted((data_dir() / "stacks").glob("*.toml")):
        findings.attempt(lambda name=path.stem: stack(name))  # type: ignore[misc]
    for path in sorted((data_dir() / "households").glob("*.toml")):
        findings.attempt(lambda name=path.stem: households(name))  # type: ignore[misc]
    for path in sorted((data_dir() / "bases").glob("*.toml")):
        findings.attempt(lambda name=path.stem: basis(name))  # type: ignore[misc]
    for path in sorted((data_dir() / "reforms").glob("*.toml")):
        findings.attempt(lambda name=path.stem: reform(name))  # type: ignore[misc]
    for path in sorted((data_dir() / "effects").glob("*.toml")):
        findings.attempt(lambda name=path.stem: official(name))  # type: ignore[misc]
    for path in sorted((data_dir() / "studies").glob("*.toml")):
        findings.attempt(lambda name=path.stem: studies(name))  # type: ignore[misc]
    for path in sorted((data_dir() / "valuations").glob("*.toml")):
        findings.attempt(lambda name=path.stem: valuation(name))  # type: ignore[misc]
    for path in sorted((data_dir() / "incidence").glob("*.toml")):
        findings.attempt(lambda name=path.stem: incidence(name))  # type: ignore[misc]
    pools = pool_names() if not findings.faults else ()
    for pool in pools:
        faults = len(findings.faults)
        findings.attempt(lambda pool=pool: _fit(pool))  # type: ignore[misc]
        if len(findings.faults) == faults:
            findings.attempt(lambda pool=pool: _record(pool))  # type: ignore[misc]


def reform_scheme(name: str) -> str:
    """The scheme that a shipped reform file says it changes."""
    import tomllib

    from forecaster.errors import Fault
    from forecaster.resources import data_dir

    path = data_dir() / "reforms" / f"{name}.toml"
    scheme = tomllib.loads(path.read_text(encoding="utf-8")).get("scheme")
    if not isinstance(scheme, str):
        raise FaultyInput(path.name, [Fault("scheme", "nothing", "the scheme it changes", "add scheme = ...")])
    return scheme


def _fit(pool: str) -> str:
    from forecaster.fitted import load_fit
    from forecaster_models.fit import current_inputs

    fit = load_fit(pool)
    manifest, now = fit.manifest, current_inputs(pool, fit.priors)
    stale = sorted(name for name in now if manifest["inputs"].get(name) != now[name])
    if stale:
        raise ForecasterError(
            f"the fit of {pool} is stale: {', '.join(stale)} changed since; make it anew: forecaster fit {pool}"
        )
    own = ", with priors of one's own" if fit.priors else ""
    return f"fit of {pool}: accepted and up to date{own}, seed {manifest['seed']}, {manifest['hash'][:12]}"


def _record(pool: str) -> str:
    """The certificate against the fit; bands that failed are told, but they are no fault of a file."""
    from forecaster.certificate import read_record
    from forecaster.fitted import load_fit
    from forecaster.pools import find_pool

    record = read_record(find_pool(pool), load_fit(pool).manifest["inputs"])
    if record.status != "backtested":
        raise ForecasterError(record.headline)
    return f"backtest of {pool}: {record.headline}"


def parameter_rows(scheme: Scheme) -> list[dict[str, Any]]:
    """Every parameter with what holds today, its bounds and sources, and whether a projection reads it."""
    read = read_parameters(scheme)
    rows = []
    for name, parameter in scheme.parameters.items():
        law = [value for value in parameter.values if value.status != "proposed"]
        low, high = parameter.bounds or (None, None)
        rows.append(
            {
                "scheme": scheme.id,
                "name": name,
                "label": parameter.label,
                "unit": parameter.unit,
                "value": law[-1].value,
                "from": law[-1].start.isoformat(),
                "status": law[-1].status,
                "source": law[-1].source,
                "lowest": low,
                "highest": high,
                "choices": list(parameter.choices),
                "bounds_source": parameter.bounds_source,
                "article": parameter.article,
                "lever": parameter.lever,
                "read": name in read,
            }
        )
    return rows


def _print(findings: Findings, listed: list[dict[str, Any]]) -> None:
    screen = console()
    for line in findings.sound:
        screen.print(f"sound   {line}", soft_wrap=True)
    for text in findings.faults:
        screen.print(f"FAULTY  {text}", soft_wrap=True)
    if findings.breaks:
        screen.print("\nBreaks that the sources themselves have, declared in the data:", style="bold")
    for row in findings.breaks:
        words = f"  {row['place']} {row['identity']} {row['period']}: {row['size']} {row['unit']} ({row['source']})"
        screen.print(f"{words}: {row['reason']}", soft_wrap=True)
    for name, unread in findings.unread.items():
        if unread:
            screen.print(f"\nParameters of {name} that no projection reads:", style="bold")
            for parameter, reason in unread.items():
                screen.print(f"  {parameter}{f': {reason}' if reason else ''}", soft_wrap=True)
    if listed:
        _print_parameters(screen, listed)


def _print_parameters(screen: Console, listed: list[dict[str, Any]]) -> None:
    for scheme in dict.fromkeys(row["scheme"] for row in listed):
        screen.print(f"\nParameters of {scheme} (* = no projection reads it):", style="bold")
        for row in (row for row in listed if row["scheme"] == scheme):
            limits = ", ".join(row["choices"]) or f"{row['lowest']:g} to {row['highest']:g}"
            value = row["value"] if isinstance(row["value"], str) else f"{row['value']:g}"
            mark = "" if row["read"] else " *"
            screen.print(f"  {row['name']}{mark} = {value} {row['unit']} from {row['from']}", soft_wrap=True)
            bounds = f"allowed {limits}" + (f" ({row['bounds_source']})" if row["bounds_source"] else "")
            words = f"{row['label']}; {bounds}; source {row['source']}, {row['status']}"
            screen.print(f"      {words}", soft_wrap=True, style="dim")
