"""What several commands share: the law, the basis, the reform, and how figures are worded."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.errors import Fault, FaultyInput, ForecasterError

if TYPE_CHECKING:
    from rich.console import Console

    from forecaster.basis import Basis
    from forecaster.certificate import Record
    from forecaster.need import SpendingOptions
    from forecaster.policy import Policy, Reform
    from forecaster.pools import Pool
    from forecaster.replay import Unpacked
    from forecaster.schemes import Scheme
    from forecaster.theories import Weighting

DEFAULT_HORIZON = 2060
LAST_HORIZON = 2100
# What names of theories begin with; the user may leave it out.
THEORY = "theory_"

SchemeName = Annotated[
    str,
    typer.Argument(
        metavar="SCHEME|POOL",
        help="A shipped scheme such as tw_nhi_2g, a scheme file, or the folder of a pool of your own.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE@DATE", help="Change the law from a day on; may be repeated."),
]
ReformName = Annotated[
    str | None, typer.Option("--reform", metavar="FILE|NAME", help="A reform file, or a shipped one of data/reforms.")
]
BasisName = Annotated[
    str | None,
    typer.Option("--basis", metavar="FILE|NAME", help="An assumption set (docs/bases.md) instead of the pool's fit."),
]
Draws = Annotated[int | None, typer.Option("--draws", min=1, help="Use only so many draws of the fit.")]
Fits = Annotated[
    Path | None,
    typer.Option("--fits", metavar="DIR", help="Use the pool's fit of this folder instead of the reference fit."),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="How spending follows ageing (docs/cli.md); may be repeated."),
]
TheoryName = Annotated[
    str | None,
    typer.Option("--theory", metavar="NAME", help="One theory of cost growth alone, see: forecaster theories."),
]
Json = Annotated[bool, typer.Option("--json", help="Print a machine-readable answer instead of the tables.")]

Horizon = Annotated[
    int | None,
    typer.Option("--horizon", max=LAST_HORIZON, help="Last year; 2060, or a basis file's own when left out."),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="New folder for the tables and the manifest.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier result in DIR.")]
Also = Annotated[
    list[str] | None,
    typer.Option("--also", metavar="FORMAT", help="With --out, also as xlsx, netcdf, zarr or json; repeatable."),
]
Save = Annotated[
    str | None, typer.Option("--save", metavar="WHY", help="Keep the result in the run store, with the reason for it.")
]


@dataclass(frozen=True)
class Given:
    """A basis with the law it stands under and, when it came from a fit, the fit's manifest and its model's record."""

    basis: Basis
    law: Policy
    fit: dict[str, Any] | None
    record: Record | None = None

    def reformed(self, reform: Reform) -> Policy | None:
        """The law with the reform's changes over those that the basis needs; None for the empty reform."""
        from forecaster.policy import Reform

        if not reform.changes:
            return None
        taken = {(change.name, change.start) for change in reform.changes}
        kept = [change for change in self.law.change.changes if (change.name, change.start) not in taken]
        return self.law.reform(Reform((*kept, *reform.changes)))


def read_law(name: str, stack: str | None = None) -> Scheme:
    """The law that is meant: a scheme by its name or file, or the law of a pool by its name or folder.

    With the terms of the benefit stack behind its fund: the shipped one if there is one, or a stack by name or file.
    """
    from forecaster.fund_stack import law_with_stack
    from forecaster.layers import load_stack
    from forecaster.pools import POOL_FILE, find_pool, pool_names
    from forecaster.schemes import load_scheme

    path = Path(name)
    if name in pool_names() or path.is_dir() or (path.is_file() and (path.parent / POOL_FILE).is_file()):
        law = find_pool(name).law
    else:
        law = load_scheme(name)
    return law_with_stack(law, load_stack(stack) if stack is not None else None)


def read_reform(settings: Iterable[str] | None, name: str | None) -> Reform:
    """Changes of ``--reform`` and ``--set`` together."""
    from forecaster.policy import Reform

    own = Reform.parse(settings or ())
    if name is None:
        return own
    filed = Reform.read(reform_path(name))
    both = sorted({(c.name, c.start) for c in own.changes} & {(c.name, c.start) for c in filed.changes})
    if both:
        found = ", ".join(f"{parameter} at {day}" for parameter, day in both)
        fault = Fault("--set and --reform", f"both change {found}", "one value a day", "leave out one of them")
        raise FaultyInput("the reform", [fault])
    return Reform((*filed.changes, *own.changes))


def reform_path(name: str) -> Path:
    """Path of a reform file: the one named, or a shipped one."""
    from forecaster.resources import data_dir

    if name.endswith(".toml"):
        return Path(name)
    path = data_dir() / "reforms" / f"{name}.toml"
    if not path.is_file():
        shipped = ", ".join(sorted(found.stem for found in path.parent.glob("*.toml")))
        raise ForecasterError(f"no reform {name!r}. Shipped reforms: {shipped}; a file's name ends in .toml")
    return path


def read_given(
    scheme: Scheme,
    name: str | None,
    horizon: int | None,
    draws: int | None,
    fits: Path | None = None,
    options: SpendingOptions | None = None,
    theory: str | None = None,
    weighed: Weighting | None = None,
) -> Given:
    """The basis that is asked for (by default the pool's reference fit) with the law it stands under.

    With ``weighed``, weights of theories other than today's, a kept run is made again.

    Raises
    ------
    ForecasterError
        When the basis does not fit the scheme: other categories or items, or years in which the scheme is not law.
    """
    from forecaster.basis import read_basis
    from forecaster.certificate import read_record
    from forecaster.policy import Policy, Reform
    from forecaster.pools import find_pool

    fit, record, law = None, None, Policy(scheme)
    if name is None:
        pool = find_pool(scheme.path)
        ahead = scheme.end and scheme.end.year >= pool.first_year  # a law that ends within the forecast
        last = min(DEFAULT_HORIZON, scheme.end.year) if scheme.end and ahead else DEFAULT_HORIZON
        basis, fit = _fitted(pool, horizon or last, draws, fits, options, theory, weighed)
        record = read_record(pool, fit["inputs"])
    elif fits is not None:
        raise ForecasterError("--basis and --fits: give one of them; a basis file needs no fit")
    elif options is not None or theory is not None:
        told = "--option" if options is not None else "--theory"
        raise ForecasterError(f"--basis and {told}: a basis file holds its outlay; that needs the pool's fit")
    else:
        basis = read_basis(name)
        if draws is not None and draws > basis.n_draws:
            raise ForecasterError(
                f"--draws {draws}: the basis {name} has {basis.n_draws}; a basis file is one path, so leave --draws out"
            )
        law = law.reform(Reform.parse(basis_reform(name)))
        basis = basis if horizon is None else basis.until(horizon)
    _check(basis, scheme)
    return Given(basis, law, fit, record)


def given_again(
    kept: Unpacked, weighed: Weighting | None = None, options: tuple[str, ...] | None = None
) -> tuple[Given, Policy, Policy | None]:
    """Basis, first and second policy of a recorded projection; no second one where only the law was projected.

    With the weights of theories and the options of spending that it was made with, or those given.
    """
    from forecaster.need import SpendingOptions
    from forecaster.policy import Reform

    asked, law = kept.request, read_law(kept.law, kept.stack)
    weighed, texts = weighed or asked.weighed, asked.options if options is None else options
    spending = SpendingOptions.parse(texts) if texts else None
    given = read_given(law, kept.basis, asked.horizon, asked.draws, kept.fits, spending, weighed=weighed)
    after = given.reformed(Reform.parse(asked.changes))
    if asked.first is None:
        return given, given.law, after
    before = given.reformed(Reform.parse(asked.first)) or given.law
    return given, before, after or given.law


def _fitted(
    pool: Pool,
    horizon: int,
    draws: int | None,
    fits: Path | None,
    options: SpendingOptions | None,
    theory: str | None,
    weighed: Weighting | None,
) -> tuple[Basis, dict[str, Any]]:
    from forecaster.fitted import load_fit

    fit = load_fit(pool, fits)
    first = pool.first_year
    if horizon < first:
        raise ForecasterError(f"the forecast of {pool.name} begins in {first}; a horizon of {horizon} lies before it")
    return fit.basis(horizon, draws, options, theory=theory_name(theory), weighed=weighed), fit.manifest


def theory_name(theory: str | None) -> str | None:
    """The whole name of a theory, whose beginning the user may leave out."""
    return theory if theory is None or theory.startswith(THEORY) else THEORY + theory


def basis_path(name: str) -> Path:
    """File of a basis: the one named, or a shipped one."""
    from forecaster.resources import data_dir

    return Path(name) if name.endswith(".toml") else data_dir() / "bases" / f"{name}.toml"


def basis_reform(name: str) -> list[str]:
    """Changes of the law that a basis file needs because they are already within its figures (its key ``reform``)."""
    import tomllib

    path = basis_path(name)
    changes = tomllib.loads(path.read_text(encoding="utf-8")).get("reform", [])
    if not isinstance(changes, list) or not all(isinstance(change, str) for change in changes):
        fault = Fault("reform", repr(changes)[:80], "a list of texts NAME=VALUE@DATE", "write it as in docs/bases.md")
        raise FaultyInput(path.name, [fault])
    return changes


def _check(basis: Basis, scheme: Scheme) -> None:
    last = int(basis.years[-1])
    if scheme.end is not None and last > scheme.end.year:
        from forecaster.schemes import load_scheme, scheme_ids

        schemes = [load_scheme(name) for name in scheme_ids()]
        later = [s.id for s in schemes if s.pool == scheme.pool and s.start > scheme.end]
        hint = f"; later law of this pool: {', '.join(later)}" if later else ""
        raise ForecasterError(f"{scheme.id} was law until {scheme.end}, but the basis reaches {last}{hint}")
    if int(basis.years[0]) < scheme.start.year:
        raise ForecasterError(
            f"{scheme.id} is law from {scheme.start} on, but the basis begins in {basis.years[0]}; use earlier law"
        )
    faults = []
    for where, found, known in (
        ("category_mix", basis.categories, scheme.categories),
        ("supplementary_base", basis.supplementary_base, scheme.supplementary_items),
    ):
        odd = sorted(set(found) - set(known))
        if odd:
            allowed = ", ".join(known) or "none"
            faults.append(Fault(where, ", ".join(odd), allowed, f"use the names of {scheme.id}"))
    if faults:
        raise FaultyInput(f"basis {basis.label!r}", faults)


def refuse_idle(basis: Basis, law: Policy, reform: Policy | None, subject: str = "the reform") -> None:
    """Refuse levers that change nothing in any simulated future: silence would look like an answer.

    Raises
    ------
    FaultyInput
        Naming each of them and the likely reasons.
    """
    from forecaster.attribution import by_lever, idle_levers
    from forecaster.fund_stack import idle_terms, moving_terms
    from forecaster.rules import overridden_rates

    if reform is None:
        return
    last, told = int(basis.years[-1]), overridden_rates(reform, basis.years)
    faults = []
    idle = idle_levers(basis, law, reform)
    # Terms of the stack, and levers that reach them, may leave the fund alone and move other payers and the household.
    of_stack = {change.name for change in moving_terms(basis, reform)}
    idle = (*(name for name in idle if name not in of_stack), *idle_terms(basis, reform, idle))
    for lever in idle:
        changes = by_lever(reform.change)[lever]
        found = f"{'; '.join(map(str, changes))}, which changes nothing through {last}"
        overridden = [text for text in told if text.startswith(f"{lever}=")]
        if overridden:
            mend = f"{overridden[0]}; leave out one of the two"
        elif all(change.start.year > last for change in changes):
            mend = "choose an earlier day or a later horizon"
        else:
            mend = _mend_idle(law, changes[0].name)
        faults.append(Fault(lever, found, "a change that moves the accounts or who pays", mend))
    if faults:
        raise FaultyInput(subject, faults)


def _mend_idle(law: Policy, name: str) -> str:
    parameter = law.scheme.parameters.get(name)
    if parameter is not None and parameter.why_idle:
        return f"{'leave it out' if parameter.not_read else 'move what it acts with too'}; {parameter.why_idle}"
    return (
        "leave it out if the law says so already, or choose a value that something reaches; forecaster check lists "
        "what no projection reads"
    )


def default_start(basis: Basis) -> dt.date:
    """1 January of the second projected year (the first one's rate is decided), of the only one when there is one."""
    return dt.date(int(basis.years[min(1, len(basis.years) - 1)]), 1, 1)


def day_of(text: str, option: str) -> dt.date:
    """A date as YYYY-MM-DD."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ForecasterError(f"{option}: {text!r} is no date; write it as 2027-01-01") from None


def console() -> Console:
    """Where tables are printed; texts are taken as they are."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False)


def error_console() -> Console:
    """Where progress is shown."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def print_json(content: Any) -> None:
    """JSON on standard output; what is not finite becomes null."""
    print(json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if hasattr(content, "item"):
        return _finite(content.item())
    return content if content is None or isinstance(content, str | int | bool) else str(content)


def in_futures(share: float, draws: int) -> str:
    """A chance as a frequency that is never rounded to certainty."""
    if draws == 1:
        return "yes" if share > 0.5 else "no"
    count = round(100.0 * share)
    if share > 0.0 and count == 0:
        return "under 1 of 100"
    if share < 1.0 and count == 100:
        return "over 99 of 100"
    return f"{count} of 100"


def months_word(months: float) -> str:
    """``one month``, ``1.5 months``."""
    return "one month" if months == 1.0 else f"{months:g} months"
