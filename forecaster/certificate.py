"""The calibration certificate: how forecasts from earlier years did. It travels with a fit and all that is made of it.

``forecaster backtest`` makes it; here it is read without any model. A result says on its face when there is none, when
it belongs to another model or other figures than the fit, and when its 80% band held far too few or too many outcomes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from forecaster.pools import Pool
from forecaster.resources import data_dir
from forecaster.scores import (
    ESTIMATED,
    FORECAST,
    MEASURES,
    MODEL,
    NEAR,
    POOLED,
    QUESTIONS,
    RULE_LABELS,
    comparison_table,
    record_of,
)
from forecaster.theories import LEAST_OUTCOMES, THEORIES

# Coverage of the pooled 80% band outside which every result carries a warning.
LEAST_COVERAGE, MOST_COVERAGE = 0.60, 0.97
FILE = "certificate.json"
# Turns a sentence and what is put into it into the reader's words.
Say = Callable[..., str]
NO_FIT = "The basis is written by hand: there is no model whose forecasts could be judged."
# Inputs of a fit, in words.
_INPUTS = {
    "models": "model code",
    "observations": "observed figures",
    "demography": "population tables",
    "priors": "priors",
    "own_priors": "priors of the user's own",
    "schemes": "law",
}
# Instead of either of QUESTIONS where both have the same answer.
EITHER = "told the law known at the origin or as it later changed, with the same result"


@dataclass(frozen=True)
class Record:
    """What a result says of its model's past forecasts.

    Attributes
    ----------
    status
        ``backtested``, ``not backtested``, ``stale`` or ``damaged``.
    warnings
        What must stand on the face of a result; empty when there is nothing to warn of.
    lines
        The record in plain words, one sentence or two each; empty without a certificate.
    content
        The certificate itself, or None.
    """

    status: str
    warnings: tuple[str, ...]
    lines: tuple[str, ...] = ()
    content: Mapping[str, Any] | None = None

    @property
    def headline(self) -> str:
        """One line for tables and captions: the warnings if there are any, else the coverage."""
        return " ".join(self.warnings) or self.lines[1]

    def as_dict(self) -> dict[str, Any]:
        """For the manifest of a result."""
        return {
            "status": self.status,
            "warnings": list(self.warnings),
            "record": list(self.lines),
            "certificate": None if self.content is None else self.content["hash"],
        }


@dataclass(frozen=True)
class Backtest:
    """A finished backtest: the certificate's content, the report's tables and where they were written."""

    certificate: dict[str, Any]
    report: pd.DataFrame
    summary: pd.DataFrame
    officials: pd.DataFrame
    folder: Path


def backtests_folder(pool: Pool) -> Path:
    """Folder that holds the pool's backtest in a folder of the pool's name."""
    return data_dir() / "backtests" if pool.folder is None else pool.folder / "backtests"


def certificate_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of a certificate's content but its own hash."""
    rest = {key: value for key, value in content.items() if key != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def certificate_bytes(content: Mapping[str, Any]) -> bytes:
    """The certificate as its file holds it, with its hash."""
    return (json.dumps({**content, "hash": certificate_hash(content)}, indent=2, sort_keys=True) + "\n").encode()


def certificate_of(
    pool: Pool,
    report: pd.DataFrame,
    officials: pd.DataFrame,
    verdicts: Mapping[str, Mapping[str, Any]],
    horizon: int,
    quick: bool,
    inputs: Mapping[str, str],
    theories: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Content of the certificate, see ``docs/backtest.md``; ``theories`` is what the backtest learnt of them."""
    questions = {}
    for question in QUESTIONS:
        rows = report[report["rule"] == question]
        pooled = rows[rows["line"].isin(POOLED)]
        spread = rows[rows["line"] == "outgo"].groupby("horizon")["log_sd"].mean()
        questions[question] = {
            "all": record_of(pooled),
            "one_to_five_years": record_of(pooled[pooled["horizon"] <= 5]),
            "lines": {line: record_of(rows[rows["line"] == line]) for line in MEASURES},
            "outgo_log_sd": {str(h): round(float(sd), 4) for h, sd in spread.items()},
        }
    closer = officials["our_error"].abs() < officials["official_error"].abs()
    content: dict[str, Any] = {
        "pool": pool.name,
        "label": pool.label,
        "origins": sorted(int(origin) for origin in verdicts),
        "horizon": horizon,
        "quick": quick,
        "rejected": [int(origin) for origin, verdict in verdicts.items() if not verdict["accepted"]],
        "near_outcomes": _most(report, NEAR),
        "estimated_outcomes": _most(report, ESTIMATED),
        "questions": questions,
        "comparisons": {question: _comparison(report, question) for question in QUESTIONS},
        "officials": {"n": len(officials), "closer": int(closer.sum())},
        "inputs": dict(inputs),
    }
    if theories is not None:
        content["theories"] = dict(theories)
    return {**content, "hash": certificate_hash(content)}


def _most(report: pd.DataFrame, kind: str) -> int:
    """Forecasts of a rule whose outcome is known in a way."""
    return int((report["outcome_kind"] == kind).groupby(report["rule"]).sum().max())


def _comparison(report: pd.DataFrame, question: str) -> dict[str, Any]:
    """Number of lines and horizons compared, the lost ones each with its best rule, and mean CRPS against each rule."""
    table = comparison_table(report, question)
    cells = table.groupby(["line", "horizon"])
    best = table.loc[cells["rival"].idxmin()] if len(table) else table
    lost = best[best["rival"] < best["ours"]]
    means = {}
    for (line, rule), rows in table.groupby(["line", "rule"]):
        weights = rows["n"] / rows["n"].sum()
        ours, rival = float((rows["ours"] * weights).sum()), float((rows["rival"] * weights).sum())
        means[f"{line}/{rule}"] = {"n": int(rows["n"].sum()), "ours": round(ours, 6), "rival": round(rival, 6)}
    return {
        "n": len(best),
        "lost": [
            {
                "line": row["line"],
                "horizon": int(row["horizon"]),
                "rule": row["rule"],
                "label": RULE_LABELS[row["rule"]],
                "n": int(row["n"]),
                "ours": round(float(row["ours"]), 6),
                "rival": round(float(row["rival"]), 6),
            }
            for row in lost.to_dict("records")
        ],
        "means": means,
    }


def read_record(pool: Pool, inputs: Mapping[str, str], root: Path | None = None) -> Record:
    """Record of a pool's model, held against the inputs of the fit that a result was made from.

    Parameters
    ----------
    inputs
        Hashes of the fit's inputs, as in its manifest.
    root
        Folder that holds a folder per pool; :func:`backtests_folder` when left out.
    """
    path = (root or backtests_folder(pool)) / pool.name / FILE
    again = f"forecaster backtest {pool.address}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = content["hash"] == certificate_hash(content)
    except FileNotFoundError:
        text = f"NOT BACKTESTED: these bands were never held against what came; to do so: {again}"
        return Record("not backtested", (text,))
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        text = f"DAMAGED CERTIFICATE: it does not match its own hash and says nothing; make it again: {again}"
        return Record("damaged", (text,))
    stale = [words for key, words in _INPUTS.items() if key in inputs and inputs[key] != content["inputs"].get(key)]
    warnings = [*coverage_warnings(content)]
    if stale:
        warnings.insert(0, f"STALE CERTIFICATE: backtested with other {', '.join(stale)} than this fit; again: {again}")
    return Record("stale" if stale else "backtested", tuple(warnings), certificate_lines(content), content)


def plain(sentence: str, **values: object) -> str:
    """The sentence in English, as it stands here, its ``{names}`` filled in."""
    return sentence.format(**values) if values else sentence


def coverage_warnings(content: Mapping[str, Any], say: Say = plain) -> list[str]:
    """A warning for each question whose pooled 80% band held under 60% or over 97% of the outcomes."""
    warnings = []
    for words, record in _answers(content):
        held, n = record["held"]["80"], record["n"]
        if n and not LEAST_COVERAGE <= held / n <= MOST_COVERAGE:
            told = {"held": held, "n": n, "share": f"{held / n:.0%}", "question": say(words)}
            warnings.append(
                say(
                    "WARNING: bands far too narrow: in the backtest the 80% band held {held} of {n} outcomes "
                    "({share}), {question}; things will often turn out worse or better than they show.",
                    **told,
                )
                if held / n < LEAST_COVERAGE
                else say(
                    "WARNING: bands far too wide: in the backtest the 80% band held {held} of {n} outcomes ({share}), "
                    "{question}; more is known than they show.",
                    **told,
                )
            )
    return warnings


def certificate_lines(content: Mapping[str, Any], say: Say = plain) -> tuple[str, ...]:
    """The certificate in plain words; ``say`` puts every sentence into the reader's language."""
    lines = [
        say(
            "{label}: refitted at the end of {origins} on the figures of up to then, and held against what came 1 to "
            "{horizon} years later.",
            label=say(content["label"]),
            origins=_spelled(content["origins"], say),
            horizon=content["horizon"],
        ),
        say(
            "Not undone is hindsight: the figures are today's, not those first printed, and the priors were written by "
            "people who knew the later years."
        ),
    ]
    lines += [_coverage_line(record, say(words), say) for words, record in _answers(content)]
    spread = content["questions"][MODEL]["outgo_log_sd"]
    shown = [
        say("{share} {years} ahead", share=f"{100 * spread[str(h)]:.1f}%", years=_years(h, say))
        for h in (1, 5, 10)
        if str(h) in spread
    ]
    lines.append(
        say(
            "Spread of outgo, one standard deviation, mean of the origins: {shown}.",
            shown=say(", ").join(shown),
        )
    )
    lines.append(_losing_line(content["comparisons"], say))
    if "theories" in content:
        lines.append(_theories_line(content["theories"], say))
    officials = content["officials"]
    if officials["n"]:
        lines.append(
            say(
                "Against officials' own forecasts ours was closer in {closer} of {n} cases; ours has seen no account "
                "of the year in which theirs was made, only its budget.",
                closer=officials["closer"],
                n=officials["n"],
            )
        )
    if content["near_outcomes"]:
        lines.append(
            say(
                "In {n} forecasts the outcome is a reserve read a month before the year's end, for want of a later "
                "figure.",
                n=content["near_outcomes"],
            )
        )
    # Certificates made before such years were left out have no count of them.
    if content.get("estimated_outcomes"):
        lines.append(
            say(
                "Not scored are {n} forecasts of years whose figure is an estimate of our own, derived with an assumed "
                "split: it could not tell a wrong forecast from a wrong estimate.",
                n=content["estimated_outcomes"],
            )
        )
    if content["rejected"]:
        lines.append(
            say(
                "The short fits of {origins} did not pass the gates on convergence; they are counted all the same.",
                origins=_spelled(content["rejected"], say),
            )
        )
    return tuple(lines)


def _answers(content: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What was told and what the bands then held; once where it makes no difference, as where no law changed."""
    found = [(QUESTIONS[question], content["questions"][question]["all"]) for question in (MODEL, FORECAST)]
    return [(EITHER, found[0][1])] if found[0][1] == found[1][1] else found


def _coverage_line(record: Mapping[str, Any], words: str, say: Say) -> str:
    n, effective = record["n"], record["n_effective"]
    question = words.capitalize()
    if not n:
        return say("{question}: no outcome is known.", question=question)
    held = [
        say("{band}% band {count} of {n} ({share})", band=band, count=count, n=n, share=f"{count / n:.0%}")
        for band, count in record["held"].items()
    ]
    spread = 1.64 * (0.8 * 0.2 / effective) ** 0.5
    return say(
        "{question}: {held}; {quarters} lay in the four quarters of the forecast from low to high. They overlap and "
        "are worth about {effective} independent ones, so that a true 80% band would hold {low} to {high} in nine of "
        "ten such records.",
        question=question,
        held=say(", ").join(held),
        quarters=say(", ").join(map(str, record["pit_quarters"])),
        effective=f"{effective:.1f}",
        low=f"{max(0.0, 0.8 - spread):.0%}",
        high=f"{min(1.0, 0.8 + spread):.0%}",
    )


def _losing_line(comparisons: Mapping[str, Any], say: Say) -> str:
    found = comparisons[MODEL]
    if not found["n"]:
        return say("No naive rule could be compared.")
    if not found["lost"]:
        return say("No naive rule scored better in any of the {n} lines and horizons compared.", n=found["n"])
    worst = [
        say(
            "{line} {years} ahead ({rule})",
            line=say(row["line"].replace("_", " ")),
            years=_years(row["horizon"], say),
            rule=say(row["label"]),
        )
        for row in found["lost"][:6]
    ]
    more = len(found["lost"]) - 6
    if more > 0:
        worst.append(say("and {n} more", n=more))
    return say(
        "Where we lose: a naive rule scored better in {lost} of {n} lines and horizons: {worst}.",
        lost=len(found["lost"]),
        n=found["n"],
        worst=say("; ").join(worst),
    )


def _theories_line(theories: Mapping[str, Any], say: Say) -> str:
    if theories["outcomes"] < LEAST_OUTCOMES:
        return say(
            "Theories of cost growth, averaged with equal weights: {n} forecasts of outgo are too few to weigh them "
            "by.",
            n=theories["outcomes"],
        )
    ordered = sorted(theories["weights"].items(), key=lambda kv: -kv[1])
    shown = [f"{weight:.0%} {say(THEORIES[name])}" for name, weight in ordered]
    return say(
        "Theories of cost growth, weighed by {n} forecasts of outgo that overlap: {shown}. Each origin was judged with "
        "the weights known by then.",
        n=theories["outcomes"],
        shown=say("; ").join(shown),
    )


def _years(horizon: int, say: Say) -> str:
    return say("1 year") if horizon == 1 else say("{n} years", n=horizon)


def _spelled(years: list[int], say: Say) -> str:
    if len(years) > 2 and years == list(range(years[0], years[-1] + 1)):
        return say("{n} years, {first} to {last},", n=len(years), first=years[0], last=years[-1])
    return say(", ").join(str(year) for year in years)


def officials_of(pool: Pool) -> list[dict[str, Any]]:
    """Published forecasts beside ours and what came, a row each, as the pool's shipped backtest has them; maybe none.

    Keys are those of ``officials.csv``: ``target`` (year), ``line``, ``ours``, ``q10``, ``q90``, ``later``.
    """
    path = backtests_folder(pool) / pool.name / "officials.csv"
    if not path.is_file():
        return []
    import pandas as pd

    return [{str(name): value for name, value in row.items()} for row in pd.read_csv(path).to_dict("records")]
