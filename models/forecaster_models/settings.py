"""How a block is sampled: chains, draws, tuning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplingSettings:
    """How many chains and draws; ``cores`` chains run side by side."""

    draws: int = 2000
    tune: int = 1000
    chains: int = 4
    cores: int = 2
    target_accept: float = 0.95


FULL = SamplingSettings()
QUICK = SamplingSettings(draws=1000, tune=600)
