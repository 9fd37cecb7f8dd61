"""The whole mesh as separate processes on one broker: one of each service, but any number of scoring."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from reefmesh.contracts.services import EVERY_SERVICE, SCORING, SERVICES
from reefmesh_components.service_process import DRAIN_TIMEOUT_SECONDS, ServiceProcess


class MeshProcesses:
    """``broker_url_of`` gives the address of each service's own broker user. Each service has one store for all its processes:
    a SQLite file in ``home``, or a schema of ``store_url`` (PostgreSQL)."""

    def __init__(
        self,
        home: Path,
        *,
        broker_url_of: Callable[[str], str],
        store_url: str | None = None,
        environment: Mapping[str, str] | None = None,
        command_of: Callable[[str], Sequence[str]] = lambda _: (),
    ) -> None:
        self.home = home
        self._command_of = command_of
        self._broker_url_of = broker_url_of
        self._store_url = store_url
        self._environment = dict(environment or {})
        self._logs = home / "logs"
        self.processes: list[ServiceProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for process in self.processes:
            process.kill()

    def of(self, service: str) -> list[ServiceProcess]:
        return [process for process in self.processes if process.service == service]

    def start(self, *, scoring: int = 2, first_port: int | None = None) -> None:
        """Start ``scoring`` processes of scoring and one of every other service, and wait until all are healthy.

        The first process of a service makes its tables; ports count up from ``first_port``, or are free ones.
        """
        services = [each.name for each in SERVICES for _ in range(scoring if each is SCORING else 1)]
        for number, service in enumerate(services):
            self.add(service, port=None if first_port is None else first_port + number, wait=False)
        for process in self.processes:
            process.wait_until_healthy()

    def add(self, service: str, *, port: int | None = None, wait: bool = True) -> ServiceProcess:
        """Start one more process of this service."""
        self._logs.mkdir(parents=True, exist_ok=True)
        process = ServiceProcess(
            service,
            name=f"{service}-{len(self.of(service)) + 1}",
            broker_url=self._broker_url_of(service),
            store_url=self.store_address(service),
            folder=self._logs,
            port=port,
            environment=self._environment,
            command=self._command_of(service),
        )
        self.processes.append(process)
        process.start()
        if wait:
            process.wait_until_healthy()
        return process

    def store_address(self, service: str) -> str:
        if self._store_url is None:
            return f"sqlite:///{self.home / f'{service}.db'}"
        separator = "&" if "?" in self._store_url else "?"
        return f"{self._store_url}{separator}schema={service}"

    def drain(self) -> dict[str, int]:
        """End all (SIGTERM), upstream first: services downstream take what one still publishes while it drains. Return each
        process's exit code."""
        codes: dict[str, int] = {}
        for service in EVERY_SERVICE:
            ending = self.of(service.name)
            for process in ending:
                process.ask_to_end()
            codes |= {process.name: process.wait_until_ended(DRAIN_TIMEOUT_SECONDS) for process in ending}
        return codes

    def first_ended(self) -> ServiceProcess | None:
        """Return a process that does not run any more."""
        return next((process for process in self.processes if process.pid is None), None)
