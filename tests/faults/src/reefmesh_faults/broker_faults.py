"""What goes wrong with the broker as a whole: it dies, restarts, stands, is full or says so, or restarts without its name."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from reefmesh_components.activemq_process import STORE_LIMIT, ActivemqProcess
from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.rabbitmq_process import DISK_FREE_LIMIT, RabbitmqProcess
from reefmesh_faults.told_names import BrokerName

WAITS_LIMIT: Final = 8
"""Of a minute each."""
FULL_STORE_LIMIT: Final = "1 kb"
NEVER_FREE: Final = "1000000GB"
"""No disk has so much room."""
NAME_BACK_LATER_SECONDS: Final = 1.0
"""The broker is up before its name is there again, as where names belong to what runs."""


@dataclass(slots=True, kw_only=True)
class BrokerFaults:
    """``lock``: one fault of the broker at a time, and none while an operator works on it. ``did`` counts what was done."""

    process: BrokerProcess
    name: BrokerName
    did: Counter[str]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def suffer(self, kind: str, seconds: float) -> None:
        """Return when the broker is up again, and its name there."""
        async with self.lock:
            match kind:
                case "broker_kill":
                    await asyncio.to_thread(self.process.kill)
                    await asyncio.sleep(seconds)
                case "broker_restart":
                    await asyncio.to_thread(self.process.stop)
                    await asyncio.sleep(seconds)
                case "broker_pause":
                    self.process.pause()
                    await asyncio.sleep(seconds)
                    self.process.resume()
                case "broker_nameless":
                    await self._lose_name(seconds)
                case "broker_alarm":
                    await self._alarm(seconds)
                case _:
                    await self._fill(seconds)
            await self._start()

    async def _lose_name(self, seconds: float) -> None:
        """Restart it while its name does not exist, or while nobody answers who is asked for it."""
        before = self.name.met_away()
        with self.name.away(is_silent=seconds > self.name.silent_from_seconds):
            await asyncio.to_thread(self.process.stop)
            await asyncio.sleep(seconds)
            await self._start()
            await asyncio.sleep(NAME_BACK_LATER_SECONDS)
        self.did["broker_nameless: look-ups while the name was away"] += self.name.met_away() - before

    async def _fill(self, seconds: float) -> None:
        """Start it again with a limit that what it holds is above already, so that it takes nothing more."""
        if not isinstance(self.process, ActivemqProcess):
            raise TypeError("the store of ActiveMQ alone has a limit that can be moved")
        await asyncio.to_thread(self.process.stop)
        self.process.limit_store(FULL_STORE_LIMIT)
        await self._start()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.process.stop)
        self.process.limit_store(STORE_LIMIT)

    async def _alarm(self, seconds: float) -> None:
        """Let its disk count as short while it runs, so that it reads nothing more from whoever publishes."""
        if not isinstance(self.process, RabbitmqProcess):
            raise TypeError("RabbitMQ alone has alarms")
        await asyncio.to_thread(self.process.limit_disk, NEVER_FREE)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.process.limit_disk, DISK_FREE_LIMIT)

    async def _start(self) -> None:
        """Start it, and wait on when a busy machine lets it take too long: the run is about what comes after."""
        for _ in range(WAITS_LIMIT - 1):
            try:
                await asyncio.to_thread(self._start_or_wait)
            except RuntimeError:
                continue
            else:
                return
        await asyncio.to_thread(self._start_or_wait)

    def _start_or_wait(self) -> None:
        if self.process.pid is None:
            self.process.start()
        else:
            self.process.wait_until_listening()
