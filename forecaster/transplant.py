"""A rule of one scheme laid over another pool: the parameters that carry it, and what in the basis it acts on.

``government_floor`` and ``yearly_review`` are parameters alone: the donor's values hold in the other pool from a day
on, before it they do nothing. ``supplementary_premium`` needs income that is no wage: it is taken to stand to the
contribution base as it does in the donor's own basis, which is assumed. ``global_budget`` lets outlay grow with the
contribution base at most, draw by draw. ``merge`` puts the donor's members, money and premiums into the pool.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from forecaster.basis import Basis
from forecaster.errors import ForecasterError
from forecaster.mainland import care_payers, under_policy
from forecaster.parameters import Parameter
from forecaster.policy import Policy
from forecaster.schemes import Scheme

Array = np.ndarray

# Parameters that carry a rule, with what they are before its day; None for what may hold from the beginning.
CARRIED: dict[str, dict[str, float | str | None]] = {
    "government_floor": {"government_floor_share": 0.0, "government_floor_basis": None},
    "yearly_review": {
        "yearly_review": "off",
        "review_target_months": None,
        "review_return_years": None,
        "reserve_ceiling_months": None,
    },
    "supplementary_premium": {"supplementary_premium_rate": 0.0, "supplementary_ceiling": None},
    "global_budget": {},
    "merge": {},
}
# What a choice is set to from the day on, where the donor's own law has it off.
SWITCHED_ON = {"yearly_review": "on"}
RULES = tuple(CARRIED)
SCALED = ("review_target_months", "reserve_ceiling_months")
# What the employees' scheme pays of a bill over what the residents' pays, in effect, 2019: 75.6% and 59.7%.
BENEFIT_STEP = 0.756 / 0.597


@dataclass(frozen=True)
class Transplanted:
    """A pool with a rule of another scheme.

    Attributes
    ----------
    basis, policy
        The pool's own.
    with_basis, with_policy
        The same with the rule, on the same draws.
    assumptions
        What the transplant assumes.
    """

    basis: Basis
    policy: Policy
    with_basis: Basis
    with_policy: Policy
    assumptions: tuple[str, ...]


def graft(target: Scheme, donor: Scheme, rule: str, start: dt.date) -> Scheme:
    """The target's law with the donor's parameters that carry a rule, in force from a day on.

    Raises
    ------
    ForecasterError
        For an unknown rule, and where the donor does not have it.
    """
    if rule not in CARRIED:
        raise ForecasterError(f"no rule {rule!r} that can be transplanted; there are: {', '.join(RULES)}")
    lacking = [name for name in CARRIED[rule] if name not in donor.parameters]
    if lacking:
        raise ForecasterError(f"{donor.id} does not have the rule {rule}: no parameter {', '.join(lacking)}")
    # The band of a review keeps the donor's proportions over the pool's own least reserve.
    scale = 1.0
    if rule == "yearly_review":
        scale = _last(target.parameter("reserve_floor_months")) / _last(donor.parameter("reserve_floor_months"))
    added = {
        name: _moved(donor.parameters[name], name, before, target, start, scale)
        for name, before in CARRIED[rule].items()
    }
    items = donor.supplementary_items if rule == "supplementary_premium" else {}
    mark = f"{target.content_hash} with {rule} of {donor.content_hash} from {start}"
    return target.model_copy(
        update={
            "parameters": {**target.parameters, **added},
            "supplementary_items": {**target.supplementary_items, **items},
            "content_hash": hashlib.sha256(mark.encode()).hexdigest(),
        }
    )


def _last(parameter: Parameter) -> float:
    return parameter.in_force()[-1][1]


def _moved(
    parameter: Parameter, name: str, before: float | str | None, target: Scheme, start: dt.date, scale: float
) -> Parameter:
    last = [value for value in parameter.values if value.status != "proposed"][-1]
    value = SWITCHED_ON.get(name, last.value)
    high = parameter.bounds
    if name in SCALED and isinstance(value, float):
        value, high = value * scale, (0.0, value * scale)
    note = f"transplanted; there from {last.start}"
    own = last.model_copy(update={"start": start, "value": value, "status": "assumed", "note": note})
    first = last.model_copy(update={"start": target.start, "value": value if before is None else before})
    return parameter.model_copy(update={"values": (first, own), "tied_to": None, "interpolated": False, "bounds": high})


def transplant(
    rule: str,
    donor: Policy,
    target: Policy,
    basis: Basis,
    start: dt.date,
    donor_basis: Callable[[], Basis],
) -> Transplanted:
    """Lay a rule over a pool.

    Parameters
    ----------
    donor
        Law that has the rule; for ``merge`` the law of the pool that is taken in.
    target, basis
        The pool.
    start
        Day from which the rule holds.
    donor_basis
        Makes the donor's basis, for the rules that need it: ``supplementary_premium`` and ``merge``.

    Raises
    ------
    ForecasterError
        For an unknown rule, where the donor does not have it, where years do not meet or moneys differ.
    """
    law = graft(target.scheme, donor.scheme, rule, start)
    if rule == "supplementary_premium":
        policy = Policy(law, target.change)
        return Transplanted(basis, target, _with_items(basis, donor_basis()), policy, (_SUPPLEMENTARY,))
    if rule == "global_budget":
        return Transplanted(basis, target, held_to_base(basis, start.year), target, (_BUDGET,))
    if rule == "merge":
        return _merged(basis, target, donor_basis(), donor, start)
    return Transplanted(basis, target, basis, Policy(law, target.change), (_NUMBERS,))


def out_of_pocket_change(rule: str, found: Transplanted, before: Array, after: Array) -> Array | None:
    """What patients pay more of their bills with the rule, nominal money a year, flow, ``(year, draw)``.

    Merging leaves the bills as they were, so that what the fund pays more patients pay less. Other rules move care and
    what patients pay of it as they move the outgo: by nothing where only the income is another.

    Parameters
    ----------
    before, after
        Outgo without and with the rule, ``(year, draw)``.

    Returns
    -------
    numpy.ndarray
        None where the pool has no benefit stack to tell what patients pay.
    """
    if rule == "merge":
        return before - after
    care = care_payers(found.basis, found.policy, before)
    return None if care is None else care.amounts[-1] * (after / before - 1.0)


_NUMBERS = (
    "The donor's numbers are taken as they stand; the band of a review keeps the donor's proportions over the least "
    "reserve that this pool's law wants."
)
_SUPPLEMENTARY = "Income that is no wage stands to the contribution base as in the donor's basis."
_BUDGET = (
    "From the year before the rule on outlay grows no more than the contribution base, draw by draw; what providers or "
    "patients lose is not told, and patients' own payments are taken to shrink with the outlay."
)
_MERGED = (
    "Each member goes on paying what he paid; the payers' parts are those of the first year.",
    f"From the merger on the joining pool pays as much of a bill as the other: outlay x {BENEFIT_STEP:.3f} (75.6% and "
    "59.7% in effect in 2019), use as before.",
)
ASSUMPTIONS = (_NUMBERS, _SUPPLEMENTARY, _BUDGET, *_MERGED)


def _with_items(basis: Basis, donor: Basis) -> Basis:
    """The basis with the donor's supplementary items, in its own proportion to the contribution base."""
    base = donor.general_base[0].mean()
    items = {name: values[0].mean() / base * basis.general_base for name, values in donor.supplementary_base.items()}
    return replace(basis, supplementary_base={**basis.supplementary_base, **items})


def held_to_base(basis: Basis, first_year: int) -> Basis:
    """The basis with an outlay that from ``first_year`` on is at most that of the year before, grown with the base."""
    at = int(np.searchsorted(basis.years, first_year)) - 1
    if not 0 <= at < len(basis.years) - 1:
        allowed = f"{basis.years[1]} to {basis.years[-1]}"
        raise ForecasterError(f"a budget from {first_year} on: the basis has no year before it; allowed: {allowed}")
    budget = basis.outlay[at] * basis.general_base / basis.general_base[at]
    held = np.where((basis.years >= first_year)[:, None], np.minimum(basis.outlay, budget), basis.outlay)
    return replace(basis, outlay=held)


def _merged(basis: Basis, target: Policy, other: Basis, donor: Policy, start: dt.date) -> Transplanted:
    """Both pools in one fund from a year on, residents' benefits raised to the employees' level."""
    if not np.array_equal(basis.years, other.years) or basis.money != other.money:
        raise ForecasterError(f"{basis.label} and {other.label}: other years or money; merge pools of one country")
    n = min(basis.n_draws, other.n_draws)
    basis, other = _first(under_policy(basis, target), n), _first(under_policy(other, donor), n)
    years = basis.years
    rate = target.path("general_premium_rate", years)[:, None]
    joined = donor.path("general_premium_rate", years)[:, None] * other.general_base / rate
    share = joined[0] / (joined[0] + basis.general_base[0])
    apart = replace(
        basis,
        label=f"{basis.label}; {other.label}, side by side",
        opening_reserve=basis.opening_reserve + other.opening_reserve,
        general_base=basis.general_base + joined,
        outlay=basis.outlay + other.outlay,
        category_mix=np.concatenate([basis.category_mix * (1.0 - share), other.category_mix * share]),
        categories=(*basis.categories, *other.categories),
        members=None,
        drivers={},
    )
    raised = np.where(years >= start.year, BENEFIT_STEP, 1.0)[:, None]
    one = replace(apart, label=f"{apart.label}, merged", outlay=basis.outlay + other.outlay * raised)
    law = _both(target.scheme, donor.scheme)
    policy = Policy(law)
    return Transplanted(apart, policy, one, policy, _MERGED)


def _both(target: Scheme, donor: Scheme) -> Scheme:
    shares = {name: p for name, p in donor.parameters.items() if name.startswith("premium_share.")}
    return target.model_copy(
        update={
            "categories": {**target.categories, **donor.categories},
            "parameters": {**target.parameters, **shares},
            "content_hash": hashlib.sha256(f"{target.content_hash} and {donor.content_hash}".encode()).hexdigest(),
        }
    )


def _first(basis: Basis, n: int) -> Basis:
    """The first draws of a plain basis."""
    if basis.n_draws == n:
        return basis
    return replace(
        basis,
        opening_reserve=basis.opening_reserve[:n],
        category_mix=basis.category_mix[:, :n],
        other_income={name: values[:, :n] for name, values in basis.other_income.items()},
        drivers={},
        **{
            name: getattr(basis, name)[:, :n]
            for name in ("general_base", "outlay", "investment_yield", "payment_size_index")
        },
    )
