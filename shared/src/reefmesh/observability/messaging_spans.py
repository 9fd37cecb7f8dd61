"""Spans of messages as OpenTelemetry names them: semantic conventions for messaging spans, in this module alone.

Source: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ (status: development; names as of 1.44).

* ``process <channel>`` (consumer): a delivery, from its receipt to its end. Its parent, and its link, is the span that created
  the message.
* ``create <channel>`` (producer): an output comes to be; its context is what the message carries.
* ``send <channel>`` (client): outputs are handed to the broker until it has confirmed them, linked to each one's creation.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Self

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

import reefmesh
from reefmesh.broker.connect import engine_of
from reefmesh.broker.port import Delivery, Publication
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import ConfigurationError
from reefmesh.observability.traceparent import is_valid

SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
SUBSCRIPTION: Final = "messaging.destination.subscription.name"
MESSAGE_ID: Final = "messaging.message.id"
BODY_BYTES: Final = "messaging.message.body.size"
MESSAGE_COUNT: Final = "messaging.batch.message_count"
ERROR_TYPE: Final = "error.type"

REEF_ID: Final = "reefmesh.reef_id"
SEQ: Final = "reefmesh.seq"
OUTCOME: Final = "reefmesh.outcome"
REDELIVERED: Final = "reefmesh.redelivered"

Attributes = dict[str, str | int | bool]


class MessagingSpans:
    """A ``Tracer`` over OpenTelemetry's SDK. ``broker_url`` only tells which system it is."""

    def __init__(self, provider: TracerProvider, *, broker_url: str) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("reefmesh", reefmesh.__version__)
        self._system = system_of(broker_url)

    @classmethod
    def to_collector(cls, *, service: str, broker_url: str) -> Self:
        """Send to an OpenTelemetry collector, in batches, from a thread of its own; what it cannot take is dropped.

        Raises:
            ConfigurationError: a variable of OpenTelemetry is wrong.
        """
        try:
            processor = BatchSpanProcessor(OTLPSpanExporter())
            return cls(_provider(service, processor), broker_url=broker_url)
        except ValueError as error:
            raise ConfigurationError(f"tracing cannot start; a variable OTEL_... is wrong: {error}") from None

    @classmethod
    def to_processor(cls, processor: SpanProcessor, *, service: str, broker_url: str) -> Self:
        """Give every span to ``processor``."""
        return cls(_provider(service, processor), broker_url=broker_url)

    def process(self, delivery: Delivery) -> "DeliverySpan":
        message, channel = delivery.message, delivery.subscription.channel.name
        created = context_of(message.traceparent)
        attributes = self._attributes("process", channel) | _facts(message)
        attributes |= {SUBSCRIPTION: delivery.subscription.service, REDELIVERED: delivery.redelivered}
        span = self._tracer.start_span(
            f"process {channel}",
            context=None if created is None else trace.set_span_in_context(trace.NonRecordingSpan(created)),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=None if created is None else [Link(created)],
        )
        return DeliverySpan(span)

    def create(self, channel: str, message: Envelope) -> str:
        attributes = self._attributes("create", channel) | _facts(message)
        with self._tracer.start_span(f"create {channel}", kind=SpanKind.PRODUCER, attributes=attributes) as span:
            return traceparent_of(span.get_span_context())

    @contextmanager
    def send(self, publications: Sequence[Publication]) -> Iterator[None]:
        links = [Link(created) for each in publications if (created := context_of(each.message.traceparent)) is not None]
        channels = sorted({each.channel for each in publications})
        attributes = self._attributes("send", channels[0]) | {MESSAGE_COUNT: len(publications)}
        if len(channels) > 1:  # the conventions give a span one destination at most
            del attributes[DESTINATION]
        name = f"send {channels[0]}" if len(channels) == 1 else "send"
        with self._tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes, links=links):
            yield

    def fail(self, reason: str) -> None:
        span = trace.get_current_span()
        span.set_attribute(ERROR_TYPE, reason)
        span.set_status(Status(StatusCode.ERROR))

    def close(self) -> None:
        """Send what is recorded; blocks until that is done or given up."""
        self._provider.shutdown()

    def _attributes(self, operation: str, channel: str) -> Attributes:
        return {SYSTEM: self._system, OPERATION_NAME: operation, OPERATION_TYPE: operation, DESTINATION: channel}


class DeliverySpan:
    """A ``ProcessSpan`` that is the current one of its task until it ends."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token = context.attach(trace.set_span_in_context(span))

    @property
    def traceparent(self) -> str:
        return traceparent_of(self._span.get_span_context())

    def end(self, outcome: str) -> None:
        self._span.set_attribute(OUTCOME, outcome)
        context.detach(self._token)
        self._span.end()


def system_of(broker_url: str) -> str:
    """Return the conventions' name of the broker behind an address."""
    return engine_of(broker_url).system


def context_of(traceparent: str | None) -> SpanContext | None:
    """Return the span that a message's ``traceparent`` names; None when there is none that can be followed."""
    if traceparent is None or not is_valid(traceparent):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")[:4]
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16) & 1))


def traceparent_of(span: SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def _facts(message: Envelope) -> Attributes:
    facts: Attributes = {MESSAGE_ID: message.event_id, BODY_BYTES: len(message.body), REEF_ID: message.reef_id}
    if message.seq is not None:
        facts[SEQ] = message.seq
    return facts


def _provider(service: str, processor: SpanProcessor) -> TracerProvider:
    """``OTEL_SERVICE_NAME`` wins over our own name of the service."""
    name = os.environ.get("OTEL_SERVICE_NAME") or f"reefmesh-{service}"
    resource = Resource.create({SERVICE_NAME: name, SERVICE_VERSION: reefmesh.__version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider
