"""The doctor on a real RabbitMQ: the shipped configuration passes, and what is wrong has a name."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiormq
import pytest
from aiormq.abc import AbstractChannel

from reefmesh.broker.connect import open_broker
from reefmesh.broker.rabbitmq.device_messages import DEVICE_QUEUE, DEVICE_QUEUE_ARGUMENTS, DEVICES_EXCHANGE, FROM_DEVICES
from reefmesh.broker.rabbitmq.topology import Topology, shard_arguments, shard_queue
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import SCORING
from reefmesh_components.rabbitmq_process import RabbitmqProcess

pytestmark = pytest.mark.timeout(240)  # the first of them starts the broker
SLOW_HERE = {"publish latency", "round trip", "spread"}
"""A busy machine may earn a warning."""


def examine(url: str, home: Path) -> dict[str, dict[str, Any]]:
    """Return the findings about the broker by check."""
    command = [sys.executable, "-m", "reefmesh_standalone", "doctor", "--broker", url, "--home", str(home), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.stderr == ""
    return {each["check"]: each for each in json.loads(done.stdout)["findings"] if not each["check"].startswith("store: ")}


async def test_shipped_configuration_passes_and_a_queue_made_by_somebody_else_is_named(
    rabbitmq_process: RabbitmqProcess, tmp_path: Path
) -> None:
    connection = await aiormq.connect(rabbitmq_process.url())
    channel = await connection.channel()
    name = shard_queue(SCORING, 1)
    await channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
    found = examine(rabbitmq_process.url(parameters="shards=2"), tmp_path)
    await channel.queue_delete(name)
    await connection.close()
    queues = found.pop("queues")
    assert ("fail", True) == (queues["verdict"], queues["said"].startswith(f"{name}: PRECONDITION_FAILED"))
    assert {"order", "persistence", "broker clock", "rights: scoring"} <= found.keys()
    assert {check for check, each in found.items() if each["verdict"] != "ok"} <= SLOW_HERE
    assert {"ok", "warn"} >= {each["verdict"] for each in found.values()}


@asynccontextmanager
async def operators_channel(broker: RabbitmqProcess) -> AsyncIterator[AbstractChannel]:
    connection = await aiormq.connect(broker.url())
    try:
        yield await connection.channel()
    finally:
        await connection.close()


def said_of(broker: RabbitmqProcess, home: Path, check: str, *, user: str = "operator", shards: int = 2) -> tuple[str, str]:
    """Return what the doctor says of a check that fails, and the cure."""
    found = examine(broker.url(user, parameters=f"shards={shards}"), home)[check]
    assert "fail" == found["verdict"], found
    assert "" != found["mend"]
    return found["said"], found["mend"]


@pytest.mark.parametrize(
    ("missing", "argument"),
    [
        ({"x-queue-type", "x-dead-letter-strategy", "x-delivery-limit"}, "x-queue-type"),
        ({"x-dead-letter-strategy"}, "x-dead-letter-strategy"),
        ({"x-delivery-limit"}, "x-delivery-limit"),
        ({"x-single-active-consumer"}, "x-single-active-consumer"),
    ],
    ids=["classic", "dead letters at most once", "without a limit", "for any number of consumers"],
)
async def test_queue_that_could_lose_or_overtake_is_named(
    rabbitmq_process: RabbitmqProcess, tmp_path: Path, missing: set[str], argument: str
) -> None:
    name = shard_queue(SCORING, 0)
    arguments = {key: value for key, value in shard_arguments(SCORING).items() if key not in missing}
    async with operators_channel(rabbitmq_process) as channel:
        await channel.queue_declare(name, durable=True, arguments=dict(arguments))
        other = shard_queue(SCORING, 1)
        await channel.queue_declare(other, durable=True, arguments=dict(shard_arguments(SCORING)))
        try:
            said, mend = said_of(rabbitmq_process, tmp_path, "queues")
        finally:
            await channel.queue_delete(name)
            await channel.queue_delete(other)
    assert (True, True) == (said.startswith(name), argument in said)
    assert "delete them" in mend


async def test_another_number_of_shards_is_named_with_the_right_one(rabbitmq_process: RabbitmqProcess, tmp_path: Path) -> None:
    client = open_broker(rabbitmq_process.url(parameters="shards=5"), clock=SystemClock())
    await client.connect()
    await client.declare([SCORING])
    await client.close()
    try:
        for shards in (2, 8):
            said, mend = said_of(rabbitmq_process, tmp_path, "broker state", shards=shards)
            assert f"scoring@reef.readings has 5 shards at the broker, and this address says {shards}" == said
            assert "name shards=5 in the address, in every service and command" == mend
        assert "ok" == examine(rabbitmq_process.url(parameters="shards=5"), tmp_path)["broker state"]["verdict"]
    finally:
        topology = Topology.of(SCORING, shards=5)
        async with operators_channel(rabbitmq_process) as channel:
            for queue in topology.queues:
                await channel.queue_delete(queue.name)
            for exchange in topology.exchanges[1:]:
                await channel.exchange_delete(exchange.name)


async def test_queue_of_devices_that_is_missing_or_classic_is_named(rabbitmq_process: RabbitmqProcess, tmp_path: Path) -> None:
    async with operators_channel(rabbitmq_process) as channel:
        await channel.queue_delete(DEVICE_QUEUE)
        try:
            said, mend = said_of(rabbitmq_process, tmp_path, "broker state")
            assert "there is no queue reef.telemetry.mqtt: what devices send over MQTT is confirmed to them and lost" == said
            assert "definitions.py" in mend
            await channel.queue_declare(DEVICE_QUEUE, durable=True)
            said, _ = said_of(rabbitmq_process, tmp_path, "broker state")
            assert said.startswith("reef.telemetry.mqtt: PRECONDITION_FAILED - inequivalent arg 'x-")
        finally:
            await channel.queue_delete(DEVICE_QUEUE)
            await channel.queue_declare(DEVICE_QUEUE, durable=True, arguments=dict(DEVICE_QUEUE_ARGUMENTS))
            await channel.queue_bind(DEVICE_QUEUE, DEVICES_EXCHANGE, routing_key=FROM_DEVICES)


@pytest.mark.parametrize("user", ["operator", "alerts"])
async def test_alarm_in_force_is_named(rabbitmq_process: RabbitmqProcess, tmp_path: Path, user: str) -> None:
    rabbitmq_process.control("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        said, mend = said_of(rabbitmq_process, tmp_path, "broker state", user=user)
    finally:
        rabbitmq_process.control("set_vm_memory_high_watermark", "0.5")
    assert "the broker takes nothing that is published; an alarm is in force: memory or disk is short" == said
    assert "rabbitmq-diagnostics alarms" in mend


async def test_missing_right_is_named(rabbitmq_process: RabbitmqProcess, tmp_path: Path) -> None:
    said, mend = said_of(rabbitmq_process, tmp_path, "rights: scoring", user="alerts")
    assert "ACCESS_REFUSED" in said
    assert "reef.scores" in said
    assert "--service scoring" in mend


async def test_spread_of_an_earlier_version_is_named(rabbitmq_process: RabbitmqProcess, tmp_path: Path) -> None:
    async with operators_channel(rabbitmq_process) as channel:
        await channel.exchange_declare("reef.readings.scoring", exchange_type="topic", durable=True)
        try:
            said, mend = said_of(rabbitmq_process, tmp_path, "broker state")
        finally:
            await channel.exchange_delete("reef.readings.scoring")
    assert said.startswith("the broker has the exchange reef.readings.scoring of an earlier version")
    assert "let the earlier version empty the queues, stop it, and delete reef.readings.scoring" == mend
