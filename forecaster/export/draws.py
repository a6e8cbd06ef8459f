"""Every draw of a projection for other tools: labelled arrays as NetCDF and Zarr, tables as JSON."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.export.tables import LINES, Scenario, line_values

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def draws_dataset(scenarios: Sequence[Scenario], manifest: Mapping[str, Any]) -> xr.Dataset:
    """All lines of the account as draws, ready for ArviZ or any other tool that reads labelled arrays.

    Parameters
    ----------
    scenarios
        Baseline and, if there is one, reform, on the same draws.
    manifest
        Of the run; its hash and the backtest's warnings go along as attributes.

    Returns
    -------
    xarray.Dataset
        One variable a line, axes ``(scenario, draw, year)``, each with ``unit``, ``kind`` (flow or stock) and
        ``long_name``; money is nominal.
    """
    import xarray as xr

    basis, money = scenarios[0].basis, scenarios[0].policy.scheme.money
    values = [line_values(scenario) for scenario in scenarios]
    record = manifest["backtest"] or {"warnings": [], "status": "no model"}
    data = {
        line.name: (
            ("scenario", "draw", "year"),
            np.stack([np.ascontiguousarray(found[line.name].T) for found in values]),
            {"long_name": line.label, "unit": line.unit_text(money), "kind": line.kind},
        )
        for line in LINES
        if line.name in values[0]
    }
    return xr.Dataset(
        data,
        coords={
            "scenario": [scenario.name for scenario in scenarios],
            "draw": np.arange(basis.n_draws),
            "year": basis.years,
        },
        attrs={
            "title": f"Forecast of {scenarios[0].policy.scheme.label}",
            "basis": basis.label,
            "policies": " | ".join(f"{s.name}: {s.policy.change.token or 'the law'}" for s in scenarios),
            "assumptions": " | ".join(basis.assumptions),
            "run_hash": manifest["run_hash"],
            "backtest": record["status"],
            "warnings": " | ".join(record["warnings"]),
        },
    )


def netcdf_bytes(scenarios: Sequence[Scenario], manifest: Mapping[str, Any]) -> bytes:
    """:func:`draws_dataset` as a NetCDF 3 file, in double precision."""
    content = draws_dataset(scenarios, manifest).to_netcdf(engine="scipy", format="NETCDF3_64BIT")
    return bytes(content)


def zarr_bytes(scenarios: Sequence[Scenario], manifest: Mapping[str, Any]) -> bytes:
    """:func:`draws_dataset` as a Zarr store of format 2 in one ZIP file; ``xarray.open_zarr("zip::FILE")`` reads it."""
    from zarr.storage import MemoryStore

    parts: dict[str, Any] = {}
    # The second format, for its texts are part of the specification and most tools read it.
    draws_dataset(scenarios, manifest).to_zarr(MemoryStore(parts), zarr_format=2, consolidated=True)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(parts.items()):
            archive.writestr(zipfile.ZipInfo(name), content.to_bytes())  # its date is fixed: the same bytes again
    return file.getvalue()


def json_bytes(tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> bytes:
    """Tables and manifest as one JSON document; each table a list of records, what is not known null."""
    found = {name: _records(table) for name, table in tables.items()}
    return (json.dumps({"manifest": manifest, "tables": found}, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(key): None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in table.to_dict("records")
    ]
