"""Kinds of batteries: how low each may get, and which one a buoy's first reports look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

BatteryKind = Literal[
    "lithium_1s", "lithium_2s", "lithium_3s", "lithium_4s", "lifepo4_4s", "lead_6v", "lead_12v", "lead_24v", "lithium_primary"
]

LOW_VOLTS: Final[dict[BatteryKind, float]] = {
    "lithium_1s": 3.5,
    "lithium_2s": 7.0,
    "lithium_3s": 10.5,
    "lithium_4s": 14.0,
    "lifepo4_4s": 12.8,
    "lead_6v": 5.9,
    "lead_12v": 11.8,
    "lead_24v": 23.6,
    "lithium_primary": 3.3,
}
"""Below it a battery is low: about a fifth is left, and the rest goes fast."""

UNKNOWN_LOW_VOLTS: Final = LOW_VOLTS["lithium_1s"]
"""Of a buoy that never reported a voltage."""

FIRST_VALUES: Final = 5

VOLTS_LIMIT: Final = 60.0
"""No buoy's battery has more; a larger number is of millivolts, or of nothing."""
_MILLIVOLTS_FROM: Final = 2000.0


@dataclass(frozen=True, slots=True)
class _Span:
    lowest: float
    highest: float
    kind: BatteryKind


_GUESSES: Final = (
    _Span(2.5, 4.4, "lithium_1s"),
    _Span(5.5, 6.6, "lead_6v"),
    _Span(6.6, 8.8, "lithium_2s"),
    _Span(8.8, 14.9, "lead_12v"),
    _Span(14.9, 17.2, "lithium_4s"),
    _Span(19.0, 30.0, "lead_24v"),
)
"""Spans overlap in truth (12.4 V may be three cells of lithium, too): the commoner kind, with the higher limit, is guessed."""


def guessed_kind(first_volts: Sequence[float]) -> BatteryKind | None:
    """Return the kind that a buoy's first values look like, by their median; None if there are none, or they fit no kind."""
    if not first_volts:
        return None
    middle = median(first_volts)
    return next((span.kind for span in _GUESSES if span.lowest <= middle <= span.highest), None)


def volts_of(number: float) -> float | None:
    """Return a reported number as volts; from 2,000 to 60,000 it is of millivolts. None: no battery has that."""
    if 0 <= number <= VOLTS_LIMIT:
        return number
    if _MILLIVOLTS_FROM <= number <= VOLTS_LIMIT * 1000:
        return number / 1000
    return None
