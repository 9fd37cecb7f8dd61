"""Devices over MQTT through a real broker and ingest: what is acknowledged to them becomes readings, or is explained."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiomqtt
import pytest

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.devices import DeviceMessage, Move
from reefmesh.broker.port import LaneLost
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import QUARANTINE, READINGS, TELEMETRY
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quarantine import QuarantineEntry
from reefmesh.contracts.readings import READERS, Reading
from reefmesh.contracts.schema import read_body
from reefmesh.errors import ConfigurationError
from reefmesh.observability import table
from reefmesh_components.nemo_pi import NemoPi, data, nemo_pi, publish_and_retransmit
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.quarantine.review import Quarantine
from reefmesh_ingest.register.entries import BuoyEntry

IMEI = "867740030000003"
STRANGER = "867740030009999"
CHANNEL = "sea_water_temperature"


def readings_of(messages: Sequence[Envelope]) -> list[Reading]:
    """Every reading in its newest revision, oldest first."""
    newest = {reading.observed_at: reading for message in messages for reading in read_body(message, READERS).readings}
    return [newest[instant] for instant in sorted(newest)]


def there_are(number: int) -> Callable[[Sequence[Envelope]], bool]:
    return lambda messages: len(readings_of(messages)) >= number


def entries_of(messages: Sequence[Envelope]) -> list[QuarantineEntry]:
    return [QuarantineEntry.model_validate_json(message.body) for message in messages]


def value_in(body: bytes) -> float:
    value: float = json.loads(body)["sensors"][0]["data"][0]["value"]
    return value


async def test_published_data_becomes_a_reading_at_the_instant_the_broker_took_it(stage: Any) -> None:
    async with stage.ears(READINGS) as (ear,), stage.ingest() as ingest:
        before = datetime.now(UTC) - timedelta(milliseconds=1)  # the broker's stamp is in whole milliseconds
        async with nemo_pi(stage.broker, IMEI) as device:
            await device.publish(data(29.4))
            after = datetime.now(UTC)
            await device.publish(data(None, fault="probe unreachable"))
        warm, missing = readings_of(await ear.until(there_are(2)))
        assert (warm.buoy_id, warm.time_source, warm.observed_at) == (IMEI, "received", warm.received_at)
        assert before <= warm.received_at <= after
        assert warm.channels[CHANNEL].value == 29.4
        assert (missing.channels[CHANNEL].flag, missing.channels[CHANNEL].fault) == (Flag.MISSING, "probe unreachable")
        report = await ingest.health.report()
        (check,) = [check for check in report.checks if check.name == "mqtt bridge"]
        assert (check.status, check.facts["role"], check.facts["moved"]) == ("ok", "active", 2)
        assert ingest.metrics.value(table.BRIDGED, "registered") == 2


async def test_retransmitted_publish_is_counted_as_a_duplicate(stage: Any) -> None:
    async with stage.ears(READINGS) as (ear,), stage.ingest() as ingest:
        await publish_and_retransmit(stage.broker, IMEI, data(28.7))
        async with nemo_pi(stage.broker, IMEI) as device:
            await device.publish(data(28.8))  # handled after them, so they have been handled when it has
        values = [reading.channels[CHANNEL].value for reading in readings_of(await ear.until_there_are(2))]
        assert values == [28.7, 28.8]
        books = await accounting(ingest.store)
        assert (books.messages.received, books.messages.accepted, books.messages.duplicates) == (3, 2, 1)
        assert books.discrepancies == ()


async def test_unknown_device_is_quarantined_and_replayed_once_it_is_registered(stage: Any) -> None:
    async with stage.ears(READINGS, QUARANTINE) as (readings, quarantined), stage.ingest() as ingest:
        async with nemo_pi(stage.broker, STRANGER) as device:
            for celsius in (27.1, 27.2, 27.3):
                await device.publish(data(celsius))
        entries = entries_of(await quarantined.until_there_are(3))
        assert {(entry.device, entry.reason) for entry in entries} == {(STRANGER, "unknown-device")}
        await ingest.register.upsert(buoys=[BuoyEntry(id=STRANGER, reef="menjangan")])
        desk = Quarantine(store=ingest.store, broker=ingest.broker, register=ingest.register, clock=SystemClock())
        assert (await desk.replay_for_device(STRANGER)).entries == 3
        replayed = readings_of(await readings.until(there_are(3)))
        assert [reading.channels[CHANNEL].value for reading in replayed] == [27.1, 27.2, 27.3]
        assert [reading.received_at for reading in replayed] == [entry.received_at for entry in entries]
        assert await desk.list() == []
        async with nemo_pi(stage.broker, STRANGER) as device:
            await device.publish(data(27.4))
        assert readings_of(await readings.until(there_are(4)))[-1].channels[CHANNEL].value == 27.4


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (f"buoys/{IMEI}/d2c/telemetry", b"", "empty"),
        (f"buoys/{IMEI}/d2c/telemetry", b"\xff\xfe\x00", "not-text"),
        (f"buoys/{IMEI}/d2c/telemetry", b'{"msg_type": "da', "not-json"),
        (f"buoys/{IMEI}/d2c/telemetry", b"[" * 10_000, "too-deep"),
        (f"buoys/{IMEI}/d2c/telemetry", b'{"msg_type": "dance"}', "unknown-msg-type"),
        (f"buoys/{IMEI}/d2c/telemetry", b'"' + b"x" * 250_000 + b'"', "wrong-structure"),
        (f"buoys/{IMEI}/d2c", b"{}", "unknown-msg-type"),
        ("buoys//d2c/telemetry", data(29.0), "no-device"),
        ("buoys/no such ☃ \U0001f30a device/d2c/telemetry", data(29.0), "unknown-device"),
        (f"buoys/{'9' * 3000}/d2c/telemetry", data(29.0), "unknown-device"),
    ],
    ids=["empty", "not-text", "cut-off", "too-deep", "unknown-type", "250-kB", "no-kind", "no-device", "odd-name", "long-name"],
)
async def test_malformed_message_is_quarantined_whole_and_holds_up_nothing(
    stage: Any, topic: str, payload: bytes, reason: str
) -> None:
    async with stage.ears(READINGS, QUARANTINE) as (readings, quarantined), stage.ingest() as ingest:
        async with nemo_pi(stage.broker, IMEI) as device:
            await device.publish_to(topic, payload)
            await device.publish(data(29.0))
        (entry,) = entries_of(await quarantined.until_there_are(1))
        assert (entry.reason, entry.payload_bytes) == (reason, len(payload))
        assert readings_of(await readings.until(there_are(1)))[0].channels[CHANNEL].value == 29.0
        desk = Quarantine(store=ingest.store, broker=ingest.broker, register=ingest.register, clock=SystemClock())
        shown = await desk.show(entry.quarantine_id)
        assert shown is not None
        assert shown.payload == payload


async def test_many_devices_at_once_are_bridged_in_the_order_of_each(stage: Any) -> None:
    devices, each = 20, 50

    async def publish(number: int) -> None:
        async with nemo_pi(stage.broker, f"8677400300{number:05d}") as device:
            for celsius in range(each):
                await device.publish(data(celsius / 10))

    async with stage.ears(TELEMETRY) as (ear,), stage.ingest():
        await asyncio.gather(*(publish(number) for number in range(devices)))
        messages = await ear.until_there_are(devices * each)
        by_device = defaultdict(list)
        for message in messages:
            by_device[message.headers["device"]].append(value_in(message.body))
        assert len(by_device) == devices
        assert all(values == [celsius / 10 for celsius in range(each)] for values in by_device.values())
        assert len({message.event_id for message in messages}) == devices * each


@pytest.mark.faults
@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_what_was_acknowledged_before_the_broker_went_down_is_bridged_afterwards(stage: Any, how: str) -> None:
    acknowledged = []
    async with stage.ears(TELEMETRY) as (ear,):
        async with nemo_pi(stage.broker, IMEI) as device:
            for number in range(30):  # nobody bridges now: they wait
                await device.publish(data(number / 10))
                acknowledged.append(number / 10)
        await asyncio.to_thread(getattr(stage.broker, "stop" if how == "restart" else "kill"))
        await asyncio.to_thread(stage.broker.start)
        async with stage.ingest():
            await ear.until_there_are(10)
            going_down = asyncio.to_thread(getattr(stage.broker, "stop" if how == "restart" else "kill"))
            async with nemo_pi(stage.broker, IMEI, confirm_timeout_seconds=2) as device:
                down = asyncio.create_task(going_down)
                with pytest.raises((aiomqtt.MqttError, TimeoutError)):
                    await publish_until_it_fails(device, acknowledged)
            await down
            await asyncio.to_thread(stage.broker.start)
            async with nemo_pi(stage.broker, IMEI) as device:
                await device.publish(data(-1.0))
            messages = await ear.until(lambda seen: any(b'"value": -1.0' in message.body for message in seen))
            values = [value for message in messages if (value := value_in(message.body)) >= 0]
            assert values == sorted(values)
            assert set(acknowledged) <= set(values)
            assert len(values) <= len(acknowledged) + 1  # what was on its way when the broker went down


async def publish_until_it_fails(device: NemoPi, acknowledged: list[float]) -> None:
    while True:
        value = len(acknowledged) / 10
        await device.publish(data(value))
        acknowledged.append(value)


async def taken(broker: ActiveMQBroker) -> tuple[Any, Sequence[DeviceMessage]]:
    queue = broker.device_queue()
    await queue.start()
    return queue, await asyncio.wait_for(queue.receive(), 60)


async def test_redelivered_message_keeps_id_time_and_topic_across_consumers_and_restarts(stage: Any) -> None:
    async with nemo_pi(stage.broker, IMEI) as device:
        await device.publish(data(26.5))
    seen = []
    for interruption in ("close", "abort", "restart", "kill", ""):
        client = ActiveMQBroker(stage.broker.url("ingest"), clock=SystemClock())
        await client.connect()
        queue, (message,) = await taken(client)
        seen.append((message.message_id, message.received_at, message.topic, message.body))
        assert message.redelivered is (len(seen) > 1)
        match interruption:
            case "close":
                await queue.close()
            case "abort":
                client.abort()
            case "restart":
                await asyncio.to_thread(stage.broker.restart)
            case "kill":
                await asyncio.to_thread(stage.broker.kill)
                await asyncio.to_thread(stage.broker.start)
            case _:
                await queue.settle([Move(message=message, outputs=())])
        await client.close()
    assert len(set(seen)) == 1
    assert seen[0][2] == f"buoys/{IMEI}/d2c/telemetry"


async def test_standby_is_given_nothing_until_the_active_one_is_gone(stage: Any) -> None:
    first, second = (ActiveMQBroker(stage.broker.url("ingest"), clock=SystemClock()) for _ in range(2))
    await first.connect()
    await second.connect()
    try:
        active, standby = first.device_queue(), second.device_queue()
        await active.start()
        await standby.start()
        waiting = asyncio.create_task(standby.receive())
        async with nemo_pi(stage.broker, IMEI) as device:
            for number in range(300):  # more than one takes in advance
                await device.publish(data(number / 10))
        held = list(await asyncio.wait_for(active.receive(), 60))
        assert (active.role, standby.role) == ("active", "standby")
        await active.settle([Move(message=message, outputs=()) for message in held[:10]])
        first.abort()
        with pytest.raises(LaneLost):
            await active.settle([Move(message=message, outputs=()) for message in held[10:]])
        assert active.role == "away"
        values = [value_in(message.body) for message in held[:10]]
        batch = await asyncio.wait_for(waiting, 60)
        assert standby.role == "active"
        while len(values) < 300:
            values += [value_in(message.body) for message in batch]
            await standby.settle([Move(message=message, outputs=()) for message in batch])
            batch = await asyncio.wait_for(standby.receive(), 60) if len(values) < 300 else ()
        assert values == [number / 10 for number in range(300)]
    finally:
        await first.close()
        await second.close()


async def test_only_the_oldest_messages_can_be_settled(stage: Any) -> None:
    """The broker acknowledges everything up to a message: one that was left out would be lost."""
    client = ActiveMQBroker(stage.broker.url("ingest"), clock=SystemClock())
    await client.connect()
    try:
        async with nemo_pi(stage.broker, IMEI) as device:
            for number in range(3):
                await device.publish(data(number / 10))
        queue = client.device_queue()
        await queue.start()
        messages: list[DeviceMessage] = []
        while len(messages) < 3:
            messages += await asyncio.wait_for(queue.receive(), 60)
        for wrong in (messages[1:], messages[::2], messages[::-1]):
            with pytest.raises(ValueError, match="oldest"):
                await queue.settle([Move(message=message, outputs=()) for message in wrong])
        await queue.settle([Move(message=message, outputs=()) for message in messages[:1]])
        await queue.settle([Move(message=message, outputs=()) for message in messages[1:]])
        await queue.close()
        try:
            kept = await asyncio.to_thread(stage.broker.live_objects, "org.apache.activemq.transport.stomp.StompAckEntry")
        except ComponentMissing as missing:
            give_up(missing)
        assert 0 == kept
    finally:
        await client.close()


async def test_user_without_the_right_is_told_so_in_one_line(stage: Any) -> None:
    client = ActiveMQBroker(stage.broker.url("scoring"), clock=SystemClock())
    await client.connect()
    try:
        with pytest.raises(ConfigurationError, match=r"scoring is not authorized to read from: queue://reef\.telemetry\.mqtt"):
            await client.device_queue().start()
    finally:
        await client.close()
