"""Handlers without a broker: messages as the mesh sends them, through FastStream's own test brokers."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from faststream.rabbit import TestRabbitBroker
from faststream_stomp import TestStompBroker
from faststream_stomp.testing import FakeAckableMessageFrame

from reefmesh.broker.activemq.message_headers import USER_ID, to_frame
from reefmesh.broker.rabbitmq.message_headers import to_headers
from reefmesh.contracts import channels, schema
from reefmesh.contracts.alerts import Alert, schema_of
from reefmesh.contracts.channels import Channel
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.readings import Readings, Readings2
from reefmesh.contracts.scores import ReefScore
from reefmesh.contracts.services import SERVICES
from reefmesh.faststream.activemq import StompReefBroker
from reefmesh.faststream.rabbitmq import RabbitReefBroker

Body = Alert | ReefScore | Readings


class TestMesh:
    """Sends to the handlers of one broker what the mesh would send. Made by ``mesh_without_broker``."""

    __test__ = False  # pytest need not look for tests in it

    def __init__(self, broker: RabbitReefBroker | StompReefBroker) -> None:
        self._broker = broker
        self._newest: Counter[tuple[Channel, str]] = Counter()

    async def send(
        self, body: Body, *, reef_id: str | None = None, seq: int | None = None, sender: str | None = None
    ) -> Envelope:
        """Call the handler, and return the envelope that it was given. Whatever it raises is raised here, at once.

        ``seq``: the number of the message, by default the reef's next one; the same number again is a duplicate.
        ``sender``: the broker user that sent it, by default the one that may.
        """
        channel, schema_id = _place_of(body)
        reef_id = body.reef.reef_id if isinstance(body, Readings) else body.reef_id
        seq = seq or self._newest[channel, reef_id] + 1
        self._newest[channel, reef_id] = max(seq, self._newest[channel, reef_id])
        envelope = Envelope(
            event_id=event_id_of(f"{channel}/{reef_id}/{seq}", "test"),
            reef_id=reef_id,
            schema_id=schema_id,
            produced_at=datetime.now(UTC),
            seq=seq,
            body=body.model_dump_json(exclude_defaults=True).encode(),
        )
        sender = sender or next(each.name for each in SERVICES if channel in each.publishes)
        await self._deliver(channel, envelope, sender)
        return envelope

    async def _deliver(self, channel: Channel, envelope: Envelope, sender: str) -> None:
        subscription = next((each for each in self._broker.lanes if each.channel == channel), None)
        if subscription is None:
            raise LookupError(f"no handler is registered for {channel}")
        address = self._broker.address_of(subscription, envelope.reef_id)
        if isinstance(self._broker, RabbitReefBroker):
            await self._broker.publish(envelope.body, address, headers=dict(to_headers(envelope)), user_id=sender)
            return
        headers: Any = dict(to_frame(envelope)) | {USER_ID: sender, "destination": address, "message-id": envelope.event_id}
        acknowledged_nowhere: Any = None
        frame = FakeAckableMessageFrame(
            headers=headers, body=envelope.body, _subscription=acknowledged_nowhere, _received_at_reconnection_count=0
        )
        # One of the lanes, as a broker would; FastStream's own fake would call all of them.
        lane: Any = self._broker.lanes[subscription][0]
        await lane.process_message(frame)


def _place_of(body: Body) -> tuple[Channel, str]:
    match body:
        case Alert():
            return channels.ALERTS, schema_of(body.kind)
        case ReefScore():
            return channels.SCORES, schema.SCORES_2
        case Readings2():
            return channels.READINGS, schema.READINGS_2
        case Readings():
            return channels.READINGS, schema.READINGS_1


@asynccontextmanager
async def mesh_without_broker(broker: RabbitReefBroker | StompReefBroker) -> AsyncIterator[TestMesh]:
    """Run the broker's handlers without connecting anywhere; they are tried once, and their errors raised."""
    was_off, broker.retrying.is_off = broker.retrying.is_off, True
    tested: Any = TestRabbitBroker(broker) if isinstance(broker, RabbitReefBroker) else TestStompBroker(broker)
    try:
        async with tested:
            yield TestMesh(broker)
    finally:
        broker.retrying.is_off = was_off
