"""A block: one small model that is fitted on its own, and the names of what it leaves for the forward simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pymc as pm

    from forecaster_models.settings import SamplingSettings
    from forecaster_models.theories import Carried


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
    theories
        Makes from draws of the posterior, draw first, and a seed those under other theories, by the theory's name.
    reads
        Posterior variables that ``theories`` reads.
    target_accept
        Acceptance that NUTS aims at, where the block bears longer steps than the settings'.
    apart
        Years whose figures or steps count for little because they stand apart from the others, by line.
    """

    name: str
    build: Callable[[], pm.Model]
    keep: tuple[str, ...]
    integrated: tuple[str, ...] = ()
    theories: Callable[[Mapping[str, np.ndarray], int], dict[str, Carried]] | None = None
    reads: tuple[str, ...] = ()
    target_accept: float | None = None
    apart: Mapping[str, list[int]] | None = None

    def tuned(self, settings: SamplingSettings) -> SamplingSettings:
        """The settings with the block's own acceptance."""
        return settings if self.target_accept is None else replace(settings, target_accept=self.target_accept)
