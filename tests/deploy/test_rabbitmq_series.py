"""The series of RabbitMQ that rules and dashboards ask for are those that a real node shows where Prometheus is told to ask."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reefmesh.broker.connect import open_broker
from reefmesh.broker.rabbitmq.topology import parking_queue, shard_queue
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import SCORING
from reefmesh_components.activemq_process import password_of
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_hostile.mqtt_wire import MqttConnection

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(240)]  # the first of them starts the broker

ROOT = Path(__file__).parents[2]
EXPECTED: dict[str, list[str]] = json.loads(Path(__file__).with_name("rabbitmq_series.json").read_text(encoding="utf-8"))
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? ")
DEVICE = "operator"
QUEUES = (shard_queue(SCORING, 1), parking_queue(SCORING), "reef.telemetry.mqtt")
SESSION = "mqtt-subscription-"


def jobs() -> list[dict[str, Any]]:
    configuration = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    return [each for each in configuration["scrape_configs"] if each["job_name"].startswith("rabbitmq")]


def scraped(broker: RabbitmqProcess, job: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """Return series and labels, after the relabelling that keeps some."""
    query = "&".join(f"{name}={value}" for name, values in job.get("params", {}).items() for value in values)
    until = [f'queue="{name}' for name in (*QUEUES, SESSION)] if query else []
    text = broker.metrics(f"{job.get('metrics_path', '/metrics')}?{query}", until=until)
    found = []
    for line in text.splitlines():
        if (sample := SAMPLE.match(line)) is not None:
            labels = {"__name__": sample[1], **dict(re.findall(r'(\w+)="([^"]*)"', sample[2] or ""))}
            rules = job.get("metric_relabel_configs", [])
            if all(re.fullmatch(rule["regex"], labels.get(rule["source_labels"][0], "")) for rule in rules):
                del labels["__name__"]
                found.append((sample[1], labels))
    return found


async def test_node_shows_every_series_with_its_labels(rabbitmq_process: RabbitmqProcess) -> None:
    client = open_broker(rabbitmq_process.url(parameters="shards=2"), clock=SystemClock())
    await client.connect()
    await client.declare([SCORING])
    await client.close()
    with MqttConnection(rabbitmq_process.ports.mqtt, client_id=DEVICE, user=DEVICE, password=password_of(DEVICE)) as connection:
        assert connection.subscribe("buoys/1/c2d/cmd")
        seen = [(job["job_name"], *each) for job in jobs() for each in scraped(rabbitmq_process, job)]
    shown = {name: sorted(labels) for _, name, labels in seen if name in EXPECTED}
    assert {name: sorted(labels) for name, labels in EXPECTED.items()} == shown
    queues = {labels["queue"] for job, _, labels in seen if job == "rabbitmq-queues"}
    assert set(QUEUES) <= queues
    assert not [queue for queue in queues if queue.startswith(SESSION)], "one for each device"
