"""A broker with the shipped configuration, a database, the three services as processes, and honest people who report."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.postgresql import PostgresqlProcess, local_postgresql
from reefmesh_components.service_process import ServiceProcess
from reefmesh_hostile.attacked_activemq import HEAP, STORE_LIMIT, AttackedActivemq
from reefmesh_hostile.attacked_broker import AttackedBroker, Engine, Held, Waiting
from reefmesh_hostile.attacked_rabbitmq import AttackedRabbitmq
from reefmesh_hostile.attacker import PUBLISHER, Attacker
from reefmesh_hostile.databases import Databases, PostgresqlDatabases, SqliteDatabases
from reefmesh_hostile.honest import HonestTraffic
from reefmesh_hostile.reefs import ATTACKER_DEVICE, VICTIM_DEVICE, register_file
from reefmesh_hostile.wire_cut import WireCut

Store = Literal["sqlite", "postgresql"]

ENVIRONMENT: Final = {
    "REEFMESH_LOG_LEVEL": "info",
    "REEFMESH_LANES": "16",  # so that few messages are many
    "REEFMESH_GAP_PATIENCE_SECONDS": "25",  # longer than the checker's
    "REEFMESH_POISON_LINGER_SECONDS": "0",
    "REEFMESH_DRAIN_TIMEOUT_SECONDS": "5",
    "REEFMESH_PARKING_BYTES_LIMIT": str(16 * 1024 * 1024),  # a sixteenth of the broker's store
    "REEFMESH_INGEST_QUARANTINE_DEVICE_ENTRIES_LIMIT": "100000",  # so that the checker finds each body of a long run
}
SETTLED_SECONDS: Final = 15.0


class Stage:
    """Made by ``stage``. ``renew`` makes the mesh new after an act has wrecked it; the broker goes on."""

    def __init__(
        self, attacked: AttackedBroker, folder: Path, postgresql: PostgresqlProcess | None, environment: Mapping[str, str]
    ) -> None:
        self.attacked = attacked
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
    def broker(self) -> BrokerProcess:
        return self.attacked.process

    @property
    def operator(self) -> Attacker:
        """Whoever may do everything at the broker: for looking, and for cleaning up."""
        return self.attacker("operator")

    def attacker(self, user: str) -> Attacker:
        return self.attacked.attacker(user)

    @property
    def device(self) -> Attacker:
        """Whoever has the password of the attacker's device."""
        return self.attacked.device(ATTACKER_DEVICE)

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
            broker_url_of=self.attacked.url,
            store_url=store_url,
            environment={**ENVIRONMENT, **self._environment},
        )
        self._register(home, store_url)
        self.mesh.start(scoring=1)
        self.honest = HonestTraffic(
            self.databases, publishers=self.attacker(PUBLISHER), devices=self.attacked.device(VICTIM_DEVICE)
        )
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
                is_overwhelmed = not self.attacked.purge()
            except (OSError, WireCut):
                is_overwhelmed = True
        if is_overwhelmed:
            self.attacked.forget()

    def is_nearly_full(self) -> bool:
        """Whether the broker still keeps so much of earlier acts that the next one would fill its small store."""
        return self.attacked.is_nearly_full()

    def parked(self, service: str) -> Sequence[Held]:
        """Raises WireCut."""
        return self.attacked.parked(service)

    def waiting(self) -> Waiting:
        """Return what waits for the services, or is in their hands. Raises WireCut."""
        return self.attacked.waiting()

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
    engine: Engine = "activemq",
    *,
    store: Store = "sqlite",
    heap: str = HEAP,
    store_limit: str = STORE_LIMIT,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Start a broker (and a PostgreSQL); ``renew`` starts the mesh. ``environment``: further settings of its services;
    ``heap`` and ``store_limit``: of ActiveMQ. Everything is ended at the end.

    Raises:
        ComponentMissing: there is no such broker or no PostgreSQL here.
    """
    folder = Path(tempfile.mkdtemp(prefix="reefmesh-hostile-"))
    try:
        attacked = _attacked(engine, folder, heap=heap, store_limit=store_limit)
        try:
            if store == "postgresql":
                with local_postgresql() as server:
                    yield from _played(Stage(attacked, folder, server, environment or {}))
            else:
                yield from _played(Stage(attacked, folder, None, environment or {}))
        finally:
            attacked.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _played(made: Stage) -> Iterator[Stage]:
    try:
        yield made
    finally:
        made.end()


def _attacked(engine: Engine, folder: Path, *, heap: str, store_limit: str) -> AttackedBroker:
    if engine == "rabbitmq":
        return AttackedRabbitmq(folder)
    return AttackedActivemq(folder, heap=heap, store_limit=store_limit)
