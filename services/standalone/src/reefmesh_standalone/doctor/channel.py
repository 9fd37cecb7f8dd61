"""The doctor's own channel: nothing else in the mesh uses it, and the doctor takes back every message that it publishes."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from reefmesh.broker.port import Broker, Publication
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope

CHANNEL: Final = "reef.doctor"
OWN: Final = Subscription("doctor", Channel(CHANNEL, numbered=False))
SCHEMA: Final = "doctor/1"
PUBLISH_AT_ONCE: Final = 250
PATIENCE_SECONDS: Final = 30.0
"""For everything that one check sends to come back."""


class Unfinished(Exception):
    """Some messages did not come back in time; the text says how many did."""


def message(clock: Clock, group: str, number: int) -> Publication:
    """Return the ``number``-th message of a group, from 1."""
    envelope = Envelope(event_id=uuid4().hex, reef_id=group, schema_id=SCHEMA, produced_at=clock.now(), body=b"", seq=number)
    return Publication(channel=CHANNEL, message=envelope)


async def publish(broker: Broker, publications: Sequence[Publication]) -> None:
    for start in range(0, len(publications), PUBLISH_AT_ONCE):
        await broker.publish(publications[start : start + PUBLISH_AT_ONCE])


async def take_until(broker: Broker, event_ids: set[str]) -> set[str]:
    """Take all waiting messages, oldest first, until these have come; return those of them that came.

    One lane, alone on the subscription, gets messages in the order in which they were published, so it first takes whatever an
    earlier doctor left behind.
    """
    consumer = broker.consumer(OWN, lanes=1)
    await consumer.start()
    came: set[str] = set()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while came < event_ids and (delivery := await consumer.lanes[0].receive()) is not None:
                came |= {delivery.message.event_id} & event_ids
                await consumer.lanes[0].settle(delivery, [])
    except TimeoutError:
        pass
    finally:
        await consumer.close()
    return came


async def sweep(broker: Broker, clock: Clock) -> None:
    """Take whatever waits on our subscription."""
    last = message(clock, "doctor", 1)
    await broker.publish([last])
    await take_until(broker, {last.message.event_id})
