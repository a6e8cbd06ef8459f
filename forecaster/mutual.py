r"""Online mutual aid that shares each year's payments equally after the event, and how it unravels.

Members are of two risks, lower and higher; month by month a member of risk *i* is paid with chance
:math:`q_i m_i / 12`, where the maturity :math:`m_i` rises from 0 (waiting periods, healthy entrants) towards 1. The
levy a year, with mean payment *s* and administration *a*, is

.. math::
    \ell = (1 + a)\,s\,\frac{\sum_i q_i m_i N_i}{\sum_i N_i}

It is the same for everybody, so those of lower risk pay more than they can expect, :math:`v_i = s\,q_i m_i`. They
leave at the monthly rate :math:`h\,(\ell - v_i)_+ / 100`, and the levy of those who stay rises, and so on. People join
as they were seen to until the peak, and no longer after it.

Published members and levies are few and their years disputed (the levy of 91 yuan is dated to 2021 by its source). The
mean chance of a payment and the readiness to leave are fitted to the levy of 2019, the members at the end of 2021 and
all payments together; the speed of maturing, what share is of higher risk, and how much higher, are assumed. So this
shows the mechanism at the true scale; it is no forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from forecaster.observations import load_observations

Array = np.ndarray
HIGHER_SHARE = 0.25  # assumed
HIGHER_RISK = 4.0  # assumed, times that of the lower risk
MONTHS_TO_MATURE = 120.0  # assumed: payments rose all the while
_START = (2018, 10)


@dataclass(frozen=True)
class Published:
    """What is published of Xianghubao; ``members`` in millions by month since the start."""

    members: tuple[tuple[int, float], ...]
    levy_2019: float
    levy_disputed: float
    payments: float
    beneficiaries: float
    administration: float

    @property
    def mean_payment(self) -> float:
        """Mean payment to one beneficiary, CNY."""
        return self.payments * 1e9 / self.beneficiaries


@dataclass(frozen=True)
class Spiral:
    """The run of a mutual-aid plan by month; arrays ``(month,)``.

    Attributes
    ----------
    month
        Calendar month as a year with a fraction.
    members
        Millions at the end of the month.
    higher
        Share of the members who are of higher risk.
    levy
        Levy of the month at a yearly rate, CNY per member.
    payments
        CNY bn in the month, administration included.
    """

    month: Array
    members: Array
    higher: Array
    levy: Array
    payments: Array

    def levy_of(self, year: int) -> float:
        """What a member paid over a calendar year, CNY."""
        return float(self.levy[(self.month >= year) & (self.month < year + 1)].sum() / 12.0)


def published() -> Published:
    """Members, levies and payments as observed (``data/observed/chn/mutual_aid.csv``)."""
    observed = load_observations("chn")

    def value(series: str, period: str) -> float:
        rows = observed.series(series)
        return float(rows.loc[rows["period"] == period, "value"].iloc[-1])

    name = "xianghubao"
    counts = (
        (1, value(f"members_first_10_days|{name}", "2018")),
        (8, value(f"members|{name}", "2019-05")),
        (14, value(f"members|{name}", "2019-11")),
        (19, value(f"members|{name}", "2020-04")),
        (39, value(f"members|{name}", "2021")),
    )
    levies = observed.series(f"levy_per_member|{name}")
    return Published(
        counts,
        float(levies.loc[levies["source"] == "CN-SCMP_XHB_2020", "value"].iloc[0]),
        value(f"levy_per_member|{name}", "2021"),
        value(f"cumulative_payout|{name}", "2022"),
        value(f"cumulative_beneficiaries|{name}", "2022"),
        value(f"administration_share_of_payout|{name}", "2019"),
    )


def run_plan(seen: Published, chance: float, readiness: float, months: int) -> Spiral:
    """Run the plan month by month from October 2018.

    Parameters
    ----------
    chance
        Mean yearly chance of a payment to a matured member of the first months' mix.
    readiness
        Monthly rate of leaving for each 100 CNY by which the levy exceeds one's own expected payment.
    months
        How many to run; beyond 40 it is what would have come without the closure of January 2022.
    """
    peak = max(seen.members, key=lambda entry: entry[1])[0]
    known = np.array([entry for entry in seen.members if entry[0] <= peak])
    path = np.interp(np.arange(1, peak + 1), known[:, 0], known[:, 1])
    joiners = np.diff(np.concatenate([[0.0], path]))
    mix = np.array([1.0 - HIGHER_SHARE, HIGHER_SHARE])
    risk = np.array([1.0, HIGHER_RISK])
    chances = chance * risk / (mix @ risk)
    worth = chances * seen.mean_payment
    counts, mature = np.zeros(2), np.zeros(2)
    rows = np.empty((months, 4))
    for t in range(months):
        new = joiners[t] * mix if t < peak else np.zeros(2)
        mature = mature * counts / np.maximum(counts + new, 1e-12)
        mature += (1.0 - mature) / MONTHS_TO_MATURE
        counts = counts + new
        levy = (1.0 + seen.administration) * float(worth @ (mature * counts)) / counts.sum()
        paid = levy / 12.0 * counts.sum() / 1e3
        left = np.minimum(readiness * np.maximum(levy - worth * mature, 0.0) / 100.0, 1.0)
        counts = counts * (1.0 - left)
        rows[t] = counts.sum(), counts[1] / counts.sum(), levy, paid
    month = _START[0] + (_START[1] - 1 + np.arange(months)) / 12.0
    return Spiral(month, *rows.T)


@dataclass(frozen=True)
class SpiralFit:
    """The plan fitted to its published figures; see :func:`run_plan` for the two numbers."""

    seen: Published
    chance: float
    readiness: float

    def run(self, months: int = 40) -> Spiral:
        """The plan's run."""
        return run_plan(self.seen, self.chance, self.readiness, months)


def fit_spiral(seen: Published | None = None) -> SpiralFit:
    """Fit chance and readiness to the levy of 2019, the members at the end of 2021 and all payments."""
    seen = published() if seen is None else seen
    last, members = seen.members[-1]

    def misfit(values: Array) -> Array:
        plan = run_plan(seen, float(np.exp(values[0])), float(np.exp(values[1])), 40)
        found = np.array([plan.levy_of(2019), plan.members[last - 1], plan.payments.sum()])
        return np.log(found / np.array([seen.levy_2019, members, seen.payments]))

    start = np.log([5e-3, 0.03])
    found = least_squares(misfit, start, bounds=(np.log([1e-5, 1e-5]), np.log([0.1, 2.0])))
    return SpiralFit(seen, *np.exp(found.x).tolist())
