r"""City pools and their province's adjustment fund: pay-in, need index, payout, and what it does to effort.

City *p* pays the part :math:`\alpha` of its statutory premium at the standard base, whatever it collects. The fund
keeps *m* for its administration and gives out the rest: the part *g* by the gap between cost and what is left of
premium, the part 1 - *g* by need. Effort answers to pooling: with :math:`\eta_1, \eta_2` a city collects less and
spends more.

.. math::
    I_p &= r B_p\, \kappa_p (1 - \eta_1 \alpha), \qquad C_p = C^0_p (1 + \eta_2 \alpha), \qquad P_p = \alpha\, r B_p \\
    G_p &= \max(0,\; C_p - (I_p - P_p)), \qquad N_p = n_p\, v_p \\
    O_p &= (1 - m) \sum_q P_q \left(g \frac{G_p}{\sum_q G_q} + (1 - g) \frac{N_p}{\sum_q N_q}\right) \\
    F_{p,t} &= F_{p,t-1} + I_p - P_p + O_p - C_p

Where no city has a gap all goes by need.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forecaster.errors import Fault, FaultyInput
from forecaster.resources import data_dir

Array = np.ndarray

# Full pooling of income and spending in provinces: income a head -11.5%, spending +18.6% (LAW-CN15); taken as linear
# in the part that is paid in. The same study finds -9.8% and nothing under an adjustment fund.
ETA_INCOME, ETA_COST = 0.115, 0.186


@dataclass(frozen=True)
class Cities:
    """City pools; money nominal in one unit, flows of the year, ``(city, year)`` unless said.

    Attributes
    ----------
    names
        ``(city,)``.
    years
        ``(year,)``.
    base
        Statutory contribution base at the standard wage: standard wage x insured.
    compliance
        Part of the statutory premium that a city collects by itself.
    cost
        Outlay without the effort response.
    insured
        Heads; any unit.
    need
        Need index, cost by the ages of a city's members against that of all: 1 in the mean.
    opening
        Reserve before the first year, stock, ``(city,)``.
    rate
        Statutory premium rate of the pooled fund, a share, ``(year,)``.
    """

    names: tuple[str, ...]
    years: Array
    base: Array
    compliance: Array
    cost: Array
    insured: Array
    need: Array
    opening: Array
    rate: Array


@dataclass(frozen=True)
class AdjustmentRule:
    """The province's rule.

    Attributes
    ----------
    pay_in
        :math:`\\alpha`: part of the statutory premium paid in, 0 (no fund) to 1 (one pool).
    by_gap
        *g*: part given out by gaps, the rest by need.
    administration
        *m*: part that the fund keeps.
    eta_income, eta_cost
        Effort response at full pooling.
    """

    pay_in: float
    by_gap: float = 0.5
    administration: float = 0.0
    eta_income: float = ETA_INCOME
    eta_cost: float = ETA_COST

    def __post_init__(self) -> None:
        faults = [
            Fault(name, f"{getattr(self, name):g}", "0 to 1", "write it as a share")
            for name in ("pay_in", "by_gap", "administration", "eta_income", "eta_cost")
            if not 0.0 <= getattr(self, name) <= 1.0
        ]
        if faults:
            raise FaultyInput("the adjustment fund", faults)


@dataclass(frozen=True)
class CityAccounts:
    """Accounts of every city, ``(city, year)``: flows, and the reserve at year end as a stock."""

    income: Array
    pay_in: Array
    pay_out: Array
    cost: Array
    reserve: Array

    @property
    def gained(self) -> Array:
        """What the fund gives a city more than it takes."""
        return self.pay_out - self.pay_in


def adjust(cities: Cities, rule: AdjustmentRule) -> CityAccounts:
    """Run the cities' pools under a rule; the equations stand at the top of the module."""
    premium = cities.rate * cities.base
    income = premium * cities.compliance * (1.0 - rule.eta_income * rule.pay_in)
    cost = cities.cost * (1.0 + rule.eta_cost * rule.pay_in)
    paid = rule.pay_in * premium
    gap = np.maximum(0.0, cost - (income - paid))
    by_need = _shares(cities.insured * cities.need)
    by_gap = np.where(gap.sum(axis=0) > 0.0, _shares(gap), by_need)
    given = (1.0 - rule.administration) * paid.sum(axis=0) * (rule.by_gap * by_gap + (1.0 - rule.by_gap) * by_need)
    reserve = cities.opening[:, None] + np.cumsum(income - paid + given - cost, axis=1)
    return CityAccounts(income, paid, given, cost, reserve)


def _shares(weights: Array) -> Array:
    total = weights.sum(axis=0)
    shares: Array = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0.0)
    return shares


def need_index(heads_by_age: Array, cost_by_age: Array) -> Array:
    """Cost a head by the ages of a city's members against that of all cities, ``(city,)`` from ``(city, age)``."""
    own = heads_by_age @ cost_by_age / heads_by_age.sum(axis=1)
    index: Array = own / (heads_by_age.sum(axis=0) @ cost_by_age / heads_by_age.sum())
    return index


def read_cities(name: str | Path) -> Cities:
    """City pools of a TOML file: ``years``, ``rate`` and a table ``[city.NAME]`` each (docs/mainland.md).

    Parameters
    ----------
    name
        Name of a shipped file of ``data/bases``, or a path.

    Raises
    ------
    FaultyInput
        Naming every key that is missing, unknown or of the wrong length, and every value that cannot be.
    """
    path = Path(name) if str(name).endswith(".toml") else data_dir() / "bases" / "cities" / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault("the file", str(error), "TOML 1.0 in UTF-8 that can be read", "correct the name or the file")
        raise FaultyInput(str(path), [fault]) from None
    keys = ("base", "compliance", "cost", "insured", "need")
    faults = [
        Fault(key, "nothing", "a value is required", f"add {key!r}") for key in ("years", "rate") if key not in raw
    ]
    found = raw.get("city", {})
    if not found:
        faults.append(Fault("city", "no city", "a table [city.NAME] each", "add the cities"))
    years = np.array(raw.get("years", []), dtype=int)
    rows: dict[str, list[Array]] = {key: [] for key in keys}
    for city, table in found.items():
        wanted = {*keys, "opening"}
        faults += [
            Fault(f"city.{city}.{key}", "nothing", "a number, or one a year", "add it") for key in wanted - set(table)
        ]
        faults += [
            Fault(f"city.{city}.{key}", "unknown key", ", ".join(sorted(wanted)), "remove or rename it")
            for key in sorted(set(table) - wanted)
        ]
        for key in (key for key in keys if key in table):
            values = np.atleast_1d(np.array(table[key], dtype=float))
            if values.shape not in {(1,), years.shape}:
                faults.append(
                    Fault(f"city.{city}.{key}", f"{values.size} values", f"one, or {years.size}", "complete the list")
                )
            elif (values < 0.0).any() or (key == "compliance" and (values > 1.0).any()):
                allowed = "0 to 1" if key == "compliance" else "zero or more"
                faults.append(
                    Fault(f"city.{city}.{key}", f"{values.min():g} to {values.max():g}", allowed, "correct it")
                )
            else:
                rows[key].append(np.broadcast_to(values, years.shape))
    if faults:
        raise FaultyInput(str(path), faults)
    return Cities(
        names=tuple(found),
        years=years,
        **{key: np.array(values) for key, values in rows.items()},
        opening=np.array([float(table["opening"]) for table in found.values()]),
        rate=np.broadcast_to(np.atleast_1d(np.array(raw["rate"], dtype=float)), years.shape),
    )
