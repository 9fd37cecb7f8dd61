"""Temperatures of the waters that the records come from, by hour of the local sun."""

import math
from datetime import UTC, datetime, timedelta
from typing import Final

SOLAR: Final = timedelta(hours=115.64 / 15)
"""The sun of 115.64 E is so far ahead of UTC."""

BEGIN: Final = datetime(2024, 1, 1, tzinfo=UTC) - SOLAR
"""Midnight of the sun, the beginning of the records."""


def solar_hour(at: datetime) -> float:
    """Return the hour of the local sun, 0 to 24."""
    return ((at - BEGIN) / timedelta(hours=1)) % 24


def lagoon_celsius(at: datetime) -> float:
    """A shallow lagoon: 28.8 by night, 31.2 in the early afternoon."""
    return 28.8 + 2.4 * max(0.0, math.sin(math.pi * (solar_hour(at) - 6) / 12))


BORE_CELSIUS: Final = (28.2, 26.9, 27.6, 28.6, 29.6)


def fore_reef_celsius(at: datetime) -> float:
    """A fore reef of 30.2 into which every two hours a bore of cold water comes, five values of ten minutes long."""
    place = ((at - BEGIN) // timedelta(minutes=10)) % 12
    return BORE_CELSIUS[place - 3] if 3 <= place < 3 + len(BORE_CELSIUS) else 30.2


def calm_celsius(at: datetime) -> float:
    """Calm water of a day and night, as a probe with steps of 0.1 degC gives it; the last digit toggles."""
    minute = (at - BEGIN) // timedelta(minutes=1)
    toggling = 0.05 * math.sin(minute * 2.4)
    return round(28.4 + 0.4 * math.sin(2 * math.pi * (solar_hour(at) - 9) / 24) + toggling, 1)
