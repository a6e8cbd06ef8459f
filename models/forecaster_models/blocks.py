"""A block: one small model that is fitted on its own, and the names of what it leaves for the forward simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pymc as pm


@dataclass(frozen=True)
class Block:
    """One model of a fit.

    Attributes
    ----------
    name
        Name of the block, for example ``"mortality"``; also the stem of its stored draws.
    build
        Makes the model, data and priors already bound.
    keep
        Posterior variables, scalars or short vectors, that the forward simulation reads; unique over a fit's blocks.
    integrated
        Priors, by their names in the block, that the model integrates out: its graph draws them given the data.
    """

    name: str
    build: Callable[[], pm.Model]
    keep: tuple[str, ...]
    integrated: tuple[str, ...] = ()
