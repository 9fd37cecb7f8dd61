"""``make bench``: the whole mesh in one process on the embedded engine, durable journal and databases.

usage: python tests/bench/embedded.py [--quick] [--json FILE]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

from figures import Figure, keep, percentile, show
from load import Load
from memory import megabytes_of_each
from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels, services
from reefmesh.contracts.channels import Subscription
from reefmesh.observability.logs import configure_logging
from reefmesh.service.garbage import look_rarely
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.following import Follower
from reefmesh_standalone.home import Home
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import MeshSession, mesh_session

NOT_SAMPLED: Final = nullcontext()
WATCHER = Subscription("bench", channels.SCORES)


async def throughput(load: Load, *, sampled: AbstractContextManager[object] = NOT_SAMPLED) -> tuple[float, float]:
    """Return (readings per second from the first publish until the last alert decision, CPU seconds per reading); ``sampled``
    is entered meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        messages = list(load.envelopes())
        async with mesh_session(Home(path=Path(folder)), clock=SystemClock()) as session:
            await _register(session, load)
            started, cpu = time.perf_counter(), time.process_time()
            stop = asyncio.Event()
            with sampled:
                await send_all(session.broker, messages, report=lambda _: None, stop=stop)
                if session.mesh is None or not await session.mesh.until_idle(stop=stop, ended=session.ended):
                    raise RuntimeError("the mesh ended by itself")
            wall, cpu = time.perf_counter() - started, time.process_time() - cpu
            # Outside of what is measured, because following every message would be a cost of its own.
            follower = Follower(session.stores, [(message.event_id, message.reef_id) for message in messages])
            if not await follower.look():
                raise RuntimeError("some messages did not pass every service")
    return load.readings / wall, cpu / load.readings


async def latency(load: Load, messages_per_second: float) -> list[float]:
    """Return the seconds from each publish call to its score's receipt, at a steady rate."""
    with tempfile.TemporaryDirectory() as folder:
        messages = list(load.envelopes())
        async with mesh_session(Home(path=Path(folder)), clock=SystemClock()) as session:
            await _register(session, load)
            await session.broker.declare([WATCHER])
            consumer = session.broker.consumer(WATCHER, lanes=8)
            await consumer.start()
            loop = asyncio.get_running_loop()
            sent: dict[tuple[str, int], float] = {}
            seconds: list[float] = []
            all_seen = asyncio.Event()

            async def watch(index: int) -> None:
                lane = consumer.lanes[index]
                while (delivery := await lane.receive()) is not None:
                    message = delivery.message
                    seconds.append(loop.time() - sent[message.reef_id, message.seq or 0])
                    await lane.settle(delivery, [])
                    if len(seconds) == len(messages):
                        all_seen.set()

            async def publish(index: int) -> None:
                message = messages[index]
                sent[message.reef_id, index // load.reefs + 1] = loop.time()
                await session.broker.publish([Publication(channel=channels.TELEMETRY.name, message=message)])

            async with asyncio.TaskGroup() as tasks:
                watchers = [tasks.create_task(watch(index)) for index in range(8)]
                began = loop.time()
                for index in range(len(messages)):
                    await asyncio.sleep(max(0.0, began + index / messages_per_second - loop.time()))
                    tasks.create_task(publish(index))
                await asyncio.wait_for(all_seen.wait(), timeout=60)
                await consumer.drain()
                await asyncio.gather(*watchers)
    return seconds


async def _register(session: MeshSession, load: Load) -> None:
    await Register(session.stores[services.INGEST]).upsert(reefs=load.reef_entries(), buoys=load.buoy_entries())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load: a smoke test, not a measurement")
    parser.add_argument("--json", type=Path, default=Path("reports/bench-embedded.json"), help="where to keep the figures")
    options = parser.parse_args()
    configure_logging("bench", level="error")
    look_rarely()  # as every service does when it starts
    scale = 10 if options.quick else 1
    figures = []
    for batch, wanted, hold in ((1, 20_000, None), (100, 4_000, 20_000.0)):
        for width in (1, 5):
            load = Load(reefs=200, messages=wanted // scale, batch=batch, channels=width)
            rate, cpu = asyncio.run(throughput(load))
            what = f"end to end, batches of {batch}, {width} channel{'s' * (width > 1)}"
            figures += [
                Figure(name=what, value=rate, unit="readings/s", hold=hold if width == 1 else None),
                Figure(name=f"{what}: CPU, everything", value=cpu * 1e6, unit="us a reading"),
            ]
            show("so far", figures[-2:])
    for rate in (100.0, 556.0):
        load = Load(reefs=500, messages=int(rate * 20 / scale), batch=1, channels=5)
        seconds = asyncio.run(latency(load, rate))
        for share, title in ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")):
            name = f"telemetry to score at {rate:.0f} messages/s, {title}"
            figures.append(Figure(name=name, value=percentile(seconds, share) * 1e3, unit="ms"))
    reefs = 10_000 // scale
    heard = Load(reefs=reefs, messages=3 * reefs, batch=48, channels=5)
    figures += [
        Figure(name=f"memory of {name} alone, {reefs} reefs", value=megabytes, unit="MB", hold=300, at_most=True)
        for name, megabytes in megabytes_of_each(heard).items()
    ]
    show("reefmesh, embedded engine", figures)
    keep(options.json, "reefmesh, embedded engine", figures)


if __name__ == "__main__":
    main()
