"""Hours, days and months of UTC, as microseconds since 1970, and spans of them to be read together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND_US: Final = 1_000_000
HOUR_US: Final = 3600 * SECOND_US
DAY_US: Final = 24 * HOUR_US
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def microseconds_of(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND


def instant_of(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def hour_of(observed_us: int) -> int:
    """Return the first microsecond of the hour."""
    return observed_us - observed_us % HOUR_US


def day_of(observed_us: int) -> int:
    """Return the number of the day of UTC, counted from 1970-01-01."""
    return observed_us // DAY_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month of UTC, named like ``2026-11``, with its first microsecond and the first one after it."""

    name: str
    from_us: int
    before_us: int


def month_of(observed_us: int) -> Month:
    return _month_of_day(day_of(observed_us))


@lru_cache(maxsize=4096)
def _month_of_day(day: int) -> Month:
    """Nearly all readings are of a few days, and each asks."""
    first = instant_of(day * DAY_US).replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return Month(name=f"{first:%Y-%m}", from_us=microseconds_of(first), before_us=microseconds_of(following))


def spans(starts: Iterable[int], *, width: int, gap: int) -> Iterator[tuple[int, int]]:
    """Yield spans (first, first after) that cover ``width`` from each start on; what lies closer together than ``gap`` is one
    span, so that few reads fetch little that nobody asked for."""
    first = last = None
    for start in sorted(set(starts)):
        if first is None or last is None:
            first = start
        elif start - last > gap:
            yield first, last + width
            first = start
        last = start
    if first is not None and last is not None:
        yield first, last + width
