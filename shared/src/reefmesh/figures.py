"""Numbers with the digits that explain a verdict: 0.498 and not 0.5 where the limit is 0.5."""

from collections.abc import Sequence
from typing import Final

DECIMALS_LIMIT: Final = 6


def decisive(value: float, limits: Sequence[float] = (), *, decimals: int) -> str:
    """Return a number with ``decimals`` places, and with as many more as show on which side of each limit it lies.

    A value that six places do not tell from a limit is written in full.
    """
    for places in range(decimals, max(decimals, DECIMALS_LIMIT) + 1):
        shown = "%.*f" % (places, value)  # noqa: UP031  # half of what a format specification costs, twice in every score
        if _lies_as(float(shown), value, limits):
            return shown
    return repr(value)


def _lies_as(shown: float, value: float, limits: Sequence[float]) -> bool:
    """Return whether both numbers are on the same side of each limit."""
    for limit in limits:  # noqa: SIM110  # a generator costs more than these comparisons
        if (shown > limit) != (value > limit) or (shown < limit) != (value < limit):
            return False
    return True
