"""Numbers with the digits that explain a verdict: 0.498 and not 0.5 where the limit is 0.5."""

from collections.abc import Iterable
from typing import Final

DECIMALS_LIMIT: Final = 6


def decisive(value: float, limits: Iterable[float] = (), *, decimals: int) -> str:
    """Return a number with ``decimals`` places, and with as many more as show on which side of each limit it lies.

    A value that six places do not tell from a limit is written in full.
    """
    compared = tuple(limits)
    for places in range(decimals, max(decimals, DECIMALS_LIMIT) + 1):
        shown = f"{value:.{places}f}"
        if all(_side(float(shown), limit) == _side(value, limit) for limit in compared):
            return shown
    return repr(value)


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)
