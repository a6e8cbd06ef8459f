"""Rolling-origin backtest: refit on what was known at the end of a year, forecast, and hold it against what came.

What an origin leaves, its draws, lies under a key of everything that decides it, so that a stopped backtest goes on
where it was and ends with the same result. Scoring comes last and always reads the stored draws.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
import platform
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import forecaster
from forecaster.certificate import Backtest, backtests_folder, certificate_bytes, certificate_lines, certificate_of
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.export import csv_bytes, parquet_bytes, sha256, write_folder
from forecaster.fitted import PUBLISHED, actuals, make_basis
from forecaster.observations import list_places, load_observations
from forecaster.officials import official_table
from forecaster.policy import Policy
from forecaster.pools import Pool, find_pool
from forecaster.schemes import Scheme
from forecaster.scores import FORECAST, MODEL, outcome_table, summary_table
from forecaster.theories import OPEN, averaged, thinned
from forecaster_models.fit import KEPT_DRAWS, LIBRARIES, current_inputs, pool_blocks, population_vintage
from forecaster_models.origins import Array, Draws, Forecaster, Job, Progress, read_origin_files, run_origins
from forecaster_models.settings import FULL, QUICK, SamplingSettings

if TYPE_CHECKING:
    from forecaster_models.theories import Carried

HORIZON = 10
MOST_ORIGINS = 12
# Years with a published outgo before the first origin: fewer teach a model nothing.
LEAST_FIGURES = 6
SEED = 20261122
# The forecasts that theories of cost growth were weighed by, so that anyone can weigh them again.
THEORIES_FILE = "theories.parquet"


@dataclass(frozen=True)
class Refit:
    """Forecasts by fitting the pool's models anew to the evidence up to the origin.

    Both questions are answered by the same draws: the ledger runs once under the law known at the origin and once under
    the law as it later became.
    """

    pool: Pool
    horizon: int
    settings: SamplingSettings
    seed: int

    def inputs(self) -> dict[str, Any]:
        """Hashes of figures, priors, law and code; settings of the sampler; seed."""
        return {"inputs": current_inputs(self.pool), "settings": asdict(self.settings), "seed": self.seed}

    def __call__(self, origin: int, tell: Callable[[float, str], None]) -> tuple[Draws, dict[str, Any]]:
        """Fit, carry forward, project."""
        from forecaster_models.sampling import MAX_RHAT, MIN_ESS, judge, sample_block

        blocks = pool_blocks(self.pool, last_year=origin)
        posterior: dict[str, Array] = {}
        read: dict[str, Array] = {}
        reasons: list[str] = []
        agreed = True
        for done, block in enumerate(blocks):

            def report(share: float, done: int = done, name: str = block.name) -> None:
                tell((done + share) / len(blocks), name)

            report(0.0)
            result = sample_block(block.build(), block.tuned(self.settings), self.seed + done, report)
            verdict = judge(result)
            if not verdict.accepted and self.settings.draws < FULL.draws:
                # What a user would do whose quick fit was rejected: more draws, shorter steps.
                report(0.0, name=f"{block.name} again")
                more = replace(FULL, cores=self.settings.cores)
                result = sample_block(block.build(), more, self.seed + done, report)
                verdict = judge(result)
            reasons += [f"{block.name}: {reason}" for reason in verdict.reasons]
            agreed &= verdict.max_rhat <= MAX_RHAT and min(verdict.min_ess_bulk, verdict.min_ess_tail) >= MIN_ESS
            kept = result["posterior"].dataset
            posterior |= {name: kept[name].values.reshape(-1, *kept[name].shape[2:]) for name in block.keep}
            read |= {name: kept[name].values.reshape(-1, *kept[name].shape[2:]) for name in block.reads}
        # A block that was sampled again has more draws than the others.
        fewest = min(KEPT_DRAWS, *map(len, posterior.values()))
        posterior = {name: thinned(values, fewest) for name, values in posterior.items()}
        read = {name: thinned(values, fewest) for name, values in read.items()}
        carried: dict[str, Carried] = {}
        for block in blocks:
            if block.theories is not None:
                carried |= block.theories(read, self.seed)
        law = Policy(self.pool.law)
        known = Policy(law_known_at(law.scheme, dt.date(origin + 1, 1, 1)))
        # An nhi base is measured under today's thresholds at every origin; a plain one under the rate of its day.
        measured_under = law if self.pool.model == "nhi" else known

        def lines(draws: dict[str, Array], name: str) -> Draws:
            basis = make_basis(
                self.pool,
                draws,
                measured_under,
                last_year=origin,
                horizon=origin + self.horizon,
                seed=self.seed,
                label=f"{self.pool.name}, origin {origin}",
                vintage=population_vintage(self.pool, origin),
            )
            end = f".{name}" if name else ""
            return {f"{FORECAST}{end}": _lines(basis, known), f"{MODEL}{end}": _lines(basis, law)}

        told: dict[str, Any] = {"accepted": not reasons, "reasons": reasons}
        if not carried:
            return lines(posterior, ""), told
        # A few divergent steps make a fit no baseline, but its draws say enough to weigh theories by.
        told["agreed"] = agreed
        told["theories"] = {name: found.as_dict() for name, found in carried.items()}
        found = lines(posterior, OPEN)
        for name, own in carried.items():
            if own.accepted:
                found |= lines(averaged(posterior, {name: own.draws}, {name: 1.0}), name)
        return found, told


def _lines(basis: Any, policy: Policy) -> dict[str, Array]:
    result = project(basis, policy)
    return {
        "income": result.total_income,
        "outgo": result.outgo,
        "balance": result.balance,
        "reserve": result.closing,
        "reserve_months": result.reserve_months,
    }


def law_known_at(scheme: Scheme, day: dt.date) -> Scheme:
    """The scheme without values dated after a day; a parameter that had none by then is not known to it at all."""
    kept = {}
    for name, parameter in scheme.parameters.items():
        values = tuple(value for value in parameter.values if value.start <= day)
        if values:
            kept[name] = parameter.model_copy(update={"values": values})
    cut = hashlib.sha256(f"{scheme.content_hash} until {day}".encode()).hexdigest()
    return scheme.model_copy(update={"parameters": kept, "content_hash": cut})


def pool_outcomes(pool: Pool) -> pd.DataFrame:
    """What came, see :func:`forecaster.scores.outcome_table`.

    A reserve read in November or December counts for the end of a year that has no other figure, and is marked; so are
    figures that the pool declares to be estimates.
    """
    near = None
    if pool.model == "nhi":
        rows = load_observations(pool.place).best(PUBLISHED["reserve"])
        near = rows[rows["period"].str.fullmatch(r"\d{4}-1[12]")].drop_duplicates("year", keep="last")
    estimates = [own for own in pool.breaks if own.kind == "estimate"]
    estimated = {(own.line, year) for own in estimates for year in range(own.first, own.last + 1)}
    return outcome_table(actuals(pool), near, estimated)


def pool_gdp(pool: Pool) -> dict[int, float] | None:
    """Nominal GDP by year as published today, in the pool's currency; None where no figures are shipped."""
    if pool.place not in list_places():
        return None
    observed = load_observations(pool.place)
    if "gdp_nominal" not in observed.names():
        return None
    rows = observed.best("gdp_nominal")
    rows = rows[rows["period"].str.fullmatch(r"\d{4}")]
    return {int(year): float(value) for year, value in zip(rows["year"], rows["value"], strict=True)}


def possible_origins(pool: Pool, outcomes: pd.DataFrame) -> list[int]:
    """Years that can be an origin: figures enough before, an outcome after, and the pool's law already in force.

    Raises
    ------
    ForecasterError
        When there is none.
    """
    years = sorted(outcomes[outcomes["line"] == "outgo"]["year"])
    if len(years) <= LEAST_FIGURES:
        raise ForecasterError(
            f"{pool.name} has {len(years)} years with a published outgo, too few for any origin: {LEAST_FIGURES} are "
            "needed before it and one after. To mend: add earlier years to its accounts"
        )
    reserves = outcomes[outcomes["line"] == "reserve"]["year"]
    if pool.model == "plain" and reserves.empty:
        raise ForecasterError(
            f"{pool.name} has no published reserve, so no origin could start from one. To mend: add one"
        )
    # A plain fund starts from a reserve that was known by then.
    start = int(reserves.min()) if pool.model == "plain" else 0
    first = max(int(years[LEAST_FIGURES - 1]), pool.law.start.year, start)
    last = int(outcomes["year"].max()) - 1
    if first > last:
        raise ForecasterError(
            f"{pool.name} has no year that could be an origin: its law {pool.law.id} begins on {pool.law.start}, its "
            f"first reserve is of {start or 'earlier'}, its last figure of {last + 1}. To mend: add figures"
        )
    return list(range(first, last + 1))


def read_origins(text: str, possible: list[int]) -> list[int]:
    """Origins of a text such as ``2013:2024`` or ``2013,2016,2019``.

    Raises
    ------
    ForecasterError
        When it is neither, or names a year that cannot be an origin.
    """
    span = re.fullmatch(r"(\d{4}):(\d{4})", text.strip())
    if span:
        first, last = int(span[1]), int(span[2])
        wanted = list(range(first, last + 1))
    elif re.fullmatch(r"\d{4}(\s*,\s*\d{4})*", text.strip()):
        wanted = sorted({int(part) for part in text.split(",")})
    else:
        raise ForecasterError(f"--origins {text!r}: write it as 2013:2024 or as 2013,2016,2019")
    odd = [year for year in wanted if year not in possible]
    if odd or not wanted:
        found = ", ".join(map(str, odd)) or "no year"
        raise ForecasterError(f"--origins {text!r}: found {found}; allowed: years from {possible[0]} to {possible[-1]}")
    return wanted


def backtest_pool(
    pool: Pool | str,
    *,
    origins: str | None = None,
    horizon: int = HORIZON,
    out: Path | None = None,
    quick: bool = True,
    seed: int = SEED,
    fresh: bool = False,
    progress: Progress | None = None,
    judged: Forecaster | None = None,
) -> Backtest:
    """Backtest a pool's models and store report and certificate in the folder of its name in ``out``.

    Parameters
    ----------
    pool
        The pool, or what :func:`forecaster.pools.find_pool` knows it by.
    origins
        Text as :func:`read_origins` takes it; the last :data:`MOST_ORIGINS` possible ones when left out.
    horizon
        Years ahead, at least 1.
    out
        Folder that holds a folder per pool; beside the pool's fits when left out.
    quick
        Settings of a quick fit, a rejected block once more with those of a full one; else all with those of a full one.
    fresh
        Do not take up origins of an earlier, stopped run.
    progress
        Called with origin, share done and a message.
    judged
        What is judged, :class:`Refit` when left out.

    Raises
    ------
    ForecasterError
        When nothing can be judged, when a worker was killed (finished origins are kept), or nothing can be written.
    """
    pool = find_pool(pool) if isinstance(pool, str) else pool
    if horizon < 1:
        raise ForecasterError(f"--horizon {horizon}: found fewer than 1 year ahead; allowed: 1 or more, 10 is usual")
    outcomes = pool_outcomes(pool)
    possible = possible_origins(pool, outcomes)
    chosen = possible[-MOST_ORIGINS:] if origins is None else read_origins(origins, possible)
    known = set(outcomes["year"])
    if not any(origin + step in known for origin in chosen for step in range(1, horizon + 1)):
        raise ForecasterError(
            f"no outcome is known {horizon} year(s) or less after {', '.join(map(str, chosen))}. To mend: choose other "
            "--origins or a longer --horizon"
        )
    # Each of the two jobs samples its chains one after the other.
    settings = replace(QUICK if quick else FULL, cores=1)
    judge_me = judged or Refit(pool, horizon, settings, seed)
    # As they are now: a file that is edited while the origins run must not be certified.
    made_from = current_inputs(pool)
    out = backtests_folder(pool) if out is None else out
    gdp = pool_gdp(pool)
    inputs = {"judged": judge_me.inputs(), "horizon": horizon, "outcomes": outcomes.to_csv(), "gdp": gdp}
    key = hashlib.sha256(json.dumps([inputs, _code_hash()], sort_keys=True, default=str).encode()).hexdigest()
    work = out / ".work" / f"{pool.name}-{key[:16]}"
    if fresh:
        shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ForecasterError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from None
    tell = progress or (lambda *_: None)
    for origin in chosen:
        tell(origin, 0.0, "waiting")
    run_origins(Job(judge_me, horizon, outcomes, gdp, work), chosen, tell)
    report, verdicts, scales = read_origin_files(work, chosen, outcomes)
    officials = official_table(pool, report)
    content = certificate_of(pool, report, officials, verdicts, horizon, quick, made_from, scales.learnt())
    summary = summary_table(report)
    manifest = {
        "pool": pool.name,
        "key": key,
        "origins": chosen,
        "horizon": horizon,
        "quick": quick,
        "judged": judge_me.inputs(),
        "code": _code_hash(),
        "outcomes": sha256(outcomes.to_csv().encode()),
        "verdicts": verdicts,
        "versions": {"forecaster": forecaster.__version__, "python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in (*LIBRARIES, "scoringrules", "statsmodels")},
    }
    folder = out / pool.name
    write_folder(folder, _files(report, summary, officials, scales.kept(), content, manifest), force=True)
    shutil.rmtree(work, ignore_errors=True)
    return Backtest(content, report, summary, officials, folder)


def _code_hash() -> str:
    own = Path(__file__).parent
    files = [own / name for name in ("backtest.py", "origins.py", "rivals.py", "weighing.py")]
    return sha256(b"".join(path.read_bytes() for path in (*files, Path(forecaster.__file__).parent / "scores.py")))


def _files(
    report: pd.DataFrame,
    summary: pd.DataFrame,
    officials: pd.DataFrame,
    theories: pd.DataFrame,
    content: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> dict[str, bytes]:
    files = {
        "report.parquet": parquet_bytes(report, str(manifest["key"])),
        "summary.csv": csv_bytes(summary.round(6)),
        "officials.csv": csv_bytes(officials.round(6)),
        "certificate.json": certificate_bytes(content),
        "certificate.txt": ("\n".join(certificate_lines(content)) + "\n").encode(),
    }
    if len(theories):
        files[THEORIES_FILE] = parquet_bytes(theories, str(manifest["key"]))
    hashes = {name: sha256(data) for name, data in sorted(files.items())}
    text = json.dumps({**manifest, "files": hashes}, indent=2, sort_keys=True, default=str) + "\n"
    return files | {"manifest.json": text.encode()}
