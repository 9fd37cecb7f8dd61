"""What tracing costs a message: lanes with a handler that does nothing but send one output, tracing off and on in turn.

  python tests/bench/tracing.py                 off, and on with spans that are recorded and thrown away
  python tests/bench/tracing.py --only off      for comparing two versions of the code on one machine

CPU of the whole process, the best of the rounds; the broker is the embedded one in memory, the store SQLite in memory.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from random import Random
from timeit import timeit
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.logs import configure_logging
from reefmesh.observability.messaging_spans import MessagingSpans
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.observability.traceparent import traceparent_of
from reefmesh.service.garbage import look_rarely
from reefmesh.service.handler import Change, Output
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.connect import open_store

REEFS: Final = 50
CALLS: Final = 20_000


class Nowhere(SpanExporter):
    """Takes spans and forgets them: what remains is the cost of recording."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class Passing:
    """A handler that sends one output for each message, and sets ``done`` after the last."""

    def __init__(self, messages: int) -> None:
        self._left = messages
        self.done = asyncio.Event()

    async def load(self, reef_id: str, state: bytes | None) -> str:
        return ""

    def dump(self, state: str) -> bytes:
        return b"{}"

    async def handle(self, message: Envelope, state: str) -> Change[str]:
        self._left -= 1
        if not self._left:
            self.done.set()
        return Change(state=state, outputs=(Output(channel=channels.SCORES, step="s", schema_id="x/1", body=b"{}"),))


async def cpu_us_of_a_message(messages: int, *, traced: bool) -> float:
    """Return microseconds of CPU, user and system, of all threads."""
    clock = SystemClock()
    broker, store, handler = open_broker("embedded://", clock=clock), open_store("sqlite://", migrations=[]), Passing(messages)
    await broker.connect()
    await store.open()
    await broker.declare([channels.SCORING])
    await broker.publish(list(_publications(messages)))
    tracer: dict[str, Any] = {}
    if traced:
        processor = BatchSpanProcessor(Nowhere(), max_queue_size=100_000)
        tracer["tracer"] = MessagingSpans.to_processor(processor, service="bench", broker_url="embedded://")
    worker = Worker(
        subscription=channels.SCORING,
        broker=broker,
        store=store,
        handler=handler,
        clock=clock,
        metrics=Metrics("bench"),
        progress=Progress(),
        limits=WorkerLimits(lanes=16),
        random=Random(0),
        **tracer,
    )
    began = time.process_time()
    running = asyncio.create_task(worker.run())
    await handler.done.wait()
    await worker.drain()
    await running
    seconds = time.process_time() - began
    if traced:
        tracer["tracer"].close()
    await broker.close()
    await store.close()
    return seconds / messages * 1e6


def _publications(messages: int) -> Iterator[Publication]:
    for number in range(messages):
        message = Envelope(
            event_id=f"e-{number}",
            reef_id=f"reef-{number % REEFS}",
            schema_id="x/1",
            produced_at=datetime.now(UTC),
            body=b"{}",
            seq=number // REEFS + 1,
            traceparent=f"00-{number + 1:032x}-{number + 1:016x}-01",
        )
        yield Publication(channel=channels.READINGS.name, message=message)


def _us_of(call: Callable[[], object]) -> float:
    return timeit(call, number=CALLS) / CALLS * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=["off", "on"])
    options = parser.parse_args()
    configure_logging("bench", level="error")
    look_rarely()
    modes = {name: name == "on" for name in ("off", "on") if options.only in (None, name)}
    best = dict.fromkeys(modes, float("inf"))
    for _ in range(options.rounds):
        for name, traced in modes.items():
            best[name] = min(best[name], asyncio.run(cpu_us_of_a_message(options.messages, traced=traced)))
    for name, microseconds in best.items():
        print(f"tracing {name}: {microseconds:.1f} us CPU a message")
    carried = next(_publications(1)).message
    bare = carried.model_copy(update={"traceparent": None})
    print(f"a trace that came with the message, checked: {_us_of(lambda: traceparent_of(carried)):.2f} us")
    print(f"a trace that the message starts: {_us_of(lambda: traceparent_of(bare)):.2f} us")


if __name__ == "__main__":
    main()
