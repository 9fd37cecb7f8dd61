"""The doctor on a real RabbitMQ: the shipped configuration passes, and what is wrong has a name."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiormq
import pytest

from reefmesh.broker.rabbitmq.topology import shard_queue
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
