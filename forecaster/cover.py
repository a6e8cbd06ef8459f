"""Cover of a stack's insured as levers of their fund change it beside the layers' terms: lost, small bills, the old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecaster.benefits import settle
from forecaster.layers import Terms

Array = np.ndarray

# Kinds of layer that only members of a basic scheme have.
LOST = ("basic", "serious_illness", "commercial")


@dataclass(frozen=True)
class Cover:
    """What levers of a fund make of the cover of a stack's insured, beside the terms of its layers.

    Attributes
    ----------
    lost
        Share of their claims for which a person has left the scheme or still waits: without :data:`LOST` layers. The
        registered poor stay, for assistance pays their premium.
    small
        What the fund pays more of small bills (in the catalogue, below the basic layer's deductible), as a share of
        all that the basic layer pays; no more than those bills are.
    old
        What the basic layer pays more for people of 60 and over, as a share of what it pays for them.
    joining, moving
        Family members of employees, and people of working age, who pass to the employees' scheme, as shares of all its
        insured; their care and income stay what they were.
    every
        What the basic layer pays more of everybody's bill, as a share of what it pays; no more than the bill is.
    """

    lost: float = 0.0
    small: float = 0.0
    old: float = 0.0
    joining: float = 0.0
    moving: float = 0.0
    every: float = 0.0


AS_IT_IS = Cover()
# Terms of a group, its members' places among all, and whether a layer covers them ``(layer, member)``.
Part = tuple[Terms, Array, Array]


def relieved(parts: Sequence[Part], kinds: Sequence[str], cover: Cover, claims: Array, old: Array) -> list[Part]:
    r"""Terms by which the fund pays more of bills of the old and of small bills; the parts themselves where not.

    What is paid of small bills is a share *s* of what lies below the deductible *d*, by a layer of its own before the
    basic one; with a deductible of :math:`(1 - s)\,d` that one then pays what it paid before.

    Parameters
    ----------
    kinds
        Of the terms' layers, in order.
    claims, old
        Spending of the year, and whether of 60 and over, of all members.
    """
    if cover.old == cover.small == cover.every == 0.0:
        return list(parts)
    basic = list(kinds).index("basic")
    split = []
    for terms, members, covered in parts:
        for chosen, more in ((old[members], cover.old), (~old[members], 0.0)):
            rates = terms.rates.copy()
            rates[basic] = np.minimum(rates[basic] * (1.0 + more) * (1.0 + cover.every), 1.0)
            split.append((replace(terms, rates=rates), members[chosen], covered[:, chosen]))
    if cover.small == 0.0:
        return split
    below = by_basic = 0.0
    for terms, members, covered in split:
        small = np.minimum(terms.allowed[0] * claims[members], terms.deductible[basic, 0, 0])
        below += small[covered[basic]].sum()
        by_basic += settle(terms, claims[members], covered=covered)[basic].sum()
    share = float(np.clip(cover.small * by_basic / below, -1.0, 1.0)) if below > 0.0 else 0.0
    return [_with_small_bills(*part, basic, share) for part in split]


def _with_small_bills(terms: Terms, members: Array, covered: Array, basic: int, share: float) -> Part:
    def wider(array: Array, value: float) -> Array:
        return np.pad(array, ((1, 0), (0, 1), (0, 0)), constant_values=value)

    def first(array: Array, value: float) -> Array:
        return np.concatenate([np.full_like(array[:1], value), array])

    edges, rates, lower = wider(terms.edges, np.inf), wider(terms.rates, 0.0), terms.deductible.copy()
    edges[0, 0], rates[0, 0] = terms.deductible[basic, :, 0], share
    lower[basic] = (1.0 - share) * lower[basic]
    more = Terms(
        base=np.concatenate([terms.base[basic : basic + 1], terms.base]),
        deductible=first(lower, 0.0),
        ceiling=first(terms.ceiling, np.inf),
        edges=edges,
        rates=rates,
        coverage=np.concatenate([terms.coverage[basic : basic + 1], terms.coverage]),
        allowed=terms.allowed,
    )
    return more, members, np.concatenate([covered[basic : basic + 1], covered])
