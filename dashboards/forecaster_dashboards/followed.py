"""The promoted baseline that the fund's page follows: whichever run holds the name today (docs/runs.md)."""

from __future__ import annotations

import html
import io
import os
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from forecaster.errors import ForecasterError
from forecaster.policy import Reform
from forecaster.reconcile import World, recorded_world
from forecaster.store import Promotion, Run, Store, open_store
from forecaster_dashboards import access, levers, saved, words
from forecaster_dashboards.kept import kept
from forecaster_dashboards.language import _
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import detail, table

# Name of the baseline in the environment, and where nothing stands there.
BASELINE, DEFAULT = "FORECASTER_BASELINE", "official"


@dataclass(frozen=True)
class Followed:
    """The run that holds the name, with its own tables as they were recorded."""

    promotion: Promotion
    run: Run
    world: World


def followed(held: Store, ref: Reference) -> Followed | None:
    """The baseline of a pool's law: the holder of ``NAME-POOL``, else of ``NAME``; None where neither is of that law.

    Raises
    ------
    ForecasterError
        When the store does not answer, or the run is damaged.
    """
    name, baselines = os.environ.get(BASELINE, DEFAULT), held.baselines()
    for wanted in (f"{name}-{ref.pool}", name):
        if wanted not in baselines:
            continue
        run = held.find(baselines[wanted].run_id)
        if run.kind in {"projection", "scenario"} and run.manifest["scheme"]["id"] == ref.scheme.id:
            return Followed(baselines[wanted], run, _recorded(held.address, run.id))
    return None


def show(ref: Reference) -> None:
    """The baseline's figures below the page's own; nothing where no run holds the name."""
    held = saved.store()
    if held is None:
        return
    try:
        found = followed(held, ref)
        if found is None:
            return
        told, columns = origin(ref, found, named=access.may_save()), figures_of(found.world)
    # Whatever a damaged run, or one that another program kept, may lack: the page goes on without it.
    except (ForecasterError, LookupError, TypeError, ValueError) as error:
        st.warning(_("The promoted baseline cannot be shown: its run is damaged or the store does not answer."))
        detail(error)
        return
    with st.container(key="followed"):
        st.subheader(_("Baseline “{name}”", name=found.promotion.name), anchor=False)
        # As text: what people wrote must not become markup.
        st.html("<ul>" + "".join(f"<li>{html.escape(part)}</li>" for part in told) + "</ul>")
        table(columns)


@kept(8)
def _recorded(address: str, run_id: str) -> World:
    """What a run recorded, its files checked against their hashes; a run never changes."""
    held = open_store(address)
    run = held.find(run_id)
    return recorded_world(*(pd.read_csv(io.BytesIO(held.read(run, f"{t}.csv"))) for t in ("forecast", "probabilities")))


def origin(ref: Reference, found: Followed, *, named: bool) -> tuple[str, ...]:
    """Which run it is and what it was made from; ``named``: also who made it the baseline and why."""
    run, given, day = found.run, found.promotion, found.promotion.at[:10]
    reform = run.manifest["reform"]
    changes = Reform.parse(reform["changes"]).changes if reform else ()
    known = ref.scheme.parameters
    # What today's law no longer knows is told as the run has it.
    law = [levers.change_words(ref, change) if change.name in known else str(change) for change in changes]
    fit = run.manifest["fit"]
    same = fit is not None and fit["sha256"] == ref.fit_hash
    return (
        _("Run {run}, promoted on {day} by {who}: {why}", run=run.short, day=day, who=given.who, why=given.why)
        if named
        else _("Run {run}, promoted on {day}", run=run.short, day=day),
        _("It takes today's law with these changes: {changes}", changes=_("; ").join(law))
        if law
        else _("It takes the law as it stands."),
        _("It was made from the fit that this page shows.")
        if same
        else _("It was made from another fit than this page shows: its figures are those recorded then."),
    )


def figures_of(world: World) -> dict[str, np.ndarray]:
    """Reserve in months with its 80% band, and the chances, as the run recorded them; each fifth year."""
    months = world.forecast[world.forecast["line"] == "reserve_months"].set_index("year")
    chances = world.probabilities.set_index("year")
    years = [year for year in months.index if year in {months.index[0], months.index[-1]} or year % 5 == 0]
    bands = words.quantiles()
    names = {"low80": "q0.1", "median": "q0.5", "high80": "q0.9"}
    unit = _("Reserve in months")
    return {
        _("Year"): np.array(years),
        **{f"{unit}{_(': ')}{bands[name]}": months.loc[years, column].to_numpy() for name, column in names.items()},
        _("fell below, %"): 100.0 * chances.loc[years, "below_floor_by_year"].to_numpy(),
        _("ran out, %"): 100.0 * chances.loc[years, "depleted_by_year"].to_numpy(),
    }
