"""The mesh on its embedded engine: one process that runs all three services, and a journal that outlives it."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from reefmesh.broker.embedded.engine import EmbeddedBroker
from reefmesh.broker.embedded.url import EmbeddedAddress
from reefmesh_faults.simulation.history import Queued
from reefmesh_faults.simulation.laws import next_queue_name, queue_name
from reefmesh_faults.simulation.loop import VirtualLoop
from reefmesh_faults.simulation.service import NEXT, SUBSCRIPTIONS, DriftingClock, MeshProcess, serve
from reefmesh_faults.simulation.switches import Composition
from reefmesh_faults.simulation.world import World

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where there is such a place, nothing waits for a disk
KEEP_PLACES: Final = (
    "CREATE TABLE place (subscription INTEGER, message INTEGER, event_id TEXT, reef_id TEXT)",
    "CREATE TRIGGER placed AFTER INSERT ON waiting BEGIN INSERT INTO place "
    "SELECT new.subscription, id, event_id, reef_id FROM message WHERE id = new.message; END",
)
"""The journal forgets what is settled; the checker does not."""

SELECT_WAITING: Final = """
SELECT COUNT(*) FROM waiting JOIN subscription AS s ON s.id = subscription WHERE s.service = ? AND s.channel = ?
"""
SELECT_PLACES: Final = """
SELECT s.service, s.channel, p.message, p.event_id, p.reef_id FROM place AS p JOIN subscription AS s ON s.id = p.subscription
ORDER BY p.message
"""


class Together(World):
    faults: ClassVar[Mapping[str, int]] = {
        "kill": 8,
        "SIGTERM": 4,
        "freeze": 2,
        "store refuses": 2,
        "store loses an answer": 3,
        "clock jump": 2,
    }
    processes: ClassVar[Mapping[str, int]] = {"mesh": 1}

    def __init__(self, loop: VirtualLoop, seed: int, composition: Composition) -> None:
        super().__init__(loop, seed, composition)
        self._folder = Path(tempfile.mkdtemp(prefix="reefmesh-", dir=MEMORY if MEMORY.is_dir() else None))
        self._address = EmbeddedAddress(path=self._folder / "journal.db")
        self._brokers: dict[str, EmbeddedBroker] = {}
        self._look: sqlite3.Connection | None = None

    def bury(self) -> None:
        super().bury()
        if self._look is not None:
            self._look.close()
        shutil.rmtree(self._folder)

    async def _prepare(self) -> None:
        """Make the journal, and keep in it what it would forget."""
        broker = EmbeddedBroker(self._address, clock=DriftingClock(self._loop))
        await broker.connect()
        await broker.declare([*SUBSCRIPTIONS.values(), *NEXT.values()])
        await broker.close()
        self._look = sqlite3.connect(self._folder / "journal.db", isolation_level=None)
        for statement in KEEP_PLACES:
            self._look.execute(statement)

    async def _work(self, born: MeshProcess) -> bool:
        """As ``reefmesh up`` does; devices publish through the same process."""
        own = self._brokers[born.process.name] = EmbeddedBroker(self._address, clock=born.clock)
        broker = self._around.broker(own)
        await broker.connect()
        try:
            sending = asyncio.create_task(self._devices.send(broker), name="devices")
            try:
                drained = await asyncio.gather(*(self._serve(service, born) for service in SUBSCRIPTIONS))
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        finally:
            await broker.close()
        return all(drained)

    async def _serve(self, service: str, born: MeshProcess) -> bool:
        """When one ends, the others drain too."""
        broker = self._around.broker(self._brokers[born.process.name])
        try:
            return await serve(service, born, broker, self._around)
        finally:
            born.stop.set()

    def _released(self, born: MeshProcess) -> None:
        """Its files are closed, and with them goes the lock and whatever transaction was open."""
        broker = self._brokers.pop(born.process.name, None)
        if broker is not None:
            broker.abort()

    def _unsettled_messages(self, service: str) -> int:
        if self._look is None:
            return 0
        subscription = SUBSCRIPTIONS[service]
        return int(self._look.execute(SELECT_WAITING, (subscription.service, subscription.channel.name)).fetchone()[0])

    def _note_queues(self) -> None:
        if self._look is None:
            return
        names = {SUBSCRIPTIONS[service]: queue_name(service) for service in SUBSCRIPTIONS}
        names |= {NEXT[service]: next_queue_name(service) for service in NEXT}
        by_text = {(each.service, each.channel.name): name for each, name in names.items()}
        for service, channel, message, event_id, reef_id in self._look.execute(SELECT_PLACES):
            place = Queued(queue=by_text[service, channel], place=message, event_id=event_id, reef_id=reef_id)
            self._history.add(place)
