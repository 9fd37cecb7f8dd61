"""The newest days of a reef's record, held in memory."""

from array import array
from collections.abc import Iterable, Mapping
from typing import Final

from reefmesh_scoring.domain.heat_revision import Days
from reefmesh_scoring.domain.heat_span import NO_VALUE, NewValue, Stretch
from reefmesh_scoring.domain.solar_day import DayTotals, day_value, suspect_share_e4

RECENT_DAYS_LIMIT: Final = 256
"""Enough to score today, or a reading that is up to two months late, without a query."""

NONE: Final = NewValue(NO_VALUE, 0)
"""The value of a day without readings."""

_RECENT_DAYS_SLACK: Final = 64


class RecentDays:
    """The values of the newest days of a record in compact form: three integers a day."""

    __slots__ = ("_readings", "_sst_e4", "_suspect_e4", "base")

    def __init__(self, base: int, values: Iterable[NewValue] = ()) -> None:
        self.base = base
        self._sst_e4 = array("i")
        self._readings = array("i")
        self._suspect_e4 = array("h")
        for value in values:
            self._append(value)

    def __len__(self) -> int:
        return len(self._sst_e4)

    def put(self, day: int, value: NewValue) -> None:
        """Set the value of a day. Days between the end and a later day get no value; a day before the base is ignored."""
        if (index := day - self.base) < 0:
            return
        if (lacking := index + 1 - len(self._sst_e4)) > 0:
            for _ in range(lacking):
                self._append(NONE)
            if (surplus := len(self._sst_e4) - RECENT_DAYS_LIMIT) > _RECENT_DAYS_SLACK:
                del self._sst_e4[:surplus], self._readings[:surplus], self._suspect_e4[:surplus]
                self.base += surplus
                index -= surplus
        self._sst_e4[index], self._readings[index], self._suspect_e4[index] = value

    def stretch(self, days: Days, older: Mapping[int, NewValue]) -> Stretch:
        """Return a span of days as lists; ``older`` are the values of the days before ``base``."""
        start, end = days.first - self.base, days.last + 1 - self.base
        if start >= 0 and end <= len(self._sst_e4):  # all of it is at hand, as it is for every reading of today
            return Stretch(
                base=days.first,
                sst_e4=self._sst_e4[start:end].tolist(),
                readings=self._readings[start:end].tolist(),
                suspect_e4=self._suspect_e4[start:end].tolist(),
            )
        length = days.last - days.first + 1
        lead = max(0, min(self.base, days.last + 1) - days.first)
        before = [older.get(day, NONE) for day in range(days.first, days.first + lead)]
        start, end = max(0, start), max(0, end)
        sst_e4 = [value.sst_e4 for value in before] + self._sst_e4[start:end].tolist()
        readings = [value.readings for value in before] + self._readings[start:end].tolist()
        suspect_e4 = [value.suspect_e4 for value in before] + self._suspect_e4[start:end].tolist()
        lacking = length - len(sst_e4)
        return Stretch(
            base=days.first,
            sst_e4=sst_e4 + [NO_VALUE] * lacking,
            readings=readings + [0] * lacking,
            suspect_e4=suspect_e4 + [0] * lacking,
        )

    def _append(self, value: NewValue) -> None:
        self._sst_e4.append(value.sst_e4)
        self._readings.append(value.readings)
        self._suspect_e4.append(value.suspect_e4)


def value_of(totals: DayTotals | None) -> NewValue:
    """Return the value that a day has by itself, from its totals (None: it has none)."""
    if totals is None:
        return NONE
    sst_e4, source, readings = day_value(totals)
    suspect_e4 = suspect_share_e4(totals)
    if sst_e4 is None:
        return NewValue(NO_VALUE, 0, suspect_e4)
    return NewValue(sst_e4, readings if source == "night" else -readings, suspect_e4)
