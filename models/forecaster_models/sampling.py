"""Sampling one block with NUTS and judging the result: the gates of every fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from nutpie.compiled_pyfunc import from_pyfunc
from pymc.pytensorf import join_nonshared_inputs
from pytensor.compile.mode import Mode, get_mode
from pytensor.graph.replace import vectorize_graph
from threadpoolctl import threadpool_limits

from forecaster_models.settings import SamplingSettings

Density = Callable[[np.ndarray], tuple[float, np.ndarray]]

MAX_RHAT = 1.01
MIN_ESS = 400
MIN_EBFMI = 0.3


@dataclass(frozen=True)
class Verdict:
    """Whether a block's draws may be used, with the figures that decide and, if not, the reasons in plain words."""

    accepted: bool
    reasons: tuple[str, ...]
    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float
    divergences: int
    min_ebfmi: float

    def as_dict(self) -> dict[str, object]:
        """For the manifest."""
        return asdict(self)


def sample_block(
    model: pm.Model,
    settings: SamplingSettings,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> xr.DataTree:
    """Draw from a block's posterior with nutpie (NUTS).

    A short first run learns the scales and the directions of the posterior (:func:`whitening`); the second samples in
    coordinates in which it is nearly a standard normal. Half of the tuning goes to each.

    Parameters
    ----------
    progress
        Called now and then with the share of draws done, 0 to 1.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior``, every named quantity of the model, and ``sample_stats``.
    """
    evaluate, origin = log_density(model)
    tune = settings.tune // 2
    scouts = replace(settings, draws=max(100, 4 * len(origin) // settings.chains), tune=tune, target_accept=0.8)
    steps = scouts.draws + 2 * tune + settings.draws
    done = 0

    def report(share: float, draws: int) -> None:
        if progress is not None:
            progress((done + share * draws) / steps)

    def near_origin(rng: np.random.Generator) -> np.ndarray:
        return origin + rng.uniform(-1.0, 1.0, size=len(origin))

    scouted = _run(evaluate, Coordinates.plain(len(origin)), near_origin, scouts, seed, report)
    done = scouts.draws + tune
    points = scouted["posterior"].dataset["point"].values.reshape(-1, len(origin))
    coordinates = Coordinates(points.mean(axis=0), whitening(points, np.array([evaluate(x)[1] for x in points])))

    def near_scouts(rng: np.random.Generator) -> np.ndarray:
        found: np.ndarray = rng.choice(points)
        return found

    drawn = _run(evaluate, coordinates, near_scouts, replace(settings, tune=tune), seed + 1_000_003, report)
    values = named_quantities(model, drawn["posterior"].dataset["point"].values)
    posterior = xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(value.ndim - 2))), value)
            for name, value in values.items()
        }
    )
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": drawn["sample_stats"].dataset})


@dataclass(frozen=True)
class Coordinates:
    """Points as ``centre + scale @ z``, the sampler moving in *z*; shapes ``(value,)`` and ``(value, value)``."""

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def plain(cls, n: int) -> Coordinates:
        """Those of the model itself."""
        return cls(np.zeros(n), np.eye(n))


def whitening(points: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    r"""Scale of coordinates in which a posterior is nearly a standard normal, from draws and the slopes there.

    The symmetric positive root of the *S* that solves :math:`S\,\operatorname{cov}(g)\,S = \operatorname{cov}(x)`. Of a
    normal posterior *S* is the covariance exactly, however few or dependent the draws, if only they span the space: it
    makes least the Fisher divergence to a standard normal (Seyboldt, Carlson and Carpenter, 2024).

    Parameters
    ----------
    points, slopes
        Shape ``(draw, value)``; more draws than values.
    """
    own = (points.var(axis=0) / slopes.var(axis=0)) ** 0.25
    # Held off zero: directions that the draws hardly span keep the scale of their own values.
    slack = 1e-5 * np.eye(len(own))
    spread, steepness = np.cov((points / own).T) + slack, np.cov((slopes * own).T) + slack
    root, inverse = _power(steepness, 0.5), _power(steepness, -0.5)
    found: np.ndarray = own[:, None] * _power(inverse @ _power(root @ spread @ root, 0.5) @ inverse, 0.5)
    return found


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Power of a symmetric positive matrix."""
    value, vector = np.linalg.eigh(matrix)
    found: np.ndarray = (vector * np.maximum(value, 1e-300) ** exponent) @ vector.T
    return found


def _run(
    evaluate: Density,
    coordinates: Coordinates,
    start: Callable[[np.random.Generator], np.ndarray],
    settings: SamplingSettings,
    seed: int,
    report: Callable[[float, int], None],
) -> xr.DataTree:
    """Chains of nutpie in some coordinates; the points, in the model's own, stand in the posterior as ``point``."""
    centre, scale = coordinates.centre, np.ascontiguousarray(coordinates.scale)
    n = len(centre)

    def told(chains: list) -> None:  # type: ignore[type-arg]  # nutpie's progress records are untyped
        share = sum(c.finished_draws for c in chains) / max(1, sum(c.total_draws for c in chains))
        report(share, settings.draws + settings.tune)

    def density(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = evaluate(centre + scale @ z)
        return value, slope @ scale

    sampled = from_pyfunc(
        ndim=n,
        make_logp_fn=lambda: density,
        make_expand_fn=lambda *_: lambda z: {"point": centre + scale @ z},
        expanded_dtypes=[np.dtype(float)],
        expanded_shapes=[(n,)],
        expanded_names=["point"],
        make_initial_point_fn=lambda own: np.linalg.solve(scale, start(np.random.default_rng(own)) - centre),
    )
    # One thread for linear algebra: with more, what it puts on the stack does not fit into that of nutpie's workers.
    with threadpool_limits(1), warnings.catch_warnings():
        # Numba warns of its own cache on first use.
        warnings.simplefilter("ignore")
        return nutpie.sample(
            sampled,
            draws=settings.draws,
            tune=settings.tune,
            chains=settings.chains,
            cores=settings.cores,
            seed=seed,
            save_warmup=False,
            progress_bar=False,
            progress_callback=told,
            progress_rate=200,
            adaptation="diag",
            target_accept=settings.target_accept,
        )


def log_density(model: pm.Model) -> tuple[Density, np.ndarray]:
    """Log density of a model and its slope as one compiled function, and the point that the model starts from.

    nutpie can compile a model itself, but wraps it in ways that Numba cannot keep between runs. What is found here may
    be called by several threads at once, unlike the function of PyTensor around it.

    Returns
    -------
    tuple
        Function of the unconstrained values, ``model.value_vars`` raveled one after the other, that returns density and
        slope; and the starting values, shape ``(value,)``.
    """
    start = model.initial_point()
    [density], point = join_nonshared_inputs(start, [model.logp(jacobian=True)], model.value_vars)
    # Working in place gains nothing in compiled code and takes half the time of its preparation.
    mode = get_mode("NUMBA").excluding("inplace")
    compiled = pytensor.function([point], [density, pt.grad(density, point)], mode=mode, trust_input=True).vm.jit_fn
    origin = np.concatenate([np.ravel(start[v.name]) for v in model.value_vars]).astype(float)

    def evaluate(values: np.ndarray) -> tuple[float, np.ndarray]:
        density, slope = compiled(values)
        return float(density), slope

    evaluate(origin)
    return evaluate, origin


def named_quantities(model: pm.Model, points: np.ndarray) -> dict[str, np.ndarray]:
    """Free variables and deterministic quantities of a model at many points.

    One evaluation in NumPy over all points: nothing is compiled, and thousands of points take a fraction of a second.

    Parameters
    ----------
    points
        Unconstrained values in the order of ``model.free_RVs``, each variable's values in a row; shape
        ``(..., value)``.

    Returns
    -------
    dict
        Name to array of shape ``(..., *shape of the quantity)``.
    """
    variables = [model.rvs_to_values[variable] for variable in model.free_RVs]
    shapes = [tuple(np.shape(start)) for start in map(model.initial_point().__getitem__, (v.name for v in variables))]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    flat = points.reshape(-1, points.shape[-1])
    parts = np.split(flat, ends[:-1], axis=1)
    batches = [part.reshape(len(flat), *shape) for part, shape in zip(parts, shapes, strict=True)]
    wanted = [v for v in model.unobserved_value_vars if v not in set(variables) or v.name in model.named_vars]
    inputs = [
        pt.tensor(v.name, dtype=v.dtype, shape=(None, *shape)) for v, shape in zip(variables, shapes, strict=True)
    ]
    outputs = vectorize_graph(wanted, dict(zip(variables, inputs, strict=True)))
    evaluate = pytensor.function(inputs, outputs, mode=Mode(linker="py", optimizer=None), on_unused_input="ignore")
    found = zip(wanted, evaluate(*batches), strict=True)
    return {v.name: np.asarray(value).reshape(*points.shape[:-1], *np.shape(value)[1:]) for v, value in found}


def judge(result: xr.DataTree) -> Verdict:
    """Apply the gates: r-hat at most 1.01, bulk and tail ESS at least 400, no divergence, E-BFMI above 0.3."""
    posterior, stats = result["posterior"].dataset, result["sample_stats"].dataset

    def extreme(summary: xr.Dataset, pick: Callable[..., float]) -> float:
        return float(pick([float(pick(np.asarray(summary[name]))) for name in summary.data_vars]))

    rhat = extreme(az.rhat(posterior), np.nanmax)
    bulk = extreme(az.ess(posterior, method="bulk"), np.nanmin)
    tail = extreme(az.ess(posterior, method="tail"), np.nanmin)
    divergences = int(stats["diverging"].sum())
    energy = np.asarray(stats["energy"])
    ebfmi = float((np.diff(energy, axis=1) ** 2).mean(axis=1).min() / energy.var(axis=1).max())
    reasons = []
    if not rhat <= MAX_RHAT:
        reasons.append(f"the chains disagree (r-hat {rhat:.3f}, at most {MAX_RHAT} wanted): more draws or tuning steps")
    if not min(bulk, tail) >= MIN_ESS:
        reasons.append(f"too few effective draws ({min(bulk, tail):.0f}, at least {MIN_ESS} wanted): more draws")
    if divergences:
        reasons.append(f"{divergences} divergent steps: raise target_accept, or tighten a prior that makes a funnel")
    if not ebfmi > MIN_EBFMI:
        reasons.append(
            f"energy moves too slowly (E-BFMI {ebfmi:.2f}, above {MIN_EBFMI} wanted): reparametrise the block"
        )
    return Verdict(not reasons, tuple(reasons), rhat, bulk, tail, divergences, ebfmi)
