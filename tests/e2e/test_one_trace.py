"""One report's way through all three services can be followed: by spans in one process, by log lines through real processes."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh.observability.messaging_spans import MessagingSpans
from reefmesh.observability.traceparent import trace_id_of, traceparent_from
from reefmesh.service.assembly import Blueprint, assemble
from reefmesh.settings import ServiceSettings
from reefmesh.store.connect import open_store
from reefmesh_alerts import bootstrap as alerts
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_ingest import bootstrap as ingest
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_ingest.settings import IngestSettings
from reefmesh_scoring import bootstrap as scoring
from reefmesh_scoring.settings import ScoringSettings

REEF = ReefEntry(id="atoll", name="Atoll", latitude_degrees=-8.1, longitude_degrees=114.5, mmm_celsius=28.0)
BUOY = BuoyEntry(id="agent-1", reef="atoll")
EAR = Subscription("ear", channels.ALERTS)
TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
WAIT_SECONDS: Final = 60.0


def report_of_a_fault(event_id: str, *, traceparent: str | None = None) -> Publication:
    """A report whose probe is broken: an alert is raised at once."""
    now = datetime.now(UTC)
    reading = {
        "observed_at": (now - timedelta(minutes=5)).isoformat(),
        "channels": {"sea_water_temperature": None},
        "faults": {"sea_water_temperature": "probe not found"},
    }
    body = {"schema": TELEMETRY_1, "buoy_id": BUOY.id, "seq": 1, "sent_at": now.isoformat(), "readings": [reading]}
    message = Envelope(
        event_id=event_id,
        reef_id=REEF.id,
        schema_id=TELEMETRY_1,
        produced_at=now,
        body=json.dumps(body).encode(),
        traceparent=traceparent,
        headers={"device": BUOY.id, "received-at": now.isoformat()},
    )
    return Publication(channel=channels.TELEMETRY.name, message=message)


async def next_alert(broker: Broker) -> Envelope:
    consumer = broker.consumer(EAR, lanes=1)
    await consumer.start()
    async with asyncio.timeout(WAIT_SECONDS):
        delivery = await consumer.lanes[0].receive()
    assert delivery is not None
    await consumer.lanes[0].settle(delivery, ())
    await consumer.close()
    return delivery.message


def settings_of(kind: type[ServiceSettings], folder: Path, **more: Any) -> Any:
    return kind.load(
        environment={},
        overrides={"broker_url": "embedded://", "store_url": f"sqlite:///{folder}/{kind.SECTION}.db", **more},
    )


async def test_spans_of_a_report_on_its_way_to_an_alert_are_one_trace(tmp_path: Path) -> None:
    """Each service processes what the one before created; all under the span of the agent on the buoy."""
    for_ingest = settings_of(IngestSettings, tmp_path)
    for_scoring = settings_of(ScoringSettings, tmp_path)
    for_alerts = settings_of(AlertsSettings, tmp_path)
    plans: list[tuple[Blueprint, ServiceSettings]] = [
        (ingest.blueprint(for_ingest), for_ingest),
        (scoring.blueprint(for_scoring), for_scoring),
        (alerts.blueprint(for_alerts), for_alerts),
    ]
    kept = InMemorySpanExporter()
    clock = SystemClock()
    broker = open_broker("embedded://", clock=clock)
    await broker.connect()
    await broker.declare([channels.INGEST, channels.SCORING, channels.ALERTING, EAR])
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        assembled = [
            await stack.enter_async_context(
                assemble(
                    plan,
                    settings,
                    broker=broker,
                    clock=clock,
                    tracer=MessagingSpans.to_processor(
                        SimpleSpanProcessor(kept), service=plan.name, broker_url=settings.broker_url
                    ),
                )
            )
            for plan, settings in plans
        ]
        await Register(assembled[0].store).upsert(reefs=[REEF], buoys=[BUOY])
        async with asyncio.TaskGroup() as tasks:
            for each in assembled:
                tasks.create_task(each.service.run(stop))
            await broker.publish([report_of_a_fault("report-1", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")])
            alert = await next_alert(broker)
            stop.set()
    await broker.close()

    spans = kept.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {TRACE}
    assert alert.traceparent is not None
    assert trace_id_of(alert.traceparent) == TRACE
    by_id = {span.context.span_id: span for span in spans}
    (last,) = [span for span in spans if f"{span.context.span_id:016x}" == alert.traceparent.split("-")[2]]
    assert way_to(last, by_id) == [
        "process reef.telemetry",
        "create reef.readings",
        "process reef.readings",
        "create reef.scores",
        "process reef.scores",
        "create reef.alerts",
    ]
    sent = {link.context.span_id for span in spans if span.name.startswith("send ") for link in span.links}
    assert sent == {span.context.span_id for span in spans if span.name.startswith("create ")}
    services = {span.resource.attributes["service.name"] for span in spans}
    assert services == {"reefmesh-ingest", "reefmesh-scoring", "reefmesh-alerts"}


def way_to(span: ReadableSpan, by_id: dict[int, ReadableSpan]) -> list[str]:
    """Names of the spans from the first recorded one down to this one."""
    names = [span.name]
    while span.parent is not None and span.parent.span_id in by_id:
        span = by_id[span.parent.span_id]
        names.append(span.name)
    return names[::-1]


@pytest.fixture(scope="module")
def broker_process() -> Iterator[ActivemqProcess]:
    try:
        with local_activemq() as process:
            yield process
    except ComponentMissing as missing:
        give_up(missing)


def lines_of(mesh: MeshProcesses, service: str) -> list[dict[str, Any]]:
    (process,) = mesh.of(service)
    whole, _, _ = process.log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


def until_settled(mesh: MeshProcesses, service: str, trace_id: str) -> list[dict[str, Any]]:
    """Look until the log says so; a file has no other way to say that it has grown."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (lines := [line for line in lines_of(mesh, service) if is_settled(line, trace_id)]):
        assert time.monotonic() < deadline, "no such line"
        time.sleep(0.05)
    return lines


def is_settled(line: dict[str, Any], trace_id: str) -> bool:
    return (line["event"], line.get("trace_id")) == ("message settled", trace_id)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("carried", [None, f"00-{TRACE}-b7ad6b7169203331-01"], ids=["no trace", "agent's trace"])
async def test_log_lines_of_a_report_share_a_trace_through_three_processes(
    broker_process: ActivemqProcess, tmp_path: Path, carried: str | None
) -> None:
    """What one service says it sent is what the next says it has in hand, and all lines name one trace."""
    trace_id = TRACE if carried else trace_id_of(traceparent_from("report-1"))
    broker = open_broker(broker_process.url(), clock=SystemClock())
    await broker.connect()
    await broker.declare([EAR])
    environment = {"REEFMESH_LOG_LEVEL": "debug"}
    with MeshProcesses(tmp_path, broker_url_of=broker_process.url, environment=environment) as mesh:
        await asyncio.to_thread(mesh.start, scoring=1)
        store = open_store(mesh.store_address("ingest"), migrations=ingest.MIGRATIONS)
        await store.open()
        await Register(store).upsert(reefs=[REEF], buoys=[BUOY])
        await store.close()
        await broker.publish([report_of_a_fault("report-1", traceparent=carried)])
        alert = await next_alert(broker)
        followed = {}
        for service in ("ingest", "scoring", "alerts"):
            (settled,) = await asyncio.to_thread(until_settled, mesh, service, trace_id)
            followed[service] = settled
        assert set((await asyncio.to_thread(mesh.drain)).values()) == {0}
    await broker.close()
    assert followed["ingest"]["event_id"] == "report-1"
    assert followed["ingest"]["outputs"] == [followed["scoring"]["event_id"]]
    assert followed["scoring"]["outputs"] == [followed["alerts"]["event_id"]]
    assert alert.event_id in followed["alerts"]["outputs"]
    assert alert.traceparent is not None
    assert trace_id_of(alert.traceparent) == trace_id
    assert [line["service"] for line in followed.values()] == ["ingest", "scoring", "alerts"]
