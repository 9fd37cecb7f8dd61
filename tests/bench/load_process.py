"""The load as a process of its own: publishes confirmed telemetry and hears what becomes of it.

usage: python tests/bench/load_process.py ORDER  (JSON: see order.py; the report is printed as JSON)
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

from load_clients import LoadClient, open_load_client
from order import Order, Report

MESSAGES_PER_TRANSACTION: Final = 50


class Allowance:
    """How many messages may have been published by now."""

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines
        self._messages = 0

    @classmethod
    async def of_standard_input(cls) -> "Allowance":
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        return cls(lines)

    async def until(self, messages: int) -> None:
        while self._messages < messages:
            self._messages = int(await self._lines.readline())


class Effects:
    """What came out at the exit, by the trace that every stage carries on; of the ``silent`` ones nothing will."""

    def __init__(self, *, silent: Set[str], wanted: int) -> None:
        self._silent = silent
        self.published_at: dict[str, float] = {}
        self.heard: dict[str, float] = {}
        self.all_heard = asyncio.Event()
        self._wanted = wanted
        self._room: asyncio.Event | None = None
        self._limit = 0

    def published(self, traces: Iterable[str]) -> None:
        now = time.monotonic()
        self.published_at.update((trace, now) for trace in traces if trace not in self._silent)

    async def until_outstanding(self, limit: int) -> None:
        """Wait until no more messages than that are without an effect."""
        while self._outstanding > limit:
            self._room, self._limit = asyncio.Event(), limit
            await self._room.wait()

    def hear(self, trace: str) -> None:
        if trace in self.published_at and trace not in self.heard:
            self.heard[trace] = time.monotonic()
            if len(self.heard) == self._wanted:
                self.all_heard.set()
            if self._room is not None and self._outstanding <= self._limit:
                self._room.set()

    @property
    def _outstanding(self) -> int:
        return len(self.published_at) - len(self.heard)


async def run(order: Order) -> Report:
    load = order.load()
    client = await open_load_client(order.broker_url)
    sends = [(message.traceparent or "", client.prepare(message, order)) for message in load.envelopes()]
    silent = {trace for number, (trace, _) in enumerate(sends) if load.alert_every and not load.raises_alert(number)}
    effects = Effects(silent=silent, wanted=len(sends) - len(silent))
    if order.exit is not None:
        await client.watch(order.exit, effects.hear)
    began_at, began_cpu = time.monotonic(), time.process_time()
    published_at = None
    with contextlib.suppress(TimeoutError):  # what was heard until then is told
        async with asyncio.timeout(order.patience_seconds):
            if order.messages_per_second is None:
                await _publish_all(sends, client, effects, order)
            else:
                await _publish_steadily(sends, client, effects, order.messages_per_second)
            published_at = time.monotonic()
            if order.exit is not None:
                await effects.all_heard.wait()
    ended_at = time.monotonic()
    cpu_seconds = time.process_time() - began_cpu
    await client.close()
    return Report(
        began_at=began_at,
        effects_expected=len(sends) - len(silent),
        published_at=published_at,
        ended_at=ended_at,
        cpu_seconds=cpu_seconds,
        effects=[(at := effects.published_at[trace], heard_at - at) for trace, heard_at in effects.heard.items()],
    )


async def _publish_all(sends: Sequence[tuple[str, Any]], client: LoadClient, effects: Effects, order: Order) -> None:
    allowance = await Allowance.of_standard_input() if order.on_allowance else None
    for first in range(0, len(sends), MESSAGES_PER_TRANSACTION):
        part = sends[first : first + MESSAGES_PER_TRANSACTION]
        if allowance is not None:
            await allowance.until(first + len(part))
        if order.exit is not None:
            await effects.until_outstanding(order.outstanding_limit - len(part))
        effects.published(trace for trace, _ in part)
        await client.publish([send for _, send in part])


async def _publish_steadily(
    sends: Sequence[tuple[str, Any]], client: LoadClient, effects: Effects, messages_per_second: float
) -> None:
    """Publish each message by itself at its instant, whether the earlier ones are confirmed or not: buoys do not wait for one
    another, so a slow broker meets the same load."""

    async def publish(trace: str, send: Any) -> None:
        effects.published([trace])
        await client.publish([send])

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for index, (trace, send) in enumerate(sends):
            if (wait := began + index / messages_per_second - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            tasks.create_task(publish(trace, send))


def main() -> None:
    report = asyncio.run(run(Order.model_validate_json(sys.argv[1])))
    sys.stdout.write(report.model_dump_json() + os.linesep)


if __name__ == "__main__":
    main()
