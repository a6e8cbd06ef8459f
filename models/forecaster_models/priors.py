"""Priors as data: a distribution by its PyMC name with its parameters, read from ``data/priors/*.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm

from forecaster.errors import Fault, FaultyInput

Priors = Mapping[str, Mapping[str, Any]]

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "Normal": ("mu", "sigma"),
    "HalfNormal": ("sigma",),
    "LogNormal": ("mu", "sigma"),
    "Gamma": ("alpha", "beta"),
    "Beta": ("alpha", "beta"),
    "Exponential": ("lam",),
    "Dirichlet": ("a",),
    "Fixed": ("value",),
}


def read_priors(path: Path, place: str | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """Priors by block and name: the file's defaults with the place's own put over them.

    Parameters
    ----------
    path
        TOML file of ``[block.name]`` tables and ``[place.XXX.block.name]`` tables.
    place
        ISO 3166 three-letter code, or None for the defaults alone.

    Raises
    ------
    FaultyInput
        Names every prior whose distribution is unknown, whose parameters are wrong or which lacks its reason.
    """
    with path.open("rb") as file:
        content = tomllib.load(file)
    places = content.pop("place", {})
    faults = [fault for block, priors in content.items() for fault in _faults(block, priors)]
    for code, blocks in places.items():
        for block, priors in blocks.items():
            faults.extend(_faults(f"place.{code}.{block}", priors))
            unknown = sorted(set(priors) - set(content.get(block, {})))
            faults.extend(
                Fault(
                    f"place.{code}.{block}.{name}", "no default of that name", "names of the defaults", "mend the name"
                )
                for name in unknown
            )
    if faults:
        raise FaultyInput(f"data/priors/{path.name}", faults)
    own = places.get(place.upper(), {}) if place else {}
    return {block: {**priors, **own.get(block, {})} for block, priors in content.items()}


def _faults(block: str, priors: Mapping[str, Any]) -> list[Fault]:
    faults = []
    for name, prior in priors.items():
        where = f"{block}.{name}"
        kind = prior.get("distribution")
        if kind not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            faults.append(Fault(where, f"distribution {kind!r}", known, "choose one of these"))
            continue
        held = sorted(set(prior) - {"distribution"})
        wanted = sorted({*DISTRIBUTIONS[kind], "why"})
        if held != wanted:
            faults.append(Fault(where, ", ".join(held), ", ".join(wanted), f"give {kind} these keys and no others"))
    return faults


def draw_prior(prefix: str, name: str, priors: Priors) -> Any:
    """Random variable ``prefix_name`` of the prior ``name``, to be called within a model; a fixed one is its number."""
    prior = priors[name]
    if prior["distribution"] == "Fixed":
        return float(prior["value"])
    parameters = {key: np.asarray(prior[key], dtype=float) for key in DISTRIBUTIONS[prior["distribution"]]}
    return getattr(pm, prior["distribution"])(f"{prefix}_{name}", **parameters)
