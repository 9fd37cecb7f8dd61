"""The newest days of a reef's record, held in memory."""

from array import array
from collections.abc import Iterable
from typing import Final

from reefmesh_scoring.domain.heat_revision import Days, NewValue
from reefmesh_scoring.domain.heat_span import NO_VALUE, Stretch
from reefmesh_scoring.domain.heat_stress import DayHeat

RECENT_DAYS_LIMIT: Final = 256
"""Enough to score today, or a reading that is up to two months late, without a query."""

_RECENT_DAYS_SLACK: Final = 64


class RecentDays:
    """The values of the newest days of a record in compact form: two integers a day."""

    __slots__ = ("_readings", "_sst_e4", "base")

    def __init__(self, base: int, rows: Iterable[DayHeat] = ()) -> None:
        self.base = base
        self._sst_e4 = array("i")
        self._readings = array("i")
        for row in rows:
            value = value_of(row)
            self._sst_e4.append(value.sst_e4)
            self._readings.append(value.readings)

    def __len__(self) -> int:
        return len(self._sst_e4)

    def put(self, day: int, value: NewValue) -> None:
        """Set the value of a day. Days between the end and a later day get no value; a day before the base is ignored."""
        if (index := day - self.base) < 0:
            return
        if (lacking := index + 1 - len(self._sst_e4)) > 0:
            self._sst_e4.extend([NO_VALUE] * lacking)
            self._readings.extend([0] * lacking)
            if (surplus := len(self._sst_e4) - RECENT_DAYS_LIMIT) > _RECENT_DAYS_SLACK:
                del self._sst_e4[:surplus], self._readings[:surplus]
                self.base += surplus
                index -= surplus
        self._sst_e4[index] = value.sst_e4
        self._readings[index] = value.readings

    def stretch(self, days: Days, older: Iterable[DayHeat] = ()) -> Stretch:
        """Return a span of days as lists; ``older`` are the rows of the days before ``base``."""
        length = days.last - days.first + 1
        lead = max(0, min(self.base, days.last + 1) - days.first)
        sst_e4 = [NO_VALUE] * lead
        readings = [0] * lead
        for row in older:
            sst_e4[row.day - days.first], readings[row.day - days.first] = value_of(row)
        start = max(0, days.first - self.base)
        end = max(0, days.last + 1 - self.base)
        sst_e4 += self._sst_e4[start:end].tolist()
        readings += self._readings[start:end].tolist()
        lacking = length - len(sst_e4)
        return Stretch(base=days.first, sst_e4=sst_e4 + [NO_VALUE] * lacking, readings=readings + [0] * lacking)


def value_of(row: DayHeat) -> NewValue:
    """Return the value that a day has by itself; a filled day has none."""
    if row.sst_e4 is None or row.source not in {"night", "whole_day"}:
        return NewValue(NO_VALUE, 0)
    return NewValue(row.sst_e4, row.readings if row.source == "night" else -row.readings)
