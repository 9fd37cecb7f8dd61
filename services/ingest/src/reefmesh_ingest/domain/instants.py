"""The instant of each observation: by the device's clock where that can be right, else by the time of reception."""

from collections.abc import Sequence
from typing import Final, Literal

TimeSource = Literal["device", "received", "broken_clock"]

AHEAD_MICROSECONDS_LIMIT: Final = 10 * 60 * 1_000_000
AGE_MICROSECONDS_LIMIT: Final = 366 * 86_400 * 1_000_000
EARLIEST_US: Final = 946_684_800 * 1_000_000
"""2000-01-01: no header of a message says an earlier time. The register may, for records of stations (``earliest_us``)."""


def instants_of(
    observed: Sequence[int | None], *, sent_us: int | None, received_us: int, earliest_us: int, latest_us: int
) -> list[tuple[int, TimeSource]]:
    """Return the instant of each observation of one message, and where it comes from; all in UTC microseconds.

    An instant before ``earliest_us``, more than 10 minutes after ``received_us``, or after ``latest_us`` shows a broken clock.
    Its readings are kept apart in one of two ways, both a function of the message alone:

    * The clock runs, only from a wrong start: ``sent_us`` is of the same broken clock, and every broken instant lies at most
      366 days before it. Then each reading is as old as the device says: ``received_us - (sent_us - observed)``. A ``sent_us``
      after the reception proves that the clock is ahead: then that is so of every reading of the message, also of those whose
      own instants are possible.
    * Otherwise the last broken reading of the message gets ``received_us``, and each one before it one microsecond less.
    """
    latest_us = min(latest_us, received_us + AHEAD_MICROSECONDS_LIMIT)
    instants: list[tuple[int, TimeSource]] = []
    broken: list[int] = []
    for place, observed_us in enumerate(observed):
        if observed_us is None:
            instants.append((received_us, "received"))
        elif earliest_us <= observed_us <= latest_us:
            instants.append((observed_us, "device"))
        else:
            broken.append(place)
            instants.append((observed_us, "broken_clock"))
    if sent_us is not None and sent_us > latest_us:
        dated = [place for place, observed_us in enumerate(observed) if observed_us is not None]
        if _ages(observed, dated, sent_us) is not None:
            broken = dated
    if not broken:
        return instants
    is_of_broken_clock = sent_us is not None and not earliest_us <= sent_us <= latest_us
    ages = _ages(observed, broken, sent_us) if is_of_broken_clock else None
    for place, age_us in zip(broken, ages or range(len(broken) - 1, -1, -1), strict=True):
        instants[place] = (received_us - age_us, "broken_clock")
    return instants


def _ages(observed: Sequence[int | None], places: Sequence[int], sent_us: int | None) -> list[int] | None:
    """Return how long before its sending each of these was observed; None where one says what cannot be."""
    ages = [sent_us - observed_us for place in places if sent_us is not None and (observed_us := observed[place]) is not None]
    return ages if len(ages) == len(places) and all(0 <= age <= AGE_MICROSECONDS_LIMIT for age in ages) else None
