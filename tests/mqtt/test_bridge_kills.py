"""Two ingest processes on one database: kill -9 of the one that bridges, again and again, under load."""

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from reefmesh.contracts.channels import READINGS, TELEMETRY
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.readings import READERS
from reefmesh.contracts.schema import read_body
from reefmesh.store.connect import open_store
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.nemo_pi import data, nemo_pi
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.bootstrap import MIGRATIONS
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register

DEVICES: Final = 10
BEFORE_KILL: Final = 100
AFTER_KILL: Final = 20
KILLS: Final = 3
RELIEF_SECONDS_LIMIT: Final = 30.0
"""Alone on a machine it is less than 5."""
PATIENCE_SECONDS: Final = 90.0
REEF: Final = ReefEntry(id="menjangan", name="Menjangan", latitude_degrees=-8.1, longitude_degrees=114.5)
IMEIS: Final = [f"8677400300{number:05d}" for number in range(DEVICES)]


class IngestProcess:
    """``python -m reefmesh_ingest`` and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.subscribed, self.active = asyncio.Event(), asyncio.Event()
        self.log: list[str] = []
        self.reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, broker_url: str, store_url: str, folder: Path) -> "IngestProcess":
        settings = {
            "REEFMESH_BROKER_URL": broker_url,
            "REEFMESH_STORE_URL": store_url,
            "REEFMESH_HTTP_PORT": "0",
            "REEFMESH_LANES": "4",
            "REEFMESH_LOG_FORMAT": "json",
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REEFMESH_")} | settings
        started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "reefmesh_ingest"),
            env=environment,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(started)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            text = line.decode()
            self.log.append(text)
            if "mqtt bridge subscribed" in text:
                self.subscribed.set()
            elif "mqtt bridge active" in text:
                self.active.set()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reading

    async def drain(self) -> int:
        self.process.terminate()
        await asyncio.wait_for(self.reading, PATIENCE_SECONDS)
        return await self.process.wait()


@asynccontextmanager
async def registered(url: str) -> AsyncIterator[Any]:
    store = open_store(url, migrations=MIGRATIONS)
    await store.open()
    try:
        await Register(store).upsert(reefs=[REEF], buoys=[BuoyEntry(id=imei, reef=REEF.id) for imei in IMEIS])
        yield store
    finally:
        await store.close()


async def until_active(processes: list[IngestProcess]) -> IngestProcess:
    """Wait until one of them says that it is given messages."""
    waiting = {asyncio.create_task(each.active.wait()): each for each in processes}
    done, pending = await asyncio.wait(waiting, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    assert done, "".join(line for each in processes for line in each.log[-20:])
    return waiting[done.pop()]


class Fleet:
    """Devices that report in waves; each report has a value of its own."""

    def __init__(self, broker: ActivemqProcess) -> None:
        self.broker = broker
        self.acknowledged: dict[str, list[float]] = {imei: [] for imei in IMEIS}

    @property
    def reports(self) -> int:
        return sum(len(values) for values in self.acknowledged.values())

    async def report_until(self, killed: asyncio.Event) -> None:
        """Report without a pause until the kill, and some more times after it."""
        await asyncio.gather(*(self._report_until(killed, imei) for imei in IMEIS))

    async def _report_until(self, killed: asyncio.Event, imei: str) -> None:
        values, left = self.acknowledged[imei], AFTER_KILL
        async with nemo_pi(self.broker, imei) as device:
            while left:
                left -= killed.is_set()
                value = len(values) / 100
                await device.publish(data(value))
                values.append(value)


def has_readings_of(message: Envelope) -> Callable[[Sequence[Envelope]], bool]:
    """Whether a reading was published that was received when this message was, from its device."""
    device, at = message.headers["device"], datetime.fromisoformat(message.headers["received-at"])

    def is_its(published: Envelope) -> bool:
        readings = read_body(published, READERS).readings
        return any((reading.buoy_id, reading.received_at) == (device, at) for reading in readings)

    looked_at = 0

    def has(published: Sequence[Envelope]) -> bool:
        nonlocal looked_at
        fresh, looked_at = published[looked_at:], len(published)
        return any(is_its(each) for each in fresh)

    return has


@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_killed_bridge_is_relieved_by_its_standby_and_nothing_is_lost_doubled_or_turned_round(
    stage: Any, postgresql_schema_url: str
) -> None:
    loop = asyncio.get_running_loop()
    fleet = Fleet(stage.broker)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(registered(postgresql_schema_url))
        ear, handled = await stack.enter_async_context(stage.ears(TELEMETRY, READINGS))

        async def start() -> IngestProcess:
            process = await IngestProcess.start(stage.broker.url("ingest"), postgresql_schema_url, stage.folder)
            stack.push_async_callback(process.kill)
            await asyncio.wait_for(process.subscribed.wait(), PATIENCE_SECONDS)
            return process

        processes = [await start(), await start()]
        for _ in range(KILLS):
            killed, before = asyncio.Event(), len(ear.messages)
            reporting = asyncio.create_task(fleet.report_until(killed))
            active = await until_active(processes)
            await ear.until_there_are(before + BEFORE_KILL)
            await active.kill()
            killed_at = loop.time()
            killed.set()
            processes.remove(active)
            await until_active(processes)
            assert loop.time() - killed_at < RELIEF_SECONDS_LIMIT
            await reporting
            processes.append(await start())
        messages = await ear.until_there_are(fleet.reports)
        await handled.until(has_readings_of(messages[-1]))  # of one reef: all before it have been handled too
        assert [await process.drain() for process in processes] == [0, 0]

        by_device = defaultdict(list)
        for message in messages:
            by_device[message.headers["device"]].append(message.body)
        assert dict(by_device) == {imei: [data(value) for value in values] for imei, values in fleet.acknowledged.items()}
        books = await accounting(store)
        assert (books.messages.received, books.messages.accepted) == (fleet.reports, fleet.reports)
        assert books.discrepancies == ()
