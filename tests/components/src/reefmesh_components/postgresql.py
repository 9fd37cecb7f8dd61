"""A real PostgreSQL for tests: given by URL, in a container, or started from an installation on this machine.

The places are tried in this order:

1. ``REEFMESH_POSTGRESQL_URL``: a server that somebody else runs; tests make schemas of their own in it.
2. A container, when a Docker engine answers.
3. An installation (``initdb`` and ``postgres`` on PATH or in Debian's /usr/lib/postgresql), started on a free port of
   the loopback in a temporary folder and ended by its process id.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

from reefmesh_components.certificates import ServerCertificate
from reefmesh_components.docker_engine import docker_engine_failure
from reefmesh_components.ports import free_port
from reefmesh_components.requirement import ComponentMissing

COMPONENT: Final = "postgresql"
URL_VARIABLE: Final = "REEFMESH_POSTGRESQL_URL"
IMAGE: Final = "postgres:16-alpine"
USER, PASSWORD, DATABASE = "reefmesh", "p4ss%40word", "postgres"
"""The password needs percent-encoding on purpose: it is shown here as it stands in the URL."""
PASSWORD_PLAIN: Final = "p4ss@word"
UNPRIVILEGED: Final = ("postgres", "nobody")
"""Accounts to run the server as when the tests run as root, whom PostgreSQL refuses."""
START_TIMEOUT_SECONDS: Final = 60.0
START_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlServer:
    """A running server: its URL (``postgresql://user:password@host:port/database``) and, where this run owns it, a way
    to restart it; ``restart`` returns when it accepts connections again, at the same address."""

    url: str
    restart: Callable[[], None] | None


@contextmanager
def postgresql_server() -> Iterator[PostgresqlServer]:
    """Provide a server for as long as the context lasts.

    Raises:
        ComponentMissing: no place can provide one.
    """
    if url := os.environ.get(URL_VARIABLE):
        yield PostgresqlServer(url=url, restart=None)
        return
    reasons = [f"{URL_VARIABLE} is not set"]
    if (engine := docker_engine_failure()) is None:
        with _container() as server:
            yield server
        return
    reasons.append(engine)
    if (programs := _installation()) is None:
        reasons.append("no initdb on PATH or in /usr/lib/postgresql")
        raise ComponentMissing(COMPONENT, why=", ".join(reasons), command="apt-get install postgresql, or start Docker")
    with _local_server(programs) as server:
        yield server


@contextmanager
def _container() -> Iterator[PostgresqlServer]:
    from testcontainers.postgres import PostgresContainer

    port = free_port()  # a fixed one: a container that restarts would be given another
    container = PostgresContainer(IMAGE, username=USER, password=PASSWORD_PLAIN, dbname=DATABASE, driver=None)
    with container.with_bind_ports(5432, port) as started:
        host = started.get_container_host_ip()

        def restart() -> None:
            started.get_wrapped_container().restart()
            _wait_until_it_answers(host, port, lambda: None)

        _wait_until_it_answers(host, port, lambda: None)
        yield PostgresqlServer(url=_url(host, port), restart=restart)


def _installation() -> Path | None:
    """Return the folder of the newest installation's programs."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((each.parent for each in debian), key=lambda path: float(path.parent.name), default=None)


def psql_program() -> Path:
    """Return PostgreSQL's client for scripts.

    Raises:
        ComponentMissing: it is not installed.
    """
    programs = _installation()
    found = shutil.which("psql") or (programs and shutil.which("psql", path=programs))
    if not found:
        raise ComponentMissing(
            COMPONENT, why="no psql on PATH or in /usr/lib/postgresql", command="apt-get install postgresql-client"
        )
    return Path(found)


@contextmanager
def local_postgresql(certificate: ServerCertificate | None = None) -> Iterator["PostgresqlProcess"]:
    """Start a server of this run's own, which it may kill and start again; with a ``certificate`` it offers TLS.

    Raises:
        ComponentMissing: there is no installation on this machine.
    """
    if (programs := _installation()) is None:
        why = "no initdb on PATH or in /usr/lib/postgresql, and this needs a process, which a container is not"
        raise ComponentMissing(COMPONENT, why=why, command="apt-get install postgresql")
    with _local_process(programs, certificate) as process:
        yield process


@contextmanager
def _local_server(programs: Path) -> Iterator[PostgresqlServer]:
    with _local_process(programs) as process:
        yield PostgresqlServer(url=process.url, restart=process.restart)


@contextmanager
def _local_process(programs: Path, certificate: ServerCertificate | None = None) -> Iterator["PostgresqlProcess"]:
    account = unprivileged_account()
    with _folder_of(account) as folder:
        password_file = folder / "password"
        password_file.write_text(PASSWORD_PLAIN)
        password_file.chmod(0o644)
        arguments = ["--username", USER, "--pwfile", str(password_file), "--auth", "scram-sha-256"]
        _run_as(
            account,
            [
                str(programs / "initdb"),
                "--pgdata",
                str(folder / "data"),
                *arguments,
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
        )
        server = PostgresqlProcess(programs, folder, account)
        if certificate is not None:
            server.offer_tls(certificate)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def _folder_of(account: pwd.struct_passwd | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="reefmesh-postgresql-"))
    try:
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class PostgresqlProcess:
    """A server process, ended by its id. ``kill`` and ``start_again`` may be called again and again; address and data stay."""

    def __init__(self, programs: Path, folder: Path, account: pwd.struct_passwd | None) -> None:
        self._programs = programs
        self._folder = folder
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None
        self._tls: dict[str, str] = {}
        self.port = 0

    @contextmanager
    def standby(self) -> Iterator["PostgresqlProcess"]:
        """Start a streaming standby of this server, on a port of its own; ``pg_promote()`` makes it a primary."""
        with _folder_of(self._account) as folder:
            copy = ["--pgdata", str(folder / "data"), "--dbname", self.url, "--write-recovery-conf"]
            _run_as(self._account, [str(self._programs / "pg_basebackup"), *copy, "--no-sync", "--checkpoint=fast"])
            process = PostgresqlProcess(self._programs, folder, self._account)
            try:
                process.start()
                yield process
            finally:
                process.stop()

    def offer_tls(self, certificate: ServerCertificate) -> None:
        """Offer TLS with this certificate from the next start on."""
        for source, name in ((certificate.certificate_file, "server.pem"), (certificate.key_file, "server.key")):
            copy = self._folder / name
            copy.touch(mode=0o600)
            copy.write_bytes(source.read_bytes())
            if self._account is not None:
                os.chown(copy, self._account.pw_uid, self._account.pw_gid)
        self._tls = {
            "ssl": "on",
            "ssl_cert_file": str(self._folder / "server.pem"),
            "ssl_key_file": str(self._folder / "server.key"),
        }

    def start(self) -> None:
        for attempt in range(START_ATTEMPTS):
            self.port = free_port()
            try:
                self._start()
            except ServerEnded:  # somebody else may have taken the port meanwhile
                if attempt == START_ATTEMPTS - 1:
                    raise
            else:
                return

    @property
    def url(self) -> str:
        return _url("127.0.0.1", self.port)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def restart(self) -> None:
        self.stop(signal.SIGINT)  # the "fast" shutdown: connections are cut
        self._start()

    def kill(self) -> None:
        """Kill -9 of the server itself; its children notice and end."""
        self.stop(signal.SIGKILL)

    def start_again(self) -> None:
        """Start on the same port and data; returns when it accepts connections, its recovery done.

        Raises:
            ServerEnded: it did not start within the time-out.
        """
        end = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                self._start()
            except ServerEnded:  # children of the one that was killed still hold its shared memory
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it; SIGQUIT leaves no clean files behind, and they are thrown away."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_TIMEOUT_SECONDS)
            self._process = None

    def _start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "50",
            "fsync": os.environ.get(
                "REEFMESH_POSTGRESQL_FSYNC", "off"
            ),  # tests kill processes, not machines; benchmarks set it on
            **self._tls,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **_identity(self._account),
            )
        self._process = process

        def check() -> None:
            if process.poll() is not None:
                raise ServerEnded(self.log()[-2000:])

        _wait_until_it_answers("127.0.0.1", self.port, check)


class ServerEnded(Exception):
    """The server ended while it was expected to start; the text is the end of its log."""


def _wait_until_it_answers(host: str, port: int, check: Callable[[], None]) -> None:
    """Wait until the server speaks its protocol: it answers the question for TLS with one letter before any log-in, and
    says "the database system is starting up" until it may be used."""
    end = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < end:
        check()
        if _answers(host, port):
            return
        time.sleep(0.02)
    raise ServerEnded(f"no answer at {host}:{port} within {START_TIMEOUT_SECONDS:.0f} s")


def _answers(host: str, port: int) -> bool:
    parameters = f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
    startup = (8 + len(parameters)).to_bytes(4, "big") + (196608).to_bytes(4, "big") + parameters  # protocol 3.0
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(startup)
            return connection.recv(1) == b"R"  # asks for the password: it is up ("E": still starting)
    except OSError:
        return False


def unprivileged_account() -> pwd.struct_passwd | None:
    """Return whom to run a server as; None: as we are."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    names = " or ".join(UNPRIVILEGED)
    raise ComponentMissing(COMPONENT, why=f"run as root without an account {names}", command="run the tests as another user")


class _Identity(TypedDict, total=False):
    """What ``subprocess`` takes to start a program as another user."""

    user: int
    group: int
    extra_groups: list[int]


def _identity(account: pwd.struct_passwd | None) -> _Identity:
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _run_as(account: pwd.struct_passwd | None, command: list[str]) -> None:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **_identity(account))
    if done.returncode != 0:
        raise ServerEnded(f"{command[0]} failed: {done.stderr.strip()}")


def _url(host: str, port: int) -> str:
    return f"postgresql://{USER}:{PASSWORD}@{host}:{port}/{DATABASE}"
