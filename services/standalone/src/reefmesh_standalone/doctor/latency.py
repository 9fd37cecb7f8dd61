"""Measures how long a confirmed publish takes, and how long until the message comes back to us."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from reefmesh.broker.port import Broker, Lane
from reefmesh.clock import Clock
from reefmesh_standalone.doctor.channel import OWN, PATIENCE_SECONDS, message
from reefmesh_standalone.doctor.finding import Finding, ok, warn

WARM_UP, MESSAGES = 10, 200
SLOW_MILLISECONDS: Final = 250.0
"""A p99 above this leaves too little of the second within which an alert is to follow telemetry."""


async def examine_latency(broker: Broker, clock: Clock) -> list[Finding]:
    """Publish one at a time, each confirmed, and take it back before the next; the first ones only warm up."""
    publishing: list[float] = []
    returning: list[float] = []
    consumer = broker.consumer(OWN, lanes=1)
    await consumer.start()
    lane = consumer.lanes[0]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for number in range(1, WARM_UP + MESSAGES + 1):
                publication = message(clock, "doctor-latency", number)
                began = time.perf_counter()
                await broker.publish([publication])
                publishing.append((time.perf_counter() - began) * 1000)
                await _take(lane, publication.message.event_id)
                returning.append((time.perf_counter() - began) * 1000)
    except TimeoutError:
        said = f"{len(returning)} of {WARM_UP + MESSAGES} messages came back within {PATIENCE_SECONDS:g} s"
        return [warn("latency", said, "look at the broker's disk and at its load")]
    finally:
        await consumer.drain()
    return [
        _judge("publish latency", "a confirmed publish", publishing[WARM_UP:]),
        _judge("round trip", "publish to receipt", returning[WARM_UP:]),
    ]


async def _take(lane: Lane, event_id: str) -> None:
    while (delivery := await lane.receive()) is not None:
        await lane.settle(delivery, [])
        if delivery.message.event_id == event_id:
            return


def _judge(check: str, what: str, milliseconds: Sequence[float]) -> Finding:
    p50, p99 = percentile(milliseconds, 0.50), percentile(milliseconds, 0.99)
    said = f"{what} takes {p50:.1f} ms (p50), {p99:.1f} ms (p99)"
    if p99 <= SLOW_MILLISECONDS:
        return ok(check, said)
    return warn(check, said, "bring services and broker closer together, or give the broker a faster disk")


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
