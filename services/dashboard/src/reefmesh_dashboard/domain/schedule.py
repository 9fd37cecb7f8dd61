"""When a buoy's next report is due, and from when on it is late."""

from datetime import datetime, timedelta
from typing import Final

from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import BuoyHealth

VALUE_STALE_AFTER: Final = timedelta(hours=6)
REPORTS_MISSED: Final = 3
"""A value is stale when so many reports in a row brought no newer one, and not before ``VALUE_STALE_AFTER``."""

HOUR: Final = timedelta(hours=1)


def report_expected_by(buoy: BuoyHealth) -> datetime:
    """Return when the next report after the newest is due; where that is in the hours in which the buoy sleeps, when these
    end."""
    at = buoy.last_seen_at + timedelta(seconds=buoy.facts.report_interval_seconds)
    while not _is_awake(buoy.facts, at.hour):
        at = at.replace(minute=0, second=0, microsecond=0) + HOUR
    return at


def is_late(buoy: BuoyHealth, now: datetime) -> bool:
    return now - buoy.last_seen_at > silence_allowed(buoy.facts)


def silence_allowed(facts: BuoyFacts) -> timedelta:
    """Return for how long a buoy may send nothing before its values are stale."""
    interval = timedelta(seconds=facts.report_interval_seconds)
    asleep = sum(not _is_awake(facts, hour) for hour in range(24))
    return max(VALUE_STALE_AFTER, REPORTS_MISSED * interval) + asleep * HOUR


def _is_awake(facts: BuoyFacts, hour: int) -> bool:
    """``hour`` of UTC; a span may run over midnight, and one of no hours means always."""
    if facts.waking_hours_utc is None:
        return True
    first, end = facts.waking_hours_utc
    return (hour - first) % 24 < ((end - first) % 24 or 24)
