"""Limits as integers, so that a threshold is met by the same values everywhere.

One arithmetic for all tests: values and limits are rounded to *ticks* of 1e-4 of the quantity's unit, times are microseconds,
and every comparison multiplies instead of dividing. In binary floating point 32.01 - 31.01 is less than 1; in ticks it is
10,000. Ticks hold every step of the sensors in use (0.1 and 0.01 degC, 0.01 pH, 1 uatm, 1 mm/s) and NOAA's four decimals
exactly.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from reefmesh_ingest.domain.quality.limits import RATE_WINDOW_SECONDS, QuantityLimits

TICKS_PER_UNIT: Final = 10_000
MICROSECONDS_PER_SECOND: Final = 1_000_000
MICROSECONDS_PER_HOUR: Final = 3_600 * MICROSECONDS_PER_SECOND

_TICKS_LIMIT: Final = 10**15
_UNREACHABLE: Final = 2**62


def ticks_of(value: float) -> int:
    """Return the value in ticks, half to even; beyond 1e11 units it is cut to that, which no limit can tell apart.

    Raises:
        ValueError: not a number (decoders refuse it long before).
    """
    scaled = value * TICKS_PER_UNIT
    if -_TICKS_LIMIT < scaled < _TICKS_LIMIT:
        return round(scaled)
    if value != value:  # noqa: PLR0124 - true of NaN alone
        raise ValueError("a value must be a number")
    return _TICKS_LIMIT if value > 0 else -_TICKS_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """``QuantityLimits`` in ticks and microseconds.

    * A fail limit that is not set is unreachable, a suspect limit that is not set is the fail limit; ``has_...`` says whether a
      test is set at all.
    * ``same_below``: a smaller difference is none; 0 without a flat line's tolerance.
    * ``flat_line_window_us``: the longest duration a flat line is looked for.
    * ``rate_window_us``: how far back the standard deviation looks; 0 without a rate of change.
    * ``reach_us``: a change at t alters no verdict outside t +- ``reach_us``, and needs no point outside to know them.
    * ``tail_us``: how much a series holds behind its newest point: ``reach_us`` and some lateness.
    """

    fail_lowest: int
    fail_highest: int
    lowest: int
    highest: int
    climatology_by_month: tuple[tuple[int, int] | None, ...] | None
    has_spike: bool
    spike_suspect: int
    spike_fail: int
    has_rate: bool
    rate_suspect_per_hour: int
    rate_fail_per_hour: int
    rate_window_us: int
    same_below: int
    has_flat_line: bool
    flat_line_tolerance: int
    flat_line_suspect_us: int
    flat_line_fail_us: int
    flat_line_window_us: int
    flat_line_points: int
    neighbour_gap_us: int
    reach_us: int
    tail_us: int


_LATENESS_US: Final = 6 * MICROSECONDS_PER_HOUR


@lru_cache(maxsize=1024)
def thresholds_of(limits: QuantityLimits) -> Thresholds:
    """Return the integers of ``limits``; equal limits share one object."""
    fail_lowest, fail_highest = (ticks_of(end) for end in limits.fail_span)
    lowest, highest = (ticks_of(end) for end in limits.suspect_span or limits.fail_span)
    gap_us = limits.neighbour_gap_seconds * MICROSECONDS_PER_SECOND
    suspect_us = _microseconds(limits.flat_line_suspect_seconds)
    fail_us = _microseconds(limits.flat_line_fail_seconds)
    window_us = 0
    if limits.flat_line_tolerance is not None:
        window_us = suspect_us if fail_us == _UNREACHABLE else fail_us
    has_rate = limits.rate_suspect_per_hour is not None or limits.rate_fail_per_hour is not None
    rate_window_us = RATE_WINDOW_SECONDS * MICROSECONDS_PER_SECOND if has_rate else 0
    # The farthest point a change can alter ends a flat line that began at the change, one window and one gap later, or is the
    # last one whose standard deviation holds the change. That point's spike asks for its next neighbour, one gap farther;
    # before the change it is the same, in the mirror.
    reach_us = max(window_us, rate_window_us) + 2 * gap_us
    climatology = limits.climatology_by_month
    return Thresholds(
        fail_lowest=fail_lowest,
        fail_highest=fail_highest,
        lowest=lowest,
        highest=highest,
        climatology_by_month=None
        if climatology is None
        else tuple(None if span is None else (ticks_of(span[0]), ticks_of(span[1])) for span in climatology),
        has_spike=limits.spike_suspect is not None or limits.spike_fail is not None,
        spike_suspect=_ticks(limits.spike_suspect or limits.spike_fail),
        spike_fail=_ticks(limits.spike_fail),
        has_rate=has_rate,
        rate_suspect_per_hour=_ticks(limits.rate_suspect_per_hour or limits.rate_fail_per_hour),
        rate_fail_per_hour=_ticks(limits.rate_fail_per_hour),
        rate_window_us=rate_window_us,
        same_below=0 if limits.flat_line_tolerance is None else ticks_of(limits.flat_line_tolerance),
        has_flat_line=limits.flat_line_tolerance is not None,
        flat_line_tolerance=_ticks(limits.flat_line_tolerance),
        flat_line_suspect_us=suspect_us,
        flat_line_fail_us=fail_us,
        flat_line_window_us=window_us,
        flat_line_points=limits.flat_line_points_limit,
        neighbour_gap_us=gap_us,
        reach_us=reach_us,
        tail_us=reach_us + _LATENESS_US,
    )


def _ticks(limit: float | None) -> int:
    return _UNREACHABLE if limit is None else ticks_of(limit)


def _microseconds(seconds: int | None) -> int:
    return _UNREACHABLE if seconds is None else seconds * MICROSECONDS_PER_SECOND
