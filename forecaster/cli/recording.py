"""Further formats of a result, and keeping it in the run store: what the commands that project have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.cli.shared import Given, basis_path, error_console
from forecaster.errors import Fault, FaultyInput, ForecasterError

if TYPE_CHECKING:
    from pandas import DataFrame

    from forecaster.export import RateQuestion, Scenario
    from forecaster.fitted import Fit
    from forecaster.policy import Reform
    from forecaster.schemes import Scheme
    from forecaster.store import Run, Store
    from forecaster.theories import Weighting

FORMATS = {"xlsx": "forecast.xlsx", "netcdf": "draws.nc", "zarr": "draws.zarr.zip", "json": "forecast.json"}


@dataclass(frozen=True)
class Asked:
    """What was asked on the command line, as far as it is needed to compute the same again."""

    law: Scheme
    basis: str | None
    draws: int | None
    fits: Path | None
    changes: Reform
    first: Reform | None = None
    theory: str | None = None
    options: tuple[str, ...] = ()


def check_saving(also: Sequence[str] | None, out: Path | None, why: str | None) -> None:
    """Refuse unknown formats, formats without a folder, and a run kept without a reason, before any work."""
    unknown = sorted(set(also or ()) - set(FORMATS))
    if unknown:
        fault = Fault(
            "--also", ", ".join(unknown), ", ".join(FORMATS), "choose among these; CSV and Parquet come always"
        )
        raise FaultyInput("the formats", [fault])
    if also and out is None:
        raise ForecasterError("--also says in which formats, but not where: add --out DIR")
    if why is not None and not why.strip():
        raise ForecasterError('--save wants a reason, such as --save "budget round 2027"')


def further_files(
    also: Sequence[str] | None,
    scenarios: tuple[Scenario, ...],
    questions: list[RateQuestion],
    manifest: Mapping[str, Any],
    more: Mapping[str, DataFrame] | None = None,
) -> dict[str, bytes]:
    """The result in further formats, by file name."""
    from forecaster import export

    def as_json() -> bytes:
        return export.json_bytes({**export.forecast_tables(scenarios, questions), **(more or {})}, manifest)

    makers: dict[str, Callable[[], bytes]] = {
        "xlsx": lambda: export.projection_workbook(scenarios, questions, manifest, more),
        "netcdf": lambda: export.netcdf_bytes(scenarios, manifest),
        "zarr": lambda: export.zarr_bytes(scenarios, manifest),
        "json": as_json,
    }
    return {FORMATS[name]: makers[name]() for name in dict.fromkeys(also or ())}


def save_projection(
    asked: Asked, given: Given, manifest: Mapping[str, Any], files: Mapping[str, bytes], why: str
) -> Run:
    """Keep a projection in the run store, with the fit that it was made from."""
    from forecaster.fitted import load_fit
    from forecaster.pools import find_pool
    from forecaster.replay import Request, record_projection
    from forecaster.store import open_store

    fit, weighed = None, None
    if given.fit is not None:
        pool = find_pool(asked.law.path)
        made = load_fit(pool, asked.fits)
        fit, weighed = (pool, made.folder), _weighed(made, asked.theory)
    request = Request(
        horizon=int(given.basis.years[-1]),
        changes=tuple(map(str, asked.changes.changes)),
        draws=asked.draws,
        first=None if asked.first is None else tuple(map(str, asked.first.changes)),
        weighed=weighed,
        options=asked.options,
    )
    basis = None if asked.basis is None else basis_path(asked.basis)
    return record_projection(
        open_store(), asked.law, request, manifest, files, why=why, basis=basis, fit=fit, record=given.record
    )


def _weighed(fit: Fit, theory: str | None) -> Weighting | None:
    """Weights of the fit's theories; of one alone 1, and 0 of the others, so that it is told what was set aside."""
    from forecaster.theories import Weighting

    weighed, usual = fit.weighting(theory), fit.weighting()
    if theory is None or weighed is None or usual is None:
        return weighed
    return Weighting({name: weighed.weights.get(name, 0.0) for name in usual.weights}, weighed.remark)


def keep_if_configured(record: Callable[[Store], Run]) -> None:
    """Keep a fit or backtest where a run store is set up; a store that fails does not undo the hours of work."""
    from forecaster.store import open_store, store_configured

    if not store_configured():
        return
    screen = error_console()
    try:
        run = record(open_store())
    except ForecasterError as error:
        screen.print(f"Not kept in the run store: {error}", soft_wrap=True)
    else:
        screen.print(f"Kept as run {run.short}; forecaster runs show {run.short}")
