"""The mesh as one process, ``reefmesh up``, on its embedded broker and SQLite: what dies here dies whole."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh_components.service_process import ServiceProcess
from reefmesh_faults.history import LogStall, Purged
from reefmesh_faults.nemesis import END_TIMEOUT_SECONDS
from reefmesh_faults.part import Part, Supervisor
from reefmesh_faults.plan import DISK_KINDS, PROCESS_KINDS, RECEIVER_KINDS, Kind
from reefmesh_faults.receiver import SECRET, SECRET_VARIABLE, Receiver
from reefmesh_faults.recorder import RECORDED
from reefmesh_faults.tcp_proxy import TcpProxy
from reefmesh_standalone.home import Home

MESH: Final = "mesh"


@dataclass(slots=True, kw_only=True)
class SingleStage:
    """See ``nemesis.Stage``. Recorders' subscriptions gather in the journal until the mesh has ended: it has one owner."""

    home: Path
    receiver: Receiver
    supervisor: Supervisor = field(init=False)
    parts: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(lambda: self.parts)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        kinds = {**PROCESS_KINDS, **DISK_KINDS, **RECEIVER_KINDS}
        return {name: kind for name, kind in kinds.items() if name != "clock_jump"}

    @property
    def records_at_once(self) -> bool:
        return False

    @property
    def records_effects(self) -> bool:
        return False

    @property
    def device_links(self) -> Sequence[TcpProxy]:
        return ()

    @property
    def purged(self) -> Sequence[Purged]:
        return ()

    @property
    def log_stalls(self) -> Sequence[LogStall]:
        return ()

    @property
    def did(self) -> Mapping[str, int]:
        return {}

    @property
    def left_out(self) -> Mapping[str, str]:
        return {}

    @property
    def counters(self) -> Path:
        return self.home / "recorded"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def place(self) -> Home:
        return Home(path=self.home / MESH)

    def own_broker(self) -> Broker:
        """Return a client that owns the journal: only while the mesh does not run."""
        return open_broker(self.place().broker_address(), clock=SystemClock())

    async def device_broker(self) -> Broker:
        """Return a client that publishes into the journal beside the mesh."""
        return open_broker(self.place().broker_address(publisher_only=True), clock=SystemClock())

    async def start(self) -> None:
        """Start the mesh, and wait until it works."""
        self.logs.mkdir(parents=True)
        self.counters.mkdir()
        self.place().create()
        subscriptions = self.home / "subscriptions.toml"
        subscriptions.write_text(self.receiver.subscriptions())
        broker = self.own_broker()
        await broker.connect()
        await broker.declare(RECORDED)
        await broker.close()
        process = ServiceProcess(
            MESH,
            name=MESH,
            broker_url=None,
            store_url=None,
            folder=self.logs,
            environment={
                "REEFMESH_HOME": str(self.place().path),
                "REEFMESH_CRASH_LIMIT": "1000",  # every kill concerns all that is in hand: none of it is a killer
                "REEFMESH_ALERTS_SUBSCRIPTIONS_FILE": str(subscriptions),
                "REEFMESH_ALERTS_DELIVERY_BACKOFF_FIRST_SECONDS": "0.5",
                "REEFMESH_ALERTS_DELIVERY_BACKOFF_MAX_SECONDS": "4",
                SECRET_VARIABLE: SECRET,
            },
            command=("-m", "reefmesh_standalone", "up", "--log-level", "info"),
        )
        self.parts.append(Part(service=MESH, process=process))
        process.start()
        await asyncio.to_thread(process.wait_until_healthy)

    async def drain(self) -> None:
        """End the mesh (SIGTERM); an end that is not clean is a finding."""
        for part in self.parts:
            part.wanted = False
            part.process.ask_to_end()
            self.supervisor.note(part, await asyncio.to_thread(part.process.wait_until_ended, END_TIMEOUT_SECONDS))

    def receiver_away(self, away: bool) -> None:
        self.receiver.is_away = away

    def jump_clock(self, part: Part, seconds: float) -> NoReturn:
        raise _cannot("have its clock moved")

    async def scale_out(self, target: float) -> NoReturn:
        raise _cannot("scale")

    async def scale_in(self, target: float) -> NoReturn:
        raise _cannot("scale")

    async def broker_fault(self, kind: str, seconds: float) -> NoReturn:
        raise _cannot("lose its broker")

    async def store_fault(self, kind: str, seconds: float) -> NoReturn:
        raise _cannot("lose its databases")

    async def pooler_fault(self, kind: str, seconds: float) -> NoReturn:
        raise _cannot("have a pooler")

    async def purge(self, target: float, strength: float, seconds: float) -> NoReturn:
        raise _cannot("have its queues purged beside it")

    async def stall_log(self, part: Part, seconds: float) -> NoReturn:
        raise _cannot("log into a pipe")


def _cannot(what: str) -> ValueError:
    return ValueError(f"a mesh in one process cannot {what}")


@asynccontextmanager
async def single_stage(home: Path) -> AsyncIterator[SingleStage]:
    """Provide the stage; whatever happens, its process is ended at the end."""
    receiver = Receiver()
    receiver.start()
    stage = SingleStage(home=home, receiver=receiver)
    try:
        yield stage
    finally:
        for part in stage.parts:
            part.wanted = False
            part.send(signal.SIGCONT)
            part.process.kill()
        receiver.stop()
