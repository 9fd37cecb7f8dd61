"""The mesh as separate processes on a real ActiveMQ or RabbitMQ, every link through a proxy, everything under faults.

Their databases are schemas of a PostgreSQL of this run's own, or SQLite files that the processes of a service share. Every
other process reaches PostgreSQL through PgBouncer, in transaction mode. All know the broker by a name, and log into pipes.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh.contracts.services import SERVICES, subscriptions_of
from reefmesh_components.activemq import local_activemq
from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.pgbouncer import COMPONENT as PGBOUNCER
from reefmesh_components.ports import HOST
from reefmesh_components.postgresql import local_postgresql
from reefmesh_components.rabbitmq import local_rabbitmq
from reefmesh_components.requirement import ComponentMissing, note, required
from reefmesh_components.service_process import ServiceProcess
from reefmesh_faults.broker_faults import BrokerFaults
from reefmesh_faults.history import LogStall, Purged
from reefmesh_faults.log_faults import LogFaults
from reefmesh_faults.nemesis import END_TIMEOUT_SECONDS
from reefmesh_faults.part import Part, Supervisor
from reefmesh_faults.plan import ALL_KINDS, BROKER_KINDS, BROKER_KINDS_OF, DISK_KINDS, POOLER_KINDS, STORE_KINDS, Kind, chosen
from reefmesh_faults.pooler_faults import STATED, PoolerFaults, pooler_before
from reefmesh_faults.purge import PurgeFaults
from reefmesh_faults.receiver import SECRET, SECRET_VARIABLE, Receiver
from reefmesh_faults.recorded_service import clock_file
from reefmesh_faults.recorder import RECORDED
from reefmesh_faults.store_faults import StoreFaults
from reefmesh_faults.tcp_proxy import TcpProxy
from reefmesh_faults.told_names import NAME, BrokerName
from reefmesh_standalone.home import Home
from reefmesh_standalone.whole_file import replacing

CREW: Final = {"ingest": 2, "scoring": 2, "alerts": 2}
CREW_LIMIT: Final = 3
HEAP: Final = "384m"
BROKER_PARAMETERS: Final = "heartbeat_ms=2000&connect_timeout_ms=4000&confirm_timeout_ms=8000"
"""Silence is noticed within 4 s, so that pauses of some seconds make zombies."""
PARAMETERS_OF: Final = {"activemq": BROKER_PARAMETERS, "rabbitmq": f"{BROKER_PARAMETERS}&shards=4"}
"""RabbitMQ: few shards, so that the 40 reefs share them as the many reefs of a mesh do."""

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
    """See ``nemesis.Stage``. ``store`` None: SQLite. ``pooler`` None: there is none; ``left_out`` says why, by kind."""

    engine: str
    home: Path
    receiver: Receiver
    random: Random
    did: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)
    store: StoreFaults | None = None
    pooler: PoolerFaults | None = None
    broker: BrokerFaults
    logging: LogFaults
    purging: PurgeFaults = field(init=False)
    supervisor: Supervisor = field(init=False)
    parts: list[Part] = field(default_factory=list)
    device_links: list[TcpProxy] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(lambda: self.parts)
        self.purging = PurgeFaults(
            open_broker=self._purging_broker, did=self.did, at_broker=self.broker.lock, supervisor=self.supervisor
        )

    @property
    def kinds(self) -> Mapping[str, Kind]:
        left_out = {
            *(STORE_KINDS if self.store is None else DISK_KINDS),
            *(POOLER_KINDS if self.pooler is None else ()),
            *(BROKER_KINDS.keys() - BROKER_KINDS_OF[self.engine]),
        }
        return {name: kind for name, kind in ALL_KINDS.items() if name not in left_out}

    @property
    def purged(self) -> Sequence[Purged]:
        return self.purging.purged

    @property
    def log_stalls(self) -> Sequence[LogStall]:
        return self.logging.stalls

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
        """Return where the databases and the broker are, past proxies and poolers."""
        store_url = None if self.store is None else self.store.server.url
        return Home(
            path=self.home, broker_url=self.broker.process.url(parameters=PARAMETERS_OF[self.engine]), store_url=store_url
        )

    def own_broker(self, user: str = "operator") -> Broker:
        """Return a client past the proxies, of an operator unless told otherwise."""
        return open_broker(self.broker.process.url(user, parameters=PARAMETERS_OF[self.engine]), clock=SystemClock())

    async def device_broker(self) -> Broker:
        """Return a client of devices, with a link of its own."""
        link = await _link(lambda: self.broker.process.port, self.random)
        self.device_links.append(link)
        return open_broker(self._broker_url("operator", HOST, link), clock=SystemClock())

    async def start(self) -> None:
        """Start the crew and wait until each process works."""
        self.logs.mkdir(parents=True)
        self.broker.name.know()
        if self.engine == "rabbitmq":
            await self._make_queues()
        (self.home / "subscriptions.toml").write_text(self.receiver.subscriptions())
        for service, count in CREW.items():
            for _ in range(count):
                await self.add(service)
        for part in self.parts:
            await asyncio.to_thread(_as_service(part).wait_until_healthy)

    async def _make_queues(self) -> None:
        """Make every queue before anything happens, and stop the broker once: a queue that is killed within half a second after
        it was made answers nothing more (docs/brokers.md, row R7)."""
        broker = self.own_broker()
        await broker.connect()
        await broker.declare((*subscriptions_of(SERVICES), *RECORDED))
        await broker.close()
        await asyncio.to_thread(self.broker.process.restart)

    async def add(self, service: str) -> Part:
        """Start one more process of a service."""
        number = sum(part.service == service for part in self.parts) + 1
        name = f"{service}-{number}"
        links = {"broker": await _link(lambda: self.broker.process.port, self.random)}
        process = ServiceProcess(
            service,
            name=name,
            broker_url=self._broker_url(service, NAME, links["broker"]),
            store_url=await self._store_url(service, number, links),
            folder=self.logs,
            environment=ENVIRONMENT | {"REEFMESH_ALERTS_SUBSCRIPTIONS_FILE": str(self.home / "subscriptions.toml")},
            command=("-m", "reefmesh_faults.recorded_service", service, name, str(self.counters)),
            output=self.logging.open(name, self.logs),
        )
        part = Part(service=service, process=process, links=links)
        self.parts.append(part)
        process.start()
        return part

    async def _store_url(self, service: str, number: int, links: dict[str, TcpProxy]) -> str:
        """Return where a process finds its database: PostgreSQL behind a link of its own, every other one behind the pooler."""
        url = self.place().store_address(service)
        if (store := self.store) is None:
            return url
        pooler = self.pooler if number % 2 else None
        links["store"] = await _link(lambda: store.server.port if pooler is None else pooler.process.port, self.random)
        url = url.replace(f":{store.server.port}/", f":{links['store'].port}/")
        return url if pooler is None else url + STATED

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
        await self.broker.suffer(kind, seconds)

    async def store_fault(self, kind: str, seconds: float) -> None:
        if self.store is None:
            raise ValueError("a SQLite file is no process")
        await self.store.suffer(kind, seconds)

    async def pooler_fault(self, kind: str, seconds: float) -> None:
        if self.pooler is None:
            raise ValueError("there is no pooler")
        await self.pooler.suffer(kind, seconds)

    async def purge(self, target: float, strength: float, seconds: float) -> str:
        return await self.purging.suffer(self.parts, target=target, strength=strength, seconds=seconds)

    async def stall_log(self, part: Part, seconds: float) -> None:
        await self.logging.stall(_as_service(part), seconds)

    def receiver_away(self, away: bool) -> None:
        self.receiver.is_away = away

    def _purging_broker(self, service: str) -> Broker:
        """RabbitMQ: what a service has moved into its overflow queues is what its own login says."""
        return self.own_broker(service if self.engine == "rabbitmq" else "operator")

    def _crew(self, service: str) -> int:
        return sum(part.service == service and part.wanted for part in self.parts)

    def _broker_url(self, user: str, host: str, link: TcpProxy) -> str:
        process = self.broker.process
        url = process.url(user, parameters=PARAMETERS_OF[self.engine])
        return url.replace(f"@{HOST}:{process.port}?", f"@{host}:{link.port}?")


async def _link(port: Callable[[], int], random: Random) -> TcpProxy:
    link = TcpProxy(port, random=random)
    await link.open()
    return link


def _as_service(part: Part) -> ServiceProcess:
    if not isinstance(part.process, ServiceProcess):
        raise TypeError("the parts of this stage are services")
    return part.process


@asynccontextmanager
async def separate_stage(home: Path, *, seed: int, engine: str, store: str) -> AsyncIterator[SeparateStage]:
    """Start broker, database, pooler and receiver; whatever happens, all processes are ended at the end. ``engine``:
    ``activemq`` or ``rabbitmq``; ``store``: ``postgresql`` or ``sqlite``.

    Raises:
        ComponentMissing: the broker or PostgreSQL cannot be had as a process of this machine.
    """
    async with AsyncExitStack() as stack:
        receiver = Receiver()
        receiver.start()
        stack.callback(receiver.stop)
        did: Counter[str] = Counter()
        recorded = home / "recorded"
        recorded.mkdir(parents=True)
        process: BrokerProcess = stack.enter_context(local_rabbitmq() if engine == "rabbitmq" else local_activemq(heap=HEAP))
        stage = SeparateStage(
            engine=engine,
            home=home,
            receiver=receiver,
            random=Random(f"proxies/{seed}"),
            did=did,
            broker=BrokerFaults(process=process, name=BrokerName(recorded), did=did),
            logging=LogFaults(folder=recorded, did=did),
        )
        if store == "postgresql":
            await _open_store(stage, stack)
        stack.push_async_callback(_end, stage)
        yield stage


async def _open_store(stage: SeparateStage, stack: AsyncExitStack) -> None:
    server = stack.enter_context(local_postgresql())
    stage.store = store = StoreFaults(server=server, random=stage.random, did=stage.did, parts=lambda: stage.parts)
    stack.callback(store.close)
    servers = await _link(lambda: store.server.port, stage.random)
    stack.push_async_callback(servers.close)
    try:
        stage.pooler = stack.enter_context(pooler_before(server, servers, stage.did))
    except ComponentMissing as missing:
        if PGBOUNCER in required():
            raise
        note(missing.absence)
        stage.left_out = dict.fromkeys(POOLER_KINDS, str(missing))


async def _end(stage: SeparateStage) -> None:
    for part in stage.parts:
        part.wanted = False
        part.send(signal.SIGCONT)
        part.process.kill()
    stage.logging.close()
    for part in stage.parts:
        for link in part.links.values():
            await link.close()
    for link in stage.device_links:
        await link.close()
