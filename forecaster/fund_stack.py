r"""A fund's projection with its benefit stack inside: who pays for the members' care, by year and draw.

Under the law the fund's outgo :math:`C_{t,d}` is what the basis says. The layers that the fund pays give, for members
of the ages of year *t* whose spending is :math:`k` times that of the severity's year, a mean payment :math:`F_t(k)`;
with *N* members

.. math::
    N_t\, F_t(k_{t,d}) = C_{t,d}

tells the cost scale :math:`k_{t,d}`, and with it every other payer and the household. A reform of a layer's terms meets
the same spending and moves the outgo in proportion to what the fund's layers then pay,

.. math::
    C'_{t,d} = C_{t,d}\, \frac{F'_t(k_{t,d})}{F_t(k_{t,d})}

so that without such a reform the projection is exactly what it was. People are not taken to use more care when it is
paid better.

Levers of the fund reach two of the layers' ceilings: what an employee's account holds follows what is paid into it,

.. math::
    M' = M\,\Bigl(1 - \omega + \omega\,\frac{f' + e' a'}{f + e a}\Bigr)

with *f* the employees' and *e* the employers' rate, *a* the part of it that goes to accounts, and :math:`\omega` the
share of contributors among members (pensioners' credits are fixed sums); the ceiling of serious-illness insurance rises
for those who stay (:mod:`forecaster.continuity`), under the law too.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from pydantic import InstanceOf

from forecaster.basis import Basis
from forecaster.benefits import OUT_OF_POCKET, evaluate, fitted_severity
from forecaster.continuity import BONUS, claim_facts, mean_bonus, serious_illness
from forecaster.errors import ForecasterError
from forecaster.layers import FundLink, Layer, Stack, amount_growth, load_stack, stack_names
from forecaster.members import MemberPeople, employee_heads, law_ages
from forecaster.policy import Change, Policy, Reform
from forecaster.pools import pool_names
from forecaster.schemes import Scheme, load_scheme, scheme_ids
from forecaster.severity import Severity

Array = np.ndarray
# The stack's own assumption on growing costs: in a projection the fund's draws take its place.
_NOT_OF_A_FUND = ("cost_growth",)
UNITS = {"bn": 1e9, "m": 1e6, "thousand": 1e3, "one": 1.0}
# Steps that finding the cost scale may take, and how near it must come, on the log of payments.
_MOST_ROUNDS, _MET = 40, 1e-5
_SCALES = np.exp(np.linspace(np.log(0.02), np.log(500.0), 80))


class LawWithStack(Scheme):
    """Law of a pool with the terms of its benefit layers among its parameters, as ``LAYER.PARAMETER``."""

    stack: InstanceOf[Stack]


def law_with_stack(scheme: Scheme, stack: Stack | None = None) -> Scheme:
    """The law of a pool with its stack's terms; the law itself where no stack belongs to the pool.

    Parameters
    ----------
    stack
        Another stack than the shipped one of the pool.

    Raises
    ------
    ForecasterError
        When the stack belongs to another pool or to none, or a name stands in both.
    """
    stack = pool_stack(scheme.pool) if stack is None else stack
    if stack is None:
        return scheme
    link = stack.file.fund
    if link is None or link.pool != scheme.pool:
        found = "no fund" if link is None else f"the fund {link.pool}"
        raise ForecasterError(f"stack {stack.id} belongs to {found}, not to {scheme.pool}: see [fund] in docs/stack.md")
    terms = {name: value for name, value in stack.law.parameters.items() if name not in _NOT_OF_A_FUND}
    if both := sorted(set(terms) & set(scheme.parameters)):
        raise ForecasterError(f"{', '.join(both)} stands in {scheme.id} and in stack {stack.id}: rename one of the two")
    whole = hashlib.sha256(f"{scheme.content_hash}{stack.law.content_hash}".encode()).hexdigest()
    own = {name: getattr(scheme, name) for name in Scheme.model_fields}
    own |= {"parameters": {**scheme.parameters, **terms}, "content_hash": whole, "stack": stack}
    return LawWithStack.model_construct(**own)


@cache
def pool_stack(pool: str) -> Stack | None:
    """The shipped stack behind a shipped pool's fund, if there is one."""
    if pool not in pool_names():
        return None
    stacks = (load_stack(name) for name in stack_names())
    return next((stack for stack in stacks if stack.file.fund and stack.file.fund.pool == pool), None)


def stack_named(name: str) -> Stack:
    """A stack by its own name or file, or the one behind a shipped pool.

    Raises
    ------
    FaultyInput
        With every fault of a file, see :func:`forecaster.layers.load_stack`.
    ForecasterError
        When there is no such stack, or none behind the pool.
    """
    if name not in {*pool_names(), *scheme_ids()}:
        return load_stack(name)
    pool = name if name in pool_names() else load_scheme(name).pool
    stack = pool_stack(pool)
    if stack is None:
        behind = ", ".join(f"{s.id} behind {s.file.fund.pool}" for s in map(load_stack, stack_names()) if s.file.fund)
        raise ForecasterError(
            f"no benefit stack stands behind {name}: no terms of its layers are held. There is {behind}"
        )
    return stack


# Levers of a fund that reach its layers' terms.
ACCOUNT = ("employee_contribution_rate", "employer_contribution_rate", "account_share_of_employer")


def moving_terms(basis: Basis, policy: Policy) -> tuple[Change, ...]:
    """Changes of a reform that move terms of the stack; levers of the fund among them where it knows its members."""
    if not isinstance(policy.scheme, LawWithStack):
        return ()
    kinds = {layer.kind for layer in policy.scheme.stack.layers} if basis.members is not None else set()
    reaching = (*(ACCOUNT if "account" in kinds else ()), *(BONUS if "serious_illness" in kinds else ()))
    own = policy.scheme.stack.law.parameters
    return tuple(change for change in policy.change.changes if change.name in own or change.name in reaching)


def _before_fund_is_done(policy: Policy, name: str) -> bool:
    """Whether a term is one of the stack as a whole, or of a layer that pays no later than the fund's last one."""
    stack: Stack = policy.scheme.stack  # type: ignore[attr-defined]  # asked of a law with one
    of_account = next((layer.id for layer in stack.layers if layer.kind == "account"), "")
    layer = of_account if name in ACCOUNT else name.partition(".")[0]
    names = [item.id for item in stack.layers]
    last = max(names.index(paying) for paying in _link(stack).pays)
    return layer not in names[last + 1 :]


def in_terms(policy: Policy, stack: Stack, years: Array, members: MemberPeople) -> Policy:
    """The policy with what its levers on the fund make of the layers' ceilings, year by year."""
    moved = {}
    for name in ACCOUNT if any(layer.kind == "account" for layer in stack.layers) else ():
        if policy.has(name):
            policy.dated(name)  # what a projection reads is told, also where the law alone stands
    account = next((layer for layer in stack.layers if layer.kind == "account" and _has_ceiling(layer)), None)
    law = policy.reform(Reform())
    if account is not None and any(change.name in ACCOUNT for change in policy.change.changes):
        paying = members.workers / (members.workers + members.retired)
        more = paying * (_credited(policy, years) / _credited(law, years) - 1.0)
        moved[account.id] = _ceiling(policy, account, years) * (1.0 + more)
    serious = serious_illness(stack)
    if serious is not None and policy.has(BONUS[0]):
        ceiling = _ceiling(policy, serious, years)
        moved[serious.id] = ceiling + mean_bonus(policy, years, ceiling, claim_facts(stack)[0])
    if not moved:
        return policy
    kept = [c for c in policy.change.changes if c.name not in {f"{layer}.ceiling" for layer in moved}]
    for layer, ceiling in moved.items():
        name = f"{layer}.ceiling"
        low, high = policy.scheme.parameters[name].bounds  # type: ignore[misc]  # loading requires bounds of numbers
        for year, value in zip(years, np.clip(ceiling, low, high), strict=True):
            kept.append(Change(name, dt.date(int(year), 1, 1), float(value)))
    return Policy(policy.scheme, Reform(tuple(kept)), policy.reads)


def _has_ceiling(layer: Layer) -> bool:
    return "ceiling" in layer.parameters


def _ceiling(policy: Policy, layer: Layer, years: Array) -> Array:
    """A layer's ceiling in plain money, grown as the stack says, ``(year,)``."""
    name = f"{layer.id}.ceiling"
    return policy.path(name, years) * amount_growth(policy, policy.dated(name), years)


def _credited(policy: Policy, years: Array) -> Array:
    """What is paid into a contributor's account, share of the base, ``(year,)``."""
    own, employer, share = (policy.path(name, years) for name in ACCOUNT)
    return own + employer * share


@dataclass(frozen=True)
class AtLaw:
    """The stack under the law, at the spending that the fund's outgo tells.

    Attributes
    ----------
    people, members
        Share of members in each band ``(year, band)``, and members, million, ``(year,)``.
    cost
        Spending at unchanged ages against the severity's year, ``(year, draw)``.
    paid
        Mean payment a member, ones of the currency, ``(payer, year, draw)``.
    """

    severity: Severity
    people: Array
    members: Array
    cost: Array
    paid: Array


def stack_at_law(basis: Basis, policy: Policy, stack: Stack) -> AtLaw:
    """The stack under the policy's law, found once for a basis."""
    law = policy.reform(Reform())
    key = ("stack at law", law.hash)
    return basis.kept(key, lambda: _solved(basis, law, stack))  # type: ignore[return-value,arg-type]


def _solved(basis: Basis, law: Policy, stack: Stack) -> AtLaw:
    if basis.members is None:
        raise ForecasterError(
            f"the basis {basis.label!r} knows no members, so that spending a head and with it {stack.id} cannot be "
            "told; use the pool's fit"
        )
    fit = fitted_severity(stack)
    severity = fit.best if basis.n_draws == 1 else fit.draws(basis.n_draws)
    by_age = _members_by_age(basis.members, law, basis.years)
    bands = [by_age[:, band.first_age : band.last_age + 1].sum(axis=1) for band in fit.file.bands]
    members = by_age.sum(axis=1)
    people = np.stack(bands, axis=1) / members[:, None]
    wanted = basis.outlay * UNITS[law.scheme.unit] / 1e6 / members[:, None]
    law = in_terms(law, stack, basis.years, basis.members)
    cost = _met(stack, law, basis.years, severity, people, wanted)
    paid = evaluate(stack, law, basis.years, severity, cost_scale=cost).per_head(people)
    return AtLaw(severity, people, members, cost, paid)


def _members_by_age(people: MemberPeople, law: Policy, years: Array) -> Array:
    """Members by single age, million, ``(year, 101)``, under the law."""
    n = len(years) + 1
    people = replace(people, years=people.years[:n], persons=people.persons[:n])
    if people.kind == "employees":
        by_age: Array = employee_heads(people, law_ages(law, people.years)).by_age[1:].sum(axis=1)
        return by_age
    return people.workers / people.persons[0].sum() * people.persons[1:].sum(axis=1)


def _met(stack: Stack, law: Policy, years: Array, severity: Severity, people: Array, wanted: Array) -> Array:
    """Cost scale at which the fund's layers pay what is wanted a member, ``(year, draw)``."""
    # Layers that pay after the fund's last one change nothing of what the fund pays.
    last = max(i for i, layer in enumerate(stack.layers) if layer.id in _link(stack).pays)
    first_layers = replace(stack, layers=stack.layers[: last + 1])

    def paid_by_fund(cost: Array, spending: Severity) -> Array:
        return np.log(_of_fund(stack, evaluate(first_layers, law, years, spending, cost_scale=cost).per_head(people)))

    # The severity's best fit tells where to begin and how steeply payments rise with spending.
    scales = np.log(_SCALES)
    told = paid_by_fund(np.tile(_SCALES, (len(years), 1)), fitted_severity(stack).best)
    steep, log_wanted = np.gradient(told, scales, axis=1), np.log(wanted)
    log_cost = np.stack([np.interp(row, seen, scales) for row, seen in zip(log_wanted, told, strict=True)])
    slope = np.stack([np.interp(row, scales, rise) for row, rise in zip(log_cost, steep, strict=True)])
    gap = np.full_like(wanted, np.inf)
    for _ in range(_MOST_ROUNDS):
        gap = log_wanted - paid_by_fund(np.exp(log_cost), severity)
        if np.abs(gap).max() < _MET:
            return np.exp(log_cost)
        log_cost = log_cost + np.clip(gap / np.maximum(slope, 0.3), -1.0, 1.0)
    year = int(years[np.argmax(np.abs(gap).max(axis=1))])
    raise ForecasterError(
        f"no spending of the members makes the layers of {stack.id} pay the fund's outgo of {year}: their ceilings "
        "bound them there; raise the ceilings, or shorten the horizon"
    )


def _of_fund(stack: Stack, paid: Array) -> Array:
    """What the fund's layers pay together, ``(year, draw)``, of payments ``(payer, year, draw)``."""
    names = [layer.id for layer in stack.layers]
    total: Array = paid[[names.index(name) for name in _link(stack).pays]].sum(axis=0)
    return total


def _link(stack: Stack) -> FundLink:
    assert stack.file.fund is not None  # a law is joined only with a stack that names its fund
    return stack.file.fund


def _under_policy(basis: Basis, policy: Policy, stack: Stack) -> Array:
    """Mean payment a member under the policy at the law's spending, ``(payer, year, draw)``."""
    at_law, changes = stack_at_law(basis, policy, stack), moving_terms(basis, policy)
    if not changes:
        return at_law.paid

    def made() -> Array:
        assert basis.members is not None  # those of the law were told
        terms = in_terms(policy, stack, basis.years, basis.members)
        found = evaluate(stack, terms, basis.years, at_law.severity, cost_scale=at_law.cost).per_head(at_law.people)
        # Before the first change nothing differs, not by rounding either.
        before = basis.years < min(change.start.year for change in changes)
        return np.where(before[:, None], at_law.paid, found)

    paid: Array = basis.kept_last("stack under a policy", (policy.scheme.content_hash, changes), made)
    return paid


def outgo_factor(basis: Basis, policy: Policy) -> Array | None:
    """What a reform of the fund's layers makes of its outgo, ``(year, draw)``; None when it touches no layer.

    Raises
    ------
    ForecasterError
        When nothing would be left for the fund to pay.
    """
    changes = moving_terms(basis, policy)
    if not any(_before_fund_is_done(policy, change.name) for change in changes):
        return None
    stack = policy.scheme.stack  # type: ignore[attr-defined]  # changes of a stack come from a law with one
    at_law = stack_at_law(basis, policy, stack)
    found: Array = _of_fund(stack, _under_policy(basis, policy, stack)) / _of_fund(stack, at_law.paid)
    if (nothing := (found <= 0.0).any(axis=1)).any():
        names, year = ", ".join(_link(stack).pays), basis.years[nothing.argmax()]
        raise ForecasterError(
            f"{names}: under the reform the fund pays for nothing in {year}; allowed are terms that leave it something"
        )
    return found


def idle_terms(basis: Basis, policy: Policy, names: Sequence[str]) -> tuple[str, ...]:
    """Which terms, or levers on them, a reform changes without moving any payer's money in any year and draw."""
    own = {change.name for change in moving_terms(basis, policy)}
    found = []
    for name in (name for name in names if name in own):
        stack = policy.scheme.stack  # type: ignore[attr-defined]
        without = Policy(policy.scheme, Reform(tuple(c for c in policy.change.changes if c.name != name)))
        if np.array_equal(_under_policy(basis, policy, stack), _under_policy(basis, without, stack)):
            found.append(name)
    return tuple(found)


@dataclass(frozen=True)
class CarePaid:
    """Who pays for the members' care.

    Attributes
    ----------
    payers
        Layers in order of payment, then ``out_of_pocket``.
    of_fund
        Whether the fund pays it, ``(payer,)``.
    amounts
        Nominal money in the pool's unit, flow, ``(payer, year, draw)``; those of the fund sum to its outgo.
    cost
        Spending at unchanged ages against the severity's year, ``(year, draw)``.
    members
        Members under the law, million, ``(year,)``.
    """

    payers: tuple[str, ...]
    of_fund: Array
    years: Array
    amounts: Array
    cost: Array
    members: Array

    @property
    def spending(self) -> Array:
        """All payments together, ``(year, draw)``."""
        return self.amounts.sum(axis=0)


def care_paid(basis: Basis, policy: Policy, outgo: Array, shifted: Array | float = 0.0) -> CarePaid | None:
    """Who pays for the members' care in a projection; None under a law without a stack, or without members.

    Levers outside the stack move all payers alike, as if they moved the care itself, but for the part ``shifted``.

    Parameters
    ----------
    outgo
        The fund's, of the projection, ``(year, draw)``.
    shifted
        Part of the outgo that the fund pays in the household's place by a lever outside the stack, ``(year, 1)``.
    """
    if not isinstance(policy.scheme, LawWithStack) or basis.members is None:
        return None
    stack = policy.scheme.stack
    at_law, paid = stack_at_law(basis, policy, stack), _under_policy(basis, policy, stack)
    payers = (*(layer.id for layer in stack.layers), OUT_OF_POCKET)
    of_fund = np.array([name in _link(stack).pays for name in payers])
    amounts = paid * (outgo * (1.0 - shifted) / _of_fund(stack, paid))
    if np.any(shifted):
        amounts[int(np.argmax(of_fund))] += outgo * shifted
        # No household pays less than nothing: what the fund gives beyond that is more care.
        amounts[-1] = np.maximum(amounts[-1] - outgo * shifted, 0.0)
    return CarePaid(payers, of_fund, basis.years, amounts, at_law.cost, at_law.members)
