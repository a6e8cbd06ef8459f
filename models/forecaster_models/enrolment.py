"""Take-up of the mainland's voluntary schemes: the rural one 2005 to 2013, the residents' 2018 to 2024, one model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from forecaster.enrolment import THIRDS, fit_folder
from forecaster.members import year_end_people
from forecaster.pools import observed_series
from forecaster.resources import data_dir
from forecaster_models.blocks import Block
from forecaster_models.priors import Priors, draw_scalars, read_priors
from forecaster_models.settings import FULL

Array = np.ndarray

PLACE = "chn"
# Members of a subsidised scheme had cost 9.6% more before than all residents, at a take-up of 71% (LAW-CN24).
SELECTION, SELECTION_ERROR, SELECTION_AT = 0.096, 0.03, 0.71
KEPT = 1000
SEED = 20261122
LEARNT = ("level_rural", "level_residents", "benefit", "burden", "habit", "noise", "drive", "counter")


@dataclass(frozen=True)
class Sample:
    """One scheme's years; the first row is only where habit begins.

    Attributes
    ----------
    scheme
        ``rural`` or ``residents``.
    years, share
        Years and take-up, shares of those who may join, ``(year,)``.
    value
        Log of what the fund paid per member over the own premium, ``(year,)``.
    burden
        Own premium in thousandths of the mean wage, ``(year,)``.
    """

    scheme: str
    years: Array
    share: Array
    value: Array
    burden: Array


def samples() -> tuple[Sample, Sample]:
    """Observed take-up with what people looked at, gaps of premiums and wages straight on the log scale."""
    eligible = _outside_employees(np.arange(2018, 2025))
    members = observed_series(PLACE, "pool_members|cn_urrbmi")
    residents = {year: members[year] / eligible[year] for year in eligible}
    rural = observed_series(PLACE, "participation_rate|nrcms")
    return (
        _sample("rural", rural, "cn_nrcms", "insured_total|nrcms", "individual_premium_standard|nrcms"),
        _sample("residents", residents, "cn_urrbmi", "pool_members|cn_urrbmi", "individual_premium_standard|urrbmi"),
    )


def _outside_employees(years: Array) -> dict[int, float]:
    """People who are not in the employees' scheme at the year ends, million."""
    people = year_end_people(PLACE, int(years[0]), int(years[-1])).sum(axis=(1, 2))
    insured = observed_series(PLACE, "insured_total|uebmi")
    return {int(year): float(all_ - insured[int(year)]) for year, all_ in zip(years, people, strict=True)}


def _sample(scheme: str, share: dict[int, float], pool: str, members: str, premium: str) -> Sample:
    years = np.arange(min(share), max(share) + 1)
    at = np.array(sorted(share))

    def filled(series: str) -> Array:
        known = observed_series(PLACE, series)
        when = np.array(sorted(known))
        logs: Array = np.interp(years, when, np.log([known[int(year)] for year in when]))
        return logs

    outgo, heads, own = filled(f"pool_outgo|{pool}"), filled(members), filled(premium)
    wage = filled("average_wage_urban_units")
    taken = np.interp(years, at, [share[int(year)] for year in at])
    # Billions over millions of heads is thousands a head.
    return Sample(scheme, years, taken, outgo - heads + np.log(1000.0) - own, 1000.0 * np.exp(own - wage))


def enrolment_model(data: tuple[Sample, ...], priors: Priors) -> pm.Model:
    """Take-up year by year with habit; the selection that a county's survey found is evidence of its steepness."""
    with pm.Model() as model:
        drawn = draw_scalars("enrolment", priors)
        steep = drawn["benefit"] * np.log(THIRDS)
        for sample in data:
            common = drawn[f"level_{sample.scheme}"] + drawn["benefit"] * sample.value - drawn["burden"] * sample.burden
            wanted = pm.math.sigmoid(common[:, None] + steep[None, :]).mean(axis=1)
            tended = pt.log(wanted / (1.0 - wanted))
            seen = np.log(sample.share / (1.0 - sample.share))
            mean = drawn["habit"] * seen[:-1] + (1.0 - drawn["habit"]) * tended[1:]
            pm.Normal(f"seen_{sample.scheme}", mean, drawn["noise"], observed=seen[1:])
        centred = np.log(SELECTION_AT / (1.0 - SELECTION_AT)) + steep - steep.mean()
        by_third = pm.math.sigmoid(centred)
        excess = (by_third * THIRDS).sum() / by_third.sum() / THIRDS.mean() - 1.0
        pm.Deterministic("enrolment_selection", excess)
        pm.Normal("seen_selection", excess, SELECTION_ERROR, observed=SELECTION)
    return model


def fit_enrolment(out: Path | None = None, progress: Callable[[float], None] | None = None) -> dict[str, Any]:
    """Fit the model and store a thousand draws, what was fitted and a manifest.

    Returns
    -------
    dict
        The manifest. A fit that the gates reject is not stored.
    """
    from forecaster.errors import ForecasterError
    from forecaster_models.sampling import judge, sample_block

    priors = read_priors(data_dir() / "priors" / "enrolment.toml")["enrolment"]
    data = samples()
    block = Block("enrolment", partial(enrolment_model, data, priors), tuple(f"enrolment_{name}" for name in LEARNT))
    result = sample_block(block.build(), FULL, SEED, progress or (lambda share: None))
    verdict = judge(result)
    if not verdict.accepted:
        raise ForecasterError(f"the fit of take-up was rejected: {'; '.join(verdict.reasons)}")
    posterior = result["posterior"].dataset
    draws = {name: posterior[f"enrolment_{name}"].values.ravel() for name in (*LEARNT, "selection")}
    at = np.linspace(0, len(draws["habit"]) - 1, KEPT).round().astype(int)
    table = pd.DataFrame({name: values[at] for name, values in draws.items()})
    table = table.rename(columns={"level_residents": "level"}).round(6)
    folder = fit_folder() if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "draws.csv", index=False)
    _fitted(data, draws).to_csv(folder / "fitted.csv", index=False)
    manifest = {"seed": SEED, "settings": FULL.__dict__, "inputs": current_inputs(), "verdict": verdict.as_dict()}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True, default=str) + "\n")
    return manifest


def current_inputs() -> dict[str, str]:
    """Hashes of what the fit is made of."""
    import hashlib

    import forecaster.enrolment as engine

    observed = data_dir() / "observed" / PLACE
    tables = ("pool_accounts", "nrcms", "resident_funding", "uebmi", "macro")
    files = {
        "observations": [observed / f"{name}.csv" for name in tables],
        "priors": [data_dir() / "priors" / "enrolment.toml"],
        "models": [Path(__file__), Path(str(engine.__file__))],
    }
    return {k: hashlib.sha256(b"".join(p.read_bytes() for p in paths)).hexdigest() for k, paths in files.items()}


def _fitted(data: tuple[Sample, ...], draws: dict[str, Array]) -> pd.DataFrame:
    """Observed take-up beside what the model says a year ahead: mean and 80% band."""
    rng = np.random.default_rng(SEED)
    rows = []
    for sample in data:
        steep = draws["benefit"][:, None] * np.log(THIRDS)
        for t in range(1, len(sample.years)):
            common = draws[f"level_{sample.scheme}"] + draws["benefit"] * sample.value[t]
            common = common - draws["burden"] * sample.burden[t]
            wanted = (1.0 / (1.0 + np.exp(-(common[:, None] + steep)))).mean(axis=1)
            seen = np.log(sample.share[t - 1] / (1.0 - sample.share[t - 1]))
            mean = draws["habit"] * seen + (1.0 - draws["habit"]) * np.log(wanted / (1.0 - wanted))
            ahead = 1.0 / (1.0 + np.exp(-(mean + draws["noise"] * rng.standard_normal(len(mean)))))
            low, middle, high = np.quantile(ahead, (0.1, 0.5, 0.9))
            rows.append((sample.scheme, sample.years[t], sample.share[t], middle, low, high))
    return pd.DataFrame(rows, columns=["scheme", "year", "observed", "fitted", "q10", "q90"]).round(4)
