"""RabbitMQ as a process of its own group, with the configuration that reefmesh ships, on free ports of the loopback.

Its node has its own name, cookie, folders and epmd: it neither finds nor is found by a RabbitMQ that the system runs.
"""

import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final
from urllib.parse import quote

from reefmesh.contracts.services import EVERY_SERVICE
from reefmesh_components.activemq_process import password_of
from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.certificates import ServerCertificate
from reefmesh_components.epmd import Epmd
from reefmesh_components.ports import HOST, free_port
from reefmesh_components.rabbitmq_distribution import RabbitmqDistribution

DEPLOY: Final = Path(__file__).parents[4] / "deploy" / "rabbitmq"
START_TIMEOUT_SECONDS: Final = 120.0
"""Of a node that loads some thousand modules, on a machine that others use."""
STOP_TIMEOUT_SECONDS: Final = 30.0
CONTROL_TIMEOUT_SECONDS: Final = 180.0
"""Each call of ``rabbitmqctl`` starts an Erlang, which takes seconds on a busy machine."""
METRICS_TIMEOUT_SECONDS: Final = 60.0
USERS: Final = ("operator", *(each.name for each in EVERY_SERVICE), "publisher")
STARTED: Final = "Server startup complete"
DISK_FREE_LIMIT: Final = "50MB"
NO_BUSY_WAIT: Final = "+sbwt none +sbwtdcpu none +sbwtdio none"
"""Erlang's schedulers wait for work by turning, and take the processor from whoever works beside them."""
LAST_LINES: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitmqPorts:
    """``epmd`` and ``node`` are Erlang's own."""

    amqp: int
    amqps: int
    mqtt: int
    mqtts: int
    prometheus: int
    epmd: int
    node: int

    @classmethod
    def free(cls) -> "RabbitmqPorts":
        return cls(**{each.name: free_port() for each in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """Who a node is to others of its cluster: ``name``, before ``@localhost``, which names its data too; ``cookie``, which all
    nodes of a cluster share."""

    name: str = "reefmesh"
    cookie: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)


class RabbitmqProcess(BrokerProcess):
    """A node. ``close`` ends what belongs to it, its epmd included unless it was given one. ``settings``: further lines of
    rabbitmq.conf, which have the last word. ``devices``: the lines of definitions.py's second file. ``more_plugins``: beside
    those of enabled_plugins. ``identity`` and ``epmd``: of a node of a cluster."""

    def __init__(
        self,
        *,
        distribution: RabbitmqDistribution,
        folder: Path,
        certificate: ServerCertificate,
        ports: RabbitmqPorts | None = None,
        password_of: Callable[[str], str] = password_of,
        settings: str = "",
        devices: str = "",
        more_plugins: Sequence[str] = (),
        identity: NodeIdentity | None = None,
        epmd: Epmd | None = None,
    ) -> None:
        super().__init__(folder, stop_timeout_seconds=STOP_TIMEOUT_SECONDS)
        self.ports = ports or RabbitmqPorts.free()
        self.certificate = certificate
        self._distribution = distribution
        self._password_of = password_of
        self._identity = identity or NodeIdentity()
        self._epmd = epmd or Epmd(distribution.epmd, self.ports.epmd)
        self._owns_epmd = epmd is None
        self._configure(settings, devices, more_plugins)

    def url(self, user: str = "operator", *, tls: bool = False, parameters: str = "") -> str:
        query = f"ca={quote(str(self.certificate.ca_file))}" if tls else ""
        query = "&".join(part for part in (query, parameters) if part)
        scheme, port = ("amqps", self.ports.amqps) if tls else ("amqp", self.ports.amqp)
        return f"{scheme}://{user}:{quote(self._password_of(user), safe='')}@{HOST}:{port}" + (f"?{query}" if query else "")

    @property
    def version(self) -> str:
        return self._distribution.version

    @property
    def port(self) -> int:
        return self.ports.amqp

    def launch(self) -> None:
        self._epmd.start()
        self.launch_command([self._command()], self._environment())

    def wait_until_listening(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while STARTED not in self.logged_since_launch:
            if self.pid is None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start: {self.last_words()}")
            time.sleep(0.05)

    def limit_disk(self, free_limit: str) -> None:
        """Set how much of the disk must be free (``50MB``), while it runs: with less it takes nothing that is published. The
        next start forgets it.

        Raises:
            CalledProcessError: it runs not, or does not answer.
        """
        self.control("set_disk_free_limit", free_limit)

    def control(self, *arguments: str, given: str = "", command: Path | None = None) -> str:
        """Run ``rabbitmqctl`` for this node, or another command that runs it, with ``given`` on its input; return what it says.
        Raises CalledProcessError."""
        tools = self._distribution.server.parent
        environment = self._environment()
        environment["PATH"] = f"{tools}:{environment['PATH']}"
        done = subprocess.run(
            [command or tools / "rabbitmqctl", *arguments],
            input=given,
            text=True,
            capture_output=True,
            cwd=self.folder,
            env=environment,
            check=True,
            timeout=CONTROL_TIMEOUT_SECONDS,
        )
        return done.stdout

    def metrics(self, path: str = "/metrics", *, until: Collection[str] = ()) -> str:
        """Return a page for Prometheus, once it shows all of ``until``: figures of queues are some seconds late."""
        deadline = time.monotonic() + METRICS_TIMEOUT_SECONDS
        while True:
            with urllib.request.urlopen(f"http://{HOST}:{self.ports.prometheus}{path}", timeout=30) as answer:
                text: str = answer.read().decode()
            if all(each in text for each in until):
                return text
            if time.monotonic() > deadline:
                raise RuntimeError(f"{path} does not show all of {until}")
            time.sleep(0.25)

    def close(self) -> None:
        """Kill it, and its own epmd."""
        self.kill()
        if self._owns_epmd:
            self._epmd.close()

    def _command(self) -> Path:
        """What becomes the broker."""
        return self._distribution.server

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        conf = self.folder / "conf"
        return {
            **inherited,
            "HOME": str(self.folder),  # the cookie lies there
            "ERL_EPMD_PORT": str(self._epmd.port),
            "ERL_EPMD_ADDRESS": HOST,
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the broker, instead of watching over it
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_NODENAME": f"{self._identity.name}@localhost",
            "RABBITMQ_DIST_PORT": str(self.ports.node),
            "RABBITMQ_CONFIG_FILE": str(conf / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(conf / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(conf / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(conf / "enabled_plugins"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} +S 2:2 {NO_BUSY_WAIT}",
        }

    def _configure(self, settings: str, devices: str, more_plugins: Sequence[str]) -> None:
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(self._identity.cookie, encoding="ascii")
            cookie.chmod(0o400)
        write_configuration(
            self.folder / "conf",
            ports=self.ports,
            bind=HOST,
            certificates=self.certificate.ca_file.parent,
            definitions=self.folder / "conf" / "definitions.json",
            password_of=self._password_of,
            settings=settings,
            devices=devices,
        )
        plugins = self.folder / "conf" / "enabled_plugins"
        shipped = plugins.read_text(encoding="ascii").removesuffix("].\n")
        plugins.write_text("".join((shipped, *(f", {each}" for each in more_plugins), "].\n")), encoding="ascii")

    def story(self) -> str:
        """Return whether it runs, how it ended, and the last lines of its log."""
        return f"RabbitMQ, AMQP port {self.ports.amqp}: {self.state}\n{self.last_words()}"

    def last_words(self) -> str:
        """Return the end of what it logged since its last start, errors first of all."""
        lines = self.logged_since_launch.splitlines()
        telling = [line for line in lines if "[error]" in line or "Error" in line] or lines
        return "\n".join(telling[-LAST_LINES:]) or "it wrote nothing"


def write_configuration(
    conf: Path,
    *,
    ports: RabbitmqPorts,
    bind: str,
    certificates: Path,
    definitions: Path,
    password_of: Callable[[str], str] = password_of,
    settings: str = "",
    devices: str = "",
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
        f"mqtt.listeners.tcp.1 = {bind}:{ports.mqtt}",
        f"mqtt.listeners.ssl.1 = {bind}:{ports.mqtts}",
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
    listed = conf / "devices"
    listed.write_text(devices, encoding="utf-8")
    command = [sys.executable, str(DEPLOY / "definitions.py"), str(conf / definitions.name), str(listed)]
    subprocess.run(command, input=passwords.encode(), check=True)
