"""Devices over MQTT through a real RabbitMQ and ingest, each with a user of its own."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.devices import DeviceBroker
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import QUARANTINE, READINGS, TELEMETRY
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.quarantine import QuarantineEntry
from reefmesh.contracts.readings import READERS, Reading
from reefmesh.contracts.schema import read_body
from reefmesh.observability import table
from reefmesh_components.certificates import client_context
from reefmesh_components.nemo_pi import data, nemo_pi
from reefmesh_ingest.accounting import accounting
from reefmesh_standalone.device_commands import DeviceCommands

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(240)]  # the first of them starts the broker

IMEI = "867740030000003"
OTHER = "867740030000004"
CERTIFIED = "867740030000005"
FLEET = [f"8677400301{number:05d}" for number in range(20)]
CHANNEL = "sea_water_temperature"


def readings_of(messages: Sequence[Envelope]) -> list[Reading]:
    """Every reading in its newest revision, oldest first."""
    newest = {reading.observed_at: reading for message in messages for reading in read_body(message, READERS).readings}
    return [newest[instant] for instant in sorted(newest)]


def value_in(body: bytes) -> float:
    value: float = json.loads(body)["sensors"][0]["data"][0]["value"]
    return value


async def test_published_data_becomes_a_reading_and_a_receipt(rabbitmq_stage: Any) -> None:
    stage = rabbitmq_stage
    async with stage.ears(READINGS) as (ear,), stage.ingest() as ingest:
        before = datetime.now(UTC)
        async with nemo_pi(stage.broker, IMEI, user=IMEI) as device:
            await device.publish(data(29.4))
            await device.publish(data(None, fault="probe unreachable"))
        messages = await ear.until(lambda seen: len(readings_of(seen)) >= 2)
        warm, missing = readings_of(messages)
        assert (warm.buoy_id, warm.time_source, warm.channels[CHANNEL].value) == (IMEI, "received", 29.4)
        assert before <= warm.received_at <= datetime.now(UTC)
        assert missing.channels[CHANNEL].fault == "probe unreachable"
        books = await accounting(ingest.store)
        assert (books.messages.received, books.messages.accepted, books.discrepancies) == (2, 2, ())
        assert ingest.metrics.value(table.BRIDGED, "registered") == 2
        report = await ingest.health.report()
        (check,) = [check for check in report.checks if check.name == "mqtt bridge"]
        assert (check.status, check.facts["role"]) == ("ok", "active")


async def test_device_shows_a_certificate_instead_of_a_password(rabbitmq_stage: Any, tmp_path: Path) -> None:
    stage = rabbitmq_stage
    tls = client_context(stage.broker.certificate, CERTIFIED, tmp_path)
    async with stage.ears(QUARANTINE) as (ear,), stage.ingest():
        async with nemo_pi(stage.broker, CERTIFIED, user=None, tls=tls) as device:
            await device.listen()
            await device.publish(data(29.4))
        entry = QuarantineEntry.model_validate_json((await ear.until_there_are(1))[0].body)
        assert (entry.device, entry.reason) == (CERTIFIED, "unknown-device")


async def test_devices_at_once_are_bridged_in_the_order_of_each(rabbitmq_stage: Any) -> None:
    stage, each = rabbitmq_stage, 30

    async def publish(imei: str) -> None:
        async with nemo_pi(stage.broker, imei, user=imei) as device:
            for celsius in range(each):
                await device.publish(data(celsius / 10))

    async with stage.ears(TELEMETRY) as (ear,), stage.ingest():
        await asyncio.gather(*map(publish, FLEET))
        messages = await ear.until_there_are(len(FLEET) * each)
    by_device = defaultdict(list)
    for message in messages:
        by_device[message.headers["device"]].append(value_in(message.body))
    values = [celsius / 10 for celsius in range(each)]
    assert dict.fromkeys(FLEET, values) == dict(by_device)


async def test_ping_reaches_a_device_that_listens_and_brings_its_answer(rabbitmq_stage: Any) -> None:
    stage = rabbitmq_stage
    client = open_broker(stage.url(), clock=SystemClock())
    await client.connect()
    assert isinstance(client, DeviceBroker)
    try:
        async with nemo_pi(stage.broker, IMEI, user=IMEI) as device:
            await device.listen()
            asked = asyncio.create_task(DeviceCommands(client.device_topics()).send(IMEI, "ping", timeout_seconds=30))
            command = await device.next_command()
            await device.respond(command, reason="here")
            answer = await asked
            assert answer is not None
            assert (answer.operation_id, answer.status, answer.reason) == (command["operation_id"], "ok", "here")
    finally:
        await client.close()
    stage.broker.control("purge_queue", "reef.telemetry.mqtt")  # the response waits for ingest, too


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_what_was_acknowledged_before_the_broker_went_down_is_bridged_afterwards(rabbitmq_stage: Any, how: str) -> None:
    """QoS 1 is confirmed when the message lies in the quorum queue, on the disk."""
    stage, values = rabbitmq_stage, [number / 10 for number in range(30)]
    async with stage.ears(TELEMETRY) as (ear,):
        await asyncio.to_thread(stage.broker.restart)  # the ear's queues are new, and not yet safe from being killed (R7)
        async with nemo_pi(stage.broker, IMEI, user=IMEI) as device:
            for celsius in values:
                await device.publish(data(celsius))
        await asyncio.to_thread(getattr(stage.broker, how))
        await asyncio.to_thread(stage.broker.start)
        async with stage.ingest():
            messages = await ear.until_there_are(len(values))
    assert values == [value_in(message.body) for message in messages]
