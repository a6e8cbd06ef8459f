"""A made-up population of households from published incomes, sizes and ages: whose care the payers are tried on.

Incomes are lognormal within town and country, members' ages and schemes those of the insured, spending on care a rank
in the severity of a member's scheme and age. What is left to them after each payer: :mod:`forecaster.household`.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.optimize import brentq, least_squares
from scipy.special import ndtr

from forecaster.benefits import fitted_severity
from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.layers import Stack
from forecaster.resources import data_dir
from forecaster.schemes import pydantic_fault

Array = np.ndarray
# Order of payment over all stacks; a stage is what is left after the layers up to this kind.
STAGES = (
    "basic",
    "serious_illness",
    "employee_mutual",
    "commercial",
    "assistance",
    "online_mutual",
    "charity",
    "account",
)


class Place(BaseModel):
    """Town or country: share of the people, income and consumption per head."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    label: str
    share: float = Field(gt=0.0, lt=1.0)
    share_source: str
    income_mean: float = Field(gt=0.0)
    income_median: float = Field(gt=0.0)
    consumption_mean: float = Field(gt=0.0)
    source: str


class Figure(BaseModel):
    """One number with its source."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    value: float = Field(ge=0.0)
    source: str = Field(min_length=1)
    status: Literal["observed", "derived", "assumed"]
    note: str


_FIGURES = (
    "household_size", "elderly_apart", "food_share", "care_share", "size_power", "least_capacity",
    "consumption_elasticity", "spending_elasticity", "targeting_noise", "reach",
)  # fmt: skip


class HouseholdFile(BaseModel):
    """Households of a place (``data/households/*.toml``); money per head, nominal of ``year``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    label: str
    place: str
    currency: str
    year: int
    description: str
    quintile_means: tuple[float, float, float, float, float]
    quintile_source: str
    quintile_spread: float = Field(gt=0.0)
    median_spread: float = Field(gt=0.0)
    places: Mapping[str, Place]
    stacks: Mapping[str, float]
    figures: Mapping[str, Figure]
    content_hash: str = ""

    def figure(self, name: str) -> float:
        """Value of a figure."""
        return self.figures[name].value


@lru_cache(maxsize=8)
def read_households(name: str = "chn") -> HouseholdFile:
    """Read and check a household file: a shipped name, or the path of a TOML file.

    Raises
    ------
    FaultyInput
        With every fault: unknown or missing keys and figures, shares that do not sum to one, a median above its mean.
    ForecasterError
        When there is no such file.
    """
    path = Path(name) if name.endswith(".toml") else data_dir() / "households" / f"{name}.toml"
    if not path.is_file():
        shipped = ", ".join(sorted(found.stem for found in (data_dir() / "households").glob("*.toml")))
        raise ForecasterError(f"no households {name!r}. Shipped: {shipped}")
    content, subject = path.read_bytes(), f"households/{path.name}"
    try:
        own = {"content_hash": hashlib.sha256(content).hexdigest()}
        found = HouseholdFile.model_validate({**tomllib.loads(content.decode("utf-8")), **own}, strict=False)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault("the file", str(error), "TOML 1.0 in UTF-8", "correct the file at the place named")
        raise FaultyInput(subject, [fault]) from None
    except ValidationError as error:
        raise FaultyInput(subject, [pydantic_fault(item, "docs/stack.md") for item in error.errors()]) from None
    faults = [
        Fault(
            f"figures.{key}",
            "nothing" if key in _FIGURES else "unknown figure",
            ", ".join(_FIGURES),
            "add or remove it",
        )
        for key in sorted(set(_FIGURES) ^ set(found.figures))
    ]
    total = sum(place.share for place in found.places.values())
    if abs(total - 1.0) > 1e-6:
        faults.append(Fault("places.*.share", f"shares that sum to {total:g}", "1", "correct the shares"))
    for key, place in found.places.items():
        if place.income_median >= place.income_mean:
            allowed = f"below the mean, {place.income_mean:g}"
            faults.append(Fault(f"places.{key}.income_median", f"{place.income_median:g}", allowed, "correct it"))
    if faults:
        raise FaultyInput(subject, faults)
    return found


def income_spreads(file: HouseholdFile) -> dict[str, float]:
    """Spread of the logarithm of income per head in each place, fitted to medians and the nation's income groups."""
    places = list(file.places.values())
    means = np.array([place.income_mean for place in places])
    shares = np.array([place.share for place in places])
    by_median = np.sqrt(2.0 * np.log(means / np.array([place.income_median for place in places])))

    def misfit(spreads: Array) -> Array:
        groups = group_means(means, spreads, shares)
        medians = means * np.exp(-0.5 * spreads**2)
        published = np.array([place.income_median for place in places])
        off_groups = np.log(groups / np.array(file.quintile_means)) / file.quintile_spread
        return np.concatenate([off_groups, np.log(medians / published) / file.median_spread])

    found = least_squares(misfit, by_median, bounds=(0.05, 2.0))
    return dict(zip(file.places, found.x.tolist(), strict=True))


def group_means(means: Array, spreads: Array, shares: Array, groups: int = 5) -> Array:
    """Mean income of equal groups, low to high, of a mixture of lognormal incomes; arguments ``(place,)``."""
    centre = np.log(means) - 0.5 * spreads**2

    def below(log_income: float) -> float:
        return float(shares @ ndtr((log_income - centre) / spreads))

    cuts = [brentq(lambda x, p=i / groups: below(x) - p, 0.0, 20.0) for i in range(1, groups)]
    held = [shares @ (means * ndtr((cut - centre) / spreads - spreads)) for cut in cuts]
    return np.diff([0.0, *held, float(shares @ means)]) * groups


@dataclass(frozen=True)
class Households:
    """A made-up population; members stand in the order of their households.

    Attributes
    ----------
    urban, size, income
        Of each household: whether in a town, members, income per head relative to its place's mean.
    home, band, employee
        Of each member: household, age band, whether insured as employee or retiree.
    rank, draw
        Of each member: uniform number of the claim, and of cover by each kind of layer ``(kind, member)``.
    seen
        Of each household: noise with which registers see its income.
    chance
        Of each member: uniform numbers of losing cover and of joining the employees' scheme, ``(2, member)``.
    """

    urban: Array
    size: Array
    income: Array
    home: Array
    band: Array
    employee: Array
    rank: Array
    draw: Array
    seen: Array
    chance: Array


def make_households(file: HouseholdFile, stacks: Mapping[str, Stack], n: int, seed: int = 0) -> Households:
    """Draw ``n`` households.

    Parameters
    ----------
    stacks
        The stacks of the file by their names; their severities tell the ages of the insured. Bands must agree.
    """
    rng = np.random.default_rng(seed)
    severities = {name: fitted_severity(stack).best for name, stack in stacks.items()}
    bands = {severity.bands for severity in severities.values()}
    if len(bands) > 1:
        raise ForecasterError("the stacks' severities have different age bands; give them the same ones")
    employees = np.array([is_employees(stack) for stack in stacks.values()])
    insured = np.array([file.stacks[name] * severities[name].people for name in stacks])
    ages = insured.sum(axis=0) / insured.sum()
    share_of_employees = insured[employees].sum(axis=0) / insured.sum(axis=0)
    old = np.array([first_age(label) >= 60 for label in next(iter(bands))])

    apart = file.figure("elderly_apart") * ages[old].sum()
    of_one_or_two = 1.5
    other_size = (1.0 - apart) / (1.0 / file.figure("household_size") - apart / of_one_or_two)
    homes_apart = (apart / of_one_or_two) / (apart / of_one_or_two + (1.0 - apart) / other_size)
    elderly = rng.random(n) < homes_apart
    size = np.where(elderly, rng.integers(1, 3, n), 1 + rng.poisson(other_size - 1.0, n))
    home = np.repeat(np.arange(n), size)
    mixed = np.where(old, ages * (1.0 - file.figure("elderly_apart")), ages)
    band = np.where(
        elderly[home],
        rng.choice(len(ages), len(home), p=np.where(old, ages, 0.0) / ages[old].sum()),
        rng.choice(len(ages), len(home), p=mixed / mixed.sum()),
    )
    spreads = income_spreads(file)
    urban = rng.random(n) < file.places["urban"].share
    spread = np.where(urban, spreads["urban"], spreads["rural"])
    income = np.exp(spread * rng.standard_normal(n) - 0.5 * spread**2)
    in_town = np.minimum(share_of_employees / file.places["urban"].share, 1.0)
    employee = urban[home] & (rng.random(len(home)) < in_town[band])
    draw = rng.random((len(STAGES), len(home)))
    rank, seen = rng.random(len(home)), rng.standard_normal(n)
    return Households(urban, size, income, home, band, employee, rank, draw, seen, rng.random((2, len(home))))


def first_age(label: str) -> int:
    """First age of a band by its label, such as ``60-69`` or ``80+``."""
    return int(label.split("-")[0].rstrip("+"))


def is_employees(stack: Stack) -> bool:
    """Whether a stack is that of employees and retirees."""
    return any(layer.kind == "account" or layer.id.endswith("employees") for layer in stack.layers)


@lru_cache(maxsize=2)
def _drawn(file_hash: str, name: str, stacks: tuple[Stack, ...], n: int, seed: int) -> Households:
    return make_households(read_households(name), {stack.id: stack for stack in stacks}, n, seed)


def homes_of(file: HouseholdFile, stacks: tuple[Stack, ...], n: int, seed: int) -> Households:
    """The households of :func:`make_households`; those of a shipped file are kept."""
    if (data_dir() / "households" / f"{file.id}.toml").is_file() and read_households(file.id) == file:
        return _drawn(file.content_hash, file.id, stacks, n, seed)
    return make_households(file, {stack.id: stack for stack in stacks}, n, seed)
