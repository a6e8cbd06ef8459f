"""A rule of one scheme laid over another pool: the parameters that carry it, and what in the basis it acts on.

``government_floor`` and ``yearly_review`` are parameters alone: the donor's values hold in the other pool from a day
on, before it they do nothing. ``supplementary_premium`` needs what is charged beside the base: it is taken to stand
to the contribution base as it does in the donor's own basis, which is assumed. ``global_budget`` lets outlay grow with
the contribution base at most, draw by draw. ``merge`` puts the donor's members, money and premiums into the pool. Any
other name is a parameter that both laws have, or a layer of the donor's benefit stack with one of its kind in the
pool's: the donor's values hold from the day on. What a rule does to households: :mod:`forecaster.transplant_need`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from forecaster.basis import Basis
from forecaster.errors import ForecasterError
from forecaster.fund_stack import LawWithStack
from forecaster.layers import Layer
from forecaster.mainland import under_policy
from forecaster.parameters import Parameter
from forecaster.policy import Change, Policy, Reform
from forecaster.schemes import Scheme

Array = np.ndarray

FLOOR = "government_floor_share"
# Parameters that carry a rule, with what they are before its day; None for what may hold from the beginning.
CARRIED: dict[str, dict[str, float | str | None]] = {
    "government_floor": {FLOOR: 0.0, "government_floor_basis": None},
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
# Parameter of laws that pay providers out of a budget.
BUDGET = "point_value_guarantee"
# What a pool pays of its members' hospital bills in effect, 2019 (CN-PD_NHSA_2019).
EFFECTIVE_RATE = {"cn_uebmi": 0.756, "cn_urrbmi": 0.597}


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
        For an unknown rule, where the donor does not have it or the pool has it, where nothing in the pool carries it,
        where years do not meet or moneys differ.
    """
    if target.scheme.pool == donor.scheme.pool:
        raise ForecasterError(
            f"{rule}: {target.scheme.id} and {donor.scheme.id} are one pool; name another one with --from"
        )
    if rule not in RULES:
        terms = shared_terms(target.scheme, donor.scheme, rule, start)
        return Transplanted(basis, target, basis, target.reform(Reform((*target.change.changes, *terms))), (_TERMS,))
    _check_rule(rule, target.scheme, donor.scheme)
    law = graft(target.scheme, donor.scheme, rule, start)
    if rule == "supplementary_premium":
        policy = Policy(law, target.change)
        return Transplanted(basis, target, _with_items(basis, donor_basis()), policy, (_SUPPLEMENTARY,))
    if rule == "global_budget":
        return Transplanted(basis, target, held_to_base(basis, start.year), target, (_BUDGET,))
    if rule == "merge":
        return _merged(basis, target, donor_basis(), donor, start)
    return Transplanted(basis, target, basis, Policy(law, target.change), (_NUMBERS,))


def _check_rule(rule: str, target: Scheme, donor: Scheme) -> None:
    """Refuse a rule that the donor does not have, the pool has already, or that nothing in the pool carries."""
    if rule == "global_budget":
        # Points are what a law has that pays providers out of a budget.
        if BUDGET not in donor.parameters:
            raise ForecasterError(f"{donor.id} does not have the rule {rule}: it pays providers without a budget")
        if BUDGET in target.parameters:
            raise ForecasterError(
                f"{rule}: {target.id} has one; budget_growth_adjustment moves its growth (forecaster project --set)"
            )
    if rule == "supplementary_premium" and target.parameter("general_premium_rate").bounds[1] > 1.0:  # type: ignore[index]  # a number has bounds
        raise ForecasterError(
            f"{rule}: members of {target.id} pay a sum a head, not a share of what they earn, so that their funding "
            "tells nothing of their other income and no figure of it is held; try a pool that charges wages"
        )


def idle_rule(rule: str, found: Transplanted) -> ForecasterError:
    """What to tell when a rule leaves every draw's accounts as they were."""
    years, policy = found.basis.years, found.policy
    told = f"{rule}: nothing of {policy.scheme.id} moves through {years[-1]}"
    if rule != "government_floor":
        return ForecasterError(
            f"{told}; allowed is a rule that something in the pool answers to, or an earlier --start"
        )
    shares = [policy.path(f"premium_share.{c}.government", years[-1:])[0] for c in found.basis.categories]
    paid, least = float((shares @ found.basis.category_mix).mean()), _last(found.with_policy.scheme.parameter(FLOOR))
    return ForecasterError(f"{told}: the government pays {paid:.0%} of the premiums there, the floor wants {least:.0%}")


def shared_terms(target: Scheme, donor: Scheme, name: str, start: dt.date) -> tuple[Change, ...]:
    """The donor's values of a parameter, or of all terms of a layer, as changes of the target's law from a day on.

    Raises
    ------
    ForecasterError
        Where the two laws share nothing of that name, or not in one unit.
    """
    found: list[Change] = []
    for own, theirs in _pairs(target, donor, name).items():
        has, wanted = donor.parameters[theirs].unit, target.parameters[own].unit
        if has != wanted:
            raise ForecasterError(f"{name}: {donor.id} has it in {has}, {target.id} in {wanted}; allowed is one unit")
        values = [value for value in donor.parameters[theirs].values if value.status != "proposed"]
        held = [value for value in values if value.start <= start]
        if not held:
            raise ForecasterError(f"{name}: {donor.id} has no value on {start}; its first is from {values[0].start}")
        later = [value for value in values if value.start > start]
        found += [Change(own, max(value.start, start), value.value) for value in (held[-1], *later)]
    return tuple(found)


def _pairs(target: Scheme, donor: Scheme, name: str) -> dict[str, str]:
    """Parameters of the target, and for each the donor's, that a name stands for."""
    if name in donor.parameters and name in target.parameters:
        return {name: name}
    of_target, of_donor = _layers(target), _layers(donor)
    layer, _, term = name.partition(".")
    if layer not in of_donor:
        common = sorted(set(target.parameters) & set(donor.parameters))
        both = ", ".join(key for key in common if key.partition(".")[0] not in of_donor) or "none"
        layers = ", ".join(of_donor) or "none"
        raise ForecasterError(
            f"no rule {name!r} that can be transplanted; there are: {', '.join(RULES)}; parameters of both laws: "
            f"{both}; layers of {donor.id}, with .TERM for one of their terms: {layers}"
        )
    like = [id_ for id_, item in of_target.items() if item.kind == of_donor[layer].kind]
    if not like:
        kind = of_donor[layer].kind
        raise ForecasterError(f"{name}: {target.id} has no layer of the kind {kind}, which could take its terms over")
    whole = [key.removeprefix(f"{layer}.") for key in donor.parameters if key.startswith(f"{layer}.")]
    pairs = {f"{like[0]}.{key}": f"{layer}.{key}" for key in ([term] if term else whole)}
    pairs = {own: old for own, old in pairs.items() if own in target.parameters and old in donor.parameters}
    if not pairs:
        raise ForecasterError(f"{name}: not a term that {like[0]} has too; forecaster stack --terms lists them")
    return pairs


def _layers(scheme: Scheme) -> dict[str, Layer]:
    return {layer.id: layer for layer in scheme.stack.layers} if isinstance(scheme, LawWithStack) else {}


_NUMBERS = (
    "The donor's numbers are taken as they stand; the band of a review keeps the donor's proportions over the least "
    "reserve that this pool's law wants."
)
_SUPPLEMENTARY = (
    "What the donor charges beside its contribution base (payroll and bonuses above it, wages of other employers, "
    "fees, dividends, interest, rent) stands to the contribution base as in the donor's basis."
)
_BUDGET = (
    "From the year before the rule on outlay grows no more than the contribution base, draw by draw. Who bears what is "
    "not paid is not told by it: patients (bills stay as they are), care itself (cut in proportion), or providers, "
    "who leave patients as they were."
)
_TERMS = (
    "The donor's values are taken as they stand; amounts of money are those of the year of the rule and grow from then "
    "on as the stack's do."
)
_MERGED = (
    "Each member goes on paying what he paid; the payers' parts are those of the first year.",
    "From the merger on both pools pay as much of a bill as the better one does in effect (75.6% and 59.7% in 2019), "
    "use as before.",
)
_MERGED_AS_IS = "What the two pools pay of a bill in effect is not held for both: each goes on paying what it did."
ASSUMPTIONS = (_NUMBERS, _SUPPLEMENTARY, _BUDGET, _TERMS, *_MERGED, _MERGED_AS_IS)


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
    """Both pools in one fund from a year on, benefits raised to the better one's level."""
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
    steps = benefit_steps(target.scheme.pool, donor.scheme.pool)
    own, theirs = (np.where(years >= start.year, step, 1.0)[:, None] for step in steps)
    one = replace(apart, label=f"{apart.label}, merged", outlay=basis.outlay * own + other.outlay * theirs)
    law = _both(target.scheme, donor.scheme)
    policy = Policy(law)
    told = _MERGED if max(steps) > 1.0 else (_MERGED[0], _MERGED_AS_IS)
    return Transplanted(apart, policy, one, policy, told)


def benefit_steps(target: str, donor: str) -> tuple[float, float]:
    """By what factor each of two merged pools pays more of a bill, the better one's effective rate over its own."""
    if not {target, donor} <= EFFECTIVE_RATE.keys():
        return 1.0, 1.0
    best = max(EFFECTIVE_RATE[target], EFFECTIVE_RATE[donor])
    return best / EFFECTIVE_RATE[target], best / EFFECTIVE_RATE[donor]


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
