"""Pools that are shown and their fits: read once per process and shared by all sessions, read-only."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from forecaster.basis import Basis
from forecaster.certificate import Record, read_record
from forecaster.effects import Held, has_effects, hold, official_effects
from forecaster.fund_stack import LawWithStack, law_with_stack
from forecaster.layers import Stack
from forecaster.policy import Policy, Reform
from forecaster.pools import Pool, find_pool, pool_names
from forecaster.resources import data_dir
from forecaster.schemes import Scheme
from forecaster_dashboards import state
from forecaster_dashboards.kept import kept

POOL = "tw_nhi"
LAST_YEAR = 2060
HORIZONS = (2035, 2045, 2060)
_loaded: set[str] = set()


@dataclass(frozen=True)
class Preset:
    """A known plan: a file of ``data/reforms`` that changes something in the projected years."""

    name: str
    label: str
    description: str
    source: str
    status: str
    reform: Reform


@dataclass(frozen=True, eq=False)
class Reference:
    """A pool's accepted fit, as the pages need it; equal to another when fit, basis and law are the same.

    Attributes
    ----------
    law
        Today's law, no reform.
    basis
        Draws from the first projected year to :data:`LAST_YEAR`.
    history
        ``line`` (outgo, income, reserve), ``year``, ``mean``, ``q2.5`` to ``q97.5``, ``unit``, ``kind`` (published or
        estimated), ``source``; TWD bn nominal.
    manifest
        What the fit was made from, with ``hash`` and the verdict ``accepted``.
    record
        How the fit's model did in its backtest; None for a basis that comes from no fit.
    learnt, checks
        The fit's tables ``priors`` and ``checks``, see :meth:`forecaster.fitted.Fit.table`.
    posterior
        Kept variables of all blocks, draw first; what the population is drawn from.
    people
        Where the pool's people come from, when that is not its place: what
        :func:`forecaster.demography.tables.load_wpp` takes.
    """

    pool: str
    place: str
    law: Policy
    basis: Basis
    history: pd.DataFrame
    manifest: Mapping[str, Any] = field(default_factory=dict)
    record: Record | None = None
    learnt: pd.DataFrame | None = None
    checks: pd.DataFrame | None = None
    posterior: Mapping[str, np.ndarray] | None = None
    people: str = ""

    @cached_property
    def _key(self) -> tuple[str, ...]:
        return self.pool, self.fit_hash, self.basis.hash, self.law.hash

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._key == other._key

    @cached_property
    def presets(self) -> tuple[Preset, ...]:
        """Known plans for this law, by name."""
        return presets_of(self.law.scheme, self.first_year)

    @cached_property
    def effects_held(self) -> tuple[Held, ...]:
        """Official effects of changes of the law beside ours; none where no file gives any, or no GDP to compare by."""
        if "gdp_nominal" not in self.basis.drivers or not has_effects(self.law.scheme):
            return ()
        return tuple(hold(self.basis, self.law, effect) for effect in official_effects(self.law.scheme))

    @cached_property
    def levers(self) -> tuple[str, ...]:
        """Parameters that are offered as levers."""
        return state.lever_names(self.law.scheme, tuple(preset.reform for preset in self.presets))

    @property
    def stack(self) -> Stack | None:
        """Layers of benefits behind the fund, whose terms are levers too; None where none belong to it."""
        return self.scheme.stack if isinstance(self.scheme, LawWithStack) else None

    @cached_property
    def layer_terms(self) -> frozenset[str]:
        """Levers that are terms of the layers of benefits: they stand on the page of protection."""
        return frozenset(self.stack.law.parameters) & frozenset(self.levers) if self.stack else frozenset()

    @property
    def last_start_year(self) -> int:
        """Last year in which a reform may start."""
        return int(self.basis.years[-1])

    @property
    def money(self) -> str:
        """Unit of all its money."""
        return self.law.scheme.money

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must stand on the face of every page and download."""
        return () if self.record is None else self.record.warnings

    @property
    def fit_hash(self) -> str:
        """SHA-256 of the fit; of the basis when it comes from no fit."""
        return str(self.manifest.get("hash") or self.basis.hash)

    @property
    def first_year(self) -> int:
        """First projected year."""
        return int(self.basis.years[0])

    @property
    def horizons(self) -> tuple[int, ...]:
        """Years that may be the last one shown."""
        return tuple(year for year in HORIZONS if year <= self.basis.years[-1]) or (int(self.basis.years[-1]),)

    @property
    def scheme(self) -> Scheme:
        """The scheme in force."""
        return self.law.scheme


def own_pools(arguments: Sequence[str] | None = None) -> tuple[str, ...]:
    """Folders of pools of one's own that the dashboard was started with, ``--pool FOLDER`` each."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--pool", action="append", default=[])
    found, _rest = parser.parse_known_args(sys.argv[1:] if arguments is None else list(arguments))
    return tuple(found.pool)


def has_fit(pool: Pool) -> bool:
    """Whether a fit of the pool lies where it belongs."""
    return (pool.fits / pool.name / "manifest.json").is_file()


@kept(1)
def served_pools() -> dict[str, Pool]:
    """Pools by name: shipped ones that have a fit, Taiwan's first, then those that the dashboard was started with.

    Raises
    ------
    ForecasterError
        When a folder that it was started with is no pool.
    """
    shipped = [find_pool(name) for name in sorted(pool_names(), key=lambda name: (name != POOL, name))]
    own = [find_pool(folder) for folder in own_pools()]
    return {pool.name: pool for pool in (*(p for p in shipped if has_fit(p) or p.name == POOL), *own)}


def presets_of(scheme: Scheme, first_year: int) -> tuple[Preset, ...]:
    """Plans of ``data/reforms`` for that law, proposed or assumed ones that change something in the projected years."""
    found = []
    for path in sorted((data_dir() / "reforms").glob("*.toml")):
        raw = tomllib.loads(path.read_text("utf-8"))
        if raw.get("scheme") != scheme.id or raw.get("status") == "enacted":
            continue
        reform = Reform.read(path)
        if all(change.start.year < first_year for change in reform.changes):
            continue
        words = [str(raw.get(key, "")) for key in ("label", "description", "source", "status")]
        found.append(Preset(path.stem, *words, reform))
    return tuple(found)


def obtain(pool: str) -> Reference:
    """Read the pool's fit and draw the basis from it: seconds, once per process."""
    from forecaster.fitted import load_fit

    meant = served_pools()[pool]
    fit = load_fit(meant.address)
    return Reference(
        pool=pool,
        place=fit.place,
        law=Policy(law_with_stack(meant.law)),
        basis=fit.basis(LAST_YEAR),
        history=fit.history,
        manifest=fit.manifest,
        record=read_record(fit.pool, fit.manifest["inputs"]),
        learnt=fit.table("priors"),
        checks=fit.table("checks"),
        posterior=fit.posterior,
        people=str(fit.pool.people or ""),
    )


@kept(16)
def reference(pool: str) -> Reference:
    """The pool's fit, shared by all sessions of the process."""
    # Small products over many draws: more threads than one only get in each other's way.
    threadpool_limits(limits=1)
    found = obtain(pool)
    _loaded.add(pool)
    return found


def was_loaded(pool: str) -> bool:
    """Whether :func:`reference` has loaded the pool already, so that it answers at once."""
    return pool in _loaded
