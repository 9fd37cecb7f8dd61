"""The times of a file: written in one of many ways, all in the same one, and turned into UTC when all of them are known.

Nothing about them is guessed. The order of day and month is taken from the file where only one is possible, and asked for
otherwise; so is the zone. A local time that comes twice when the clocks go back is told apart by the order of the lines.
"""

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final

from reefmesh_standalone.records.mistake import mistake, shown
from reefmesh_standalone.records.zones import Zone, offset_named, offsets_at

EARLIEST: Final = date(1850, 1, 1)
AHEAD_LIMIT: Final = timedelta(minutes=10)
"""As for telemetry: a clock that is farther ahead is wrong."""

TOO_EARLY: Final = "is before 1970, and scores begin then; leave those lines out"

_DAY_US: Final = 86_400_000_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # wall times are counted from it, whatever their zone
_NO_OFFSET: Final = -(2**31)
_CENTURY: Final = 70
"""Two-digit years from this on are of the 20th century, as POSIX has it."""

_TWO_DIGITS: Final = "two digits"

_WRITTEN: Final = re.compile(
    r"(?P<a>\d{1,4})(?P<mark>[-/. ])(?P<b>\d{1,2}|[A-Za-z]{3,9})(?P=mark)(?P<c>\d{1,4})"
    r"(?:(?:\s*[Tt,]\s*|\s+)(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?)?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|(?:UTC|GMT)?\s?[+-]\d{1,2}(?::?\d{2})?)?"
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1)
}
_STEP_BY_DAY_US: Final = _DAY_US // 2
_OTHER_ORDER_US: Final = 20 * _DAY_US


class DateOrder(StrEnum):
    """The values of ``--date-order``."""

    DMY = "dmy"
    MDY = "mdy"
    YMD = "ymd"


_WORDS: Final = {DateOrder.DMY: "day first", DateOrder.MDY: "month first", DateOrder.YMD: "year first"}
_PLACES: Final = {DateOrder.DMY: (2, 1, 0), DateOrder.MDY: (2, 0, 1), DateOrder.YMD: (0, 1, 2)}
"""Where year, month and day stand."""

Parts = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesUnderstood:
    """How the times of a file were understood; ``written`` and ``meant`` are its first time."""

    written: str
    meant: str
    order: str
    zone: str


class Times:
    """Collects the times of a file, line by line; ``instants`` then gives all of them."""

    def __init__(
        self, path: Path, *, order: DateOrder | None, zone: Zone | None, now: datetime, abbreviation: str = ""
    ) -> None:
        """``zone`` is that of times without an offset of their own; ``abbreviation`` is all that the file says of it."""
        self._path = path
        self._order = order
        self._zone = zone
        self._now = now
        self._abbreviation = abbreviation
        self._first = ""
        self._shape = ""
        self._days: dict[Parts, int] = {}  # every different date, with the line where it came first
        self._dates: list[Parts] = []  # the same, in order of appearance
        self._number: dict[str, int] = {}  # a date as written -> its place in _dates
        self._date_of = array("l")
        self._clock_us = array("q")
        self._offset_seconds = array("l")
        self.lines = array("l")

    def __len__(self) -> int:
        return len(self.lines)

    def add(self, text: str, line: int) -> None:
        """Take the time of one line.

        Raises:
            ConfigurationError: it is no time, or written in another way than those before.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            number = text.strip().replace(".", "", 1).isdecimal()
            hint = "; numbers of seconds or days are not read" if number else "" if text.strip() else "; every line needs one"
            raise mistake(self._path, f"{shown(text)} is no date and time{hint}", line=line)
        written, minute, second = (
            found["a"] + found["mark"] + found["b"] + found["mark"] + found["c"],
            found["minute"],
            found["second"],
        )
        place = self._number.get(written)
        if place is None:
            place = self._number[written] = self._place_of(found["a"], found["b"], found["c"], text, line)
        if not self.lines:
            self._first = text.strip()
        hour = int(found["hour"] or 0)
        if (half := found["half"]) is not None:
            if not 1 <= hour <= 12:
                raise mistake(self._path, f"{shown(text)}: there is no {hour} o'clock with AM or PM", line=line)
            hour = hour % 12 + (12 if half[0] in "pP" else 0)
        minutes, seconds = int(minute or 0), int(second or 0)
        part = found["part"]
        us = 0 if part is None else int(part[:6].ljust(6, "0"))
        clock_us = ((hour * 60 + minutes) * 60 + seconds) * 1_000_000 + us
        if minutes > 59 or seconds > 59 or clock_us > _DAY_US:  # 24:00 is the end of the day, and nothing is after it
            raise mistake(self._path, f"{shown(text)}: there is no such time of day", line=line)
        self._date_of.append(place)
        self._clock_us.append(clock_us)
        self._offset_seconds.append(_NO_OFFSET if found["zone"] is None else self._offset(found["zone"], text, line))
        self.lines.append(line)

    def _place_of(self, a: str, b: str, c: str, text: str, line: int) -> int:
        shape = "year first" if len(a) == 4 else "year last" if len(c) == 4 else _TWO_DIGITS
        if len(a) == 3 or len(c) == 3 or (len(a) == 4 and len(c) > 2):
            raise mistake(self._path, f"{shown(text)} has no date in it", line=line)
        if b.isalpha():
            if b[:3].lower() not in _MONTHS:
                raise mistake(self._path, f"{shown(text)}: {shown(b)} is no month in English", line=line)
            shape += " with the month's name"
            b = str(_MONTHS[b[:3].lower()])
        if not self._shape:
            self._shape = shape
        elif shape != self._shape:
            raise mistake(self._path, f"{shown(text)} is written in another way than {shown(self._first)} above", line=line)
        parts = (int(a), int(b), int(c))
        if parts not in self._days:
            self._days[parts] = line
            self._dates.append(parts)
            return len(self._dates) - 1
        return self._dates.index(parts)

    def _offset(self, text: str, written: str, line: int) -> int:
        zone = offset_named(text, source="the times")
        offset = None if zone is None else zone.tz.utcoffset(None)
        if offset is None:
            raise mistake(self._path, f"{shown(written)}: {shown(text)} is no offset", line=line)
        return round(offset.total_seconds())

    def instants(self) -> tuple["array[int]", TimesUnderstood]:
        """Return UTC microseconds of every line, in the order of the file.

        Raises:
            ConfigurationError: a date that does not exist or whose order is open, a time without a zone, a local time that
                the clocks skip or repeat, an instant in the future; names the line.
        """
        order, why = self._order_of_dates()
        days = [self._day(parts, order) for parts in self._dates]
        wall = array("q", (days[place] * _DAY_US + clock for place, clock in zip(self._date_of, self._clock_us, strict=True)))
        instants = self._in_utc(wall)
        limit_us = (self._now.astimezone(UTC) + AHEAD_LIMIT - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        latest_us = max(instants)
        if latest_us > limit_us:
            line = self.lines[instants.index(latest_us)]
            what = f"{iso(latest_us)} is in the future; is it {_WORDS[order]}, in the right time zone, of the right century?"
            raise mistake(self._path, what, line=line)
        if (earliest_us := min(instants)) < 0:
            raise mistake(self._path, f"{iso(earliest_us)} {TOO_EARLY}", line=self.lines[instants.index(earliest_us)])
        own = sum(1 for offset in self._offset_seconds if offset != _NO_OFFSET)
        said = "each time's own offset" if own == len(self.lines) else self._zone_said(own)
        return instants, TimesUnderstood(
            written=self._first, meant=iso(instants[0]), order=f"{_WORDS[order]}: {why}", zone=said
        )

    def _zone_said(self, own: int) -> str:
        zone = "" if self._zone is None else f"{self._zone.name} ({self._zone.source})"
        return f"{zone}, {own:,} times with their own offset" if own else zone

    def _order_of_dates(self) -> tuple[DateOrder, str]:
        if self._shape.startswith("year first"):
            return self._proven(DateOrder.YMD, "the year has four digits")
        if self._order is not None:
            return self._proven(self._order, "--date-order")
        if self._shape.endswith("name"):
            return self._proven(DateOrder.DMY, "the month has its name")
        tried = [DateOrder.DMY, DateOrder.MDY] if self._shape == "year last" else list(DateOrder)
        possible = [order for order in tried if self._impossible(order) is None]
        if not possible:
            failing = [self._days[parts] for order in tried if (parts := self._impossible(order)) is not None]
            what = "holds a date that does not exist or is in the future, whatever the order of day, month and year"
            raise mistake(self._path, what, line=max(failing))
        if len(possible) == 1:
            others = [parts for order in tried if order not in possible and (parts := self._impossible(order)) is not None]
            return possible[0], f"line {max(self._days[parts] for parts in others)} allows no other order"
        meanings = {tuple(self._day(parts, order) for parts in self._dates) for order in possible}
        if len(meanings) == 1:
            return possible[0], "every order gives the same dates"
        if (steady := self._steady(possible)) is not None:
            return steady, "in any other order the steps between lines would be months"
        first = self._dates[0]
        readings = " or ".join(
            f"{date.fromordinal(_EPOCH_DAY + self._day(first, order)):%d %B %Y} ({order})" for order in possible
        )
        what = f"{shown(self._first)} can be {readings}; say which with --date-order {'|'.join(possible)}"
        raise mistake(self._path, what, line=self._days[first])

    def _proven(self, order: DateOrder, why: str) -> tuple[DateOrder, str]:
        wrong = self._impossible(order)
        if wrong is not None:
            written = "-".join(f"{part:02d}" for part in wrong)
            raise mistake(self._path, f"there is no date {written} ({_WORDS[order]}: {why})", line=self._days[wrong])
        return order, why

    def _impossible(self, order: DateOrder) -> Parts | None:
        """Return the first date that is none in this order."""
        return next((parts for parts in self._dates if self._day_or_none(parts, order) is None), None)

    def _day(self, parts: Parts, order: DateOrder) -> int:
        day = self._day_or_none(parts, order)
        if day is None:
            raise ValueError(f"{parts} was not checked under {order}")
        return day

    def _day_or_none(self, parts: Parts, order: DateOrder) -> int | None:
        """Return the day, counted from 1970; None when there is none, or none of a record: too early, or not yet come."""
        year, month, day = (parts[place] for place in _PLACES[order])
        if self._shape.startswith(_TWO_DIGITS):
            year += 1900 if year >= _CENTURY else 2000
        try:
            found = date(year, month, day)
        except ValueError:
            return None
        open_order = not self._shape.startswith("year first") and self._order is None
        if found < EARLIEST or (open_order and found > self._now.date() + timedelta(days=1)):
            return None
        return found.toordinal() - _EPOCH_DAY

    def _steady(self, possible: Sequence[DateOrder]) -> DateOrder | None:
        """Return the one order in which the record goes on over midnight as within its days, if in any other it would jump by
        weeks at every midnight."""
        within = max((abs(b - a) for (a, b), same in self._clock_steps() if same), default=None)
        if within is None or within > _STEP_BY_DAY_US or len(self._dates) < 2:
            return None
        longest = {}
        for order in possible:
            days = [self._day(parts, order) for parts in self._dates]
            walls = (days[place] * _DAY_US + clock for place, clock in zip(self._date_of, self._clock_us, strict=True))
            longest[order] = max(abs(later - earlier) for earlier, later in pairwise(walls))
        steady = [order for order, step in longest.items() if step <= _DAY_US]
        others = [step for order, step in longest.items() if order not in steady]
        return steady[0] if len(steady) == 1 and min(others) >= _OTHER_ORDER_US else None

    def _clock_steps(self) -> Iterator[tuple[tuple[int, int], bool]]:
        """Yield the times of day of each two lines that follow each other, and whether their date is the same."""
        for clocks, places in zip(pairwise(self._clock_us), pairwise(self._date_of), strict=True):
            yield clocks, places[0] == places[1]

    def _in_utc(self, wall: "array[int]") -> "array[int]":
        instants = array("q", wall)
        zoned: list[int] = []
        for place, offset in enumerate(self._offset_seconds):
            if offset != _NO_OFFSET:
                instants[place] -= offset * 1_000_000
            else:
                zoned.append(place)
        if not zoned:
            return instants
        if self._zone is None:
            lacks = "states no offset from UTC"
            if self._abbreviation:
                lacks = f"is in {shown(self._abbreviation)}, which stands for several zones or none"
            ways = "an IANA name (Asia/Makassar), an offset (+08:00), or site"
            raise mistake(self._path, f"{shown(self._first)} {lacks}; give --timezone: {ways}", line=self.lines[zoned[0]])
        if self._zone.is_fixed:
            fixed_us = (self._zone.tz.utcoffset(None) or timedelta(0)) // timedelta(microseconds=1)
            for place in zoned:
                instants[place] -= fixed_us
            return instants
        return self._in_zone(self._zone, wall, instants, zoned)

    def _in_zone(self, zone: Zone, wall: "array[int]", instants: "array[int]", zoned: Sequence[int]) -> "array[int]":
        repeated: list[int] = []
        for place in zoned:
            first, second = offsets_at(_NAIVE_EPOCH + timedelta(microseconds=wall[place]), zone.tz)
            if first < second:
                said = "its clock did not follow: give its own offset with --timezone"
                raise mistake(
                    self._path,
                    f"{_wall_text(wall[place])} does not exist in {zone.name}, the clocks skip it; {said}",
                    line=self.lines[place],
                )
            instants[place] = wall[place] - first // timedelta(microseconds=1)
            if first > second:
                repeated.append(place)
            elif repeated:
                self._tell_apart(zone, wall, instants, repeated)
                repeated = []
        if repeated:
            self._tell_apart(zone, wall, instants, repeated)
        return instants

    def _tell_apart(self, zone: Zone, wall: "array[int]", instants: "array[int]", places: Sequence[int]) -> None:
        """Give each of the times that come twice its own offset: where the lines go on in time, the clock goes back once."""
        ascending = wall[-1] >= wall[0]
        turns = [
            place
            for place, (before, after) in enumerate(pairwise(places), start=1)
            if (wall[after] <= wall[before] if ascending else wall[after] >= wall[before])
        ]
        if len(turns) != 1:
            what = f"{_wall_text(wall[places[0]])} comes twice in {zone.name}, as the clocks go back"
            said = "the lines do not say which it is; give the record's own offset with --timezone, such as +01:00"
            raise mistake(self._path, f"{what}, and {said}", line=self.lines[places[0]])
        later = places[turns[0] :] if ascending else places[: turns[0]]
        for place in later:
            _, second = offsets_at(_NAIVE_EPOCH + timedelta(microseconds=wall[place]), zone.tz)
            instants[place] = wall[place] - second // timedelta(microseconds=1)


def iso(us: int) -> str:
    """Return UTC microseconds since 1970 as ISO 8601."""
    return (_NAIVE_EPOCH + timedelta(microseconds=us)).isoformat() + "Z"


def _wall_text(us: int) -> str:
    return (_NAIVE_EPOCH + timedelta(microseconds=us)).isoformat(sep=" ")
