"""Publishes many messages, with a limit on those under way, and reports its progress."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from reefmesh.broker.port import Broker, Publication
from reefmesh.broker.producer import Producer
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope

MESSAGES_PER_PUBLISH: Final = 100
BYTES_PER_PUBLISH: Final = 1024 * 1024


async def send_all(broker: Broker, messages: Sequence[Envelope], *, report: Callable[[int], None], stop: asyncio.Event) -> int:
    """Publish telemetry in this order; returns how many messages the broker confirmed before the end or ``stop``."""
    producer, confirmed = Producer(), 0
    while confirmed < len(messages) and not stop.is_set():
        batch = producer.link(_next_batch(messages, confirmed))
        await broker.publish([Publication(channel=channels.TELEMETRY.name, message=message) for message in batch])
        producer.confirmed(batch)
        confirmed += len(batch)
        report(confirmed)
    return confirmed


def _next_batch(messages: Sequence[Envelope], first: int) -> Sequence[Envelope]:
    size = 0
    for index in range(first, min(first + MESSAGES_PER_PUBLISH, len(messages))):
        size += len(messages[index].body)
        if size > BYTES_PER_PUBLISH:
            return messages[first : max(index, first + 1)]
    return messages[first : first + MESSAGES_PER_PUBLISH]
