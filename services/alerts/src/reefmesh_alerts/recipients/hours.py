"""Quiet hours and digest times on the wall clock of a time zone, daylight saving time included. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietSpan:
    """From ``begins`` to just before ``ends`` on the wall clock of ``zone``; over midnight when ``ends`` is not later."""

    begins: time
    ends: time
    zone: ZoneInfo

    def end_after(self, at: datetime) -> datetime | None:
        """Return the end (UTC) of the quiet span that contains ``at``; None outside a quiet span."""
        local = at.astimezone(self.zone)
        on_the_wall = local.time()
        over_midnight = self.ends <= self.begins
        if over_midnight:
            quiet = on_the_wall >= self.begins or on_the_wall < self.ends
        else:
            quiet = self.begins <= on_the_wall < self.ends
        if not quiet:
            return None
        tomorrow = over_midnight and on_the_wall >= self.begins
        return _first_after(at, local.date() + timedelta(days=tomorrow), self.ends, self.zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyTime:
    """Once a day at ``at`` on the wall clock of ``zone``; a time that a day skips comes as much later as the clock jumped."""

    at: time
    zone: ZoneInfo

    def next_after(self, instant: datetime) -> datetime:
        """Return the first such instant (UTC) after ``instant``."""
        today = instant.astimezone(self.zone).date()
        for days in range(-1, 3):
            candidate = _instant(today + timedelta(days=days), self.at, self.zone, fold=0)
            if candidate > instant:
                return candidate
        raise AssertionError("a day has a daily time")


def _first_after(at: datetime, day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Return that wall time of the day; when the clock shows it twice, the one after ``at``."""
    first = _instant(day, wall, zone, fold=0)
    return first if first > at else _instant(day, wall, zone, fold=1)


def _instant(day: date, wall: time, zone: ZoneInfo, *, fold: int) -> datetime:
    return datetime.combine(day, wall.replace(fold=fold), zone).astimezone(UTC)
