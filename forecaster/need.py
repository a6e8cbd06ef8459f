r"""Need for care by age, and two readings of ageing that differ from "an age costs what it costs".

Without options the need of a year is what its people cost at the profile of the fit,

.. math::
    D_t = \sum_g N_{g,t} \, c_{g,t}

with persons *N* and cost per head *c* by age group *g*. Both options are assumptions, off by default:

* healthy ageing :math:`\theta`: people of 50 and over cost what younger ones did, by :math:`\theta` years for each year
  gained in life expectancy at birth since the last published year, :math:`c_g \to c(x_g - \theta\,\Delta e_{0,t})`. At
  1 it is the "constant health" of the European Commission's ageing reports (there with the gain at the age itself,
  which is smaller than that at birth); at 0 all years gained are spent in the health of their age.
* cost of the last year of life :math:`\lambda`: that share of the spending of the profile's year goes to those who die.
  With :math:`E = \lambda \sum_g N_g c_g / \text{deaths}` in that year and its death rates :math:`m_g`,

.. math::
    D_t = \sum_g N_{g,t} \,(c_{g,t} - E\,m_g) + E \cdot \text{deaths}_t

  so falling mortality defers cost. In 2009-11 the share was 11.2% in Taiwan (French and others 2017, Health Affairs
  36(7), doi 10.1377/hlthaff.2017.0174). One death costs the same at every age (assumed).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from forecaster.demography.tables import WppTables
from forecaster.errors import Fault, FaultyInput

Array = np.ndarray

# First ages of the five-year groups of the cost profile; the last is open.
AGE_GROUPS = np.arange(0, 90, 5)
OLD_GROUPS = AGE_GROUPS >= 65
PROFILE_YEAR = 2014
# Yearly fading of the tilt of the age profile after the last year of evidence: a half-life of ten years, assumed.
TILT_PERSISTENCE = 0.933
# First age whose cost moves with healthy ageing.
SHIFTED_FROM = 50
# Part of the cost of an age that is left to those who survive, however much the dying cost.
LEAST_SURVIVING = 0.1


@dataclass(frozen=True)
class SpendingOptions:
    """Assumptions on how spending follows ageing; all off by default. See the module for the equations.

    Parameters
    ----------
    healthy_ageing
        Years by which the cost profile moves up for each year of life expectancy gained, 0 to 1.
    last_year_of_life
        Share of all spending that goes to people in their last year of life, 0 to 0.3.

    Raises
    ------
    FaultyInput
        Naming every value out of bounds.
    """

    healthy_ageing: float = 0.0
    last_year_of_life: float = 0.0

    def __post_init__(self) -> None:
        largest = {"healthy_ageing": 1.0, "last_year_of_life": 0.3}
        faults = [
            Fault(name, f"{getattr(self, name)}", f"0 to {most:g}", "choose a value within these bounds")
            for name, most in largest.items()
            if not 0.0 <= getattr(self, name) <= most
        ]
        if faults:
            raise FaultyInput("options of spending", faults)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> SpendingOptions:
        """Options written ``name=value``, such as ``healthy_ageing=0.5``.

        Raises
        ------
        FaultyInput
            Naming every text that is none, an unknown name, or a value that is no number or out of bounds.
        """
        known = [item.name for item in fields(cls)]
        found: dict[str, float] = {}
        faults = []
        for text in texts:
            name, _, value = (part.strip() for part in text.partition("="))
            if name not in known:
                faults.append(Fault(text, f"the name {name!r}", ", ".join(known), "write NAME=VALUE"))
                continue
            try:
                found[name] = float(value)
            except ValueError:
                faults.append(Fault(text, f"the value {value!r}", "a number such as 0.5", "write NAME=VALUE"))
        if faults:
            raise FaultyInput("options of spending", faults)
        return cls(**found)

    @property
    def words(self) -> tuple[str, ...]:
        """What is assumed, one sentence an option that is on."""
        said = []
        if self.healthy_ageing:
            said.append(
                f"Healthy ageing: costs from age {SHIFTED_FROM} move up by {self.healthy_ageing:g} years for each year "
                "of life expectancy gained (assumed)."
            )
        if self.last_year_of_life:
            said.append(
                f"Cost of the last year of life: {self.last_year_of_life:.1%} of spending follows deaths, not ages "
                "(assumed; 11.2% in Taiwan 2009-11 by French and others 2017)."
            )
        return tuple(said)


def in_age_groups(by_age: Array) -> Array:
    """Persons by single age 0..100 summed into the profile's age groups, along the last axis."""
    return np.add.reduceat(by_age, AGE_GROUPS, axis=-1)


def log_need(
    log_profile: Array,
    tilt: Array,
    people: dict[str, Array],
    wpp: WppTables,
    *,
    last_seen: int,
    first_year: int,
    options: SpendingOptions,
) -> Array:
    """Log of the age-weighted need, ``(year from last_seen, draw)``; the tilt fades after ``first_year``.

    Parameters
    ----------
    log_profile
        Log cost per head by age group in the profile's year, relative, ``(group, draw)``.
    tilt
        Yearly change of the log cost of the old against the others, ``(draw,)``.
    people
        From ``last_seen`` on: ``groups``, persons on 1 July ``(group, year, draw)``; ``deaths`` of the year and ``e0``,
        life expectancy at birth of both sexes, ``(year, draw)``.
    wpp
        Published people and deaths of the profile's year.
    """
    groups = people["groups"]
    moved = np.empty(groups.shape[1:])
    total, step = tilt * (last_seen - PROFILE_YEAR), tilt
    for t in range(len(moved)):
        moved[t] = total
        step = step * (TILT_PERSISTENCE if last_seen + t >= first_year else 1.0)
        total = total + step
    cost = np.exp(log_profile[:, None, :] + moved * OLD_GROUPS[:, None, None])
    dying: Array | float = 0.0
    if options.last_year_of_life:
        of_deaths, a_death = cost_of_dying(np.exp(log_profile), wpp, options.last_year_of_life)
        dying = a_death * people["deaths"]
        cost = np.maximum(cost - of_deaths[:, None, :], LEAST_SURVIVING * cost)
    if options.healthy_ageing:
        gained = people["e0"] - people["e0"][0]
        cost = moved_up(cost, options.healthy_ageing * gained)
    return np.log(np.einsum("gtd,gtd->td", groups, cost) + dying)


def cost_of_dying(profile: Array, wpp: WppTables, share: float) -> tuple[Array, Array]:
    """What deaths add to the cost per head by group in the profile's year, ``(group, draw)``, and the cost of a death.

    Parameters
    ----------
    profile
        Cost per head by group, ``(group, draw)``.
    share
        Share of all spending that goes to people in their last year of life.
    """
    at = wpp.year_slice(PROFILE_YEAR, PROFILE_YEAR)
    by_age = wpp.population_1july[at][0]
    persons = in_age_groups(by_age.sum(axis=0))
    deaths = in_age_groups((wpp.mx[at][0] * by_age).sum(axis=0))
    a_death = share * (persons @ profile) / deaths.sum()
    return (deaths / persons)[:, None] * a_death, a_death


def moved_up(cost: Array, years: Array) -> Array:
    """Cost by group, year and draw with that of ``SHIFTED_FROM`` and over taken from so many years below.

    Between the groups' middles the log of cost runs straight; nobody is moved below the last group before
    ``SHIFTED_FROM``.

    Parameters
    ----------
    cost
        ``(group, year, draw)``.
    years
        ``(year, draw)``; a life expectancy that falls moves the costs down.
    """
    logs, result = np.log(cost), cost.copy()
    first = int(np.searchsorted(AGE_GROUPS, SHIFTED_FROM))
    for group in range(first, len(AGE_GROUPS)):
        place = np.clip(group - years / 5.0, first - 1, len(AGE_GROUPS) - 1)
        below = np.minimum(place.astype(int), len(AGE_GROUPS) - 2)
        part = place - below
        low, high = (np.take_along_axis(logs, (below + i)[None], axis=0)[0] for i in (0, 1))
        result[group] = np.exp((1.0 - part) * low + part * high)
    return result
