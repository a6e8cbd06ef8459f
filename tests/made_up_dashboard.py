"""The dashboard on a made-up fund: the tests' script for Streamlit, ready at once and the same every time."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from forecaster.engine import project
from forecaster.fund_stack import law_with_stack
from forecaster.policy import Policy
from forecaster.pools import find_pool
from forecaster_dashboards import main, references
from forecaster_dashboards.references import Reference

TESTS = str(Path(__file__).resolve().parent)
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)

from funds import mainland_basis, random_basis  # noqa: E402

QUANTILES = ("q2.5", "q10", "q25", "q50", "q75", "q90", "q97.5")
GAP = range(2017, 2020)


def made_up_history() -> pd.DataFrame:
    """Fifteen years of a fund, three of them without published figures."""
    years = np.arange(2011, 2026)
    levels = {"outgo": 500 + 25.0 * (years - 2011), "income": 520 + 23.0 * (years - 2011)}
    levels["reserve"] = 30 + np.cumsum(levels["income"] - levels["outgo"]) * 0.9
    parts = []
    for line, values in levels.items():
        for year, value in zip(years.tolist(), values.tolist(), strict=True):
            gap = year in GAP
            spread = 0.03 * abs(value) * np.array([-2, -1.3, -0.7, 0, 0.7, 1.3, 2]) * gap
            row = {"line": line, "year": year, "mean": value, **dict(zip(QUANTILES, value + spread, strict=True))}
            unit = "TWD bn" if line == "reserve" else "TWD bn per year"
            parts.append(
                row | {"unit": unit, "kind": "estimated" if gap else "published", "source": "fit" if gap else "TW-S01"}
            )
    return pd.DataFrame(parts)


def made_up_reference(pool: str = "tw_nhi", n_draws: int = 400) -> Reference:
    """Reference of the made-up fund; its manifest looks like a fit's."""
    fund, law = random_basis(n_draws=n_draws, n_years=35, seed=1), Policy(find_pool(pool).law)
    # Brought into balance in its tenth year, so that the outcome hangs on the levers.
    result = project(fund, law)
    basis = replace(fund, outlay=fund.outlay * np.median(result.total_income[9]) / np.median(result.outgo[9]))
    block = {"accepted": True, "max_rhat": 1.004, "min_ess_bulk": 900.0, "divergences": 0}
    manifest = {"hash": basis.hash, "accepted": True, "quick": False, "seed": 1, "blocks": {"fund": block}}
    return Reference(pool, "TWN", law, basis, made_up_history(), manifest)


def residents_reference() -> Reference:
    """Mainland China's residents' fund on three made-up draws, with the layers of benefits behind it."""
    law = Policy(law_with_stack(find_pool("cn_urrbmi").law))
    return Reference("cn_urrbmi", "CHN", law, mainland_basis("cn_urrbmi"), made_up_history())


if __name__ == "__main__":
    # Streamlit runs this file as the main script.
    import streamlit as st

    references.obtain = made_up_reference
    references.served_pools = lambda: {"tw_nhi": find_pool("tw_nhi")}
    main.run(opened=st.session_state.get("page", "fund"))
