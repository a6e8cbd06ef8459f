"""Words that several pages share, in the reader's language: names of lines, payers, levers, and chances as frequencies.

Everything is a function, for the language is that of the run and not of the import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from forecaster.language import terms
from forecaster.parameters import Parameter
from forecaster_dashboards import language
from forecaster_dashboards.language import _, number, percent, said

# Groups of levers by the beginning of a parameter's name, in the order of Taiwan's Act; others fall into the last.
GROUPS = (
    (
        "premium",
        (
            *("general_premium", "average_dependants", "charged_dependants", "grading", "premium_share", "employer_"),
            *("account_share", "retirement_age", "minimum_contribution", "retiree", "dependants_per", "own_premium"),
            *("enrolment", "claim_at"),
        ),
    ),
    ("supplementary", ("supplementary",)),
    ("government", ("government", "subsidy")),
    (
        "benefits",
        (
            "budget",
            "copayment",
            "point",
            "catastrophic",
            "outpatient",
            "drug",
            "supervision",
            "deductible",
            "rate",
            "ceiling",
            "outlay",
        ),
    ),
    ("reserve", ("reserve", "yearly_review", "review")),
)
OTHER = "other"


def group_of(name: str) -> str:
    """Group of levers to which a parameter belongs."""
    return next((group for group, starts in GROUPS if name.startswith(starts)), OTHER)


def group_names(place: str = "") -> dict[str, str]:
    """Groups of levers in the order of the law; with the articles of Taiwan's Act where the law is Taiwan's."""
    if place.upper() != "TWN":
        return {
            "premium": _("Premiums"),
            "supplementary": _("Supplementary premium"),
            "government": _("Government"),
            "benefits": _("Benefits and payments"),
            "reserve": _("Reserve"),
            OTHER: _("Further parameters"),
        }
    return {
        "premium": _("Premiums (Articles 18 to 30)"),
        "supplementary": _("Supplementary premium (Articles 31 to 34)"),
        "government": _("Government (Article 3)"),
        "benefits": _("Benefits and payments (Articles 43 to 62)"),
        "reserve": _("Reserve and yearly review (Articles 18, 24, 78)"),
        OTHER: _("Further parameters"),
    }


def series() -> dict[str, str]:
    """What a chart's lines and dots are."""
    return {
        "published": _("Published"),
        "estimated": _("Estimated"),
        "today": _("Today's law"),
        "reform": _("Your reform"),
        "official": _("Officials' forecasts"),
    }


def scenarios() -> dict[str, str]:
    """The two scenarios of every page."""
    return {"today": _("Today's law"), "reform": _("Your reform")}


def lines() -> dict[str, str]:
    """Lines of the accounts."""
    return {
        "income": _("Income"),
        "outgo": _("Outgo"),
        "total_income": _("Income"),
        "balance": _("Balance"),
        "reserve": _("Reserve at year end"),
        "reserve_months": _("Reserve at year end, months of outgo"),
    }


def payers(place: str = "TWN") -> dict[str, str]:
    """Who pays into the fund; Taiwan's has earmarked money, and the state pays as an employer too."""
    taiwan = place.upper() == "TWN"
    return {
        "insured": _("Insured people"),
        "employers": _("Employers"),
        "government": _("Government, as employer too") if taiwan else _("Government"),
        "earmarked_and_other": _("Tobacco surcharge, lottery, other") if taiwan else _("Other income"),
        "investment": _("The fund's own yield"),
        "total": _("All"),
    }


def events() -> dict[str, str]:
    """What may happen to the reserve."""
    return {"below": _("has fallen below the law's least reserve"), "depleted": _("has run out")}


def quantiles() -> dict[str, str]:
    """Quantiles of the simulated futures."""
    return {
        "low95": _("2.5% are below"),
        "low80": _("10% are below"),
        "low50": _("25% are below"),
        "median": _("median"),
        "high50": _("75% are below"),
        "high80": _("90% are below"),
        "high95": _("97.5% are below"),
    }


def places() -> dict[str, str]:
    """Places by their ISO code."""
    return {"TWN": _("Taiwan"), "CHN": _("mainland China")}


def checked() -> dict[str, str]:
    """Quantities, lines and units of the checks on futures and of the accounts' breaks."""
    return {
        "mean growth": _("mean growth"),
        "spread of growth": _("spread of growth"),
        "largest growth": _("largest growth"),
        "smallest growth": _("smallest growth"),
        "months after 10 years": _("months after 10 years"),
        "share after 10 years": _("share after 10 years"),
        "65 and over": _("65 and over"),
        "population": _("population"),
        "a year": _("a year"),
        "of all": _("of all"),
        "months of outgo": _("months of outgo"),
        "reserve_roll": _("reserve from year to year"),
        "reserve_months": _("reserve in months of outgo"),
        "balance|all_bmi_mohrss": _("balance of all basic medical insurance"),
        "insured|uebmi": _("members of the employees' insurance"),
    }


def short_labels() -> dict[str, str]:
    """Shorter names of levers whose label in the law's file is a sentence."""
    return {
        "supplementary_threshold.part_time": _("Threshold: wages from other employers"),
        "supplementary_threshold.fees": _("Threshold: professional fees"),
        "supplementary_threshold.dividends": _("Threshold: dividends"),
        "supplementary_threshold.interest": _("Threshold: interest"),
        "supplementary_threshold.rent": _("Threshold: rent"),
        "supplementary_ceiling": _("Ceiling of one payment"),
        "supplementary_settlement_yield": _("Gain from yearly settlement"),
        "average_dependants": _("Announced average number of dependants"),
        "government_floor_share": _("Least share of the government"),
        "government_injection": _("Extra government money"),
        "budget_growth_adjustment": _("Addition to yearly budget growth"),
        "copayment_reform_yield": _("Gain from further co-payments"),
        "yearly_review": _("Yearly review of the rate by rule"),
        "review_target_months": _("Reserve that the review returns to"),
        "review_return_years": _("Years over which it returns"),
    }


def label(parameter: Parameter, name: str = "") -> str:
    """A lever's name: its short one if it has one, else the label of the law's file."""
    return short_labels().get(name) or said(parameter.label)


def with_note(text: str, note: str) -> str:
    """A text with a note in brackets, as the reader's language sets them."""
    return _("{text} ({note})", text=text, note=note)


def measures_of_need() -> dict[str, str]:
    """Measures of what care does to households."""
    return {
        "catastrophic_usual": _("catastrophic: over 40% of what it can pay, %"),
        "impoverished": _("pushed below subsistence, %"),
        "forgone": _("care forgone: beyond the household's reach, %"),
    }


def unit(parameter: Parameter, scale: float = 1.0) -> str:
    """Unit of a lever as shown."""
    currency, _sep, rest = parameter.unit.partition(" ")
    if parameter.unit == "share":
        return "%"
    if currency.isupper() and len(currency) == 3:
        name = language.money_unit(currency)
        if rest.startswith("bn"):
            return _("{unit} a year", unit=language.money_unit(f"{currency} bn"))
        if scale in (1e-6, 1e-4):  # the catalogues of Chinese say 萬 here, as state.grid counts
            return _("{currency} million", currency=name)
        if rest == "per person-year":
            return _("{currency} a head and year", currency=name)
        return _("{currency} a month", currency=name) if "month" in rest else name
    if parameter.unit == "years" and re.search(r"\bage\b", parameter.label):
        return _("years old")
    names = {"persons": _("persons"), "days": _("days"), "months": _("months"), "times": "", "years": _("years")}
    return names.get(parameter.unit, parameter.unit)


def lever_value(parameter: Parameter, value: float | str) -> str:
    """A lever's value as text with its unit."""
    from forecaster_dashboards import state

    if isinstance(value, str):
        return terms.choices().get(value, value)
    currency, _sep, rest = parameter.unit.partition(" ")
    if rest == "bn per year":
        return _("{amount} a year", amount=language.money(value, f"{currency} bn", state.grid(parameter).decimals))
    if currency.isupper() and len(currency) == 3 and not rest:
        return language.currency_amount(value, currency)
    steps = state.grid(parameter)
    shown = number(state.shown(parameter, value), steps.decimals)
    if parameter.unit == "share":
        return f"{shown}%"
    text = unit(parameter, steps.scale)
    return f"{shown} {text}".strip()


def frequency(chance: float, draws: int) -> str:
    """A chance as so many of 100 simulated futures, never rounded to certainty."""
    if chance <= 0.0:
        return _("in none of the {n} simulated futures", n=number(draws))
    if chance >= 1.0:
        return _("in every one of the {n} simulated futures", n=number(draws))
    of_hundred = round(100 * chance)
    if of_hundred == 0:
        return _("in fewer than 1 of 100 simulated futures")
    if of_hundred == 100:
        return _("in more than 99 of 100 simulated futures")
    return _("in {n} of 100 simulated futures", n=of_hundred)


def months(value: float) -> str:
    """A number of months in words."""
    return _("one month") if value == 1 else _("{n} months", n=f"{value:g}")


def below_sentence(chance: float, draws: int, floor: float, year: int) -> str:
    """Headline: the chance of falling below the law's floor."""
    text = frequency(chance, draws)
    return _(
        "{frequency} the reserve falls below {months} of outlay by {year}",
        frequency=f"{text[0].upper()}{text[1:]}",
        months=months(floor),
        year=year,
    )


def depleted_sentence(chance: float, draws: int, year: int) -> str:
    """Headline: the chance of running out."""
    return _("{frequency} it has run out by {year}", frequency=frequency(chance, draws), year=year)


def median_sentence(months_held: float, amount: float, year: int, unit_of_money: str) -> str:
    """Headline: the middle of the simulated futures."""
    if amount < 0:
        debt = language.money(-amount, unit_of_money)
        return _("The middle future ends {year} with a debt of {amount}", year=year, amount=debt)
    return _(
        "The middle future ends {year} with {months} months ({amount})",
        year=year,
        months=number(months_held, 1),
        amount=language.money(amount, unit_of_money),
    )


def first_year_sentence(year: int | None, horizon: int) -> str:
    """Headline: when running out becomes more likely than not."""
    if year is None:
        return _("until {year} it is more likely than not that it lasts", year=horizon)
    return _("by {year} it is more likely than not that it has run out", year=year)


def fan_words(
    title: str, year: int, today: tuple[float, ...], reform: tuple[float, ...], unit_text: str, digits: int = 1
) -> str:
    """What a fan chart says, for those who do not see it."""
    parts = [
        _(
            "{scenario}: median {mid} {unit} at the end of {year}, 95 of 100 futures between {low} and {high}.",
            scenario=name,
            mid=number(found[1], digits),
            low=number(found[0], digits),
            high=number(found[2], digits),
            unit=unit_text,
            year=year,
        )
        for name, found in zip(scenarios().values(), (today, reform), strict=True)
    ]
    return _("Fan chart: {title}.", title=title) + " " + " ".join(parts)


def rate_answer(rounded: str | None, exact: float, limit: str, limit_source: str, reached: float) -> str:
    """The solver's answer in words; ``exact`` is a share, infinite where there is none to tell."""
    share = round(100 * reached)
    if rounded is None:
        need = "" if not exact <= 1.0 else " " + _("It would take {rate}.", rate=percent(exact, 2))
        return (
            _("**beyond the limit of {limit}** ({source}).", limit=limit, source=said(limit_source))
            + need
            + " "
            + _("At the limit {n} of 100 futures meet the target.", n=share)
        )
    return _("**{rate}**; {n} of 100 futures meet the target.", rate=rounded, n=share)


def named(table: Mapping[str, str], key: str) -> str:
    """A name from a table of words, or the key itself as the data have it."""
    return table.get(key) or said(key)
