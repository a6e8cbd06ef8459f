r"""Annual spending of one insured person by age band: nothing, a lognormal body, a generalised-Pareto tail.

Spending *X* of a user of care is a scale *m* times a standard size *Y*. With spread :math:`\sigma`, tail share *p* and
tail index :math:`\xi`, the body is lognormal up to :math:`u = e^{\sigma z}`, :math:`\bar\Phi(z) = p`, and above it

.. math::
    \Pr(Y > y) = p\left(1 + \xi\,\frac{y - u}{\beta}\right)^{-1/\xi}, \qquad
    \beta = \frac{p\,\sigma\,u}{\varphi(z)}

so that the density has no jump at *u*. The limited expected value, from which every piecewise-linear payment has its
exact expectation, is

.. math::
    \mathrm{E}[\min(Y, y)] = e^{\sigma^2/2}\,\Phi\!\left(\frac{\ln y}{\sigma} - \sigma\right)
        + y\,\bar\Phi\!\left(\frac{\ln y}{\sigma}\right) \quad (y \le u), \qquad
    \mathrm{E}[\min(Y, u)] + \frac{p\,\beta}{1 - \xi}\left(1 - \left(1 + \xi\,\frac{y - u}{\beta}\right)^{1 - 1/\xi}
        \right) \quad (y > u)

(Klugman, Panjer and Willmot, Loss Models, appendix A for the two parts). A person uses care with the band's chance;
bands differ in that chance and in scale, not in shape.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.optimize import brentq, least_squares
from scipy.special import ndtr, ndtri

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.resources import data_dir
from forecaster.schemes import pydantic_fault

Array = np.ndarray
GUIDE = "docs/stack.md"


class Band(BaseModel):
    """Ages, and what is assumed of them: share of the insured, share of them who use care, spending per head.

    ``relative`` is spending per head over that of any other band; only ratios between bands count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    label: str
    first_age: int = Field(ge=0, le=120)
    last_age: int = Field(ge=0, le=120)
    people: float = Field(ge=0.0, le=1.0)
    users: float = Field(gt=0.0, le=1.0)
    relative: float = Field(gt=0.0)


class Target(BaseModel):
    """One published or assumed figure that the distribution is fitted to.

    ``kind`` is ``mean`` (spending per head), ``top_share`` (part of all spending that the people with the
    most of it have; ``at`` is their share of the insured), ``layer_mean`` (a layer's payment per head), ``layer_share``
    (share of the insured to whom it pays), ``tail_index`` (a prior on it). ``spread`` is the relative standard
    deviation, of ``tail_index`` the absolute one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["mean", "top_share", "layer_mean", "layer_share", "tail_index"]
    value: float = Field(gt=0.0)
    spread: float = Field(gt=0.0)
    at: float | None = Field(default=None, gt=0.0, lt=1.0)
    layer: str | None = None
    source: str = Field(min_length=1)
    status: Literal["observed", "derived", "assumed"]
    note: str = ""


class SeverityFile(BaseModel):
    """What a severity is fitted from (``data/severity/*.toml``); ``year`` is that of all its money."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    label: str
    place: str
    currency: str
    year: int
    description: str
    bands_source: str
    tail_share: float = Field(gt=0.0, lt=0.5)
    tail_share_source: str
    bands: tuple[Band, ...] = Field(min_length=1)
    targets: tuple[Target, ...] = Field(min_length=1)
    content_hash: str = ""


def read_severity(name: str | Path) -> SeverityFile:
    """Read and check a severity file: a shipped name, or the path of a TOML file.

    Raises
    ------
    FaultyInput
        With every fault: unknown or missing keys, bands that overlap or leave ages out, shares that do not sum to one,
        no mean or two of them, a target without its ``at`` or ``layer``.
    ForecasterError
        When there is no such file.
    """
    path = Path(name) if str(name).endswith(".toml") else data_dir() / "severity" / f"{name}.toml"
    try:
        content = path.read_bytes()
    except OSError:
        shipped = ", ".join(sorted(found.stem for found in (data_dir() / "severity").glob("*.toml")))
        raise ForecasterError(f"no severity {str(name)!r}. Shipped: {shipped}") from None
    subject = f"severity/{path.name}"
    try:
        raw = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault("the file", str(error), "TOML 1.0 in UTF-8", "correct the file at the place named")
        raise FaultyInput(subject, [fault]) from None
    try:
        own = {"content_hash": hashlib.sha256(content).hexdigest()}
        found = SeverityFile.model_validate({**raw, **own}, strict=False)
    except ValidationError as error:
        raise FaultyInput(subject, [pydantic_fault(item, GUIDE) for item in error.errors()]) from None
    faults = [*_band_faults(found.bands), *_target_faults(found.targets)]
    if faults:
        raise FaultyInput(subject, faults)
    return found


def _band_faults(bands: Sequence[Band]) -> list[Fault]:
    faults = []
    for i, (before, band) in enumerate(pairwise(bands), start=1):
        if band.first_age != before.last_age + 1:
            allowed = f"{before.last_age + 1}, the age after the band before"
            mend = "let the bands follow each other without gap or overlap"
            faults.append(Fault(f"bands[{i}].first_age", str(band.first_age), allowed, mend))
    total = sum(band.people for band in bands)
    if abs(total - 1.0) > 1e-6:
        faults.append(Fault("bands[*].people", f"shares that sum to {total:.6g}", "1", "correct the shares"))
    return faults


def _target_faults(targets: Sequence[Target]) -> list[Fault]:
    faults = []
    means = sum(target.kind == "mean" for target in targets)
    if means != 1:
        faults.append(Fault("targets", f"{means} of kind 'mean'", "exactly one", "state the mean spending per head"))
    for i, target in enumerate(targets):
        if (target.kind == "top_share") != (target.at is not None):
            faults.append(
                Fault(f"targets[{i}].at", repr(target.at), "a share, with kind 'top_share' only", "correct it")
            )
        if target.kind.startswith("layer") != (target.layer is not None):
            allowed = "the id of a layer, with kinds 'layer_mean' and 'layer_share' only"
            faults.append(Fault(f"targets[{i}].layer", repr(target.layer), allowed, "correct it"))
    return faults


@dataclass(frozen=True)
class Severity:
    """The distribution of a person's annual spending, band by band and draw by draw.

    Attributes
    ----------
    label, currency, year
        What it describes; money is nominal of that year.
    bands
        Labels of the age bands.
    people
        Share of the insured in each band, ``(band,)``.
    users
        Chance to use any care in a year, ``(band,)``.
    scale
        Money for one standard size, ``(band, draw)``.
    spread, tail_index
        Shape, ``(draw,)``; ``tail_share`` is the share of users in the tail.
    """

    label: str
    currency: str
    year: int
    bands: tuple[str, ...]
    people: Array
    users: Array
    scale: Array
    spread: Array
    tail_index: Array
    tail_share: float

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return len(self.spread)

    @property
    def start_of_tail(self) -> Array:
        """Standard size at which the tail begins, ``(draw,)``."""
        return np.exp(-ndtri(self.tail_share) * self.spread)

    @property
    def tail_scale(self) -> Array:
        """Scale of the tail, in standard sizes, ``(draw,)``."""
        return _tail_scale(self.spread, self.tail_share)

    def limited(self, amount: Array | float) -> Array:
        """Mean of the lesser of spending and an amount, per insured.

        Parameters
        ----------
        amount
            Money of the year, of any shape; ``inf`` gives the mean of spending.

        Returns
        -------
        numpy.ndarray
            Shape of ``amount`` followed by ``(band, draw)``.
        """
        sizes = np.asarray(amount, dtype=float)[..., None, None] / self.scale
        return self.users[:, None] * self.scale * limited_size(sizes, self.spread, self.tail_index, self.tail_share)

    def mean(self) -> Array:
        """Mean spending per insured, ``(band, draw)``."""
        return self.limited(np.inf)

    def above(self, amount: Array | float) -> Array:
        """Share of the insured whose spending exceeds an amount of at least 0; shapes as in :meth:`limited`."""
        sizes = np.asarray(amount, dtype=float)[..., None, None] / self.scale
        return self.users[:, None] * size_above(sizes, self.spread, self.tail_index, self.tail_share)

    def quantile(self, share: Array, band: Array, draw: int = 0) -> Array:
        """Spending that a share of a band's insured does not exceed.

        Parameters
        ----------
        share
            In [0, 1), of any shape.
        band
            Index of the band, broadcast against ``share``.
        """
        users, spread, index = self.users[band], self.spread[draw], self.tail_index[draw]
        left = np.minimum((1.0 - np.asarray(share)) / users, 1.0)  # share of the users who spend more
        with np.errstate(divide="ignore"):
            body = np.exp(-ndtri(np.maximum(left, self.tail_share)) * spread)
        deep = np.minimum(left, self.tail_share) / self.tail_share
        tail = self.start_of_tail[draw] + self.tail_scale[draw] / index * (deep**-index - 1.0)
        return np.where(left >= 1.0, 0.0, np.where(left > self.tail_share, body, tail)) * self.scale[band, draw]

    def scaled(self, factor: float) -> Severity:
        """The same people when all spending is multiplied."""
        return replace(self, scale=self.scale * factor)


def _tail_scale(spread: Array | float, tail_share: float) -> Array:
    z = -ndtri(tail_share)
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    return tail_share * spread * np.exp(z * spread) / density


def limited_size(size: Array | float, spread: Array | float, tail_index: Array | float, tail_share: float) -> Array:
    """Mean of the lesser of the standard size and ``size``; the arguments broadcast. The formula stands at the top."""
    start = np.exp(-ndtri(tail_share) * np.asarray(spread))
    in_body = np.minimum(size, start)
    with np.errstate(divide="ignore"):
        z = np.log(in_body) / spread
    body = np.exp(0.5 * np.asarray(spread) ** 2) * ndtr(z - spread) + in_body * ndtr(-z)
    scale = _tail_scale(spread, tail_share)
    over = 1.0 + tail_index * np.maximum(size - start, 0.0) / scale
    return body + tail_share * scale / (1.0 - tail_index) * (1.0 - over ** (1.0 - 1.0 / tail_index))


def size_above(size: Array, spread: Array | float, tail_index: Array | float, tail_share: float) -> Array:
    """Share of users whose standard size exceeds ``size``; the arguments broadcast."""
    start = np.exp(-ndtri(tail_share) * np.asarray(spread))
    with np.errstate(divide="ignore"):
        body = ndtr(-np.log(np.minimum(size, start)) / spread)
    over = 1.0 + tail_index * np.maximum(size - start, 0.0) / _tail_scale(spread, tail_share)
    return np.where(size <= start, body, tail_share * over ** (-1.0 / np.asarray(tail_index)))


def severity_of(file: SeverityFile, mean: Array, spread: Array, tail_index: Array) -> Severity:
    """The severity with a given mean spending per insured and shape; all arguments ``(draw,)``."""
    relative, people, users = (
        np.array([getattr(band, name) for band in file.bands]) for name in ("relative", "people", "users")
    )
    of_size = limited_size(np.inf, spread, tail_index, file.tail_share)
    scale = (relative / (people @ relative) / users)[:, None] * (mean / of_size)
    bands = tuple(band.label for band in file.bands)
    shape = (np.asarray(spread), np.asarray(tail_index))
    return Severity(file.label, file.currency, file.year, bands, people, users, scale, *shape, file.tail_share)


Predict = Callable[[Severity, Target], float]


@dataclass(frozen=True)
class SeverityFit:
    """A fitted severity and how it meets its targets.

    Attributes
    ----------
    best
        The severity at the best fit, one draw.
    targets, met
        The targets and what the fit gives for each.
    estimate, covariance
        Logarithm of the mean, logarithm of the spread, tail index: their best values and, from the curvature of the
        fit, their covariance.
    """

    file: SeverityFile
    best: Severity
    targets: tuple[Target, ...]
    met: Array
    estimate: Array
    covariance: Array

    def draws(self, n: int, seed: int = 0) -> Severity:
        """Severities with the uncertainty of the fit: a normal distribution around it, tail index within its limits."""
        values = np.random.default_rng(seed).multivariate_normal(self.estimate, self.covariance, n, method="cholesky")
        index = np.clip(values[:, 2], *_INDEX_LIMITS)
        return severity_of(self.file, np.exp(values[:, 0]), np.exp(values[:, 1]), index)


_INDEX_LIMITS = (0.01, 0.8)
_SPREAD_LIMITS = (0.3, 3.5)


def fit_severity(file: SeverityFile, predict: Predict) -> SeverityFit:
    """Fit mean, spread and tail index to a file's targets by weighted least squares on their logarithms.

    Parameters
    ----------
    file
        Bands and targets.
    predict
        What a severity gives for a target of kind ``layer_mean`` or ``layer_share``: the benefit stack knows that.

    Raises
    ------
    ForecasterError
        When the targets contradict each other by more than four of their standard deviations.
    """

    def severity(values: Array) -> Severity:
        return severity_of(file, *(np.array([value]) for value in (np.exp(values[0]), np.exp(values[1]), values[2])))

    def given(values: Array) -> Array:
        found = severity(values)
        return np.array([_figure(found, target, predict) for target in file.targets])

    def misfit(values: Array) -> Array:
        pairs = zip(given(values), file.targets, strict=True)
        return np.array([_distance(figure, target) for figure, target in pairs])

    mean = next(target.value for target in file.targets if target.kind == "mean")
    start = np.array([np.log(mean), np.log(1.5), 0.3])
    low, high = (
        np.array([np.log(mean * factor), np.log(spread), index])
        for factor, spread, index in zip((0.25, 4.0), _SPREAD_LIMITS, _INDEX_LIMITS, strict=True)
    )
    found = least_squares(misfit, start, bounds=(low, high), x_scale=(0.1, 0.1, 0.1))
    worst = int(np.argmax(np.abs(found.fun)))
    if abs(found.fun[worst]) > 4.0:
        target, figure = file.targets[worst], given(found.x)[worst]
        raise ForecasterError(
            f"severity/{file.id}.toml: targets[{worst}] ({target.kind}) wants {target.value:g}, the best fit to all"
            f" of them gives {figure:g}. They contradict each other: look at the figures, or widen their spread"
        )
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    return SeverityFit(file, severity(found.x), file.targets, given(found.x), found.x, covariance)


def _distance(figure: float, target: Target) -> float:
    """By how many of its standard deviations a figure misses its target."""
    if target.kind == "tail_index":
        return (figure - target.value) / target.spread
    return float(np.log(figure / target.value)) / target.spread


def _figure(severity: Severity, target: Target, predict: Predict) -> float:
    if target.kind == "mean":
        return float(severity.people @ severity.mean()[:, 0])
    if target.kind == "tail_index":
        return float(severity.tail_index[0])
    if target.kind == "top_share":
        return top_share(severity, float(target.at))  # type: ignore[arg-type]  # reading requires it
    return predict(severity, target)


def top_share(severity: Severity, share: float) -> float:
    """Part of all spending that the given share of the insured with the most of it has; first draw."""

    def more(log_amount: float) -> float:
        return float(severity.people @ severity.above(np.exp(log_amount))[:, 0]) - share

    amount = float(np.exp(brentq(more, -20.0, 40.0)))
    mean = severity.people @ severity.mean()[:, 0]
    return float((mean - severity.people @ severity.limited(amount)[:, 0] + share * amount) / mean)


def severity_facts(fit: SeverityFit) -> list[dict[str, Any]]:
    """Targets beside what the fit gives, ready for a table."""
    return [
        {
            "target": target.kind
            + (f" {target.layer}" if target.layer else "")
            + (f" {target.at:g}" if target.at else ""),
            "wanted": target.value,
            "spread": target.spread,
            "fitted": float(met),
            "status": target.status,
            "source": target.source,
            "note": target.note,
        }
        for target, met in zip(fit.targets, fit.met, strict=True)
    ]
