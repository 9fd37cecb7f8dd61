"""The dashboard's read model is what the services' own tables say, whatever telemetry came, after a second run, too."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.scores import CarbonateDay, ReefScore
from reefmesh.store.port import Store
from reefmesh_alerts.queries import export_alerts
from reefmesh_dashboard.queries.alerts import alerts_of
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.queries.reefs import reefs_by_id
from reefmesh_dashboard.queries.series import carbonate_of, heat_of
from reefmesh_dashboard.readings_table import channels_from_body
from reefmesh_ingest.domain.reading import flag_of
from reefmesh_ingest.readings_table import COLUMNS, reading_of
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_scoring.queries import day_scores, latest_scores
from reefmesh_standalone.home import Home
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import MeshSession, mesh_session
from reefmesh_standalone.simulator.arrivals import Span, Troubles, arrivals_of
from reefmesh_standalone.simulator.devices import Device, Generation
from reefmesh_standalone.simulator.water import HeatWave, Water

REEF = "one-reef"
ENDS_AT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
BEGINS_AT = ENDS_AT - timedelta(days=6)
EVER_US = 1 << 60
EVER_DAYS = 100_000
FIRST_HOURS = Span(begins_at=BEGINS_AT, ends_at=BEGINS_AT + timedelta(hours=6))
BUOYS = (
    (
        Generation.AGENT,
        "agent-1",
        60,
        Troubles(clock_at_1970=(FIRST_HOURS,)),
    ),
    (Generation.NEMOPI_MQTT, "867740030000001", 180, Troubles(duplicate_share=0.2, reorder_share=0.2)),
)


def telemetry() -> list[Envelope]:
    wave = HeatWave(begins_at=BEGINS_AT, ends_at=ENDS_AT, anomaly_celsius=1.8)
    water = Water(seed="dashboard", mmm_celsius=29.5, waves=(wave,))
    arrivals = []
    for generation, buoy_id, minutes, troubles in BUOYS:
        device = Device(
            buoy_id=buoy_id,
            reef_id=REEF,
            generation=generation,
            water=water,
            latitude_degrees=-8.1,
            longitude_degrees=114.5,
            report_interval=timedelta(minutes=minutes),
        )
        arrivals += arrivals_of(device, troubles, begins_at=BEGINS_AT, ends_at=ENDS_AT, seed="dashboard")
    return [each.envelope() for each in sorted(arrivals, key=lambda each: each.received_at)]


async def through_the_mesh(home: Home, messages: Sequence[Envelope]) -> None:
    """Send these through a mesh of its own, and compare at its end."""
    async with mesh_session(home, clock=SystemClock()) as session:
        buoys = [BuoyEntry(id=buoy_id, reef=REEF, report_interval_seconds=60 * each) for _, buoy_id, each, _ in BUOYS]
        reef = ReefEntry(id=REEF, name="One Reef", latitude_degrees=-8.1, longitude_degrees=114.5, mmm_celsius=29.5)
        await Register(session.stores[services.INGEST]).upsert(reefs=[reef], buoys=buoys)
        await send_all(session.broker, list(messages), report=lambda _: None, stop=asyncio.Event())
        assert session.mesh is not None
        assert await session.mesh.until_idle(stop=asyncio.Event(), ended=session.ended)
        await compare(session)


async def compare(session: MeshSession) -> None:
    owners = (services.INGEST, services.SCORING, services.ALERTS, services.DASHBOARD)
    ingest, scoring, alerts, dashboard = (session.stores[each] for each in owners)
    reader = Reader(dashboard, timeout_seconds=60)
    assert await readings_of_ingest(ingest) == await readings_of_dashboard(dashboard)
    heat = [day async for day in day_scores(scoring, REEF)]
    assert len(heat) > 1
    assert heat == await heat_of(reader, REEF, first=0, end=EVER_DAYS, limit=EVER_DAYS)
    (score,) = await latest_scores(scoring)
    (reef,) = await reefs_by_id(reader, after="", limit=10)
    assert reef.score is not None
    assert of_the_reef(score) == of_the_reef(reef.score)
    assert score.carbonate.days
    assert list(score.carbonate.days) == list(await carbonate_days(reader))[-len(score.carbonate.days) :]
    told = [alert async for alert in export_alerts(alerts)]
    shown = await alerts_of(reader, None, first_us=0, end_us=EVER_US, limit=1000)
    assert told
    assert {alert.alert_id: alert for alert in told} == {alert.alert_id: alert for alert in shown}


async def readings_of_ingest(store: Store) -> dict[tuple[str, int], Any]:
    rows = await store.fetch(f"SELECT buoy_id, {COLUMNS} FROM readings")  # noqa: S608  # constants
    found: dict[tuple[str, int], Any] = {}
    for buoy_id, *row in rows:
        reading = reading_of(row)
        values = {
            name: (content.value, content.raw, content.fault, flag_of(content, reading.verdicts[name]))
            for name, content in reading.contents.items()
        }
        known = {} if reading.withdrawn else values
        found[buoy_id, reading.observed_us] = (reading.revision, reading.withdrawn, reading.received_us, known)
    return found


async def readings_of_dashboard(store: Store) -> dict[tuple[str, int], Any]:
    columns = "buoy_id, observed_us, revision, withdrawn, received_us, body_json"
    found: dict[tuple[str, int], Any] = {}
    for buoy_id, at, revision, withdrawn, received_us, body in await store.fetch(f"SELECT {columns} FROM readings"):  # noqa: S608  # constants
        values = {name: (each.value, each.raw, each.fault, each.flag) for name, each in channels_from_body(body).items()}
        found[buoy_id, at] = (revision, bool(withdrawn), received_us, {} if withdrawn else values)
    return found


async def carbonate_days(reader: Reader) -> Sequence[CarbonateDay]:
    return await carbonate_of(reader, REEF, first=0, end=EVER_DAYS, limit=EVER_DAYS)


def of_the_reef(score: ReefScore) -> dict[str, Any]:
    """Without what a score says of its own message alone."""
    return score.model_dump(
        exclude={"heat": {"changed"}, "dive": {"instants", "all_instants"}, "failed_runs": True, "arrivals": True}
    )


@pytest.mark.parametrize("seed", [None, 1])
async def test_read_model_equals_what_the_services_say(seed: int | None, tmp_path: Path) -> None:
    """In order and shuffled. The second run hears the end of the first once more, and knows nothing but the tables."""
    messages = telemetry()
    if seed is not None:
        Random(seed).shuffle(messages)
    home = Home(path=tmp_path)
    half = len(messages) // 2
    await through_the_mesh(home, messages[:half])
    await through_the_mesh(home, messages[half - 20 :])
