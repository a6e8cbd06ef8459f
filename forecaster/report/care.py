"""Adequacy of benefits, where a benefit stack stands behind the fund: who pays for care, and households in need."""

from __future__ import annotations

from collections.abc import Iterator

from forecaster.benefits import OUT_OF_POCKET
from forecaster.fund_stack import LawWithStack
from forecaster.household import ALL
from forecaster.language import said
from forecaster.report.blocks import Block, Paragraph, Table
from forecaster.report.material import Material
from forecaster.report.texts import Texts

# A payer of less than this in every year is not shown, in the pool's unit of money.
_LEAST = 0.05


def who_pays(m: Material, t: Texts) -> Iterator[Block]:
    """Payers of the members' care by year, and shares of households in need after all of them."""
    care, need = m.table("care"), m.table("need")
    if not len(care) or not isinstance(m.scheme, LawWithStack):
        return
    stack = m.scheme.stack
    fund = stack.file.fund.pays if stack.file.fund else ()
    labels = {layer.id: said(layer.label) + (" *" if layer.id in fund else "") for layer in stack.layers}
    labels |= {OUT_OF_POCKET: t("out_of_pocket"), ALL: t("all_payers")}
    paid = care.set_index(["payer", "year"])["mean"].to_dict()
    rows = [
        (label, *(m.amount(paid[payer, year]) for year in m.key_years))
        for payer, label in labels.items()
        if max(paid[payer, year] for year in m.key_years) >= _LEAST
    ]
    yield Table(t("care_head", money=m.money), (t("payer"), *map(str, m.key_years)), tuple(rows))
    if len(need):
        nation = need[need["place"] == ALL]
        years = sorted(set(nation["year"]))
        found = nation.set_index(["measure", "year"])
        cells = tuple(
            (t(f"need_{measure}"), *(_band(found.loc[(measure, year)].to_dict()) for year in years))
            for measure in dict.fromkeys(nation["measure"])
        )
        yield Table(t("need_head"), (t("households"), *map(str, years)), cells)
    assumed = sum(parameter.values[-1].status == "assumed" for parameter in stack.law.parameters.values())
    yield Paragraph(t("care_note", n=assumed), "note")


def _band(row: dict[str, float]) -> str:
    return f"{row['q0.5']:.2%} ({row['q0.1']:.2%} ... {row['q0.9']:.2%})"
