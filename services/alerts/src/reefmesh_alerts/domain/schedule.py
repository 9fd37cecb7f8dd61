"""A buoy's own schedule: from when on its silence is an alert."""

from typing import Final

from reefmesh.contracts.register import BuoyFacts
from reefmesh_alerts.domain.transition import SECOND_US

SILENT_INTERVALS: Final = 3
HOUR_US: Final = 3600 * SECOND_US
DAY_US: Final = 24 * HOUR_US


def silent_after_us(facts: BuoyFacts, last_seen_us: int) -> int:
    """Return the instant at which a buoy that was seen last at ``last_seen_us`` has been silent too long.

    That is three report intervals, counted only while the buoy is awake. A buoy whose interval is longer than its waking
    hours reports once in several days: then it is three intervals of wall time, extended to the end of the waking hours in
    which (or before which) they end.
    """
    span_us = facts.report_interval_seconds * SECOND_US * SILENT_INTERVALS
    if facts.waking_hours_utc is None:
        return last_seen_us + span_us
    first, last = facts.waking_hours_utc
    awake_us = (last - first) % 24 * HOUR_US
    if awake_us == 0:  # the same hour twice, or 0 to 24: always
        return last_seen_us + span_us
    begins_us = first * HOUR_US
    if facts.report_interval_seconds * SECOND_US > awake_us:
        at_us = last_seen_us + span_us
        return max(at_us, _waking_begin(at_us, begins_us) + awake_us)
    opens_us = _waking_begin(last_seen_us, begins_us)
    at_us = last_seen_us
    if at_us >= opens_us + awake_us:  # seen outside its waking hours: no report is expected before they begin again
        opens_us += DAY_US
        at_us = opens_us
    left_us = opens_us + awake_us - at_us
    if span_us <= left_us:
        return at_us + span_us
    whole_days, rest_us = divmod(span_us - left_us, awake_us)
    if rest_us == 0:
        return opens_us + whole_days * DAY_US + awake_us
    return opens_us + (whole_days + 1) * DAY_US + rest_us


def intervals_between(facts: BuoyFacts, from_us: int, until_us: int) -> int:
    """Return how many whole report intervals lie between two instants, counted as in ``silent_after_us``."""
    span_us, interval_us = until_us - from_us, facts.report_interval_seconds * SECOND_US
    if facts.waking_hours_utc is not None:
        first, last = facts.waking_hours_utc
        awake_us = (last - first) % 24 * HOUR_US
        if 0 < interval_us <= awake_us:
            span_us = _awake_us(until_us, first, awake_us) - _awake_us(from_us, first, awake_us)
    return max(span_us, 0) // interval_us


def _awake_us(at_us: int, first: int, awake_us: int) -> int:
    """Return for how long a buoy has been awake from the beginning of time, by its schedule of today."""
    days, rest_us = divmod(at_us - first * HOUR_US, DAY_US)
    return days * awake_us + min(rest_us, awake_us)


def _waking_begin(at_us: int, begins_us: int) -> int:
    """Return the beginning of the waking hours at ``at_us``, or of the last ones before it."""
    return at_us - (at_us - begins_us) % DAY_US
