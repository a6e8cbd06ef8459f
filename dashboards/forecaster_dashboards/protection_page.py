"""The page of protection: who pays which part of a year's spending on care, layer by layer, and what changes of it "
"do."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from forecaster.benefits import OUT_OF_POCKET, evaluate, pay_claims
from forecaster.errors import ForecasterError
from forecaster.household import ALL, household_measures, shipped_laws
from forecaster.household_people import read_households
from forecaster.layers import Stack, load_stack
from forecaster.policy import Change, Policy, Reform
from forecaster.resources import data_dir
from forecaster_dashboards import address, charts, fund_care, language, state, words
from forecaster_dashboards.kept import kept
from forecaster_dashboards.language import _, number, percent, said
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import detail, draw, fragment, notes, sheet, table

CLAIMS = 60
HOUSEHOLDS = 20000
LARGEST = (50_000, 200_000, 500_000, 1_000_000)


def show(ref: Reference) -> None:
    """Draw the page."""
    _body(ref)


@kept(1)
def stacks() -> dict[str, Stack]:
    """Stacks of layers by name, shipped ones that can be read."""
    found = {}
    for path in sorted((data_dir() / "stacks").glob("*.toml")):
        try:
            found[path.stem] = load_stack(path.stem)
        except ForecasterError:
            continue
    return found


@kept(64)
def _means(name: str, token: str, year: int) -> dict[str, float]:
    """Mean payment per insured and year by payer, money of the year."""
    stack = stacks()[name]
    result = evaluate(stack, Policy(stack.law, _reform(token)), np.array([year]))
    return dict(zip(result.payers, result.per_head()[:, 0, :].mean(axis=1).tolist(), strict=True))


def _reform(token: str) -> Reform:
    return Reform.parse(token.split(";")) if token else Reform()


def payer_names(stack: Stack) -> dict[str, str]:
    """Payers in the order in which they pay, the household last."""
    names = {layer.id: said(layer.label) for layer in stack.ordered(None)}
    return names | {OUT_OF_POCKET: _("Paid by the household")}


@fragment
def _body(ref: Reference) -> None:
    known = {
        name: stack
        for name, stack in stacks().items()
        if ref.place.upper() == "TWN" or stack.file.place.upper() == ref.place.upper()
    }
    if not known:
        st.info(_("No layers of benefits are held for this place."))
        return
    if ref.place.upper() != "CHN":
        st.caption(
            _("The layers held are those of mainland China; this fund's own co-payments stand among its levers.")
        )
    if st.session_state.get("stack_pool") != ref.pool:
        # Another fund has been chosen: the layers behind it come first.
        own = ref.stack.id if ref.stack and ref.stack.id in known else next(iter(known))
        st.session_state.update({"stack_pool": ref.pool, "stack": own})
    notes(_arrived(known, ref))
    one, two, three = st.columns([2, 1, 1])
    chosen = one.selectbox(
        _("Whose care"), list(known), key="stack", format_func=lambda name: said(known[name].file.label),
        persist_state="session",
    )  # fmt: skip
    stack = known[chosen]
    years = _years(stack, ref)
    first = years[0]
    if st.session_state.get("stack_year") not in years:
        st.session_state["stack_year"] = min(max(ref.first_year, first), years[-1])
    st.session_state.setdefault("stack_largest", LARGEST[1])
    year = two.selectbox(
        _("Year"), years, key="stack_year",
        persist_state="session",
    )  # fmt: skip
    largest = three.selectbox(
        _("Spending up to"), LARGEST, key="stack_largest", persist_state="session",
        format_func=lambda value: language.currency_amount(value, stack.law.currency),
    )  # fmt: skip
    try:
        law, reform = Policy(stack.law), _changes(stack, year)
        group, covered = _person(stack, law, year)
        _hold(stack, year, largest, group, covered, reform)
        left, right = st.columns(2, gap="large")
        claims = np.linspace(largest / CLAIMS, largest, CLAIMS)
        both = [
            pay_claims(stack, policy, year, claims, group=group, covered=covered)
            for policy in (law, Policy(stack.law, reform))
        ]
        names = payer_names(stack)
        paying = [name for i, name in enumerate(names) if any(float(paid[i].max()) > 0.0 for paid in both)]
        for column, title, paid in zip((left, right), words.scenarios().values(), both, strict=True):
            with column:
                _picture(stack, claims, dict(zip(names, paid, strict=True)), paying, title)
        _averages(chosen, stack, reform, year)
        _households(stack, reform, year)
        fund_care.show(ref, stack, reform)
    except ForecasterError as error:
        st.error(_("These terms contradict each other. Put one of them back."))
        detail(error)


def _years(stack: Stack, ref: Reference) -> list[int]:
    return list(range(stack.law.start.year + 1, ref.last_start_year + 1))


def _offered(stack: Stack) -> list[str]:
    """Terms that the reader may change."""
    return [n for n, p in stack.law.parameters.items() if p.lever and p.bounds and not n.startswith("share.")]


def _hold(stack: Stack, year: int, largest: int, group: str, covered: tuple[str, ...], reform: Reform) -> None:
    """Keep what the page shows in the address: stack, year, largest spending, group, its layers, changed terms."""
    parameters = stack.law.parameters
    terms = [f"{c.name}:{state.shown(parameters[c.name], float(c.value)):g}" for c in reform.changes]
    address.hold(address.CARE, "~".join([stack.id, str(year), str(largest), group, ",".join(covered), *terms]))


def _arrived(known: Mapping[str, Stack], ref: Reference) -> list[str]:
    """Put what the address asks for where the widgets find it; a sentence for every piece that is not taken."""
    text = address.arrived(address.CARE)
    if not text:
        return []
    pieces = text.split("~")
    if len(pieces) < 5 or len(text) > address.LONGEST or pieces[0] not in known:
        return [state.dropped(text)]
    name, year, largest, group, covered, *terms = pieces
    stack = known[name]
    if year not in map(str, _years(stack, ref)):
        return [state.dropped(year)]
    wanted: dict[str, Any] = {"stack": name, "stack_year": int(year)}
    said = []
    if largest in map(str, LARGEST):
        wanted["stack_largest"] = int(largest)
    else:
        said.append(state.dropped(largest))
    if group in stack.groups:
        wanted[f"group.{name}"] = group
        able = _optional(stack, Policy(stack.law), int(year), group)
        layers = [layer for layer in covered.split(",") if layer in able]
        wanted[f"covered.{name}.{group}"] = layers
        said += [state.dropped(layer) for layer in covered.split(",") if layer and layer not in able]
    else:
        said.append(state.dropped(group))
    moved = []
    for term in terms:
        parameter, _sep, value = term.partition(":")
        shown = _lawful(stack, parameter, value)
        if shown is None:
            said.append(state.dropped(term))
        else:
            moved.append(parameter)
            wanted[f"term.{name}.{parameter}.{year}"] = shown
    st.session_state.update(wanted | {f"terms.{name}": moved})
    return said


def _lawful(stack: Stack, name: str, text: str) -> float | None:
    """A term's shown value out of an address; None where it is no term, no number or beyond its bounds."""
    if name not in _offered(stack) or not re.fullmatch(r"\d{1,9}(\.\d{1,4})?", text):
        return None
    low, high = (
        state.shown(stack.law.parameters[name], bound) for bound in stack.law.parameters[name].bounds or (0, 0)
    )
    return float(text) if low <= float(text) <= high else None


def _optional(stack: Stack, law: Policy, year: int, group: str) -> dict[str, float]:
    """Layers that some of a group have and others not, with the share that has them."""
    return {name: share for name, share in coverage(stack, law, year, group).items() if 0.0 < share < 1.0}


def _changes(stack: Stack, year: int) -> Reform:
    """Terms that the reader has moved, from the year shown on."""
    law = Policy(stack.law)
    offered = _offered(stack)
    layers = {layer.id: said(layer.label) for layer in stack.ordered(None)}

    def title(name: str) -> str:
        layer, _sep, _rest = name.partition(".")
        label = said(stack.law.parameters[name].label)
        return f"{layers[layer]}{_(': ')}{label}" if layer in layers else label

    chosen = st.multiselect(
        _("Change these terms"),
        offered,
        key=f"terms.{stack.id}",
        format_func=title,
        placeholder=_("choose terms"),
        select_all=False,
    )
    changes = []
    columns = st.columns(2, gap="large")
    for i, name in enumerate(chosen):
        parameter = stack.law.parameters[name]
        steps = state.grid(parameter)
        low, high = (state.shown(parameter, bound) for bound in parameter.bounds or (0.0, 0.0))
        today = float(law.path(name, np.array([year]))[0])
        key = f"term.{stack.id}.{name}.{year}"
        st.session_state.setdefault(key, round(state.shown(parameter, today), steps.decimals))
        unit = words.unit(parameter, steps.scale)
        named = _("{label}, {unit}", label=title(name), unit=unit) if unit else title(name)
        law_value = number(state.shown(parameter, today), steps.decimals)
        value = columns[i % 2].number_input(
            words.with_note(named, _("today: {value}", value=law_value)),
            low, high, step=steps.step, format=f"%.{steps.decimals}f", key=key,
        )  # fmt: skip
        meant = state.meant(parameter, float(value))
        if abs(meant - today) > 10.0 ** (-steps.decimals) / steps.scale / 2:
            changes.append(Change(name, dt.date(year, 1, 1), meant))
    return Reform(tuple(changes))


def _person(stack: Stack, law: Policy, year: int) -> tuple[str, tuple[str, ...]]:
    """For whom the picture is drawn: a group, and the layers that only some of it have."""
    left, right = st.columns(2, gap="large")
    groups = stack.file.groups
    st.session_state.setdefault(f"group.{stack.id}", stack.groups[-1])
    group = left.selectbox(
        _("A person among"), list(stack.groups), key=f"group.{stack.id}",
        format_func=lambda name: said(groups[name].label),
    )  # fmt: skip
    names = payer_names(stack)
    shares = _optional(stack, law, year, group)
    covered = right.multiselect(
        _("who is also covered by"), list(shares), key=f"covered.{stack.id}.{group}",
        format_func=lambda name: words.with_note(names[name], percent(shares[name])),
        help=_("In brackets the share of the group that has it."), placeholder=_("nothing else"),
        select_all=False,
    )  # fmt: skip
    return group, tuple(covered)


def coverage(stack: Stack, law: Policy, year: int, group: str) -> dict[str, float]:
    """Share of a group that each layer covers."""
    from forecaster.layers import stack_terms

    terms = stack_terms(stack, law, np.array([year]), group)
    names = [layer.id for layer in stack.ordered(None)]
    return dict(zip(names, terms.coverage[:, 0].tolist(), strict=True))


def _picture(stack: Stack, claims: np.ndarray, paid: dict[str, np.ndarray], paying: list[str], title: str) -> None:
    """Who pays which part of a year's spending, from the first unit of money to the largest."""
    known = payer_names(stack)
    names = {name: known[name] for name in paying}
    rows = [
        {"series": payer, "year": float(claim), "value": float(100.0 * part / claim)}
        for payer in names
        for claim, part in zip(claims, paid[payer], strict=True)
    ]
    currency = stack.law.currency
    spec = charts.stacked_chart(
        rows, names, title=title, unit=_("% of the spending"), area=True, rest=OUT_OF_POCKET,
        x_title=_("a year's spending on care, {currency}", currency=language.money_unit(currency)),
    )  # fmt: skip
    last = " ".join(f"{names[payer]}: {percent(float(paid[payer][-1] / claims[-1]))}." for payer in names)
    draw(spec, _("Of {amount}: {parts}", amount=language.currency_amount(float(claims[-1]), currency), parts=last))


def _averages(name: str, stack: Stack, reform: Reform, year: int) -> None:
    """What each payer pays in the mean of all insured people."""
    today, after = _means(name, "", year), _means(name, reform.token, year)
    names = payer_names(stack)
    whole = sum(today.values())
    unit = language.money_unit(stack.law.currency)
    title = _("Mean of all insured people in {year}, {currency} a head", year=year, currency=unit)
    st.markdown(f"**{title}**")
    columns = {
        _("payer"): np.array([names[payer] for payer in today], dtype=object),
        words.scenarios()["today"]: np.array(list(today.values())),
        words.scenarios()["reform"]: np.array(list(after.values())),
        _("difference"): np.array([after[payer] - today[payer] for payer in today]),
        _("share today, %"): np.array([100.0 * value / whole for value in today.values()]),
    }
    table(columns)
    st.caption(
        _(
            "Exact means over a fitted distribution of spending, not a rate applied to mean spending: a deductible "
            "bites on small claims and a ceiling on large ones. Terms without a source are marked assumed in the "
            "layer's file."
        )
    )


@kept(32)
def _measures(name: str, token: str, year: int) -> pd.DataFrame:
    """Share of the nation's households in need after each payer: ``stage``, ``measure``, ``value``."""
    file = read_households()
    stack = stacks()[name]
    changed = {name: (stack, Policy(stack.law, _reform(token)))}
    found = household_measures(file, shipped_laws(file, changed), year, HOUSEHOLDS).measures
    return found[found["place"] == ALL]


def _households(stack: Stack, reform: Reform, year: int) -> None:
    """Households in need before any payer and after each of them."""
    title = _("Households in need before and after each payer")
    with st.expander(title, key="households", on_change="rerun") as opened:
        if not opened.open:
            return
        if stack.id not in read_households().stacks:
            st.caption(_("No households are held for this group."))
            return
        with st.spinner(_("Drawing households ...")):
            both = [_measures(stack.id, token, year) for token in ("", reform.token)]
        kinds = {layer.kind: said(layer.label) for held in stacks().values() for layer in held.layers}
        kinds["basic"] = _("Basic insurance")
        stages = list(dict.fromkeys(both[0]["stage"]))
        columns: dict[str, np.ndarray] = {
            _("after"): np.array([kinds.get(stage, _("before any payer")) for stage in stages], dtype=object)
        }
        for measure, label in words.measures_of_need().items():
            for scenario, frame in zip(words.scenarios().values(), both, strict=True):
                values = frame[frame["measure"] == measure].set_index("stage")["value"]
                columns[f"{scenario}: {label}"] = 100.0 * values.reindex(stages).to_numpy(float)
        sheet(columns, digits=2)
        st.caption(
            _(
                "All households of mainland China, urban and rural, drawn to published means and fifths of income; "
                "spending on care from the fitted distributions. Many figures behind it are assumed: docs/stack.md."
            )
        )
