"""``forecaster report``: the actuarial report of a kept run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import console, error_console
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    from pandas import DataFrame

    from forecaster.report import Material
    from forecaster.store import Run, Store

TABLES = ("forecast", "probabilities", "first_years", "valuation", "required_rates", "care", "need")


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A kept projection or scenario; by id or name.")],
    lang: Annotated[str, typer.Option("--lang", help="en, zh-Hant or zh-Hans.")] = "en",
    form: Annotated[str, typer.Option("--format", help="pdf, html or docx.")] = "pdf",
    previous: Annotated[
        str | None, typer.Option("--previous", metavar="RUN", help="Earlier run to reconcile with (section 8).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where it goes; report-RUN.FORMAT when left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
) -> None:
    """Write the actuarial report of a kept run: thirteen sections, the opinion left blank for a named actuary.

    Example: forecaster report official --lang zh-Hant --previous 3f2a91 --out report.pdf
    """
    from forecaster.export import write_file
    from forecaster.report import FORMATS, Texts, render, report_blocks
    from forecaster.report.content import title_of
    from forecaster.store import existing_store

    texts = Texts(lang)
    if form not in FORMATS:
        raise ForecasterError(f"--format {form}: there are {', '.join(FORMATS)}")
    store = existing_store()
    found = store.find(run)
    target = Path(f"report-{found.short}.{form}") if out is None else out
    if target.exists() and not force:
        raise ForecasterError(f"{target} exists already; choose another name, or replace it with --force")
    with error_console().status("writing the report ..."):
        material = material_of(store, found, None if previous is None else store.find(previous))
        blocks = report_blocks(material, texts)
        content = render(blocks, title_of(material, texts), lang, form, texts("footer", run=found.short))
    write_file(target, content)
    console().print(f"Report written to {target}; section 12 is blank until an actuary fills it in.", soft_wrap=True)


def material_of(store: Store, run: Run, previous: Run | None = None) -> Material:
    """What the report needs: the run's own tables, its fit, and sensitivities computed on it today.

    Raises
    ------
    ForecasterError
        When the run is no projection, or is damaged.
    """
    import json

    import pandas as pd

    from forecaster.certificate import FILE
    from forecaster.cli.reconcile import reconciliation
    from forecaster.cli.runs import differing
    from forecaster.cli.shared import given_again
    from forecaster.manifest import run_manifest
    from forecaster.policy import assumed_terms
    from forecaster.pools import find_pool
    from forecaster.replay import unpacked
    from forecaster.report import Material, groups, sensitivities

    faults = store.faults_of(run)
    if faults:
        raise ForecasterError("no report of a damaged run: " + "; ".join(faults))
    with unpacked(store, run) as kept:
        given, before, after = given_again(kept)
        policy = after or before
        manifest = run_manifest(given.basis, before, after, given.fit, kept.record)
        floor = _table(store, run, "probabilities")["floor_months"].iloc[0]
        asked = given.basis, policy, _shown([int(year) for year in given.basis.years]), float(floor)
        tests, grouped = sensitivities(*asked), groups(*asked)
        scheme = policy.scheme
        pool = None if given.fit is None else find_pool(scheme.path)
    apart = differing(_inputs(run.manifest), _inputs(manifest))
    extra: dict[str, Any] = {"assumed": (*run.manifest["basis"]["assumptions"], *assumed_terms(policy))}
    if FILE in run.files:
        extra["certificate"] = json.loads(store.read(run, FILE))
    if run.parent is not None:
        parent = store.find(run.parent)
        extra["fit"] = json.loads(store.read(parent, "manifest.json"))
        extra["history"] = pd.read_csv(io.BytesIO(store.read(parent, "history.csv")), keep_default_na=False)
        extra["history"]["mean"] = pd.to_numeric(extra["history"]["mean"])
        if "priors.csv" in parent.files:
            extra["priors"] = pd.read_csv(io.BytesIO(store.read(parent, "priors.csv")))
        extra["sources"] = _sources(extra["history"], scheme.place)
    if previous is not None:
        answer = reconciliation(store, [previous, run])
        extra |= {"previous": previous, "moved": answer["steps"], "came": answer["came"]}
    tables = {name: _table(store, run, name) for name in TABLES if f"{name}.csv" in run.files}
    return Material(
        run=run, tables=tables, scheme=scheme, tests=tests, groups=grouped, pool=pool, differing=sorted(apart), **extra
    )


def _inputs(manifest: Any) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key not in {"run_hash", "files", "backtest"}}


def _table(store: Store, run: Run, name: str) -> DataFrame:
    import pandas as pd

    return pd.read_csv(io.BytesIO(store.read(run, f"{name}.csv")))


def _shown(years: list[int]) -> list[int]:
    """First year, each tenth, and the last."""
    return [year for year in years if year in {years[0], years[-1]} or year % 10 == 0]


def _sources(history: DataFrame, place: str) -> list[dict[str, str]]:
    """Sources that the published figures name, as far as the project lists them."""
    from forecaster.cli.sources import source_rows
    from forecaster.observations import list_places

    if place.lower() not in list_places():
        return []
    used = set(history.loc[history["kind"] == "published", "source"])
    return [row for row in source_rows(place) if row["id"] in used]
