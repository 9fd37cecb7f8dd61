"""A real PgBouncer for tests, before a PostgreSQL: started on a free port of the loopback, ended by its process id."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from reefmesh_components.ports import HOST, free_port
from reefmesh_components.postgresql import unprivileged_account
from reefmesh_components.requirement import ComponentMissing

COMPONENT: Final = "pgbouncer"
FOLDERS: Final = f"{os.environ.get('PATH', '')}:/usr/sbin"
START_TIMEOUT_SECONDS: Final = 20.0
STOP_TIMEOUT_SECONDS: Final = 5.0


class PgbouncerProcess:
    """A pooler, ended by its process id. ``start``, ``stop`` and ``kill`` may be called again and again; its address stays."""

    def __init__(self, command: list[str], *, log: Path, url: str, port: int) -> None:
        self.url = url
        self.port = port
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it listens."""
        known = len(self._said())
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_TIMEOUT_SECONDS
        while "process up" not in (said := self._said()[known:]):
            if self._process.poll() is not None:
                raise RuntimeError(f"pgbouncer ended: {said[-1000:]}")
            if time.monotonic() > end:
                raise RuntimeError(f"pgbouncer did not come up within {START_TIMEOUT_SECONDS:.0f} s")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as an operator does (SIGTERM), hard when that takes too long: newer ones wait for their clients."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Kill -9: nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_TIMEOUT_SECONDS)

    def _said(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


@contextmanager
def pgbouncer(server_url: str, *, pool_mode: str, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Provide a pooler before the server of ``server_url``; yields the URL that leads through it.

    Raises:
        ComponentMissing: it is not installed.
    """
    with pgbouncer_process(server_url, pool_mode=pool_mode, settings=settings) as process:
        yield process.url


@contextmanager
def pgbouncer_process(
    server_url: str, *, pool_mode: str, settings: Mapping[str, str] | None = None
) -> Iterator[PgbouncerProcess]:
    """Provide a pooler that may be ended and started again.

    Raises:
        ComponentMissing: it is not installed.
    """
    program = shutil.which("pgbouncer", path=FOLDERS)
    if program is None:
        raise ComponentMissing(COMPONENT, why="no pgbouncer on PATH or in /usr/sbin", command="apt-get install pgbouncer")
    server, port = urlsplit(server_url), free_port()
    account = unprivileged_account()
    folder = Path(tempfile.mkdtemp(prefix="reefmesh-pgbouncer-"))
    try:
        users = folder / "users.txt"
        users.write_text(f'"{unquote(server.username or "")}" "{unquote(server.password or "")}"\n')
        values = {
            "listen_addr": HOST,
            "listen_port": str(port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(users),
            "pool_mode": pool_mode,
            "logfile": str(folder / "log"),
            **(settings or {}),
        }
        lines = [f"[databases]\n* = host={server.hostname} port={server.port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in values.items()]
        configuration = folder / "pgbouncer.ini"
        configuration.write_text("\n".join(lines) + "\n")
        if account is not None:
            for path in (folder, users, configuration):
                os.chown(path, account.pw_uid, account.pw_gid)
        as_account = [] if account is None else ["--user", account.pw_name]
        process = PgbouncerProcess(
            [program, "--quiet", *as_account, str(configuration)],
            log=folder / "log",
            url=server._replace(netloc=server.netloc.replace(f":{server.port}", f":{port}")).geturl(),
            port=port,
        )
        try:
            process.start()
            yield process
        finally:
            process.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
