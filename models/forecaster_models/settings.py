"""How a block is sampled: chains, draws, tuning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplingSettings:
    """How many chains and draws; ``cores`` chains run side by side.

    One core: chains share the interpreter, so that more of them at a time take longer. Blocks run side by side instead.
    """

    draws: int = 2000
    tune: int = 1000
    chains: int = 4
    cores: int = 1
    target_accept: float = 0.95


FULL = SamplingSettings()
QUICK = SamplingSettings(draws=1000, tune=500)
