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


@contextmanager
def pgbouncer(server_url: str, *, pool_mode: str, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Provide a pooler before the server of ``server_url``; yields the URL that leads through it.

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
        process = subprocess.Popen(
            [program, "--quiet", *as_account, str(configuration)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_until_it_listens(process, folder / "log")
            yield server._replace(netloc=server.netloc.replace(f":{server.port}", f":{port}")).geturl()
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < end:
        said = log.read_text(errors="replace") if log.exists() else ""
        if "process up" in said:
            return
        if process.poll() is not None:
            raise RuntimeError(f"pgbouncer ended: {said[-1000:]}")
        time.sleep(0.02)
    raise RuntimeError(f"pgbouncer did not come up within {START_TIMEOUT_SECONDS:.0f} s")
