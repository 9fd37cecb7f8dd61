"""What each service keeps in memory, measured in a process of its own.

The three services cannot share an embedded journal as processes at one time, so they run one after the other on one home: each
reads what the one before it left in the journal, and works until nothing waits.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

from load import Load
from processes import peak_megabytes
from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels, services
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.logs import configure_logging
from reefmesh.service.assembly import Blueprint, assemble
from reefmesh.service.garbage import look_rarely
from reefmesh.service.program import load_program
from reefmesh.settings import ServiceSettings
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import addresses, open_stores

SERVICES: Final = tuple(each.name for each in services.SERVICES)
MESSAGES_PER_PUBLISH: Final = 50
WAITING_LIMIT: Final = 200
"""The load waits for ingest: a backlog would be the journal's memory, not ingest's."""


def megabytes_of_each(load: Load) -> dict[str, float]:
    """Return the highest resident memory of a process with one service alone, by service."""
    shape = [str(each) for each in (load.reefs, load.messages, load.batch, load.channels)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--home", folder, "--load", *shape, "--run"]
        subprocess.run([*command, "register"], stdout=subprocess.DEVNULL, check=True)
        return {name: _megabytes([*command, name]) for name in SERVICES}


def _megabytes(command: list[str]) -> float:
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ).stdout)


async def register(home: Home, load: Load) -> None:
    home.create()
    async with open_stores(home) as stores:
        await Register(stores[services.INGEST]).upsert(reefs=load.reef_entries(), buoys=load.buoy_entries())


async def run(name: str, home: Home, load: Load) -> None:
    """Run one service until nothing waits for it; ingest is sent the load meanwhile."""
    clock = SystemClock()
    broker = open_broker(home.broker_address(), clock=clock)
    await broker.connect()
    await broker.declare(services.subscriptions_of(services.SERVICES))
    blueprint, settings = _service(name, home)
    stop = asyncio.Event()
    async with assemble(blueprint, settings, broker=broker, clock=clock) as assembled, asyncio.TaskGroup() as tasks:
        tasks.create_task(assembled.service.run(stop))
        if name == "ingest":
            messages = load.envelopes()
            while await _publish_some(broker, messages):
                await _until_waiting(broker, blueprint, at_most=WAITING_LIMIT)
        await _until_waiting(broker, blueprint, at_most=0)
        stop.set()
    await broker.close()


async def _publish_some(broker: Broker, messages: Iterator[Envelope]) -> bool:
    some = [Publication(channel=channels.TELEMETRY.name, message=message) for message in islice(messages, MESSAGES_PER_PUBLISH)]
    await broker.publish(some)
    return bool(some)


async def _until_waiting(broker: Broker, blueprint: Blueprint, *, at_most: int) -> None:
    while True:
        known = (await broker.statistics()).subscriptions
        own = [known[each] for each in blueprint.subscriptions]
        if sum((each.waiting_messages or 0) + each.in_flight_messages for each in own) <= at_most:
            return
        await asyncio.sleep(0.1)


def _service(name: str, home: Home) -> tuple[Blueprint, ServiceSettings]:
    entry = services.service_named(name)
    program = load_program(entry)
    settings = program.settings.load(overrides=addresses(home, entry))
    return program.blueprint(settings), settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)  # these are for the processes that it starts
    parser.add_argument("--run", choices=("register", *SERVICES), help=argparse.SUPPRESS)
    parser.add_argument(
        "--load",
        type=int,
        nargs=4,
        metavar=("REEFS", "MESSAGES", "BATCH", "CHANNELS"),
        default=(10_000, 30_000, 48, 5),
        help="how much of what (default: 10,000 reefs that are heard three times, 48 readings of 5 channels each)",
    )
    options = parser.parse_args()
    reefs, messages, batch, width = options.load
    load = Load(reefs=reefs, messages=messages, batch=batch, channels=width)
    if options.run is None:
        for name, megabytes in megabytes_of_each(load).items():
            print(f"{name}: {megabytes:.0f} MB")
        return
    configure_logging("bench", level="error")
    look_rarely()
    home = Home(path=options.home)
    asyncio.run(register(home, load) if options.run == "register" else run(options.run, home, load))
    print(peak_megabytes(os.getpid()))  # not ru_maxrss: Linux counts the memory of whoever started the process into it


if __name__ == "__main__":
    main()
