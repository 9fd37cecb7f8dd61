"""The pages of real services on a real broker: as Prometheus reads them, and as a container's health check does."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.request import urlopen

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import READINGS, SCORES, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.readings import ChannelReading, Reading, Readings
from reefmesh.contracts.register import ReefFacts
from reefmesh.contracts.schema import READINGS_1
from reefmesh.contracts.services import SERVICES
from reefmesh.observability import table
from reefmesh_components.activemq import local_activemq
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.prometheus_tools import Checker
from reefmesh_components.requirement import ComponentMissing, give_up

SCORED = Subscription("pages", SCORES)
PATIENCE_SECONDS = 60


async def score_one_reading(url: str, ingest_url: str) -> None:
    """Publish a reading of now, as ingest does, and return when its score is out."""
    now = datetime.now(UTC)
    water = ChannelReading(value=28.0, raw=28.0, flag=Flag.PASS)
    reading = Reading(buoy_id="b1", observed_at=now, received_at=now, channels={SEA_WATER_TEMPERATURE: water})
    midnight_degrees = (-15 * (now.hour + now.minute / 60) + 180) % 360 - 180  # only a reading at night counts as coverage
    facts = ReefFacts(reef_id="atoll", name="Atoll", latitude_degrees=0, longitude_degrees=midnight_degrees)
    body = Readings(reef=facts, buoys=[], readings=[reading]).model_dump_json().encode()
    message = Envelope(event_id="one", reef_id="atoll", schema_id=READINGS_1, produced_at=now, body=body, seq=1)
    client, ingest = open_broker(url, clock=SystemClock()), open_broker(ingest_url, clock=SystemClock())
    await client.connect()
    await ingest.connect()
    try:
        await client.declare([SCORED])
        consumer = client.consumer(SCORED, lanes=1)
        await consumer.start()
        await ingest.publish([Publication(channel=READINGS.name, message=message)])
        async with asyncio.timeout(PATIENCE_SECONDS):
            delivery = await consumer.lanes[0].receive()
        assert delivery is not None
        await consumer.lanes[0].settle(delivery, ())
        await consumer.drain()
    finally:
        await ingest.close()
        await client.close()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshProcesses]:
    """One process of each service; a reading was scored."""
    try:
        with (
            local_activemq() as broker,
            MeshProcesses(tmp_path_factory.mktemp("mesh"), broker_url_of=broker.url) as processes,
        ):
            processes.start(scoring=1)
            asyncio.run(score_one_reading(broker.url(), broker.url("ingest")))
            yield processes
    except ComponentMissing as missing:
        give_up(missing)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("service", [each.name for each in SERVICES])
def test_page_of_a_real_service_passes_promtool(mesh: MeshProcesses, promtool: Checker, service: str) -> None:
    """It finds nothing to say about a name, a type, a unit or a help text."""
    (process,) = mesh.of(service)
    with urlopen(f"{process.url}/metrics", timeout=10) as answer:  # noqa: S310 - an address of ours
        page = answer.read().decode()
    assert (0, "") == promtool.check("check", "metrics", text=page)
    assert f'reefmesh_lanes{{service="{service}"' in page


def test_reading_of_now_counts_as_scored_in_time(mesh: MeshProcesses) -> None:
    (scoring,) = mesh.of("scoring")
    counted = [scoring.metric("reefmesh_readings_scored_total", timeliness=each) for each in ("in_time", "late", "backlog")]
    assert [1, 0, 0] == counted
    assert 1 == scoring.metric("reefmesh_scoring_latency_seconds_bucket", le="60.0")
    assert 0 == scoring.metric("reefmesh_order_violations_total")


def test_gauges_of_a_scored_reef_are_on_the_page(mesh: MeshProcesses) -> None:
    """Without a maximum of monthly means its level is unknown, which is not 0."""
    (scoring,) = mesh.of("scoring")
    assert 1 == scoring.metric(table.REEF_COVERAGE_DAYS.name, reef="atoll")
    assert -1 == scoring.metric(table.REEF_HEAT_STRESS_LEVEL.name, reef="atoll")
    assert 0 < scoring.metric(table.REEF_SCORE_AS_OF_SECONDS.name, reef="atoll") <= datetime.now(UTC).timestamp()


@pytest.mark.parametrize("service", [each.name for each in SERVICES])
def test_connections_to_the_broker_are_counted(mesh: MeshProcesses, service: str) -> None:
    """One to consume and one to publish; ingest has one for its bridge besides."""
    (process,) = mesh.of(service)
    assert (3 if service == "ingest" else 2) == process.metric("reefmesh_broker_events_total", event="connected")
    assert 0 == process.metric("reefmesh_broker_events_total", event="lost")


@pytest.mark.parametrize("service", [each.name for each in SERVICES])
@pytest.mark.parametrize("kind", ["live", "ready"])
def test_health_check_of_a_container_asks_the_service_beside_it(mesh: MeshProcesses, service: str, kind: str) -> None:
    (process,) = mesh.of(service)
    done = subprocess.run(
        [sys.executable, "-m", f"reefmesh_{service}", f"--check-health={kind}"],
        env={**os.environ, "REEFMESH_HTTP_PORT": str(process.port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, f"{service}: {kind}\n", "") == (done.returncode, done.stdout, done.stderr)
