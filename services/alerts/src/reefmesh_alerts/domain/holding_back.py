"""How long a buoy usually holds its readings back: one that transmits every three hours is not silent in between.

It is learned from its last arrivals, and is never longer than a day. One backlog after an outage is a single arrival, however
many messages it comes in, and a single arrival does not count.

Silence waits for it twice: one transmission may be late or lost, as single reports may be among three intervals.
"""

from typing import Final, NamedTuple

from reefmesh_alerts.domain.transition import SECOND_US

ARRIVALS_KEPT: Final = 5
HELD_BACK_LIMIT_US: Final = 24 * 3600 * SECOND_US
TRANSMISSIONS_WAITED_FOR: Final = 2


class Arrived(NamedTuple):
    """Readings that were received one after the other: from when to when, and how long the oldest was held back."""

    from_us: int
    until_us: int
    held_back_us: int


def with_arrival(
    arrivals: tuple[Arrived, ...], *, received_us: int, held_back_us: int, interval_us: int
) -> tuple[Arrived, ...]:
    """Return the last arrivals with another one. What is received within half a report interval is one arrival.

    Readings cannot have waited for this arrival since before the last one, whatever a device's clock says.
    """
    if arrivals and received_us - arrivals[-1].until_us < interval_us // 2:
        last, before = arrivals[-1], arrivals[:-1]
        held_us = _held(before, from_us=last.from_us, held_back_us=held_back_us)
        return (*before, Arrived(last.from_us, max(last.until_us, received_us), max(last.held_back_us, held_us)))
    held_us = _held(arrivals, from_us=received_us, held_back_us=held_back_us)
    return (*arrivals, Arrived(received_us, received_us, held_us))[-ARRIVALS_KEPT:]


def usually_held_back_us(arrivals: tuple[Arrived, ...]) -> int:
    """Return the second longest time of the last arrivals, or that of the only one."""
    held = sorted([each.held_back_us for each in arrivals])
    return held[-2] if len(held) > 1 else sum(held)


def silence_waits_us(arrivals: tuple[Arrived, ...]) -> int:
    """Return how much longer than three report intervals a buoy may be silent; at most a day."""
    return min(TRANSMISSIONS_WAITED_FOR * usually_held_back_us(arrivals), HELD_BACK_LIMIT_US)


def _held(before: tuple[Arrived, ...], *, from_us: int, held_back_us: int) -> int:
    most_us = from_us - before[-1].until_us if before else HELD_BACK_LIMIT_US
    return min(held_back_us, most_us, HELD_BACK_LIMIT_US)
