"""All words of the dashboard."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

TITLE = "Will the fund last?"
PAGE_FUND, PAGE_EVIDENCE = "Fund", "Sources and evidence"
APP_NAME = "Insurance pool forecaster"
LOADING = "Loading the fit and drawing 4,000 futures from it ..."
NO_FIT = "There is no accepted fit to show."

YEAR, LINE, EVENT, SERIES_TITLE = "Year", "Line", "Event", "Scenario"
CHANCE, SHARE_OF_FUTURES = "chance", "share of futures"
PERCENT_RATE = "% of the insured amounts"
SERIES = {
    "published": "Published",
    "estimated": "Estimated",
    "today": "Today's law",
    "reform": "Your reform",
}
SCENARIOS = {"today": "Today's law", "reform": "Your reform"}
LINES = {
    "income": "Income",
    "outgo": "Outgo",
    "total_income": "Income",
    "balance": "Balance",
    "reserve": "Reserve at year end",
    "reserve_months": "Reserve at year end",
}
PAYERS = {
    "insured": "Insured people",
    "employers": "Employers",
    "government": "Government, as employer too",
    "earmarked_and_other": "Tobacco surcharge, lottery, other",
    "investment": "The fund's own yield",
    "total": "All",
}
EVENTS = {"below": "has fallen below the law's least reserve", "depleted": "has run out"}
QUANTILES = {
    "low95": "2.5% are below",
    "low80": "10% are below",
    "low50": "25% are below",
    "median": "median",
    "high50": "75% are below",
    "high80": "90% are below",
    "high95": "97.5% are below",
}

# ---- levers
LEVERS = "Levers"
START = "The reform starts on"
HORIZON = "Show until"
RESET = "Back to today's law"
FOLLOWS = "Follows the general rate, as Article 33 has it"
FOLLOWS_HELP = (
    "The law moves this rate in proportion to the general rate, rounded to a hundredth of a percent. "
    "Switch off to set it yourself."
)
MORE_LEVERS = "More levers"
LONG_PAST = "Show the whole past"
SHOWN_UNITS = {
    "share": "%",
    "persons": "persons",
    "TWD": "TWD",
    "TWD per month": "TWD a month",
    "TWD bn per year": "TWD bn a year",
    "months": "months",
    "times": "times",
}
MILLIONS = "TWD million"
SHORT_LABELS = {
    "supplementary_threshold.fees": "Threshold: professional fees",
    "supplementary_threshold.dividends": "Threshold: dividends",
    "supplementary_threshold.interest": "Threshold: interest",
    "supplementary_threshold.rent": "Threshold: rent",
    "supplementary_ceiling": "Ceiling of one payment",
    "average_dependants": "Announced average number of dependants",
    "government_floor_share": "Least share of the government",
    "government_injection": "Extra government money",
    "budget_growth_adjustment": "Addition to yearly budget growth",
    "copayment_reform_yield": "Gain from further co-payments",
}
STARTS_LATE = "The reform starts after the last year shown, so both scenarios are equal there."
REFUSED = "These levers cannot be projected, so the page shows today's law:"


def lever_help(label: str, article: str, bounds: str, bounds_source: str, source: str, status: str) -> str:
    """What stands behind a lever's question mark."""
    return f"{label} ({article}). Bounds {bounds}: {bounds_source}. Today's value: source {source}, {status}."


def law_mark(value: str, since: dt.date, source: str) -> str:
    """Note under the general rate's slider."""
    return f"today's law {value} (since {since.isoformat()}, {source})"


def limit_note(limit: str, source: str) -> str:
    """The highest admissible value and who says so."""
    return f"Upper end {limit}: {source}"


def law_note(value: str) -> str:
    """Today's value of a secondary lever."""
    return f"today's law: {value}"


# ---- what the link dropped
LINK_UNREADABLE = "The link's scenario could not be read, so all levers stand at today's law."
LINK_OTHER_LAW = "The link was made for another law or version of this page, so all levers stand at today's law."
LINK_RESTORED = "The levers stand as the link has them."


def link_other_fit(found: str, here: str) -> str:
    """The link was made on another fit."""
    return f"The link was made with the fit {found}; the figures here come from the fit {here} and can differ."


def link_dropped(what: str, text: str) -> str:
    """A piece of the link that was not used."""
    return f"Not taken from the link: {what} {text[:60]!r}."


def link_refused(label: str, reason: str) -> str:
    """A value that the engine refuses."""
    return f"Not taken from the link: {label}. {' '.join(reason.split())}"


def link_rounded(label: str, found: float, used: float) -> str:
    """A value between the steps of its lever."""
    return f"{label}: the link has {found:g}, the lever's nearest step {used:g} is used."


def link_missing(labels: Iterable[str]) -> str:
    """Levers that the link leaves out."""
    return f"Not in the link, so at today's law: {'; '.join(labels)}."


def link_untied(found: float, tied: float) -> str:
    """The tie gives another value now than when the link was made."""
    return (
        f"The link has a supplementary rate of {100 * found:.2f}% as following Article 33, which gives "
        f"{100 * tied:.2f}% here; the link's value is kept and the tie is off."
    )


# ---- headline
def frequency(chance: float, draws: int) -> str:
    """A chance as so many of 100 simulated futures, never rounded to certainty."""
    if chance <= 0.0:
        return f"in none of the {draws:,} simulated futures"
    if chance >= 1.0:
        return f"in every one of the {draws:,} simulated futures"
    of_hundred = round(100 * chance)
    if of_hundred == 0:
        return "in fewer than 1 of 100 simulated futures"
    if of_hundred == 100:
        return "in more than 99 of 100 simulated futures"
    return f"in {of_hundred} of 100 simulated futures"


def months_words(months: float) -> str:
    """A number of months in words."""
    return "one month" if months == 1 else f"{months:g} months"


def below_sentence(chance: float, draws: int, months: float, year: int) -> str:
    """Headline: the chance of falling below the law's floor."""
    words = frequency(chance, draws)
    return f"{words[0].upper()}{words[1:]} the reserve falls below {months_words(months)} of outlay by {year}"


def depleted_sentence(chance: float, draws: int, year: int) -> str:
    """Headline: the chance of running out."""
    return f"{frequency(chance, draws)} it has run out by {year}"


def median_sentence(months: float, money: float, year: int, currency: str) -> str:
    """Headline: the middle of the simulated futures."""
    if money < 0:
        return f"The middle future ends {year} with a debt of {currency} {-money:,.0f} bn"
    return f"The middle future ends {year} with {months:.1f} months ({currency} {money:,.0f} bn)"


def first_year_sentence(year: int | None, horizon: int) -> str:
    """Headline: when running out becomes more likely than not."""
    if year is None:
        return f"until {horizon} it is more likely than not that it lasts"
    return f"by {year} it is more likely than not that it has run out"


# ---- charts and tables
TABS = {
    "risk": "Risk by year",
    "account": "Income and outgo",
    "rates": "Required rate",
    "difference": "Difference",
    "payers": "Who pays",
    "download": "Download",
}
CHART_MONTHS = "Reserve at year end, months of outgo"
CHART_RESERVE = "Reserve at year end, TWD bn"
CHART_ACCOUNT = "Income and outgo, TWD bn a year"
CHART_RISK = "Chance that by the end of the year the reserve ..."
CHART_DEPLETION = "Year in which the reserve runs out, share of futures"
CHART_RATE = "General rate that would balance each year, %"
UNIT_MONTHS, UNIT_MONEY, UNIT_FLOW = "months", "TWD bn", "TWD bn a year"
BANDS_NOTE = (
    "Your reform: the line is the median, the darkest band holds 50 of 100 simulated futures, the next 80, the "
    "lightest 95; one future in twenty lies outside them all. Today's law: dashed median, dotted outline of its "
    "95. Hollow dots: no figure is published, the fit gives a range."
)
WORDS_BELOW = "Its figures in words follow."
AS_TABLE = "The charts as tables"
RISK_NOTE = (
    "“Fell below” and “ran out” count every future in which it happened in this year or earlier, even if the "
    "reserve recovered later; “is below” counts the futures that stand so at the end of the year itself."
)


def law_band(low: float, high: float) -> str:
    """Label of the band that the law wants."""
    return f"green: {low:g} to {high:g} months, as the law wants"


def fan_words(
    line: str, year: int, today: tuple[float, float, float], reform: tuple[float, float, float], unit: str
) -> str:
    """What a fan chart says, for those who do not see it."""
    parts = [
        f"{SCENARIOS[name]}: median {mid:,.1f} {unit} at the end of {year}, "
        f"95 of 100 futures between {low:,.1f} and {high:,.1f}."
        for name, (low, mid, high) in (("today", today), ("reform", reform))
    ]
    return f"Fan chart: {line}. {' '.join(parts)}"


def risk_words(year: int, today: tuple[float, float], reform: tuple[float, float]) -> str:
    """What the risk chart says."""
    parts = [
        f"{SCENARIOS[name]}: by {year} the reserve has fallen below the law's least in {100 * below:.0f} of 100 "
        f"futures and has run out in {100 * out:.0f}."
        for name, (below, out) in (("today", today), ("reform", reform))
    ]
    return " ".join(parts)


def rate_words(year: int, today: float, reform: float) -> str:
    """What the chart of the balancing rate says."""
    return f"Median of {year}: {100 * today:.2f}% under today's law, {100 * reform:.2f}% under your reform."


def not_by(horizon: int) -> str:
    """Name of the bar of futures in which the reserve does not run out."""
    return f"not by {horizon}"


def rate_limit(limit: float) -> str:
    """Label of the legal limit's line."""
    return f"legal limit {100 * limit:.2f}%"


def rate_today(rate: float) -> str:
    """Label of today's rate."""
    return f"today's law {100 * rate:.2f}%"


# ---- required rate
RATES_INTRO = "One constant general rate from the reform's start on; all other levers as they stand."
RATE_MONTHS, RATE_YEAR, RATE_CHANCE = "keeps at least", "through the end of", "with a chance of"
COMMITTEE_TITLE = "Rate for each reserve target, as the committee tabulates it"


def committee_note(year: int) -> str:
    """What the first table asks."""
    return f"The general rate with which the reserve stands at the target at the end of {year}, for three chances."


def committee_accounts_note(year: int) -> str:
    """What the second table shows."""
    return (
        f"Under the rate for an even chance: accounts of {year} in TWD bn and the reserve in months, medians of the "
        "simulated futures; in brackets the chance that the reserve is at the target or above it."
    )


def rate_answer(rate: float | None, exact: float, limit: float, limit_source: str, reached: float) -> str:
    """The solver's answer in words."""
    if rate is None:
        need = "" if exact > 1.0 else f" It would take {100 * exact:.2f}%."
        return (
            f"**above the legal limit of {100 * limit:g}%** ({limit_source}).{need} "
            f"At the limit {100 * reached:.0f} of 100 futures meet the target."
        )
    return f"**{100 * rate:.2f}%**; {100 * reached:.0f} of 100 futures meet the target."


COMMITTEE_TARGET, COMMITTEE_EVEN = "target, months", "rate"
COMMITTEE_MONEY = ("income", "outgo", "balance", "reserve")
RISK_COLUMNS = {
    "below": "fell below, %",
    "below_in_year": "is below, %",
    "depleted": "ran out, %",
}
ACCOUNT_NOTE = (
    "Solid: your reform, with the band that holds 80 of 100 simulated futures. Dashed: today's law. Dots: the "
    "past, hollow where it is estimated."
)
DIFFERENCE_NOTE = (
    "Both scenarios run on the same simulated futures, so the difference is the reform's alone: its mean, and "
    "the range that holds it in 80 of 100 futures. It need not equal the difference of the medians."
)
DIFFERENCE_COLUMNS = {
    "today": "today's law, median",
    "reform": "your reform, median",
    "difference": "difference, mean",
    "low80": "10% are below",
    "high80": "90% are below",
}
PAYER_COLUMNS = {"payer": "payer", "today": "today's law", "reform": "your reform", "difference": "difference"}
PAYERS_NOTE = "TWD bn, nominal, mean of the simulated futures. The state as employer counts as government."
SEE_EVIDENCE = "Titles and links stand on the page “Sources and evidence”."


def above(limit: float) -> str:
    """Cell of a target that the legal limit does not reach."""
    return f"above the legal limit of {100 * limit:g}%"


def committee_rate(chance: float) -> str:
    """Column of the rates for a chance."""
    return f"rate, chance {chance:.0%}"


def committee_months(year: int) -> str:
    """Column of the reserve at the end of a year."""
    return f"months {year} (chance)"


def payers_in(year: int) -> str:
    """Title of the payers' table of one year."""
    return f"Who pays in {year}, TWD bn"


def payers_between(first: int, last: int) -> str:
    """Title of the payers' table of all years."""
    return f"Who pays from {first} to {last} together, TWD bn"


# ---- downloads and caption
DOWNLOAD_INTRO = (
    "The tables hold both scenarios and their difference: mean and quantiles by line and year, in full precision."
)
DOWNLOADS = {
    "forecast": "Forecast table (CSV)",
    "probabilities": "Probabilities by year (CSV)",
    "manifest": "Manifest (JSON)",
    "months": "Chart of the reserve in months (PNG)",
    "reserve": "Chart of the reserve (PNG)",
}
LINK_TITLE = "Link to this scenario"
COMMAND_TITLE = "The same figures from the command line"
ASSUMPTIONS = "Assumed, not learnt from figures"
PAST_SOURCES = "Sources of the past shown"


def caption(fit: str, law: str, law_hash: str, draws: int, valuation: int) -> str:
    """Provenance of everything on the page."""
    return (
        f"Fit {fit} · law {law} ({law_hash}) · {draws:,} simulated futures from the end of {valuation} on · money in "
        "TWD thousand millions, nominal."
    )


def heading(label: str, place: str, valuation: int) -> str:
    """Line under the title."""
    return f"{label} · {place} · valuation at the end of {valuation}"


PLACES = {"TWN": "Taiwan", "CHN": "mainland China"}

# ---- evidence page
EVIDENCE_INTRO = "What the figures rest on: sources, known contradictions, the fit's own checks, and what is assumed."
VERDICT = "The fit's verdict"
ACCEPTED, NOT_ACCEPTED = "accepted", "not accepted"
RECORD = "How forecasts of earlier years did"
RECORD_LINE = "line"
RECORD_LINES = {
    "income": "income",
    "outgo": "outgo",
    "balance": "balance",
    "reserve": "reserve",
    "reserve_months": "reserve in months",
}
RECORD_QUESTIONS = {"model": "80% band, later law known", "forecast": "80% band, only the law of the day known"}
RECORD_NOTE = (
    "A good 80% band holds 80 of 100 outcomes: fewer mean that it was too narrow, all of them that it was wider than "
    "need be. Forecasts from neighbouring years share most of their luck, so that so few years prove little."
)
LOST = "Where a naive rule did better"
LOST_COLUMNS = ("line", "years ahead", "rule", "outcomes", "our score", "its score")
LOST_NOTE = (
    "The score is the continuous ranked probability score, smaller is better: about the mean error of income and outgo "
    "as a share, of balance and reserve as a share of a year's outgo, of the reserve in months."
)
LEARNT = "What the data taught"
LEARNT_TABLE = "Every prior beside its posterior"
LEARNT_COLUMNS = {
    "block": "block",
    "name": "parameter",
    "prior_q50": "prior, median",
    "prior_range": "prior, 90% range",
    "posterior_q50": "with the data, median",
    "posterior_range": "with the data, 90% range",
    "learnt": "learnt",
    "why": "why this prior",
}
LEARNT_NOTE = (
    "Learnt: by how much the data have narrowed the prior's 90% range. Where it is near 0% the figures say nothing, "
    "and the forecast rests on what the prior assumes."
)
CHECK_COLUMNS = {
    "quantity": "ten years ahead",
    "line": "of",
    "unit": "unit",
    "prior_q5": "priors alone, 5% are below",
    "prior_q50": "priors alone, median",
    "prior_q95": "priors alone, 95% are below",
    "posterior_q5": "with the data, 5% are below",
    "posterior_q50": "with the data, median",
    "posterior_q95": "with the data, 95% are below",
    "past": "the past",
    "past_years": "years of the past",
}
CHECK_NOTE = "Growth is logarithmic, 0.05 is about 5% a year. The past counts only steps between two published figures."
PAST = "The past as the charts show it"
PAST_NOTE = "Published rows equal their source. In years without a published figure the fit gives a range instead."
BREAKS = "Where the sources contradict their own accounts"
BREAKS_NOTE = "These breaks are declared in the data and reported, not smoothed away."
ASSUMED = "Parameters of the law that are assumed"
PARAMETERS = "All parameters of the scheme"
SOURCES = "Sources"
FILTER_SOURCES = "Search title, publisher, number"
MANIFEST = "Manifest of the fit"
LIMITS = "Known limits"
LIMITS_TEXT = (
    "Revenue and cost of 2006-2012, 2017-2019 and 2022-2025 are not in the sources at hand: the past shows a "
    "range there, and the starting point of the forecast is itself uncertain.",
    "Nobody changes behaviour: a higher rate moves neither wages nor the form in which income is paid, and "
    "nobody splits payments to stay below a threshold.",
    "A negative reserve is carried on, with the yield as cost of borrowing. The law would act before that; the "
    "futures show what happens if it does not.",
    "Every future keeps the law as it stands, but for the levers. Rates are not raised automatically when the "
    "reserve nears one month.",
    "Bands show what the model and its figures do not know. They do not show that the model itself may be wrong.",
)
NO_MANIFEST = "These figures come from a basis without a fit, so there is no verdict."
VERDICT_BLOCK = "block"
VERDICT_COLUMNS = {
    "accepted": ("accepted", 0),
    "max_rhat": ("largest r-hat", 4),
    "min_ess_bulk": ("least effective draws", 0),
    "min_ess_tail": ("in the tails", 0),
    "divergences": ("divergences", 0),
    "min_ebfmi": ("least E-BFMI", 2),
}
VERDICT_NOTE = (
    "r-hat compares the chains and is 1 when they agree; effective draws say how much independent information the "
    "chains hold; divergences are steps at which the sampler failed."
)
PAST_LINES = {"outgo": "outgo", "income": "income", "reserve": "reserve", "reserve_months": "reserve in months"}
PAST_COLUMNS = {"q2.5": "2.5% are below", "q50": "median", "q97.5": "97.5% are below"}
OPEN = "open"


def absurd_futures(prior: float, posterior: float) -> str:
    """Whether the model makes sense before it has seen a figure."""
    return (
        f"Before it has seen a figure, the model makes {100 * prior:.1f} of 100 futures in which outgo shrinks by more "
        f"than 2% or grows by more than 20% a year over ten years; with the data {100 * posterior:.1f}."
    )


def verdict(accepted: bool, fit: str) -> str:
    """The fit's verdict in a sentence."""
    if accepted:
        return f"Fit {fit} passed the gates on convergence and is the accepted reference."
    return f"Fit {fit} did not pass the gates on convergence. Do not use its figures."


def held(count: int, of: int) -> str:
    """How many outcomes a band held."""
    return f"{count} of {of} ({count / of:.0%})" if of else "no outcome known"


def sources_shown(shown: int, total: int) -> str:
    """How many sources the list holds."""
    return f"{shown} of {total} sources"
