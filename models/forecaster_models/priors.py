"""Priors as data: a distribution by its PyMC name with its parameters, read from ``data/priors/*.toml``."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from forecaster.errors import Fault, FaultyInput

Priors = Mapping[str, Mapping[str, Any]]

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "Normal": ("mu", "sigma"),
    "TruncatedNormal": ("mu", "sigma", "lower", "upper"),
    "HalfNormal": ("sigma",),
    "LogNormal": ("mu", "sigma"),
    "Gamma": ("alpha", "beta"),
    "Beta": ("alpha", "beta"),
    "Exponential": ("lam",),
    "Dirichlet": ("a",),
    "LogisticNormal": ("share", "sigma"),
    "Fixed": ("value",),
}
# Those of shares of a whole, a value each.
SHARES = ("Dirichlet", "LogisticNormal")


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


def laid_over(
    defaults: Mapping[str, Mapping[str, Mapping[str, Any]]], path: Path
) -> dict[str, dict[str, dict[str, Any]]]:
    """Priors of a user's file, ``[block.name]`` tables, laid over the defaults.

    Parameters
    ----------
    defaults
        Priors by block and name; the user's may have these names only.

    Raises
    ------
    FaultyInput
        Names every block and prior that is unknown, and every prior that is written wrongly or lacks its reason.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fault = Fault("the file", error.strerror or str(error), "a TOML file that can be read", "correct the name")
        raise FaultyInput(str(path), [fault]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault("the file", str(error), "TOML 1.0 in UTF-8", "correct the place named")
        raise FaultyInput(str(path), [fault]) from None
    faults = []
    for block, priors in content.items():
        known = defaults.get(block)
        if known is None or not isinstance(priors, dict):
            faults.append(Fault(block, "no block of that name", ", ".join(sorted(defaults)), "mend the name"))
            continue
        for name, prior in priors.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or sorted(known)
                faults.append(
                    Fault(f"{block}.{name}", "no prior of that name", f"such as {', '.join(near)}", "mend the name")
                )
            elif not isinstance(prior, dict):
                faults.append(Fault(f"{block}.{name}", repr(prior)[:80], "a table", f"write [{block}.{name}]"))
            else:
                faults.extend(_faults(block, {name: prior}))
    if faults:
        raise FaultyInput(str(path), faults)
    return {block: {**priors, **content.get(block, {})} for block, priors in defaults.items()}  # type: ignore[dict-item]


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


def marginals(prior: Mapping[str, Any]) -> list[Any]:
    """SciPy's distribution of each value of a prior: one, or one a component where it has several.

    Those of a logistic normal have no formula and are the histogram of many draws.
    """
    p = {key: np.asarray(prior[key], dtype=float) for key in DISTRIBUTIONS[prior["distribution"]]}
    match prior["distribution"]:
        case "Normal":
            found = stats.norm(p["mu"], p["sigma"])
        case "TruncatedNormal":
            low, high = ((p[end] - p["mu"]) / p["sigma"] for end in ("lower", "upper"))
            found = stats.truncnorm(low, high, p["mu"], p["sigma"])
        case "HalfNormal":
            found = stats.halfnorm(scale=p["sigma"])
        case "LogNormal":
            found = stats.lognorm(p["sigma"], scale=np.exp(p["mu"]))
        case "Gamma":
            found = stats.gamma(p["alpha"], scale=1.0 / p["beta"])
        case "Beta":
            found = stats.beta(p["alpha"], p["beta"])
        case "Exponential":
            found = stats.expon(scale=1.0 / p["lam"])
        case "Dirichlet":
            return [stats.beta(a, p["a"].sum() - a) for a in p["a"]]
        case "LogisticNormal":
            units = np.random.default_rng(0).standard_normal((200_000, len(p["share"])))
            drawn = p["share"] * np.exp(p["sigma"] * units)
            shares = (drawn / drawn.sum(axis=1, keepdims=True)).T
            return [stats.rv_histogram(np.histogram(own, bins=2000), density=False) for own in shares]
        case _:
            return []
    return [found]


def draw_prior(prefix: str, name: str, priors: Priors) -> Any:
    """Random variable ``prefix_name`` of the prior ``name``, to be called within a model; a fixed one is its number."""
    import pymc as pm

    prior = priors[name]
    if prior["distribution"] == "Fixed":
        return float(prior["value"])
    parameters = {key: np.asarray(prior[key], dtype=float) for key in DISTRIBUTIONS[prior["distribution"]]}
    if prior["distribution"] == "LogisticNormal":
        units = pm.Normal(f"{prefix}_{name}_units", 0.0, 1.0, shape=parameters["share"].shape)
        parts = parameters["share"] * pm.math.exp(parameters["sigma"] * units)
        return pm.Deterministic(f"{prefix}_{name}", parts / parts.sum())
    return getattr(pm, prior["distribution"])(f"{prefix}_{name}", **parameters)


def draw_scalars(prefix: str, priors: Priors) -> dict[str, Any]:
    """All scalar priors of a block by name, drawn as few vectors, to be called within a model.

    A graph of one vector compiles many times faster than one of thirty scalars. Normal and log-normal priors share one
    vector of standard normals, which the sampler also steps through more easily than through scales from 0.002 to 1;
    the other families have a vector each. Every scalar stands in the posterior under ``prefix_name``.

    Parameters
    ----------
    prefix
        Name of the block.
    priors
        Priors of the block; those of several values (:data:`SHARES`) are left to :func:`draw_prior`.
    """
    import pymc as pm
    import pytensor.tensor as pt

    families: dict[str, list[str]] = {}
    # Log-normal ones after the normal ones, so that each kind is one slice.
    for name in sorted(priors, key=lambda n: priors[n]["distribution"] == "LogNormal"):
        kind = priors[name]["distribution"]
        families.setdefault("Normal" if kind == "LogNormal" else kind, []).append(name)
    for kind in SHARES:
        families.pop(kind, None)
    fixed = {name: float(priors[name]["value"]) for name in families.pop("Fixed", ())}
    drawn: dict[str, Any] = {}
    for family, names in families.items():
        columns = {key: np.array([priors[n][key] for n in names], dtype=float) for key in DISTRIBUTIONS[family]}
        if family == "Normal":
            units = pm.Normal(f"{prefix}_units", 0.0, 1.0, shape=len(names))
            n_plain = sum(priors[n]["distribution"] == "Normal" for n in names)
            values = columns["mu"] + columns["sigma"] * units
            values = pt.concatenate([values[:n_plain], pt.exp(values[n_plain:])])
        else:
            values = getattr(pm, family)(f"{prefix}_{family.lower()}s", **columns, shape=len(names))
        # Taken apart at once: the gradient of one split is one node, that of each index another.
        singles = pt.split(values, [1] * len(names), n_splits=len(names)) if len(names) > 1 else [values]
        drawn.update(
            {name: pm.Deterministic(f"{prefix}_{name}", one[0]) for name, one in zip(names, singles, strict=True)}
        )
    return drawn | fixed
