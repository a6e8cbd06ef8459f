r"""Birth cohorts: what people of one year of birth pay into the fund over their lives, and what they cost it.

A year's total *X* is spread over people by age in proportions *w* (:mod:`forecaster.who_pays`), per head of age *a*

.. math::
    x_{t,a} = \frac{X_t w_a}{\sum_i N_{i,t} w_i}

with *N* the people: the UN's in the past, and ahead its medium variant by age, scaled within the ages under 20, 20 to
64 and 65 and over to the people of each draw. A cohort born in *b* is counted from :math:`s = \max(b, t_1)` on, where
:math:`t_1` is the first year that is known (the scheme's first, or the first projected one), over its survivors:

.. math::
    V_b = \sum_{t \ge s} \frac{N_{t-b,t}}{N_{s-b,s}}\, x_{t,\,t-b}\, \frac{y_0}{y_t}\, (1 + d)^{-(t - s)}

per person alive in *s*, as present value in *s* at the growth of GDP per head *y* and the rate *d* beyond it, in
money of the first projected year 0. Where people, their payments and the cost do not change but with GDP per head, and
the fund is balanced, it is nothing at :math:`d = 0`. Ages of 100 and over are one group, so a cohort is followed to 99.
(Auerbach, Gokhale and Kotlikoff, 1991, who discount at a real rate instead.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecaster.basis import Basis
from forecaster.demography.tables import N_AGES, load_wpp
from forecaster.effects import nominal_gdp
from forecaster.engine import FundProjection
from forecaster.errors import ForecasterError
from forecaster.observations import load_observations
from forecaster.who_pays import Incidence

Array = np.ndarray
# Ages within which the UN's people are scaled to those of a draw.
_GROUPS = (slice(0, 20), slice(20, 65), slice(65, N_AGES))
_DRIVERS = ("gdp_nominal", "population", "population_20_to_64", "share_65_and_over")


@dataclass(frozen=True)
class PastAccounts:
    """The fund's accounts before a projection, nominal, flow, one path; each ``(year,)``.

    Attributes
    ----------
    years
        Without gaps, up to the year before the projection.
    income, outgo
        TWD bn; the first year of a scheme may be a part of one.
    published
        Whether both are published figures; the others are medians of a fit.
    """

    years: Array
    income: Array
    outgo: Array
    published: Array


def past_accounts(place: str, history: pd.DataFrame) -> PastAccounts:
    """Accounts of the past: those of a fit's history, and the published ones of years before it.

    Parameters
    ----------
    history
        Rows ``line``, ``year``, ``q50``, ``kind``, as :class:`forecaster.fitted.Fit` holds them.

    Raises
    ------
    ForecasterError
        When a year between lacks income or outgo.
    """
    columns = {}
    for line, series in (("income", "revenue"), ("outgo", "cost")):
        rows = history[history["line"] == line].set_index("year").sort_index()
        known = load_observations(place.lower()).best(series)
        early = known[(known["year"] < rows.index[0]) & known["n_months"].between(1, 12)].set_index("year")
        columns[line] = pd.concat([early["value"], rows["q50"]])
        columns[f"{line}_published"] = pd.concat([early["value"] > 0.0, rows["kind"] == "published"]).astype(bool)
    table = pd.DataFrame(columns)
    missing = np.setdiff1d(np.arange(table.index[0], table.index[-1] + 1), table.dropna().index)
    if len(missing):
        raise ForecasterError(f"accounts of the past lack income or outgo of {missing[0]}; fit the pool anew")
    published = table["income_published"].to_numpy(bool) & table["outgo_published"].to_numpy(bool)
    return PastAccounts(table.index.to_numpy(int), table["income"].to_numpy(), table["outgo"].to_numpy(), published)


@dataclass(frozen=True)
class Cohorts:
    """Lives of birth cohorts, from a first year on, per person alive in it.

    Attributes
    ----------
    births, first, last
        Years of birth, and of the first and last year counted; each ``(cohort,)``.
    payments
        Payer to present value in that first year, TWD in money of the first projected year, ``(cohort, draw)``.
    benefits
        The same of what the cohort costs.
    """

    births: Array
    first: Array
    last: Array
    payments: Mapping[str, Array]
    benefits: Array

    @property
    def net(self) -> Array:
        """Benefits less all payments, ``(cohort, draw)``."""
        return self.benefits - np.add.reduce(list(self.payments.values()))


def birth_cohorts(
    basis: Basis,
    projection: FundProjection,
    given: Incidence,
    births: Sequence[int],
    place: str,
    discount: float = 0.0,
    past: PastAccounts | None = None,
) -> Cohorts:
    """Payments and benefits of birth cohorts through the horizon of the basis.

    Parameters
    ----------
    births
        Years of birth up to the first projected year.
    discount
        Yearly rate of discount beyond the growth of GDP per head, a share.
    past
        Accounts up to the first projected year, for lives from birth or from the first of these years on; when left
        out, the lives that remain from the first projected year on.

    Raises
    ------
    ForecasterError
        When the basis carries no GDP and people by age group, the past does not meet the projection, or a cohort is
        born after its first year or too old in the first one counted.
    """
    _check(basis, births, past)
    begin = int(basis.years[0] if past is None else past.years[0])
    wpp = load_wpp(place)
    people = wpp.population_1july[wpp.year_slice(begin, int(basis.years[-1]))].sum(axis=1)
    before = int(basis.years[0]) - begin
    totals = _totals(projection, given, past)
    value = _value(basis, people, place, before)

    def lives(total: Array, weights: Array) -> Array:
        heads = np.concatenate(
            [
                np.broadcast_to((people[:before] @ weights)[:, None], (before, basis.n_draws)),
                _heads(people[before:], weights, basis),
            ]
        )
        per_head = total * 1e9 * value / heads
        return np.stack([_followed(per_head, weights, people, begin, birth, discount) for birth in births])

    first = np.maximum(births, begin)
    return Cohorts(
        births=np.array(births),
        first=first,
        last=np.minimum(np.array(births) + N_AGES - 2, basis.years[-1]),
        payments={payer: lives(totals[payer], weights) for payer, weights in given.payments.items()},
        benefits=lives(totals["benefits"], given.benefits),
    )


def _check(basis: Basis, births: Sequence[int], past: PastAccounts | None) -> None:
    missing = [name for name in _DRIVERS if name not in basis.drivers]
    if missing:
        lacking = ", ".join(missing)
        raise ForecasterError(f"birth cohorts need {lacking} in the basis {basis.label!r}; use the pool's fit")
    first = int(basis.years[0])
    if past is not None and past.years[-1] != first - 1:
        raise ForecasterError(
            f"the accounts of the past end in {past.years[-1]}; allowed is {first - 1}, the year before the projection"
        )
    begin = first if past is None else int(past.years[0])
    for birth in births:
        if not begin - N_AGES + 2 <= birth <= first:
            allowed = f"{begin - N_AGES + 2} (aged {N_AGES - 2} in {begin}) up to {first}, the first projected year"
            raise ForecasterError(f"birth cohort {birth}: allowed is {allowed}")


def _totals(projection: FundProjection, given: Incidence, past: PastAccounts | None) -> dict[str, Array]:
    """What payers paid and what was paid out, TWD bn nominal, of past and projected years, ``(year, draw)``."""
    paid = projection.by_payer()
    totals = {
        "insured": paid["insured"],
        "employers": paid["employers"],
        "public": paid["government"] + paid["earmarked_and_other"],
        "benefits": projection.outgo,
    }
    if past is None:
        return totals
    lines = {payer: past.income * _share_then(given, payer, past.years) for payer in given.past}
    lines["benefits"] = past.outgo
    shape = (len(past.years), projection.outgo.shape[1])
    return {
        name: np.concatenate([np.broadcast_to(lines[name][:, None], shape), ahead]) for name, ahead in totals.items()
    }


def _share_then(given: Incidence, payer: str, years: Array) -> Array:
    starts, shares = zip(*given.past[payer], strict=True)
    return np.array(shares)[np.searchsorted(starts, years, side="right") - 1]


def _value(basis: Basis, people: Array, place: str, before: int) -> Array:
    """Factor that carries a year's money to the first projected year by GDP per head, ``(year, draw)``."""
    ahead = basis.drivers["gdp_nominal"] / basis.drivers["population"]
    if not before:
        return ahead[0] / ahead
    years = np.arange(int(basis.years[0]) - before, int(basis.years[0]))
    behind = nominal_gdp(basis, place, years) / people[:before].sum(axis=1)
    return ahead[0] / np.concatenate([np.broadcast_to(behind[:, None], (before, basis.n_draws)), ahead])


def _heads(people: Array, weights: Array, basis: Basis) -> Array:
    """People of projected years in proportion to their weight by age, ``(year, draw)``."""
    total, working = basis.drivers["population"], basis.drivers["population_20_to_64"]
    old = basis.drivers["share_65_and_over"] * total
    parts = zip(_GROUPS, (total - working - old, working, old), strict=True)
    return sum((people[:, ages] @ weights[ages] / people[:, ages].sum(axis=1))[:, None] * n for ages, n in parts)


def _followed(per_head: Array, weights: Array, people: Array, begin: int, birth: int, discount: float) -> Array:
    """Present value of a cohort's life in the first year that it is counted, per person alive then; ``(draw,)``."""
    start, age = max(birth - begin, 0), max(begin - birth, 0)
    total = np.zeros(per_head.shape[1])
    for t in range(min(len(per_head) - start, N_AGES - 1 - age)):
        alive = people[start + t, age + t] / people[start, age]
        total += per_head[start + t] * weights[age + t] * alive / (1.0 + discount) ** t
    return total
