"""``make up BROKER=activemq`` (or ``rabbitmq``) and ``make demo``: a broker and every service as processes of this machine.

The broker runs with the configuration that reefmesh ships; everything is kept below one home folder, readable by its owner
alone. Each service has one SQLite file for all its processes: the version fence of each reef's row holds between processes as
it does between lanes, and a writer waits for another's transaction. That is for one machine; ``--store`` names PostgreSQL.
"""

import argparse
import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reefmesh.contracts.services import DASHBOARD, EVERY_SERVICE
from reefmesh_components.activemq_distribution import DistributionMissing
from reefmesh_components.local_broker import LocalBroker, is_free, local_broker
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.rabbitmq_distribution import RabbitmqMissing
from reefmesh_components.service_process import ServiceProcess

BROKERS: Final = ("activemq", "rabbitmq")
DEFAULT_HOMES: Final = Path("~/.local/share/reefmesh")
FIRST_HTTP_PORT: Final = 8081
LOOK_SECONDS: Final = 0.5
SCORING_LIMIT: Final = 16
EXIT_UNAVAILABLE: Final = 69  # EX_UNAVAILABLE: what is needed to run is not on this machine
EXIT_FAILED: Final = 75
NEVER_SECONDS: Final = "86400"


class CannotStart(Exception):
    """In one line, what the person at the terminal can do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMesh:
    home: Path
    broker: LocalBroker
    services: MeshProcesses


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="reefmesh-local", description="A broker and every service as processes.")
    parser.add_argument("task", choices=["up", "demo"])
    parser.add_argument("--broker", choices=BROKERS, default=BROKERS[0], help=f"(default: {BROKERS[0]})")
    home_help = f"folder of data and logs (up: {DEFAULT_HOMES}/BROKER; demo: a temporary one)"
    parser.add_argument("--home", type=Path, help=home_help)
    parser.add_argument("--scoring", type=int, default=2, metavar="N", help="processes of scoring (default: 2)")
    parser.add_argument("--store", metavar="URL", help="PostgreSQL address; without it SQLite files in the home")
    options, rest = parser.parse_known_args(arguments)
    if not 1 <= options.scoring <= SCORING_LIMIT:
        parser.error(f"--scoring must be from 1 to {SCORING_LIMIT}")
    if rest and options.task == "up":
        parser.error(f"unknown: {' '.join(rest)}")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if options.task == "up":
            home = options.home or Path(os.environ.get("REEFMESH_HOME") or DEFAULT_HOMES / options.broker)
            return _up(home.expanduser().absolute(), options.broker, scoring=options.scoring, store_url=options.store)
        return _demo(options.home, options.broker, scoring=options.scoring, store_url=options.store, arguments=rest)
    except (CannotStart, DistributionMissing, RabbitmqMissing) as reason:
        _say(f"reefmesh: {reason}")
        return EXIT_UNAVAILABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _up(home: Path, broker: str, *, scoring: int, store_url: str | None) -> int:
    with _local_mesh(home, broker, scoring=scoring, store_url=store_url, usual_ports=True) as mesh:
        _tell_what_runs(mesh)
        fallen = _until_stopped(mesh)
        if fallen:
            _say(f"reefmesh: {fallen} ended by itself; its last words are in {mesh.home}")
        _drain(mesh)
    return EXIT_FAILED if fallen else 0


def _demo(home: Path | None, broker: str, *, scoring: int, store_url: str | None, arguments: Sequence[str]) -> int:
    with contextlib.ExitStack() as stack:
        folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reefmesh-demo-")))
        place = folder.expanduser().absolute()
        # the demonstration looks at deadlines itself, by its own clock
        no_look = {"REEFMESH_ALERTS_TICK_GRACE_SECONDS": NEVER_SECONDS}
        clock_file = place / "demonstration.clock"
        late_service = ("-m", "reefmesh_standalone.simulator.late_service")
        mesh = stack.enter_context(
            _local_mesh(
                place,
                broker,
                scoring=scoring,
                store_url=store_url,
                usual_ports=False,
                environment=no_look,
                command_of=lambda service: (*late_service, service, str(clock_file)),
            )
        )
        _say(
            f"{mesh.broker.name} {mesh.broker.process.version} and {len(mesh.services.processes)} processes are up:",
            *_names(mesh),
        )
        command = [sys.executable, "-m", "reefmesh_standalone", "demo", "--join", "--clock-file", str(clock_file)]
        command += ["--home", str(place), *arguments]
        environment = {**os.environ, "REEFMESH_BROKER_URL": mesh.broker.url_of("operator")}
        if store_url:
            environment["REEFMESH_STORE_URL"] = store_url
        signal.signal(signal.SIGINT, _let_it_end)  # Ctrl-C is for the demonstration, which says how far it got
        code = subprocess.run(command, env=environment, check=False).returncode
        signal.signal(signal.SIGINT, signal.default_int_handler)
        clean = _drain(mesh)
    return code or (0 if clean else EXIT_FAILED)


@contextlib.contextmanager
def _local_mesh(
    home: Path,
    kind: str,
    *,
    scoring: int,
    store_url: str | None,
    usual_ports: bool,
    environment: Mapping[str, str] | None = None,
    command_of: Callable[[str], Sequence[str]] = lambda _: (),
) -> Iterator[LocalMesh]:
    """Start the broker, then the services, and wait until all are well. What still runs at the end is killed."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"cannot use {home} as home: {error.strerror}; give another with --home") from None
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone_in(home))
        folder = home / "broker"
        folder.mkdir(mode=0o700, exist_ok=True)
        broker = local_broker(kind, folder, usual_ports=usual_ports)
        stack.callback(broker.end)
        services = stack.enter_context(
            MeshProcesses(
                home,
                broker_url_of=broker.url_of,
                store_url=store_url,
                environment=environment,
                command_of=command_of,
            )
        )
        try:
            broker.process.start()
            ports = range(FIRST_HTTP_PORT, FIRST_HTTP_PORT + scoring + len(EVERY_SERVICE) - 1)
            first_port = ports[0] if usual_ports and all(map(is_free, ports)) else None
            services.start(scoring=scoring, first_port=first_port)
            services.add(DASHBOARD.name, port=None if first_port is None else ports[-1])
        except RuntimeError as error:
            raise CannotStart(str(error)) from None
        yield LocalMesh(home=home, broker=broker, services=services)


def _drain(mesh: LocalMesh) -> bool:
    """End the services in order, then the broker; True when all went cleanly."""
    _say("draining ...")
    codes = mesh.services.drain()
    mesh.broker.end()
    _say("ended: " + ", ".join(f"{name} ({code})" for name, code in codes.items()) + ", broker")
    return not any(codes.values())


def _until_stopped(mesh: LocalMesh) -> str | None:
    """Wait for Ctrl-C or SIGTERM; return the name of a process that ended before."""
    stopping = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)  # only now: processes that we start inherit it
    try:
        while signal.sigtimedwait(stopping, LOOK_SECONDS) is None:
            if mesh.broker.process.pid is None:
                return "the broker"
            if (ended := mesh.services.first_ended()) is not None:
                return ended.name
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping)  # a second Ctrl-C ends everything at once
    return None


def _tell_what_runs(mesh: LocalMesh) -> None:
    environment = mesh.home / "mesh.env"
    environment.touch(mode=0o600)
    lines = {"REEFMESH_BROKER_URL": mesh.broker.url_of("operator"), "REEFMESH_HOME": str(mesh.home)}
    environment.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in lines.items()))
    broker = mesh.broker
    _say(
        f"reefmesh is up on {broker.name} {broker.process.version} in {mesh.home} (Ctrl-C drains all)",
        f"  broker     {broker.describe}",
        *_names(mesh),
        f"In another terminal: . {shlex.quote(str(environment))}; reefmesh doctor; reefmesh demo --join; reefmesh status",
    )


def _pages(process: ServiceProcess) -> str:
    sites = [f"{process.url}/ (the sites)"] if process.service == DASHBOARD.name else []
    return ", ".join([*sites, f"{process.url}/health", f"{process.url}/metrics"])


def _names(mesh: LocalMesh) -> list[str]:
    return [f"  {process.name:<10} {_pages(process)} (process {process.pid})" for process in mesh.services.processes]


@contextlib.contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Hold the home's lock; the kernel gives it back however we end."""
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotStart(f"a mesh is up in {home} already; end it, or give another folder with --home") from None
        yield


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(line + "\n")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _let_it_end(*_: object) -> None:
    """A handler, not SIG_IGN, which the child would inherit."""


if __name__ == "__main__":
    sys.exit(main())
