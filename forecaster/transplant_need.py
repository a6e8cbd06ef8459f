"""What a transplanted rule does to patients' own payments and to households: before and after it, draw by draw.

The benefit stack behind the pool's fund tells who pays a bill. Two rules leave open who bears what the fund pays more
or less of: of a merger it is the patients, whose bills stay as they are; of a budget it is told under two readings,
patients who bear the rest and care that is cut with it. Where providers bear it, patients are as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from forecaster.basis import Basis
from forecaster.errors import ForecasterError
from forecaster.fund_need import CoverOfYear, household_bands
from forecaster.fund_stack import LawWithStack
from forecaster.mainland import care_payers, cover_of_year, households_in_need
from forecaster.policy import Policy
from forecaster.transplant import Transplanted, benefit_steps

Array = np.ndarray
Need = Mapping[tuple[int, str, str], Array]
# Measures of households in need that a rule is judged by.
MEASURES = ("catastrophic_usual", "over_10_percent", "over_25_percent", "impoverished", "forgone")
WITHOUT, WITH = "without", "with"
BORNE, CUT = "with, patients bear the rest", "with, care is cut"
# Rules of which patients' bills and the stack's terms do not tell what they pay.
OPEN = ("merge", "global_budget")


def own_payments(rule: str, found: Transplanted, before: Array, after: Array) -> dict[str, Array] | None:
    """What patients pay more of their bills with the rule, by reading: nominal money a year, flow, ``(year, draw)``.

    Parameters
    ----------
    before, after
        Outgo without and with the rule, ``(year, draw)``.

    Returns
    -------
    dict
        None where the pool has no benefit stack to tell what patients pay.
    """
    if rule == "merge":
        return {WITH: before - after}
    care = care_payers(found.basis, found.policy, before)
    if care is None:
        return None
    if rule == "global_budget":
        return {BORNE: before - after, CUT: care.amounts[-1] * (after / before - 1.0)}
    with_rule = care_payers(found.with_basis, found.with_policy, after)
    assert with_rule is not None  # no rule takes a stack away
    return {WITH: with_rule.amounts[-1] - care.amounts[-1]}


def households(
    rule: str,
    found: Transplanted,
    own: tuple[Basis, Policy],
    years: Sequence[int],
    first_year: int,
    joining: tuple[Basis, Policy] | None = None,
) -> dict[str, Need]:
    """Households in need after all payers, without the rule and with it, by reading.

    Of a merger the members of the pool whose benefits rise are told; the others follow their own stack.

    Parameters
    ----------
    own
        Basis and law of the pool itself.
    first_year
        Year from which the rule holds.
    joining
        Basis and law of the pool that joins, for ``merge``.

    Raises
    ------
    ForecasterError
        Where nothing tells it, with the reason.
    """
    if rule == "merge":
        assert joining is not None  # a merger has two
        own, step = _raised_pool(own, joining)
        raised = np.where(own[0].years >= first_year, step, 1.0)[:, None]
    basis, policy = own
    if not isinstance(policy.scheme, LawWithStack) or basis.members is None:
        raise ForecasterError(
            f"households: no benefit stack stands behind {policy.scheme.pool}, so that nobody's own payments are known"
        )
    answer = {WITHOUT: households_in_need(basis, policy, years, measures=MEASURES)}
    if rule not in OPEN:
        return answer | {WITH: households_in_need(found.with_basis, found.with_policy, years, measures=MEASURES)}

    def read(paid: Array, care: Array) -> Need:
        covers: dict[int, CoverOfYear] = {}
        for year in years:
            at = int(year - basis.years[0])
            cover = cover_of_year(basis, policy, at)
            covers[int(year)] = replace(cover, every=paid[at] - 1.0, care=cover.care * care[at])
        return household_bands(basis, policy, years, covers=covers, measures=MEASURES)

    as_it_is = np.ones_like(basis.outlay)
    if rule == "merge":
        return answer | {WITH: read(raised, as_it_is)}
    held = found.with_basis.outlay / basis.outlay
    return answer | {BORNE: read(held, as_it_is), CUT: read(as_it_is, held)}


def _raised_pool(own: tuple[Basis, Policy], joining: tuple[Basis, Policy]) -> tuple[tuple[Basis, Policy], float]:
    """The pool of a merger whose benefits rise, and by what factor."""
    steps = benefit_steps(own[1].scheme.pool, joining[1].scheme.pool)
    if max(steps) == 1.0:
        both = f"{own[1].scheme.pool} and {joining[1].scheme.pool}"
        raise ForecasterError(
            f"households: what {both} pay of a bill in effect is not held for both, so that the merger changes "
            "nobody's cover here"
        )
    return max(zip((own, joining), steps, strict=True), key=lambda side: side[1])
