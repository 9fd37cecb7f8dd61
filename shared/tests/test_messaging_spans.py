"""Spans are what OpenTelemetry's conventions for messaging ask for, and off means off."""

import gzip
import subprocess
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.trace import SpanKind, StatusCode

from reefmesh.broker.port import BrokerUnavailable, Delivery, Publication
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability import messaging_spans
from reefmesh.observability.messaging_spans import MessagingSpans, context_of, system_of, traceparent_of
from reefmesh.observability.tracing import open_tracer

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Recorded:
    """Spans of one service, kept in memory by the SDK's own exporter."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        processor = SimpleSpanProcessor(self._exporter)
        self.tracer = MessagingSpans.to_processor(processor, service="scoring", broker_url="stomp+ssl://host:61614")

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._exporter.get_finished_spans()}


def message(event_id: str = "e-1", *, traceparent: str | None = f"00-{TRACE}-{SPAN}-01") -> Envelope:
    return Envelope(
        event_id=event_id,
        reef_id="atoll",
        schema_id="x/1",
        produced_at=datetime(2026, 3, 1, tzinfo=UTC),
        body=b"1234",
        seq=7,
        traceparent=traceparent,
    )


def delivery(of: Envelope, *, redelivered: bool = False) -> Delivery:
    return Delivery(message=of, subscription=channels.SCORING, lane=0, redelivered=redelivered, user_id=None, token=None)


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def test_delivery_is_a_consumer_span_under_and_linked_to_the_span_that_made_its_message() -> None:
    recorded = Recorded()
    span = recorded.tracer.process(delivery(message()))
    span.end("handled")
    done = recorded.spans()["process reef.readings"]
    assert done.kind is SpanKind.CONSUMER
    assert done.parent is not None
    assert done.parent == context_of(f"00-{TRACE}-{SPAN}-01")
    assert [link.context for link in done.links] == [done.parent]
    assert span.traceparent == traceparent_of(done.context)
    assert f"{done.context.trace_id:032x}" == TRACE
    assert attributes(done) == {
        "messaging.system": "activemq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "reef.readings",
        "messaging.destination.subscription.name": "scoring",
        "messaging.message.id": "e-1",
        "messaging.message.body.size": 4,
        "reefmesh.reef_id": "atoll",
        "reefmesh.seq": 7,
        "reefmesh.redelivered": False,
        "reefmesh.outcome": "handled",
    }


def test_output_is_created_under_the_delivery_and_the_sending_is_linked_to_it() -> None:
    recorded = Recorded()
    span = recorded.tracer.process(delivery(message()))
    made = message("out-1")
    carried = recorded.tracer.create(channels.SCORES.name, made)
    with recorded.tracer.send([Publication(channel=channels.SCORES.name, message=message("out-1", traceparent=carried))]):
        pass
    span.end("handled")
    spans = recorded.spans()
    process, create, send = (spans[name] for name in ("process reef.readings", "create reef.scores", "send reef.scores"))
    assert (create.kind, send.kind) == (SpanKind.PRODUCER, SpanKind.CLIENT)
    assert create.parent == send.parent == process.context
    assert carried == traceparent_of(create.context)
    assert [link.context.span_id for link in send.links] == [create.context.span_id]
    assert attributes(send)["messaging.batch.message_count"] == 1


def test_outputs_for_several_channels_share_a_span_without_a_destination() -> None:
    recorded = Recorded()
    together = [Publication(channel=channel.name, message=message()) for channel in (channels.READINGS, channels.QUARANTINE)]
    with recorded.tracer.send(together):
        pass
    assert "messaging.destination.name" not in attributes(recorded.spans()["send"])


def test_sending_that_fails_is_an_error_with_its_exception() -> None:
    recorded = Recorded()
    with (
        pytest.raises(BrokerUnavailable),
        recorded.tracer.send([Publication(channel=channels.SCORES.name, message=message())]),
    ):
        raise BrokerUnavailable("gone")
    done = recorded.spans()["send reef.scores"]
    assert done.status.status_code is StatusCode.ERROR
    assert [event.name for event in done.events] == ["exception"]


def test_parked_message_says_why_in_its_span() -> None:
    recorded = Recorded()
    span = recorded.tracer.process(delivery(message()))
    recorded.tracer.fail("bad-body")
    span.end("parked")
    done = recorded.spans()["process reef.readings"]
    assert (done.status.status_code, attributes(done)["error.type"]) == (StatusCode.ERROR, "bad-body")


@pytest.mark.parametrize("traceparent", [None, "nonsense"])
def test_message_without_a_trace_begins_one(traceparent: str | None) -> None:
    recorded = Recorded()
    recorded.tracer.process(delivery(message(traceparent=traceparent))).end("handled")
    done = recorded.spans()["process reef.readings"]
    assert (done.parent, list(done.links)) == (None, [])


def test_names_are_those_of_the_conventions() -> None:
    known = {value for name, value in vars(messaging_attributes).items() if name.startswith("MESSAGING_")}
    ours = {value for value in vars(messaging_spans).values() if isinstance(value, str) and value.startswith("messaging.")}
    assert len(ours) == 8
    assert ours <= known


@pytest.mark.parametrize(
    ("url", "system"),
    [
        ("stomp://host:61613", "activemq"),
        ("stomp+ssl://a:1,b:2", "activemq"),
        ("embedded:///x", "reefmesh"),
    ],
)
def test_system_is_told_by_the_brokers_address(url: str, system: str) -> None:
    assert system_of(url) == system


def test_tracing_that_is_off_loads_nothing_of_opentelemetry() -> None:
    """A service of the default settings imports no module of it, so it can neither cost nor fail."""
    source = (
        "import sys, reefmesh.service.command, reefmesh.service.assembly\n"
        "sys.exit(any(name.partition('.')[0] == 'opentelemetry' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0


async def test_tracing_that_is_off_gives_no_tracer() -> None:
    async with open_tracer("off", service="scoring", broker_url="stomp://host:1") as tracer:
        assert tracer is None


class Collector(ThreadingHTTPServer):
    """Takes what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken: list[tuple[str, bytes]] = []


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.taken.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at ``taken``."""


async def test_spans_have_reached_the_collector_when_tracing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they go is said by OpenTelemetry's own variable; the last ones are sent before a service ends."""
    with Collector() as collector:
        serving = Thread(target=collector.serve_forever)
        serving.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        async with open_tracer("otlp", service="scoring", broker_url="stomp://host:1") as tracer:
            assert tracer is not None
            tracer.process(delivery(message())).end("handled")
        collector.shutdown()
        serving.join()
    ((path, body),) = collector.taken
    (resource,) = ExportTraceServiceRequest.FromString(
        gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    ).resource_spans
    named = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    (span,) = resource.scope_spans[0].spans
    assert (path, named["service.name"]) == ("/v1/traces", "reefmesh-scoring")
    assert (span.name, span.trace_id.hex()) == ("process reef.readings", TRACE)


def test_tracing_without_its_packages_is_one_line_and_exit_78(tmp_path: Path) -> None:
    """In an environment where OpenTelemetry is not there, as in every installation without the extra."""
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text("import sys\nsys.modules['opentelemetry'] = None\n")
    environment = {
        "PYTHONPATH": str(tmp_path),
        "REEFMESH_BROKER_URL": f"embedded://{tmp_path}/broker",
        "REEFMESH_STORE_URL": f"sqlite:///{tmp_path}/scoring.db",
        "REEFMESH_TRACING": "otlp",
    }
    command = [sys.executable, "-m", "reefmesh_scoring", "--check"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 78
    (line,) = ended.stderr.splitlines()
    assert line.startswith("reefmesh: REEFMESH_TRACING is otlp, but the package opentelemetry")
    assert "reefmesh-shared[otel]" in line


def test_tracing_with_a_wrong_variable_of_opentelemetry_is_one_line_and_exit_78(tmp_path: Path) -> None:
    environment = {
        "REEFMESH_BROKER_URL": f"embedded://{tmp_path}/broker",
        "REEFMESH_STORE_URL": f"sqlite:///{tmp_path}/scoring.db",
        "REEFMESH_TRACING": "otlp",
        "REEFMESH_HTTP_PORT": "0",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100000",
    }
    command = [sys.executable, "-m", "reefmesh_scoring"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 78
    told = [line for line in ended.stderr.splitlines() if line.startswith("reefmesh: ")]
    assert len(told) == 1
    assert "OTEL_" in told[0]
