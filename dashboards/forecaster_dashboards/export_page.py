"""The page of downloads: tables, workbook, pictures, the scenario itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import streamlit as st
import tomlkit

from forecaster.export import (
    REFORM,
    Scenario,
    csv_bytes,
    forecast_table,
    marked,
    probability_table,
    projection_workbook,
)
from forecaster.manifest import run_manifest
from forecaster.policy import Policy, Reform
from forecaster_dashboards import charts, downloads, figures, fund_page, language
from forecaster_dashboards.language import _
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import View, fragment, view_of

WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def show(ref: Reference) -> None:
    """Draw the page."""
    downloads.spare()
    _body(ref)


@fragment
def _body(ref: Reference) -> None:
    view = view_of(ref)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(_("Tables"), anchor=False)
        st.markdown(
            _(
                "Both scenarios and their difference: mean and quantiles by line and year, in full precision and in "
                "English."
            )
        )
        _files(view)
        st.subheader(_("The scenario itself"), anchor=False)
        _scenario(view)
    with right:
        st.subheader(_("Pictures"), anchor=False)
        _pictures(view)


def scenarios(view: View) -> tuple[Scenario, ...]:
    """What the downloaded tables hold: the baseline, and the reform if there is one."""
    both = (view.today.scenario, view.outcome.scenario)
    return both if both[1].name == REFORM else both[:1]


def manifest(view: View) -> dict[str, Any]:
    """What the downloaded tables were made from."""
    basis = view.today.basis
    reform = view.outcome.policy if view.outcome.scenario.name == REFORM else None
    return run_manifest(basis, view.ref.law, reform, view.ref.manifest or None, view.ref.record)


def _download(label: str, made: Callable[[], bytes], file: str, mime: str, key: str) -> None:
    """A button whose file is made when it is pressed, in the reader's language."""
    st.download_button(
        label, language.bound(made), file, mime, key=f"download.{key}", on_click="ignore", width="stretch",
        icon=":material/download:",
    )  # fmt: skip


def _files(view: View) -> None:
    both, stem, warnings = scenarios(view), f"{view.ref.scheme.id}-{view.levers.horizon}", view.ref.warnings
    _download(
        _("Workbook (XLSX)"),
        lambda: projection_workbook(both, [], manifest(view)),
        f"{stem}.xlsx",
        WORKBOOK,
        "workbook",
    )
    _download(
        _("Forecast table (CSV)"), lambda: csv_bytes(marked(forecast_table(both), warnings)), f"{stem}-forecast.csv",
        "text/csv", "forecast",
    )  # fmt: skip
    _download(
        _("Probabilities by year (CSV)"), lambda: csv_bytes(marked(probability_table(both), warnings)),
        f"{stem}-probabilities.csv", "text/csv", "probabilities",
    )  # fmt: skip
    _download(
        _("Manifest (JSON)"), lambda: json.dumps(manifest(view), indent=2, ensure_ascii=False).encode(),
        f"{stem}-manifest.json", "application/json", "manifest",
    )  # fmt: skip


def _pictures(view: View) -> None:
    st.markdown(_("As the pages draw them, made on this machine without the network, in the language of the page."))
    names = figures.fitting(view)
    chosen = st.selectbox(_("Chart"), names, key="picture", format_func=lambda name: figures.FIGURES[name].title())
    stem = f"{view.ref.scheme.id}-{view.levers.horizon}-{chosen.replace('_', '-')}"
    for kind, made, mime in (("PNG", charts.png, "image/png"), ("SVG", charts.svg, "image/svg+xml")):
        _download(
            _("Picture ({kind})", kind=kind),
            lambda made=made: made(charts.warned(figures.FIGURES[chosen].made(view)[0], view.ref.warnings)),  # type: ignore[misc]
            f"{stem}.{kind.lower()}",
            mime,
            f"picture.{kind.lower()}",
        )
    figures.show(view, chosen)


def reform_file(law: Policy, reform: Reform, fit_hash: str) -> str:
    """The reform as a file like those of ``data/reforms``, which ``forecaster project --reform FILE`` reads."""
    document = tomlkit.document()
    document.add(tomlkit.comment(f"A scenario of the dashboard, made on the fit {fit_hash[:12]}."))
    document.add("scheme", tomlkit.item(law.scheme.id))
    document.add("label", tomlkit.item("Scenario from the dashboard"))
    document.add("status", tomlkit.item("assumed"))
    changes = tomlkit.aot()
    for change in reform.changes:
        entry = tomlkit.table()
        entry.add("parameter", change.name)
        entry.add("from", tomlkit.item(change.start))
        entry.add("value", tomlkit.item(change.value))
        changes.append(entry)
    document.add("changes", changes)
    return tomlkit.dumps(document)


def _scenario(view: View) -> None:
    if not view.reform.changes:
        st.caption(_("All levers stand at today's law, so there is no reform to download."))
    else:
        st.markdown(_("A reform file: the command line reads it with --reform, and others can cite it."))
        text = reform_file(view.ref.law, view.reform, view.ref.fit_hash)
        _download(_("Reform (TOML)"), text.encode, f"{view.ref.scheme.id}-reform.toml", "application/toml", "reform")
    fund_page.share(view)
