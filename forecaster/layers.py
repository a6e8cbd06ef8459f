"""Benefit layers and stacks as files: who pays which part of a person's yearly spending, in which order.

A layer (``data/layers/*.toml``) holds the dated, sourced terms of one payer, a stack (``data/stacks/*.toml``) puts
layers in legal order. All of a stack's parameters stand in one law under ``LAYER.PARAMETER`` (its own under their bare
names), so that reforms reach them as they reach those of a scheme.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.parameters import Parameter
from forecaster.policy import Policy
from forecaster.resources import data_dir
from forecaster.schemes import Scheme, pydantic_fault, value_faults

Array = np.ndarray
GUIDE = "docs/stack.md"
BASES = ("allowed", "outside", "all")
Kind = Literal[
    "basic", "serious_illness", "employee_mutual", "online_mutual", "commercial", "assistance", "charity", "account"
]

# Read by the stack; N counts tranches from 1, GROUP is one of the stack's groups.
_TERMS = (
    "coverage", "deductible", "deductible_income_share", "rate", "ceiling", "ceiling_income_multiple",
    "ceiling_wage_multiple",
)  # fmt: skip
_OF_GROUP = ("coverage", "deductible_factor", "rate_addition", "ceiling_applies")
# What a layer costs its members; shown beside what it pays, not read by the stack.
_COSTS = ("premium", "funding_per_head", "administration_share")
_TRANCHE = re.compile(r"tranche\.([1-9])\.(to|rate)")


class Layer(BaseModel):
    """One payer's terms.

    Attributes
    ----------
    kind
        What it is; a stack has at most one of each kind.
    base
        Spending it looks at, of what the layers before have left: ``allowed`` (in the catalogue), ``outside`` it, or
        ``all``; a payment of the last kind is counted against allowed spending first.
    payer
        Whose money it is.
    parameters
        Terms, see ``docs/stack.md``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    label: str
    place: str
    currency: str
    kind: Kind
    payer: str
    base: Literal["allowed", "outside", "all"]
    start: dt.date = Field(alias="from")
    description: str
    parameters: Mapping[str, Parameter]
    content_hash: str = ""

    @property
    def file(self) -> str:
        """How messages name the file."""
        return f"layers/{self.id}.toml"


class Group(BaseModel):
    """People to whom layers apply differently, such as the poor; the last group of a stack is all the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    label: str


class FundLink(BaseModel):
    """Which fund stands behind a stack.

    Attributes
    ----------
    pool
        Pool whose outgo the layers of ``pays`` are.
    pays
        Layers that the fund pays, by itself or through a transfer.
    source, note
        Who says so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pool: str
    pays: tuple[str, ...] = Field(min_length=1)
    source: str
    note: str = ""


class StackFile(BaseModel):
    """A stack as its file has it; ``order`` is the legal order of payment."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    label: str
    place: str
    currency: str
    start: dt.date = Field(alias="from")
    severity: str
    order: tuple[str, ...] = Field(min_length=1)
    order_source: str
    groups: Mapping[str, Group]
    description: str
    parameters: Mapping[str, Parameter]
    fund: FundLink | None = None


@dataclass(frozen=True, eq=False)
class Stack:
    """Layers in legal order, with all their parameters as one law.

    Attributes
    ----------
    layers
        In legal order.
    groups
        Names of the groups of people; the last one is the rest.
    law
        Scheme of all parameters, ``LAYER.PARAMETER``; make a policy of it: ``Policy(stack.law, reform)``.
    severity_name
        Severity file of its insured.
    """

    file: StackFile
    layers: tuple[Layer, ...]
    law: Scheme

    def __hash__(self) -> int:
        return hash(self.law.content_hash)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stack) and other.law.content_hash == self.law.content_hash

    @property
    def id(self) -> str:
        """Name of the stack."""
        return self.file.id

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of people."""
        return tuple(self.file.groups)

    @cached_property
    def by_id(self) -> dict[str, Layer]:
        """Layers by their names."""
        return {layer.id: layer for layer in self.layers}

    def ordered(self, order: Sequence[str] | None = None) -> tuple[Layer, ...]:
        """The layers in another order; the legal one by default.

        Raises
        ------
        FaultyInput
            When the order leaves a layer out, names one twice or one that the stack does not have.
        """
        if order is None:
            return self.layers
        if sorted(order) != sorted(self.by_id):
            fault = Fault("--order", ", ".join(order), f"each once of {', '.join(self.by_id)}", "name every layer once")
            raise FaultyInput(f"the order of {self.id}", [fault])
        return tuple(self.by_id[name] for name in order)


def stack_names() -> tuple[str, ...]:
    """Names of the shipped stacks."""
    return tuple(sorted(path.stem for path in (data_dir() / "stacks").glob("*.toml")))


def layer_names() -> tuple[str, ...]:
    """Names of the shipped layers."""
    return tuple(sorted(path.stem for path in (data_dir() / "layers").glob("*.toml")))


def load_stack(name: str | Path) -> Stack:
    """Read and check a stack and its layers.

    Parameters
    ----------
    name
        Name of a shipped stack, or path of a TOML file; layers are looked for beside it (``../layers`` or the same
        folder), then among the shipped ones.

    Raises
    ------
    FaultyInput
        With every fault of a file: unknown keys or parameters, a layer that stands twice, two layers of one kind,
        tranches out of order or over 100%, a deductible above the ceiling, shares of groups over 1.
    ForecasterError
        When there is no such stack or layer.
    """
    path = Path(name) if str(name).endswith(".toml") else data_dir() / "stacks" / f"{name}.toml"
    if not path.is_file():
        near = difflib.get_close_matches(str(name), stack_names(), n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ForecasterError(f"no stack {str(name)!r}. Shipped stacks: {', '.join(stack_names())}.{hint}")
    raw, content = _read(path, f"stacks/{path.name}")
    file = _validated(StackFile, raw, f"stacks/{path.name}")
    if faults := [*_order_faults(file), *value_faults(file.parameters), *_own_faults(file)]:
        raise FaultyInput(f"stacks/{path.name}", faults)
    layers = tuple(_load_layer(layer, path.parent, tuple(file.groups)) for layer in file.order)
    if faults := list(_kind_faults(layers)):
        raise FaultyInput(f"stacks/{path.name}", faults)
    parameters = {f"{layer.id}.{key}": value for layer in layers for key, value in layer.parameters.items()}
    hashes = "".join([hashlib.sha256(content).hexdigest(), *(layer.content_hash for layer in layers)])
    law = {key: getattr(file, key) for key in ("id", "label", "place", "currency", "description")}
    law |= {"pool": file.id, "unit": "one", "from": file.start, "categories": {}, "path": path}
    law |= {
        "parameters": {**file.parameters, **parameters},
        "content_hash": hashlib.sha256(hashes.encode()).hexdigest(),
    }
    stack = Stack(file, layers, Scheme.model_validate(law, strict=False))
    # The terms of every year in which something changes are built once, so that a contradiction is told on reading.
    days = {value.start.year for parameter in stack.law.parameters.values() for value in parameter.values}
    years = np.array(sorted(year for year in days | {year + 1 for year in days} if year > file.start.year))
    for group in stack.groups:
        stack_terms(stack, Policy(stack.law), years, group)
    return stack


def _read(path: Path, subject: str) -> tuple[dict[str, Any], bytes]:
    try:
        content = path.read_bytes()
        return tomllib.loads(content.decode("utf-8")), content
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault("the file", str(error), "TOML 1.0 in UTF-8", "correct the file at the place named")
        raise FaultyInput(subject, [fault]) from None


def _validated[Model: BaseModel](model: type[Model], raw: dict[str, Any], subject: str) -> Model:
    try:
        return model.model_validate(raw, strict=False)
    except ValidationError as error:
        raise FaultyInput(subject, [pydantic_fault(item, GUIDE) for item in error.errors()]) from None


def layer_path(name: str, folder: Path) -> Path:
    """File of a layer: beside a stack of that folder, in ``layers`` next to it, or a shipped one.

    Raises
    ------
    ForecasterError
        When there is none.
    """
    places = (
        folder / f"{name}.toml",
        folder.parent / "layers" / f"{name}.toml",
        data_dir() / "layers" / f"{name}.toml",
    )
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        searched = " and ".join(str(place) for place in places[:2])
        raise ForecasterError(
            f"no layer {name!r}: there is no {searched}. Shipped layers: {', '.join(layer_names())}; to mend: correct "
            "the name in order, or put the layer's file beside the stack"
        )
    return path


def _load_layer(name: str, folder: Path, groups: tuple[str, ...]) -> Layer:
    path = layer_path(name, folder)
    raw, content = _read(path, f"layers/{path.name}")
    own = {"content_hash": hashlib.sha256(content).hexdigest()}
    layer = _validated(Layer, {**raw, **own}, f"layers/{path.name}")
    if faults := [*value_faults(layer.parameters), *_name_faults(layer, groups)]:
        raise FaultyInput(layer.file, faults)
    return layer


def _order_faults(file: StackFile) -> Iterator[Fault]:
    twice = sorted({name for name in file.order if file.order.count(name) > 1})
    if twice:
        yield Fault("order", f"{', '.join(twice)} twice", "each layer once", "a layer pays once: remove the second")
    if not file.groups:
        yield Fault("groups", "none", "at least one", "add [groups.all]")


def _own_faults(file: StackFile) -> Iterator[Fault]:
    wanted = {f"share.{group}" for group in list(file.groups)[:-1]}
    known = wanted | {"catalogue_share", "income_per_head", "income_growth", "wage", "wage_growth"}
    known |= {"cost_growth", "amount_growth"}
    for name in sorted(set(file.fund.pays) - set(file.order) if file.fund else ()):
        yield Fault("fund.pays", repr(name), ", ".join(file.order), "name layers of the order")
    for name in sorted(known - set(file.parameters)):
        yield Fault(f"parameters.{name}", "nothing", "a value is required here", f"add [parameters.{name!r}]")
    for name in sorted(set(file.parameters) - known):
        yield Fault(f"parameters.{name}", "unknown parameter", ", ".join(sorted(known)), "remove or rename it")


def _kind_faults(layers: Sequence[Layer]) -> Iterator[Fault]:
    kinds = [layer.kind for layer in layers]
    for kind in sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        found = ", ".join(layer.id for layer in layers if layer.kind == kind)
        yield Fault("order", f"{found}, all of kind {kind!r}", "one layer of a kind", "they overlap: keep one of them")
    if "basic" in kinds and kinds[0] != "basic":
        yield Fault("order", f"{layers[0].id} before the basic layer", "the basic layer first", "move it to the front")


def _name_faults(layer: Layer, groups: tuple[str, ...]) -> Iterator[Fault]:
    names = set(layer.parameters)
    for name in sorted(names):
        group, _, rest = name.partition(".")
        if name in (*_TERMS, *_COSTS) or _TRANCHE.fullmatch(name) or (group in groups and rest in _OF_GROUP):
            continue
        allowed = f"{', '.join((*_TERMS, *_COSTS))}, tranche.N.to, tranche.N.rate, GROUP.{', GROUP.'.join(_OF_GROUP)}"
        mend = f"remove or rename it; the groups of the stack are {', '.join(groups)}"
        yield Fault(f"parameters.{name}", "unknown parameter", allowed, mend)
    numbers = sorted({int(match[1]) for name in names if (match := _TRANCHE.fullmatch(name))})
    if bool(numbers) == ("rate" in names):
        found = "rate and tranches" if numbers else "no rate"
        yield Fault("parameters", found, "either rate or tranche.1.rate, tranche.2.rate, ...", "state what it pays")
    if numbers != list(range(1, len(numbers) + 1)):
        yield Fault("parameters", f"tranches {numbers}", "numbers from 1 without a gap", "number them anew")
    for n in numbers:
        if f"tranche.{n}.rate" not in names:
            yield Fault(f"parameters.tranche.{n}.rate", "nothing", "a rate for each tranche", "add it")
        if n < len(numbers) and f"tranche.{n}.to" not in names:
            yield Fault(f"parameters.tranche.{n}.to", "nothing", "where each tranche but the last ends", "add it")


@dataclass(frozen=True)
class Terms:
    """What the layers pay in one group, in order of payment; arrays in nominal money.

    Attributes
    ----------
    base
        Index in :data:`BASES`, ``(layer,)``.
    deductible, ceiling
        ``(layer, year, draw)``; the ceiling is the most it pays a year, ``inf`` for none. Their draw axis has length 1
        when the income they hang on has no draws.
    edges
        Where each tranche ends, counted from the deductible, ``(layer, tranche, year)``; ``inf`` closes the list.
    rates
        ``(layer, tranche, year)``.
    coverage
        Share of the group's people whom the layer covers, ``(layer, year)``.
    allowed
        Share of spending that is in the catalogue, ``(year,)``.
    """

    base: Array
    deductible: Array
    ceiling: Array
    edges: Array
    rates: Array
    coverage: Array
    allowed: Array


def income_path(law: Policy, years: Array, name: str = "income_per_head") -> Array:
    """Income (or ``wage``) per head of the year *before* each year, ``(year, 1)``.

    After the last published year it grows by the stack's own assumption; before the first one it is that one's.
    """
    dated = law.dated(name)
    first, last = dated[0][0].year, dated[-1][0].year
    before = np.maximum(np.asarray(years) - 1, first)
    level = law.path(name, np.minimum(before, last))
    growth = law.path("income_growth" if name == "income_per_head" else "wage_growth", np.maximum(years, first))
    return (level * (1.0 + growth) ** np.maximum(before - last, 0))[:, None]


def amount_growth(law: Policy, dated: tuple[tuple[dt.date, float], ...], years: Array) -> Array:
    r"""What an amount in plain yuan has grown by since the value in force was set, ``(year,)``.

    With *g* the yearly rise ``amount_growth`` and *s* the year from which the value in force at a year's end is dated:
    :math:`\prod_{u = s + 1}^{t} (1 + g_u)`.

    Parameters
    ----------
    dated
        Days and values of the amount under the law.
    years
        Calendar years, ``(year,)``.
    """
    years = np.asarray(years)
    starts = np.array([start.year for start, _ in dated])
    since = np.maximum(starts[np.maximum(np.searchsorted(starts, years, side="right") - 1, 0)], law.scheme.start.year)
    span = np.arange(since.min(), max(years.max(), since.max()) + 1)
    first = law.dated("amount_growth")[0][0].year
    index = np.cumprod(1.0 + np.where(span < first, 0.0, law.path("amount_growth", np.maximum(span, first))))
    return np.where(years > since, index[np.maximum(years, since) - span[0]] / index[since - span[0]], 1.0)


def group_shares(stack: Stack, law: Policy, years: Array) -> Array:
    """Share of the insured in each group, ``(group, year)``; the last group is the rest.

    Raises
    ------
    FaultyInput
        When the shares exceed 1.
    """
    named = np.array([law.path(f"share.{group}", years) for group in stack.groups[:-1]]).reshape(-1, len(years))
    rest = 1.0 - named.sum(axis=0)
    if (rest < 0.0).any():
        fault = Fault("parameters.share", f"{1.0 - rest.min():g} together", "at most 1", "lower one of the shares")
        raise FaultyInput(f"stacks/{stack.id}.toml", [fault])
    return np.vstack([named, rest[None, :]])


def stack_terms(
    stack: Stack,
    law: Policy,
    years: Array,
    group: str,
    income: Array | None = None,
    wage: Array | None = None,
    order: Sequence[str] | None = None,
) -> Terms:
    """The terms of each layer for a group, thresholds indexed as the law says.

    Parameters
    ----------
    years
        Calendar years, ``(year,)``.
    income, wage
        Last year's disposable income per head and average wage, ``(year, draw)``; the stack's own path by default.
    order
        Names of the layers in another order of payment.

    Raises
    ------
    FaultyInput
        Naming file and key where tranches are out of order, pay over 100%, or a deductible lies above the ceiling.
    """
    layers = stack.ordered(order)
    if group not in stack.groups:
        raise ForecasterError(f"{stack.id} has no group {group!r}. Its groups: {', '.join(stack.groups)}")
    income = income_path(law, years) if income is None else income
    wage = income_path(law, years, "wage") if wage is None else wage
    widest = max(_tranches(layer) for layer in layers)
    built = [_LayerTerms.of(layer, law, years, group, (income, wage), widest) for layer in layers]
    shape = np.broadcast_shapes(*(array.shape for terms in built for array in (terms.deductible, terms.ceiling)))
    terms = Terms(
        base=np.array([BASES.index(layer.base) for layer in layers]),
        deductible=np.array([np.broadcast_to(terms.deductible, shape) for terms in built]),
        ceiling=np.array([np.broadcast_to(terms.ceiling, shape) for terms in built]),
        edges=np.array([terms.edges for terms in built]),
        rates=np.array([terms.rates for terms in built]),
        coverage=np.array([terms.coverage for terms in built]),
        allowed=law.path("catalogue_share", years),
    )
    for i, layer in enumerate(layers):
        if faults := list(_term_faults(layer, terms, i, years)):
            raise FaultyInput(layer.file, faults)
    return terms


def _tranches(layer: Layer) -> int:
    return max(1, sum(name.startswith("tranche.") and name.endswith(".rate") for name in layer.parameters))


@dataclass(frozen=True)
class _LayerTerms:
    deductible: Array
    ceiling: Array
    edges: Array
    rates: Array
    coverage: Array

    @classmethod
    def of(
        cls, layer: Layer, law: Policy, years: Array, group: str, indices: tuple[Array, Array], widest: int
    ) -> _LayerTerms:
        income, wage = indices
        began = np.maximum(
            years, layer.start.year
        )  # before its first year a layer has terms to check, but pays nothing

        def value(name: str, default: float) -> Array:
            whole = f"{layer.id}.{name}"
            return law.path(whole, began) if law.has(whole) else np.full(len(years), default)

        def amount(name: str, default: float) -> Array:
            whole = f"{layer.id}.{name}"
            grown = amount_growth(law, law.dated(whole), years) if law.has(whole) else 1.0
            return value(name, default) * grown

        edges = np.full((widest, len(years)), np.inf)
        rates = np.zeros((widest, len(years)))
        rates[0] = value("rate", 0.0)
        for j in range(widest):
            rates[j] += value(f"tranche.{j + 1}.rate", 0.0)
            edges[j] = amount(f"tranche.{j + 1}.to", np.inf)
        rates = np.where(rates > 0.0, rates + value(f"{group}.rate_addition", 0.0), 0.0)
        deductible = amount("deductible", 0.0)[:, None] + value("deductible_income_share", 0.0)[:, None] * income
        deductible = deductible * value(f"{group}.deductible_factor", 1.0)[:, None]
        ceiling = np.minimum(
            np.minimum(amount("ceiling", np.inf)[:, None], _multiple(value("ceiling_income_multiple", np.inf), income)),
            _multiple(value("ceiling_wage_multiple", np.inf), wage),
        )
        applies = f"{layer.id}.{group}.ceiling_applies"
        if law.has(applies):
            ceiling = np.where(np.array([word == "yes" for word in law.word(applies, began)])[:, None], ceiling, np.inf)
        # What is not said of the group, the layer says of everybody.
        coverage = value("coverage", 1.0)
        if law.has(f"{layer.id}.{group}.coverage"):
            coverage = value(f"{group}.coverage", 1.0)
        return cls(deductible, ceiling, edges, rates, np.where(years < layer.start.year, 0.0, coverage))


def _multiple(times: Array, index: Array) -> Array:
    return times[:, None] * index if np.isfinite(times).all() else np.full((len(times), 1), np.inf)


def _term_faults(layer: Layer, terms: Terms, i: int, years: Array) -> Iterator[Fault]:
    """What contradicts itself in one layer; the first year of each."""
    edges, rates = terms.edges[i], terms.rates[i]
    for j, rate in enumerate(rates):
        if (wrong := (rate > 1.0 + 1e-12) | (rate < 0.0)).any():
            key = f"tranche.{j + 1}.rate" if f"tranche.{j + 1}.rate" in layer.parameters else "rate"
            year = int(np.argmax(wrong))
            mend = "lower the rate, or the addition of the group"
            yield Fault(f"parameters.{key}", f"{rate[year]:g} in {years[year]}", "0 to 1: no more than is left", mend)
    for j, (low, high) in enumerate(pairwise(edges), start=2):
        if (wrong := np.isfinite(low) & (high <= low)).any():
            year = int(np.argmax(wrong))
            found = f"{high[year]:g} in {years[year]}, not above tranche.{j - 1}.to = {low[year]:g}"
            yield Fault(f"parameters.tranche.{j}.to", found, "above the end of the tranche before", "they overlap")
    if edges[0].min() <= 0.0:
        yield Fault("parameters.tranche.1.to", f"{edges[0].min():g}", "above 0", "it is counted from the deductible")
    over = (terms.deductible[i] >= terms.ceiling[i]).any(axis=1)
    if over.any():
        year = int(np.argmax(over))
        key = next(name for name in ("deductible", "deductible_income_share", "ceiling") if name in layer.parameters)
        found = f"{terms.deductible[i, year].max():,.0f} in {years[year]}, the ceiling being"
        found += f" {terms.ceiling[i, year].min():,.0f}"
        yield Fault(f"parameters.{key}", found, "a deductible below the ceiling", "lower it, or raise the ceiling")
