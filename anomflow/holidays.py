"""Public holidays of countries and their parts, from the package ``holidays``."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EPOCH: Final = date(1970, 1, 1)


def find_code_error(code: str) -> str | None:
    """Say why a code (``DE``, ``DE-BY``) names no holidays, None where it does."""
    from holidays import list_supported_countries  # noqa: PLC0415 - takes a while; most batches name no country

    country, _, part = code.partition("-")
    countries = list_supported_countries()
    if country not in countries:
        return f"{code!r} is no country with known holidays; give ISO codes such as DE, US or, for a part of a country, DE-BY"
    if part and part not in countries[country]:
        return f"{code!r} is no part of {country} with holidays of its own; there are: {', '.join(countries[country]) or 'none'}"
    return None


@lru_cache(maxsize=256)
def build_country(code: str) -> Any:
    """Return the calendar of a country or of a part of one; it finds the holidays of a year when it is asked."""
    from holidays import country_holidays  # noqa: PLC0415 - as above

    country, _, part = code.partition("-")
    return country_holidays(country, subdiv=part or None)


@lru_cache(maxsize=4096)
def _find_year(code: str, year: int) -> tuple[int, ...]:
    calendar = build_country(code)
    days = (date(year, 1, 1) + timedelta(days=day) for day in range(366))
    return tuple((day - _EPOCH).days for day in days if day.year == year and day in calendar)


def holidays_between(codes: tuple[str, ...], first: int, last: int) -> NDArray[np.int64]:
    """Return the holidays of any of the countries from ``first`` to ``last`` (epoch days), ascending."""
    years = range((_EPOCH + timedelta(days=first)).year, (_EPOCH + timedelta(days=last)).year + 1)
    days = np.unique(np.array([day for code in codes for year in years for day in _find_year(code, year)], np.int64))
    return days[(days >= first) & (days <= last)]
