"""Three services as processes of their own on a real broker, everything durable; ``activemq.py`` and ``rabbitmq.py`` run it.

On ActiveMQ, beside them and in the same run, the same three stages written plainly on stomp.py: no state, no order, nothing
confirmed. What one would write with FastStream instead is in ``comparison.py``, on both brokers.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import psutil

from chart import draw
from figures import Figure, keep, show
from joining import hand_over
from load import Load, live_since
from mesh_under_load import HEAP, Setup, mesh_under_load
from processes import peak_megabytes
from reefmesh.contracts.services import SERVICES
from reefmesh_components.activemq import local_activemq
from reefmesh_components.ports import HOST
from reefmesh_components.requirement import ComponentMissing
from throughput import (
    CHANNELS,
    RATE_TO_HOLD,
    REEFS,
    Alerting,
    Sustained,
    alerting_mesh,
    alerting_plain,
    backlog,
    follow,
    steady,
)

NAMES: Final = {"activemq": "ActiveMQ", "rabbitmq": "RabbitMQ"}
PARTS: Final = {
    "activemq": ("live", "alerts", "hand-over", "catch-up", "client", "memory"),
    "rabbitmq": ("live", "alerts", "hand-over", "catch-up", "memory"),
}
RATES: Final = (250.0, RATE_TO_HOLD, 1000.0, 1500.0, 2000.0)
PLAIN: Final = "plain stomp.py"
CLIENT_SCRIPT: Final = Path(__file__).with_name("client_alone.py")
PEER_SCRIPT: Final = Path(__file__).with_name("pouring_peer.py")
CLIENT_TIMEOUT_SECONDS: Final = 300.0


class Run:
    """Takes the parts one by one, each on a broker and databases of its own."""

    def __init__(self, *, scale: int, setup: Setup) -> None:
        self._scale, self._setup = scale, setup
        self._began = time.monotonic()
        self.figures: list[Figure] = []
        self.pipelines: dict[str, Alerting] = {}

    async def part(self, name: str) -> None:
        match name:
            case "live":
                await self._live()
            case "catch-up":
                await self._catch_up()
            case "alerts":
                await self._alerts()
            case "client":
                self._client()
            case "hand-over":
                await self._hand_over()
            case _:
                await self._memory()

    def tell(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:5.0f} s  {text}", file=sys.stderr, flush=True)

    async def _live(self) -> None:
        turns, warm_up = max(1, 40 // self._scale), max(1, 32 // self._scale)
        load = Load(reefs=REEFS, messages=turns * REEFS, batch=1, channels=CHANNELS, begins_at=live_since(warm_up + turns))
        sustained = await steady(load, warm_up_turns=warm_up, setup=self._setup)
        self._keep_sustained(f"live, {REEFS} reefs, one reading a message", sustained, unit="messages/s", hold=1000)

    async def _catch_up(self) -> None:
        load = Load(reefs=200, messages=4_000 // self._scale, batch=100, channels=1)
        sustained = await backlog(load, warm_up_turns=5, setup=self._setup)
        self._keep_sustained("catch-up, batches of 100, 1 channel", sustained, unit="readings/s", hold=20_000)

    async def _alerts(self) -> None:
        seconds, turns = 12.0 / self._scale, max(2, 24 // self._scale)
        self.pipelines = {
            "reefmesh": await alerting_mesh(
                RATES,
                seconds=seconds,
                saturated_turns=turns,
                setup=self._setup,
                tell=lambda text: self.tell(f"reefmesh: {text}"),
            )
        }
        if self._setup.broker == "activemq":
            self.pipelines[PLAIN] = await alerting_plain(
                RATES, seconds=seconds, saturated_turns=turns, tell=lambda text: self.tell(f"{PLAIN}: {text}")
            )
        for name, alerting in self.pipelines.items():
            self._keep_sustained(f"{name}, every message an alert", alerting.sustained, unit="messages/s")
        for name, alerting in self.pipelines.items():
            for step in alerting.steps:
                if step.offered_per_second != RATE_TO_HOLD:
                    continue
                for title, value in (("p50", step.p50), ("p99", step.p99), ("p99.9", step.p999)):
                    hold = 1000.0 if (name, title) == ("reefmesh", "p99") else None
                    what = f"{name}, telemetry to alert at {RATE_TO_HOLD:.0f} messages/s, {title}"
                    self._keep(what, value * 1e3, "ms", hold=hold, at_most=True)
        if (seldom := self.pipelines["reefmesh"].seldom) is not None:
            for title, value in (("p50", seldom.p50), ("p99", seldom.p99), ("p99.9", seldom.p999)):
                what = f"reefmesh, the same when every tenth message is an alert, {title}"
                self._keep(what, value * 1e3, "ms", hold=1000.0 if title == "p99" else None, at_most=True)
        if PLAIN in self.pipelines:
            mesh, plain = self.pipelines["reefmesh"].sustained, self.pipelines[PLAIN].sustained
            self._keep(f"throughput, reefmesh to {PLAIN}", mesh.per_second / plain.per_second, "ratio")

    def _client(self) -> None:
        messages = str(200_000 // self._scale)
        peer = subprocess.Popen([sys.executable, str(PEER_SCRIPT), messages], stdout=subprocess.PIPE)
        try:
            port = peer.stdout.readline().decode().strip() if peer.stdout is not None else ""
            of_cpu, _ = _client_alone(f"stomp://{HOST}:{port}", messages)
        finally:
            peer.kill()
            peer.communicate()
        self._keep("STOMP client alone, receive + ack, 250 B, by its own CPU", of_cpu, "messages/s", hold=40_000)
        with local_activemq(heap=HEAP) as broker:
            of_cpu, of_clock = _client_alone(broker.url(), str(50_000 // self._scale), "--fill")
        self._keep("the same from ActiveMQ, which sends few at a time", of_cpu, "messages/s")
        self._keep("the same from ActiveMQ by the clock, both on the same cores", of_clock, "messages/s")

    async def _hand_over(self) -> None:
        result = await hand_over(messages_per_second=100.0, setup=self._setup)
        waits = {
            "hand-over: a second scoring process joins, until it has its share": result.spread_seconds,
            "hand-over: longest wait for a score around the join": result.join_longest_wait_seconds,
            "hand-over: longest wait for a score around its death (kill -9)": result.death_longest_wait_seconds,
        }
        for what, seconds in waits.items():
            self._keep(what, seconds, "s", hold=5, at_most=True)
        what = "hand-over: longest wait for a score before, to compare with"
        self._keep(what, result.longest_wait_before_seconds, "s")

    async def _memory(self) -> None:
        load = Load(reefs=10_000 // self._scale, messages=20_000 // self._scale, batch=24, channels=CHANNELS)
        async with mesh_under_load(load, setup=self._setup) as running:
            await follow(load, running)
            megabytes = {name: peak_megabytes(pid) for name, pid in running.pids().items()}
        for service in (each.name for each in SERVICES):
            self._keep(f"memory of {service} at {load.reefs:,} reefs, peak", megabytes[service], "MB", hold=300, at_most=True)

    def _keep_sustained(self, what: str, sustained: Sustained, *, unit: str, hold: float | None = None) -> None:
        self._keep(what, sustained.per_second, unit, hold=hold)
        for process, seconds in sustained.cpu_seconds.items():
            self._keep(f"{what}: CPU of {process}", seconds * 1e6, f"us a {unit.removesuffix('s/s')}")

    def _keep(self, name: str, value: float, unit: str, *, hold: float | None = None, at_most: bool = False) -> None:
        self.figures.append(Figure(name=name, value=value, unit=unit, hold=hold, at_most=at_most))
        self.tell(f"{name}: {value:,.1f} {unit}")


def _client_alone(*arguments: str) -> tuple[float, float]:
    """Return messages per second of the client's CPU, and of the clock."""
    done = subprocess.run(
        [sys.executable, str(CLIENT_SCRIPT), *arguments], stdout=subprocess.PIPE, check=True, timeout=CLIENT_TIMEOUT_SECONDS
    )
    of_cpu, of_clock = map(float, done.stdout.split())
    return of_cpu, of_clock


async def measure(run: Run, parts: Sequence[str], after: Callable[[], None]) -> None:
    for part in parts:
        run.tell(f"measuring {part}")
        await run.part(part)
        after()


def main(broker: str, description: str | None) -> int:
    """Run on ``activemq`` or ``rabbitmq``; return the exit code."""
    all_parts = PARTS[broker]
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load: a smoke test, not a measurement")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="what the services keep state in")
    parser.add_argument("--tls", action="store_true", help="between services and broker, as Amazon MQ asks")
    parser.add_argument("--lanes", type=int, help="lanes of each service (as many as they take by themselves)")
    parser.add_argument("--subscriptions", type=int, help="subscriptions of a numbered channel (ADR 0019); --lanes: one a lane")
    parser.add_argument("--only", default=",".join(all_parts), help=f"parts to measure, of {','.join(all_parts)}")
    parser.add_argument("--json", type=Path, default=Path(f"reports/bench-{broker}.json"), help="where to keep the figures")
    parser.add_argument("--chart", type=Path, default=Path(f"reports/bench-{broker}.svg"), help="where to draw (.svg or .png)")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := sorted(set(parts) - set(all_parts)):
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(all_parts)}")
    facts = [f"reefmesh, {NAMES[broker]}", options.store]
    facts += ["TLS"] if options.tls else []
    facts += [f"{options.lanes} lanes"] if options.lanes else []
    facts += [f"{options.subscriptions} subscriptions"] if options.subscriptions else []
    facts += ["quick: no measurement"] if options.quick else []
    title = ", ".join(facts)
    setup = Setup(broker=broker, store=options.store, lanes=options.lanes, tls=options.tls, subscriptions=options.subscriptions)
    busy_before = psutil.getloadavg()[0]
    run = Run(scale=10 if options.quick else 1, setup=setup)

    def keep_all() -> None:
        curves = {name: [asdict(step) for step in alerting.steps] for name, alerting in run.pipelines.items()}
        keep(options.json, title, run.figures, load_average_before=busy_before, telemetry_to_alert=curves)

    try:
        asyncio.run(measure(run, parts, keep_all))
    except ComponentMissing as missing:
        print(f"reefmesh: {missing}", file=sys.stderr)
        return 69
    show(title, run.figures)
    print(f"figures: {options.json}")
    if run.pipelines:
        draw(
            options.chart,
            run.pipelines,
            hold_seconds=1.0,
            caption=f"{title}: every message raises an alert; durable, confirmed",
        )
        print(f"chart: {options.chart}")
    return 0
