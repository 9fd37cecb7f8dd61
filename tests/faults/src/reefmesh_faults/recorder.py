"""The recorder of what comes out: a durable subscription of its own on every channel, settled message by message."""

import asyncio
import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any, Final

from reefmesh.broker.port import Broker, Consumer, Delivery, Lane
from reefmesh.contracts.channels import ALERTS, QUARANTINE, READINGS, SCORES, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import TransientError
from reefmesh_faults.history import Heard

RECORDED: Final = tuple(Subscription("faults", channel) for channel in (READINGS, QUARANTINE, SCORES, ALERTS))
LANES: Final = 4
LOOK_SECONDS: Final = 0.05
TELLS_OF_THE_RUN: Final = ("raised_at", "data_age_seconds")


class Recorder:
    """Takes everything that is published on the recorded channels, in each reef's order; survives a broker that goes away."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._consumers: list[Consumer] = []
        self._lanes: list[asyncio.Task[None]] = []
        self.heard: list[Heard] = []

    async def start(self) -> None:
        """Subscribe and record from now on."""
        await self._broker.declare(RECORDED)
        for subscription in RECORDED:
            consumer = self._broker.consumer(subscription, lanes=LANES)
            await consumer.start()
            self._consumers.append(consumer)
            self._lanes += [asyncio.create_task(self._record(lane)) for lane in consumer.lanes]

    async def until_heard_all(self) -> None:
        """Return when nothing waits for it. Only for an engine that sees its queues whole: the embedded one does."""
        while True:
            known = (await self._broker.statistics()).subscriptions
            if not any(known[each].waiting_messages or known[each].in_flight_messages for each in RECORDED):
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def stop(self) -> None:
        """Finish what is in hand. Raises what a lane raised."""
        await asyncio.gather(*(consumer.drain() for consumer in self._consumers))
        await asyncio.gather(*self._lanes)
        for consumer in self._consumers:
            await consumer.close()

    async def _record(self, lane: Lane) -> None:
        while (delivery := await lane.receive()) is not None:
            self.heard.append(heard(delivery))
            try:
                await lane.settle(delivery, ())
            except TransientError:
                continue  # it comes again, and is a repeat in the record


def heard(delivery: Delivery) -> Heard:
    message = delivery.message
    digest, alert_id = content(delivery.subscription.channel.name, message)
    return Heard(
        channel=delivery.subscription.channel.name,
        reef_id=message.reef_id,
        seq=message.seq,
        event_id=message.event_id,
        digest=digest,
        heard_ns=time.monotonic_ns(),
        alert_id=alert_id,
    )


def content(channel: str, message: Envelope) -> tuple[str, str | None]:
    """Return a digest of what a message says, apart from what tells of the run; and the alert that it is, if it is one."""
    if channel != ALERTS.name:
        return digest_of(message.body), None
    alert: dict[str, Any] = json.loads(message.body)
    return digest_of(plain_alert(alert)), alert["alert_id"]


def plain_alert(alert: dict[str, Any]) -> bytes:
    """Return an alert without when it was raised and how old its evidence was by then."""
    return json.dumps({name: alert[name] for name in alert if name not in TELLS_OF_THE_RUN}, sort_keys=True).encode()


def digest_of(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def newest_seqs(records: Sequence[Heard]) -> dict[tuple[str, str], int]:
    """Return the highest number heard of each channel and reef."""
    newest: dict[tuple[str, str], int] = {}
    for each in records:
        key = (each.channel, each.reef_id)
        newest[key] = max(newest.get(key, 0), each.seq or 0)
    return newest
