"""When the broker's store is full, whoever can be told is told; devices, which cannot, have room that was kept for them."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.devices import DeviceMessage, Move
from reefmesh.broker.port import LaneLost, Publication, PublishRefused
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import TELEMETRY, Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh_components import requirement
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.nemo_pi import data, nemo_pi

IMEI: Final = "867740030000003"
REPORTS: Final = 50
FILLER: Final = Subscription("filler", Channel("reef.filler", numbered=False))


@pytest.fixture
def small_broker() -> Iterator[ActivemqProcess]:
    try:
        with local_activemq(store_limit="40 mb") as process:
            yield process
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


def publication(channel: str, body: bytes) -> Publication:
    message = Envelope(event_id="e", reef_id="r", schema_id="s/1", produced_at=datetime(2026, 1, 1, tzinfo=UTC), body=body)
    return Publication(channel=channel, message=message)


def moves(messages: list[DeviceMessage]) -> list[Move]:
    return [Move(message=each, outputs=(publication(TELEMETRY.name, each.body),)) for each in messages]


async def fill(broker: ActiveMQBroker) -> None:
    while True:
        await broker.publish([publication(FILLER.channel.name, bytes(1_000_000))])


async def moved_after_refusals(broker: ActiveMQBroker, number: int) -> list[DeviceMessage]:
    queue = broker.device_queue()
    await queue.start()
    messages: list[DeviceMessage] = []
    while len(messages) < number:
        messages += await asyncio.wait_for(queue.receive(), 60)
    with pytest.raises(LaneLost, match="store is Full"):
        await queue.settle(moves(messages))
    again: list[DeviceMessage] = []
    while len(again) < number:
        again += await asyncio.wait_for(queue.receive(), 60)
    with pytest.raises(PublishRefused, match="store is Full"):
        await queue.settle(moves(again))
    await queue.settle([Move(message=each, outputs=()) for each in again])
    await queue.close()
    assert [each.message_id for each in again] == [each.message_id for each in messages]
    return again


async def test_device_is_acknowledged_and_kept_while_others_are_refused(small_broker: ActivemqProcess) -> None:
    broker = ActiveMQBroker(small_broker.url(), clock=SystemClock())
    await broker.connect()
    try:
        await broker.declare([FILLER])
        with pytest.raises(PublishRefused, match="store is Full"):
            await fill(broker)
        async with nemo_pi(small_broker, IMEI) as device:
            for number in range(REPORTS):
                await device.publish(data(number / 10))
        messages = await moved_after_refusals(broker, REPORTS)
        assert [each.body for each in messages] == [data(number / 10) for number in range(REPORTS)]
    finally:
        await broker.close()
