"""The seam between the lanes and what records their spans; off unless an operator turns it on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, Protocol

import structlog

from reefmesh.broker.port import Delivery, Publication
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import ConfigurationError

if TYPE_CHECKING:
    from reefmesh.observability.messaging_spans import MessagingSpans

TracingKind = Literal["off", "otlp"]
FLUSH_TIMEOUT_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class ProcessSpan(Protocol):
    """The handling of one delivery, from its receipt until it is given back to the broker."""

    @property
    def traceparent(self) -> str: ...

    def end(self, outcome: str) -> None:
        """``outcome`` is one of ``table.HANDLED_OUTCOMES``."""
        ...


class Tracer(Protocol):
    """What a worker tells of a message's way. A worker that has none pays nothing for it."""

    def process(self, delivery: Delivery) -> ProcessSpan:
        """Begin the span of a delivery; it is the parent of everything until its ``end``, in the same task."""
        ...

    def create(self, channel: str, message: Envelope) -> str:
        """Return the traceparent that an output carries from now on."""
        ...

    def send(self, publications: Sequence[Publication]) -> AbstractContextManager[None]:
        """Spans the sending of outputs until the broker has confirmed them."""
        ...

    def fail(self, reason: str) -> None:
        """Say why the span that is open fails."""
        ...


def require_tracing(kind: TracingKind) -> None:
    """Raises ConfigurationError when the packages of this kind of tracing are not installed."""
    if kind != "off":
        _messaging_spans()


@asynccontextmanager
async def open_tracer(kind: TracingKind, *, service: str, broker_url: str) -> AsyncIterator[Tracer | None]:
    """Yield what records spans, or None when tracing is off; at the end what is recorded is sent, within a bound.

    Where to send and how much to record is said by OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_ENDPOINT``,
    ``OTEL_TRACES_SAMPLER`` ...).

    Raises:
        ConfigurationError: the packages are not installed, or a variable of OpenTelemetry is wrong.
    """
    if kind == "off":
        yield None
        return
    spans = _messaging_spans().to_collector(service=service, broker_url=broker_url)
    try:
        yield spans
    finally:
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_SECONDS):
                await asyncio.to_thread(spans.close)
        except TimeoutError:
            _log.warning("the last spans were not sent in time", service=service)


def _messaging_spans() -> "type[MessagingSpans]":
    try:
        from reefmesh.observability.messaging_spans import MessagingSpans  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"REEFMESH_TRACING is otlp, but the package {missing.name} is not installed: install reefmesh-shared[otel], "
            "or set REEFMESH_TRACING to off"
        ) from None
    return MessagingSpans
