"""A broker with the shipped configuration, a database, the three services as processes, and honest people who report."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from reefmesh_components.activemq_distribution import DistributionMissing, distribution
from reefmesh_components.activemq_process import BROKER_XML, ActivemqProcess, password_of
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.postgresql import PostgresqlProcess, local_postgresql
from reefmesh_components.requirement import ComponentMissing
from reefmesh_components.service_process import ServiceProcess
from reefmesh_hostile.attacker import Attacker
from reefmesh_hostile.databases import Databases, PostgresqlDatabases, SqliteDatabases
from reefmesh_hostile.honest import HonestTraffic
from reefmesh_hostile.reefs import ATTACKER_DEVICE, VICTIM_DEVICE, register_file
from reefmesh_hostile.stomp_wire import StompCut, StompFrame

Store = Literal["sqlite", "postgresql"]

HEAP: Final = "256m"
STORE_LIMIT: Final = "256 mb"
"""More than any act sends at once: what waits is in the store too, whatever becomes of it."""
BROKER_PARAMETERS: Final = "heartbeat_ms=3000&connect_timeout_ms=6000&confirm_timeout_ms=9000"
ENVIRONMENT: Final = {
    "REEFMESH_LOG_LEVEL": "info",
    "REEFMESH_LANES": "16",  # so that few messages are many
    "REEFMESH_GAP_PATIENCE_SECONDS": "25",  # longer than the checker's
    "REEFMESH_POISON_LINGER_SECONDS": "0",
    "REEFMESH_DRAIN_TIMEOUT_SECONDS": "5",
    "REEFMESH_PARKING_BYTES_LIMIT": str(16 * 1024 * 1024),  # a sixteenth of the broker's store
    "REEFMESH_INGEST_QUARANTINE_DEVICE_ENTRIES_LIMIT": "100000",  # so that the checker finds each body of a long run
}
DEVICE_USERS: Final = (ATTACKER_DEVICE, VICTIM_DEVICE)
SETTLED_SECONDS: Final = 15.0
QUIET_SECONDS: Final = 0.4
STORE_BYTES_LEFT_LIMIT: Final = 70 * 1024 * 1024
"""Two journal files; above that a store is emptied faster by throwing it away."""
SERVICES: Final = ("ingest", "scoring", "alerts")
QUEUES: Final = {
    "ingest": "Consumer.ingest.VirtualTopic.reef.telemetry",
    "scoring": "Consumer.scoring.VirtualTopic.reef.readings",
    "alerts": "Consumer.alerts.VirtualTopic.reef.scores",
}
PARKINGS: Final = {service: f"Parking.{queue.removeprefix('Consumer.')}" for service, queue in QUEUES.items()}
DEVICE_QUEUE: Final = "reef.telemetry.mqtt"
DEAD: Final = tuple(f"DLQ.{queue}" for queue in (DEVICE_QUEUE, *QUEUES.values()))


class Stage:
    """Made by ``stage``. ``renew`` makes the mesh new after an act has wrecked it; the broker goes on."""

    def __init__(
        self, broker: ActivemqProcess, folder: Path, postgresql: PostgresqlProcess | None, environment: Mapping[str, str]
    ) -> None:
        self.broker = broker
        self._environment = environment
        self.folder = folder
        self._postgresql = postgresql
        self._runs = 0
        self.mesh: MeshProcesses | None = None
        self.databases: Databases = SqliteDatabases(folder)
        self.honest: HonestTraffic | None = None

    @property
    def is_up(self) -> bool:
        return self.mesh is not None

    @property
    def processes(self) -> list[ServiceProcess]:
        return [] if self.mesh is None else self.mesh.processes

    @property
    def operator(self) -> Attacker:
        """Whoever may do everything at the broker: for looking, and for cleaning up."""
        return self.attacker("operator")

    def attacker(self, user: str) -> Attacker:
        return Attacker(ports=self.broker.ports, user=user)

    def process(self, service: str) -> ServiceProcess:
        assert self.mesh is not None
        return self.mesh.of(service)[0]

    def processes_of(self, service: str) -> list[ServiceProcess]:
        return [] if self.mesh is None else list(self.mesh.of(service))

    def traffic(self) -> HonestTraffic:
        assert self.honest is not None
        return self.honest

    def renew(self) -> None:
        """End the mesh hard, empty the broker, and start services on new databases; returns once honest reports are handled."""
        self.end()
        self._empty_broker()
        self._runs += 1
        home = self.folder / f"run-{self._runs}"
        home.mkdir()
        store_url = None
        if self._postgresql is not None:
            store_url = self._postgresql.url
            PostgresqlDatabases(store_url).rows("public", "DROP SCHEMA IF EXISTS ingest, scoring, alerts CASCADE")
        self.databases = SqliteDatabases(home) if store_url is None else PostgresqlDatabases(store_url)
        self.mesh = MeshProcesses(
            home,
            broker_url_of=lambda user: self.broker.url(user, parameters=BROKER_PARAMETERS),
            store_url=store_url,
            environment={**ENVIRONMENT, **self._environment},
        )
        self._register(home, store_url)
        self.mesh.start(scoring=1)
        self.honest = HonestTraffic(self.broker.ports, self.databases)
        self.honest.start()
        self.honest.until_a_round_is_handled(SETTLED_SECONDS)

    def end(self) -> None:
        """End honest traffic and the services; nothing is finished, nobody is told."""
        if self.honest is not None:
            self.honest.stop()
        for process in self.processes:
            process.kill()
        self.mesh = self.honest = None

    def _empty_broker(self) -> None:
        """Take every message out of every queue; from what has been overwhelmed, its whole store."""
        is_overwhelmed = self.broker.pid is None or self.is_nearly_full()
        if not is_overwhelmed:
            try:
                self._purge()
            except (OSError, StompCut):
                is_overwhelmed = True
        if is_overwhelmed or any(self.waiting()):
            self.broker.kill()
            shutil.rmtree(self.broker.folder / "data", ignore_errors=True)
            self.broker.start()

    def is_nearly_full(self) -> bool:
        """Whether the broker still keeps so much of earlier acts that the next one would fill its small store."""
        return self.store_bytes() > STORE_BYTES_LEFT_LIMIT

    def store_bytes(self) -> int:
        """Return how much the broker keeps on disk."""
        return sum(file.stat().st_size for file in (self.broker.folder / "data").rglob("*.log"))

    def _purge(self) -> None:
        with self.operator.stomp() as connection:
            # By name: a consumer of Consumer.> would leave a queue of that name, which no service may read.
            for queue in (DEVICE_QUEUE, *QUEUES.values(), *PARKINGS.values(), *DEAD):
                connection.subscribe(f"/queue/{queue}", (("ack", "auto"), ("activemq.prefetchSize", "100")))
            while connection.next_frame(QUIET_SECONDS) is not None:
                continue

    def queued(self, queue: str) -> list[StompFrame]:
        """Return what waits in a queue or is in somebody's hands, as the broker shows it to an operator; nothing is taken."""
        frames = []
        with self.operator.stomp() as connection:
            headers = (("ack", "auto"), ("browser", "true"), ("activemq.prefetchSize", "1000"))
            connection.subscribe(f"/queue/{queue}", headers)
            while (frame := connection.next_frame()) is not None and frame.headers.get("browser") != "end":
                frames.append(frame)
        return frames

    def parked(self, service: str) -> list[StompFrame]:
        return self.queued(PARKINGS[service])

    def dead(self) -> list[StompFrame]:
        """Return what the broker itself has set aside, of all queues of the mesh."""
        return [frame for queue in DEAD for frame in self.queued(queue)]

    def waiting(self) -> list[StompFrame]:
        """Return what waits for the services, or is in their hands."""
        return [frame for queue in (DEVICE_QUEUE, *QUEUES.values()) for frame in self.queued(queue)]

    def _register(self, home: Path, store_url: str | None) -> None:
        """Load the register; of a SQLite file once, since the next mesh can have a copy of it."""
        filled = self.folder / "filled.db"
        if store_url is None and filled.exists():
            shutil.copy(filled, home / "ingest.db")
            return
        file = home / "register.toml"
        file.write_text(register_file())
        command = [sys.executable, "-m", "reefmesh_standalone", "reefs", "load", str(file), "--home", str(home)]
        if store_url is not None:
            command += ["--store", store_url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the register was not loaded: {done.stderr.strip()}")
        if store_url is None:
            shutil.copy(home / "ingest.db", filled)


@contextmanager
def stage(
    *,
    store: Store = "sqlite",
    heap: str = HEAP,
    store_limit: str = STORE_LIMIT,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Start a broker (and a PostgreSQL); ``renew`` starts the mesh. ``environment``: further settings of its services.
    Everything is ended at the end.

    Raises:
        ComponentMissing: there is no ActiveMQ or PostgreSQL here.
    """
    folder = Path(tempfile.mkdtemp(prefix="reefmesh-hostile-"))
    try:
        broker = _broker(folder, heap=heap, store_limit=store_limit)
        broker.start()
        try:
            if store == "postgresql":
                with local_postgresql() as server:
                    yield from _played(Stage(broker, folder, server, environment or {}))
            else:
                yield from _played(Stage(broker, folder, None, environment or {}))
        finally:
            broker.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _played(made: Stage) -> Iterator[Stage]:
    try:
        yield made
    finally:
        made.end()


def _broker(folder: Path, *, heap: str, store_limit: str) -> ActivemqProcess:
    try:
        found = distribution()
    except DistributionMissing as missing:
        raise ComponentMissing("activemq", why=str(missing), command="install Java 17 and Maven") from missing
    place = folder / "broker"
    place.mkdir()
    certificate = make_server_certificate(place)
    broker = ActivemqProcess(distribution=found, folder=place, certificate=certificate, heap=heap, store_limit=store_limit)
    _add_device_users(place / "conf" / BROKER_XML.name)
    return broker


def _add_device_users(file: Path) -> None:
    """Give some devices users of their own, with the rights of ``buoy``, which all others share."""
    shared = '<authenticationUser username="buoy"'
    lines = "\n          ".join(
        f'<authenticationUser username="{user}" password="{password_of(user)}" groups="buoys"/>' for user in DEVICE_USERS
    )
    text = file.read_text(encoding="utf-8")
    if shared not in text:
        raise RuntimeError(f"{BROKER_XML.name} has no user buoy any more, beside whom devices of their own could stand")
    file.write_text(text.replace(shared, f"{lines}\n          {shared}", 1), encoding="utf-8")
