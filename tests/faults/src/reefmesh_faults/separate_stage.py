"""The mesh as separate processes on a real ActiveMQ, every link through a proxy, everything under faults.

Their databases are schemas of a PostgreSQL of this run's own, or SQLite files that the processes of a service share.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import asyncpg

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import STORE_LIMIT, ActivemqProcess
from reefmesh_components.postgresql import PostgresqlProcess, local_postgresql
from reefmesh_components.service_process import ServiceProcess
from reefmesh_faults.nemesis import ALL_KINDS, DISK_KINDS, END_TIMEOUT_SECONDS, STORE_KINDS, Kind, chosen
from reefmesh_faults.part import Part, Supervisor
from reefmesh_faults.receiver import SECRET, SECRET_VARIABLE, Receiver
from reefmesh_faults.recorded_service import clock_file
from reefmesh_faults.tcp_proxy import TcpProxy
from reefmesh_standalone.home import Home
from reefmesh_standalone.whole_file import replacing

CREW: Final = {"ingest": 2, "scoring": 2, "alerts": 2}
CREW_LIMIT: Final = 3
HEAP: Final = "384m"
BROKER_PARAMETERS: Final = "heartbeat_ms=2000&connect_timeout_ms=4000&confirm_timeout_ms=8000"
"""Silence is noticed within 4 s, so that pauses of some seconds make zombies."""

BROKER_STARTS_LIMIT: Final = 3
FULL_STORE_LIMIT: Final = "1 kb"
ENVIRONMENT: Final = {
    "REEFMESH_LOG_LEVEL": "info",
    "REEFMESH_LANES": "8",
    "REEFMESH_DRAIN_TIMEOUT_SECONDS": "15",
    "REEFMESH_CRASH_LIMIT": "20",  # we kill at random: a message may be in hand several times, and be no killer
    "REEFMESH_INGEST_MQTT_BRIDGE": "false",  # nobody sends MQTT here
    "REEFMESH_ALERTS_DELIVERY_BACKOFF_FIRST_SECONDS": "0.5",
    "REEFMESH_ALERTS_DELIVERY_BACKOFF_MAX_SECONDS": "4",
    SECRET_VARIABLE: SECRET,
}


@dataclass(slots=True, kw_only=True)
class SeparateStage:
    """See ``nemesis.Stage``. ``broker_lock`` and ``store_lock``: one fault of them at a time."""

    home: Path
    broker: ActivemqProcess
    store: PostgresqlProcess | None
    receiver: Receiver
    random: Random
    supervisor: Supervisor = field(init=False)
    parts: list[Part] = field(default_factory=list)
    device_links: list[TcpProxy] = field(default_factory=list)
    broker_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    store_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(lambda: self.parts)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        left_out = DISK_KINDS if self.store is not None else STORE_KINDS
        return {name: kind for name, kind in ALL_KINDS.items() if name not in left_out}

    @property
    def records_at_once(self) -> bool:
        return True

    @property
    def records_effects(self) -> bool:
        return True

    @property
    def counters(self) -> Path:
        return self.home / "recorded"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def place(self) -> Home:
        """Return where the databases and the broker are, past the proxies."""
        store_url = None if self.store is None else self.store.url
        return Home(path=self.home, broker_url=self.broker.url(), store_url=store_url)

    def own_broker(self) -> Broker:
        """Return a client of an operator, past the proxies."""
        return open_broker(self.broker.url(parameters=BROKER_PARAMETERS), clock=SystemClock())

    async def device_broker(self) -> Broker:
        """Return a client of devices, with a link of its own."""
        link = await self._link(self.broker.ports.stomp)
        self.device_links.append(link)
        return open_broker(self._broker_url("operator", link), clock=SystemClock())

    async def start(self) -> None:
        """Start the crew and wait until each process works."""
        self.logs.mkdir(parents=True)
        self.counters.mkdir()
        (self.home / "subscriptions.toml").write_text(self.receiver.subscriptions())
        for service, count in CREW.items():
            for _ in range(count):
                await self.add(service)
        for part in self.parts:
            await asyncio.to_thread(_as_service(part).wait_until_healthy)

    async def add(self, service: str) -> Part:
        """Start one more process of a service."""
        number = sum(part.service == service for part in self.parts) + 1
        name = f"{service}-{number}"
        links = {"broker": await self._link(self.broker.ports.stomp)}
        store_url = self.place().store_address(service)
        if self.store is not None:
            links["store"] = await self._link(self.store.port)
            store_url = store_url.replace(f":{self.store.port}/", f":{links['store'].port}/")
        process = ServiceProcess(
            service,
            name=name,
            broker_url=self._broker_url(service, links["broker"]),
            store_url=store_url,
            folder=self.logs,
            environment=ENVIRONMENT | {"REEFMESH_ALERTS_SUBSCRIPTIONS_FILE": str(self.home / "subscriptions.toml")},
            command=("-m", "reefmesh_faults.recorded_service", service, name, str(self.counters)),
        )
        part = Part(service=service, process=process, links=links)
        self.parts.append(part)
        process.start()
        return part

    async def drain(self) -> None:
        """End every process in order (SIGTERM, upstream first); an end that is not clean is a finding."""
        for service in CREW:
            ending = [part for part in self.parts if part.service == service and part.wanted]
            for part in ending:
                part.wanted = False
                part.process.ask_to_end()
            for part in ending:
                self.supervisor.note(part, await asyncio.to_thread(part.process.wait_until_ended, END_TIMEOUT_SECONDS))

    def jump_clock(self, part: Part, seconds: float) -> None:
        with replacing(clock_file(self.counters, part.name)) as file:
            file.write(f"{-seconds}\n")

    async def scale_out(self, target: float) -> str:
        """One more process of a service that may have more: one that was ended before, or a new one."""
        idle = [part for part in self.parts if not part.wanted]
        small = [service for service in CREW if self._crew(service) < CREW_LIMIT]
        service = chosen(small or list(CREW), target)
        for part in idle:
            if part.service == service:
                part.wanted = True
                part.process.start()
                return part.name
        return (await self.add(service)).name

    async def scale_in(self, target: float) -> str:
        """One process fewer of a service that has more than one."""
        big = [service for service in CREW if self._crew(service) > 1]
        if not big:
            return "nobody"
        service = chosen(big, target)
        part = next(part for part in self.parts if part.service == service and part.wanted)
        async with part.lock:
            part.wanted = False
            part.process.ask_to_end()
            self.supervisor.note(part, await asyncio.to_thread(part.process.wait_until_ended, END_TIMEOUT_SECONDS))
        return part.name

    async def broker_fault(self, kind: str, seconds: float) -> None:
        async with self.broker_lock:
            match kind:
                case "broker_kill":
                    await asyncio.to_thread(self.broker.kill)
                    await asyncio.sleep(seconds)
                case "broker_restart":
                    await asyncio.to_thread(self.broker.stop)
                    await asyncio.sleep(seconds)
                case "broker_pause":
                    self.broker.pause()
                    await asyncio.sleep(seconds)
                    self.broker.resume()
                case _:
                    await self._fill_broker(seconds)
            await self._start_broker()

    async def _start_broker(self) -> None:
        """Start it, once more when a busy machine lets it take too long: the run is about what comes after."""
        for _ in range(BROKER_STARTS_LIMIT - 1):
            try:
                await asyncio.to_thread(self.broker.start)
            except RuntimeError:
                await asyncio.to_thread(self.broker.kill)
            else:
                return
        await asyncio.to_thread(self.broker.start)

    async def _fill_broker(self, seconds: float) -> None:
        """Start it again with a limit that what it holds is above already, so that it takes nothing more."""
        await asyncio.to_thread(self.broker.stop)
        self.broker.limit_store(FULL_STORE_LIMIT)
        await self._start_broker()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.broker.stop)
        self.broker.limit_store(STORE_LIMIT)

    async def store_fault(self, kind: str, seconds: float) -> None:
        if (store := self.store) is None:
            raise ValueError("a SQLite file is no process")
        async with self.store_lock:
            match kind:
                case "store_kill":
                    await asyncio.to_thread(store.kill)
                    await asyncio.sleep(seconds)
                    await asyncio.to_thread(store.start_again)
                case "store_restart":
                    await asyncio.to_thread(store.restart)
                case "store_reads_only":
                    await self._read_only(store, seconds)
                case _:
                    await self._crowd(store, seconds)

    async def _read_only(self, store: PostgresqlProcess, seconds: float) -> None:
        """Let the server take no writes while its connections stay, as an old primary does that a failover left as a reader."""
        session = await asyncpg.connect(store.url, server_settings={"default_transaction_read_only": "off"})
        try:
            await session.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            await session.execute("SELECT pg_reload_conf()")
            await asyncio.sleep(seconds)
        finally:
            await session.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await session.execute("SELECT pg_reload_conf()")
            await session.close()

    async def _crowd(self, store: PostgresqlProcess, seconds: float) -> None:
        """Take every connection that is left, and cut one service's: it finds none when it comes back."""
        taken: list[asyncpg.Connection[asyncpg.Record]] = []
        try:
            async with asyncio.timeout(10.0):
                while True:
                    taken.append(await asyncpg.connect(store.url))
        except (OSError, TimeoutError, asyncpg.PostgresError):
            crowded = [part for part in self.parts if part.wanted]
            chosen(crowded, self.random.random()).links["store"].reset()
            await asyncio.sleep(seconds)
        finally:
            for connection in taken:
                connection.terminate()

    def receiver_away(self, away: bool) -> None:
        self.receiver.is_away = away

    async def _link(self, port: int) -> TcpProxy:
        link = TcpProxy(lambda: port, random=self.random)
        await link.open()
        return link

    def _crew(self, service: str) -> int:
        return sum(part.service == service and part.wanted for part in self.parts)

    def _broker_url(self, user: str, link: TcpProxy) -> str:
        url = self.broker.url(user, parameters=BROKER_PARAMETERS)
        return url.replace(f":{self.broker.ports.stomp}?", f":{link.port}?")


def _as_service(part: Part) -> ServiceProcess:
    if not isinstance(part.process, ServiceProcess):
        raise TypeError("the parts of this stage are services")
    return part.process


@asynccontextmanager
async def separate_stage(home: Path, *, seed: int, store: str) -> AsyncIterator[SeparateStage]:
    """Start broker, database and receiver; whatever happens, all processes are ended at the end. ``store``: ``postgresql`` or
    ``sqlite``.

    Raises:
        ComponentMissing: ActiveMQ or PostgreSQL cannot be had as a process of this machine.
    """
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(local_activemq(heap=HEAP))
        server = stack.enter_context(local_postgresql()) if store == "postgresql" else None
        receiver = Receiver()
        receiver.start()
        stack.callback(receiver.stop)
        stage = SeparateStage(home=home, broker=broker, store=server, receiver=receiver, random=Random(f"proxies/{seed}"))
        stack.push_async_callback(_end, stage)
        yield stage


async def _end(stage: SeparateStage) -> None:
    for part in stage.parts:
        part.wanted = False
        part.send(signal.SIGCONT)
        part.process.kill()
    for part in stage.parts:
        for link in part.links.values():
            await link.close()
    for link in stage.device_links:
        await link.close()
