"""``reefmesh exclude`` with a broker that knows its users, and services as processes of their own."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import TELEMETRY
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.exclusion import ExclusionRequest
from reefmesh.contracts.schema import EXCLUSION_1, TELEMETRY_1
from reefmesh_components.either_broker import ACTIVEMQ, RABBITMQ, either_broker
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.reefmesh_command import ReefmeshCommand
from reefmesh_components.requirement import ComponentMissing, give_up

UNAVAILABLE = 75
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
STEP = timedelta(hours=1)


async def send_as_publisher(url: str) -> None:
    """Send two days of telemetry, and amid it an exclusion of the first day, which a publisher may not send."""
    readings = [
        {"observed_at": (BEGIN + at * STEP).isoformat(), "channels": {"sea_water_temperature": 28.0 + at % 3 / 10}}
        for at in range(48)
    ]
    frame = {"schema": TELEMETRY_1, "buoy_id": "wall-1", "seq": 1, "sent_at": (BEGIN + 48 * STEP).isoformat()}
    forged = ExclusionRequest(action="exclude", buoy_id="wall-1", from_at=BEGIN, until_at=BEGIN + 24 * STEP, reason="forged")
    bodies = {
        "first": (TELEMETRY_1, json.dumps(frame | {"readings": readings[:24]}).encode()),
        "forged": (EXCLUSION_1, forged.model_dump_json().encode()),
        "second": (TELEMETRY_1, json.dumps(frame | {"readings": readings[24:]}).encode()),
    }
    broker, now = open_broker(url, clock=SystemClock()), SystemClock().now()
    await broker.connect()
    try:
        for event_id, (schema_id, body) in bodies.items():
            message = Envelope(event_id=event_id, reef_id="amed", schema_id=schema_id, produced_at=now, body=body)
            await broker.publish([Publication(channel=TELEMETRY.name, message=message)])
    finally:
        await broker.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [ACTIVEMQ, pytest.param(RABBITMQ, marks=pytest.mark.rabbitmq)])
def test_operator_excludes_before_ingest_runs_and_nobody_else_does(reefmesh: ReefmeshCommand, kind: str) -> None:
    """Without ingest the command says so and its request waits at the broker; a publisher's is forged, and its telemetry is
    taken."""
    reefmesh.register({"amed": ["wall-1"]})
    period = ("wall-1", "--from", "2024-01-02", "--to", "2024-01-02", "--reason", "cleaned")
    try:
        with either_broker(kind) as broker:
            environment = {**reefmesh.environment, "REEFMESH_BROKER_URL": broker.url()}
            joined = ReefmeshCommand(home=reefmesh.home, environment=environment)
            waited = joined("exclude", *period, "--timeout", "1")
            assert (UNAVAILABLE, True) == (waited.code, "ingest has not taken the request within 1 s" in waited.err), waited.err
            asyncio.run(send_as_publisher(broker.url("publisher")))
            with MeshProcesses(reefmesh.home, broker_url_of=broker.url) as processes:
                processes.start(scoring=1)
                done = joined.json("exclude", *period)
                assert (24, 0, True) == (done["readings_in_period"], done["readings_changed"], done["scored"])
                assert [done["exclusion_id"]] == [each["exclusion_id"] for each in joined.json("exclude", "--list")]
                (ingest,) = processes.of("ingest")
                assert 1 == ingest.metric("reefmesh_parked_total", reason="forged")
                assert {0} == set(processes.drain().values())
    except ComponentMissing as missing:
        give_up(missing)
    rows = list(csv.DictReader(io.StringIO(reefmesh("export", "readings").out)))
    fault = next(name for name in rows[0] if "fault" in name)
    assert [""] * 24 + ["excluded: cleaned"] * 24 == [row[fault] for row in rows]
