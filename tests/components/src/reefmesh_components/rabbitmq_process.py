"""RabbitMQ as a process of its own group, with the configuration that reefmesh ships, on free ports of the loopback.

Its node has its own name, cookie, folders and epmd: it neither finds nor is found by a RabbitMQ that the system runs.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from reefmesh.contracts.services import EVERY_SERVICE
from reefmesh_components.activemq_process import password_of
from reefmesh_components.certificates import ServerCertificate
from reefmesh_components.ports import HOST, free_port
from reefmesh_components.rabbitmq_distribution import RabbitmqDistribution

DEPLOY: Final = Path(__file__).parents[4] / "deploy" / "rabbitmq"
START_TIMEOUT_SECONDS: Final = 120.0
"""Of a node that loads some thousand modules, on a machine that others use."""
STOP_TIMEOUT_SECONDS: Final = 30.0
USERS: Final = ("operator", *(each.name for each in EVERY_SERVICE), "publisher")
STARTED: Final = "Server startup complete"
DISK_FREE_LIMIT: Final = "50MB"
LAST_LINES: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitmqPorts:
    """``epmd`` and ``node`` are Erlang's own."""

    amqp: int
    amqps: int
    prometheus: int
    epmd: int
    node: int

    @classmethod
    def free(cls) -> "RabbitmqPorts":
        return cls(amqp=free_port(), amqps=free_port(), prometheus=free_port(), epmd=free_port(), node=free_port())


class RabbitmqProcess:
    """One broker, a node alone. ``start``, ``stop`` and ``kill`` may be called again and again; data and addresses stay.

    ``close`` ends what belongs to it, its epmd included. ``settings``: further lines of rabbitmq.conf, the last word.
    """

    def __init__(
        self,
        *,
        distribution: RabbitmqDistribution,
        folder: Path,
        certificate: ServerCertificate,
        ports: RabbitmqPorts | None = None,
        password_of: Callable[[str], str] = password_of,
        settings: str = "",
    ) -> None:
        self.ports = ports or RabbitmqPorts.free()
        self.certificate = certificate
        self.log = folder / "broker.log"
        self._distribution, self._folder = distribution, folder
        self._password_of = password_of
        self._process: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._log_before = 0
        self._configure(settings)

    def url(self, user: str = "operator", *, tls: bool = False, parameters: str = "") -> str:
        """Return the AMQP address of a user; further ``parameters`` as ``name=value&...``."""
        query = f"ca={quote(str(self.certificate.ca_file))}" if tls else ""
        query = "&".join(part for part in (query, parameters) if part)
        scheme, port = ("amqps", self.ports.amqps) if tls else ("amqp", self.ports.amqp)
        return f"{scheme}://{user}:{quote(self._password_of(user), safe='')}@{HOST}:{port}" + (f"?{query}" if query else "")

    @property
    def version(self) -> str:
        return self._distribution.version

    @property
    def folder(self) -> Path:
        """Where its configuration (``conf``), its data and its log are."""
        return self._folder

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, *, wait: bool = True) -> None:
        """Start; returns when every port answers, or at once without ``wait``."""
        if self.pid is not None:
            return
        self._start_epmd()
        self._log_before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._distribution.server],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self._environment(),
                start_new_session=True,
            )
        if wait:
            self.wait_until_listening()

    def wait_until_listening(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while STARTED not in self._logged_since_start():
            if self.pid is None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start: {self.last_words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop as an operator would (SIGTERM), hard when that takes too long."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9: nothing is flushed, nobody is told."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections stay open and silent."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it, and its epmd."""
        self.kill()
        if (epmd := self._epmd) is not None:
            self._epmd = None
            epmd.kill()
            epmd.wait()

    def _start_epmd(self) -> None:
        """Start an epmd that is ours to end: without one, the node would start one that outlives it."""
        if self._epmd is not None and self._epmd.poll() is None:
            return
        self._epmd = subprocess.Popen(
            [self._distribution.epmd, "-port", str(self.ports.epmd), "-address", HOST],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                socket.create_connection((HOST, self.ports.epmd), timeout=1).close()
            except OSError:
                if self._epmd.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"epmd does not listen on port {self.ports.epmd}") from None
                time.sleep(0.02)
            else:
                return

    def _end(self, how: signal.Signals) -> None:
        if (process := self._process) is None:
            return
        self._process = None
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Its port programs (erl_child_setup, inet_gethost) end with it, of their own accord or here: the group is ours alone.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        conf = self._folder / "conf"
        return {
            **inherited,
            "HOME": str(self._folder),  # the cookie lies there
            "ERL_EPMD_PORT": str(self.ports.epmd),
            "ERL_EPMD_ADDRESS": HOST,
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the broker, instead of watching over it
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_NODENAME": "reefmesh@localhost",  # the name of its folder, whatever the ports are
            "RABBITMQ_DIST_PORT": str(self.ports.node),
            "RABBITMQ_CONFIG_FILE": str(conf / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(conf / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(conf / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(conf / "enabled_plugins"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(self._folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
        }

    def _configure(self, settings: str) -> None:
        cookie = self._folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(20), encoding="ascii")
            cookie.chmod(0o400)
        write_configuration(
            self._folder / "conf",
            ports=self.ports,
            bind=HOST,
            certificates=self.certificate.ca_file.parent,
            definitions=self._folder / "conf" / "definitions.json",
            password_of=self._password_of,
            settings=settings,
        )

    def story(self) -> str:
        """Return whether it runs, how it ended, and the last lines of its log."""
        if self._process is None:
            state = "stopped by the test, or not started"
        elif (code := self._process.poll()) is None:
            state = f"running, process {self._process.pid}"
        else:
            state = f"ENDED BY ITSELF with exit code {code} (below 0: the number of a signal)"
        return f"RabbitMQ, AMQP port {self.ports.amqp}: {state}\n{self.last_words()}"

    def last_words(self) -> str:
        """Return the end of what it logged since its last start, errors first of all."""
        lines = self._logged_since_start().splitlines()
        telling = [line for line in lines if "[error]" in line or "Error" in line] or lines
        return "\n".join(telling[-LAST_LINES:]) or "it wrote nothing"

    def _logged_since_start(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_before)
            return log.read().decode("utf-8", errors="replace")


def write_configuration(
    conf: Path,
    *,
    ports: RabbitmqPorts,
    bind: str,
    certificates: Path,
    definitions: Path,
    password_of: Callable[[str], str] = password_of,
    settings: str = "",
) -> None:
    """Write what a broker needs into ``conf``: the files that reefmesh ships, and what differs from place to place.

    ``certificates`` and ``definitions``: where the broker finds them; the definitions are written to ``conf``, under that name.
    """
    (conf / "conf.d").mkdir(parents=True, exist_ok=True)
    for name in ("rabbitmq.conf", "enabled_plugins"):
        shutil.copy(DEPLOY / name, conf / name)
    (conf / "advanced.config").write_text("[].\n", encoding="ascii")
    lines = [
        f"listeners.tcp.1 = {bind}:{ports.amqp}",
        f"listeners.ssl.1 = {bind}:{ports.amqps}",
        f"prometheus.tcp.ip = {bind}",
        f"prometheus.tcp.port = {ports.prometheus}",
        f"ssl_options.cacertfile = {certificates}/ca.pem",
        f"ssl_options.certfile = {certificates}/server.pem",
        f"ssl_options.keyfile = {certificates}/server.key",
        f"load_definitions = {definitions}",
        f"disk_free_limit.absolute = {DISK_FREE_LIMIT}",
    ]
    local = conf / "conf.d" / "90-local.conf"
    local.write_text("\n".join([*lines, settings]) + "\n", encoding="utf-8")
    passwords = "".join(f"{user} {password_of(user)}\n" for user in USERS)
    command = [sys.executable, str(DEPLOY / "definitions.py"), str(conf / definitions.name)]
    subprocess.run(command, input=passwords.encode(), check=True)
