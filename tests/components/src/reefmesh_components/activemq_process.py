"""ActiveMQ Classic as a process of its own group, with the broker.xml that reefmesh ships, on free ports of the loopback."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from reefmesh.contracts.services import EVERY_SERVICE
from reefmesh_components.activemq_distribution import Distribution
from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.certificates import ServerCertificate
from reefmesh_components.ports import HOST, free_port
from reefmesh_components.requirement import ComponentMissing

BROKER_XML: Final = Path(__file__).parents[4] / "deploy" / "activemq" / "broker.xml"
START_TIMEOUT_SECONDS: Final = 100.0
"""A machine that is busy with other tests starts a broker in a minute. One that ends at its start is noticed at once."""
STARTED: Final = re.compile(r"Apache ActiveMQ .* started$", re.MULTILINE)
START_RACE: Final = "ConcurrentModificationException"
STOP_TIMEOUT_SECONDS: Final = 20.0
STORE_LIMIT: Final = "2 gb"
STORY_LINES: Final = 40
"""Of a log, in the report of a failure."""
CRASH_LINES: Final = 15
"""Of the report that a Java runtime leaves when it crashes."""
COLUMNS_BEFORE_NAME: Final = 3
"""Of a line of a class histogram: rank, objects, bytes."""
USERS: Final = ("operator", *(each.name for each in EVERY_SERVICE), "buoy", "publisher")
DASHBOARD_QUEUE: Final = re.compile(r'<queue physicalName="\w+\.dashboard\.')
LOGGING: Final = """\
rootLogger.level = WARN
logger.broker.name = org.apache.activemq.broker.BrokerService
logger.broker.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1} - %m%n%throwable{5}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    stomp: int
    stomp_tls: int
    mqtt: int
    mqtt_tls: int

    @classmethod
    def free(cls) -> "Ports":
        return cls(stomp=free_port(), stomp_tls=free_port(), mqtt=free_port(), mqtt_tls=free_port())


def password_of(user: str) -> str:
    """Return the test password of a user: it needs percent-encoding in a URL on purpose."""
    return f"{user}-p4ss@word"


class ActivemqProcess(BrokerProcess):
    def __init__(
        self,
        *,
        distribution: Distribution,
        folder: Path,
        certificate: ServerCertificate,
        data: Path | None = None,
        heap: str = "512m",
        store_limit: str = STORE_LIMIT,
        ports: Ports | None = None,
        password_of: Callable[[str], str] = password_of,
        dashboard: bool = False,
    ) -> None:
        super().__init__(folder, stop_timeout_seconds=STOP_TIMEOUT_SECONDS)
        self.ports = ports or Ports.free()
        self._password_of = password_of
        self.certificate = certificate
        self._distribution, self._heap = distribution, heap
        self._store_limit = store_limit
        self._dashboard = dashboard
        self._data = data or folder / "data"
        self._configure()

    def url(self, user: str = "operator", *, tls: bool = False, parameters: str = "") -> str:
        query = f"ca={quote(str(self.certificate.ca_file))}" if tls else ""
        query = "&".join(part for part in (query, parameters) if part)
        scheme, port = ("stomp+ssl", self.ports.stomp_tls) if tls else ("stomp", self.ports.stomp)
        return f"{scheme}://{user}:{quote(self._password_of(user), safe='')}@{HOST}:{port}" + (f"?{query}" if query else "")

    @property
    def version(self) -> str:
        return self._distribution.version

    @property
    def port(self) -> int:
        return self.ports.stomp

    def story(self) -> str:
        """Return whether it runs, how it ended, the last lines of its log, and what a crash of Java has left."""
        lines = [f"ActiveMQ, STOMP port {self.ports.stomp}: {self.state}", *_lines(self.log)[-STORY_LINES:]]
        for crash in sorted(self.folder.glob("hs_err_pid*.log")):
            lines += [crash.name, *_lines(crash)[:CRASH_LINES]]
        return "\n".join(lines)

    def live_objects(self, class_name: str) -> int:
        """Return how many objects of a class the broker holds, after a collection of its garbage.

        Raises:
            ComponentMissing: there is a Java runtime, but not the tool that asks it.
        """
        if (jcmd := shutil.which("jcmd")) is None:
            why, command = "jcmd is not on the path", "install a JDK (Debian: openjdk-17-jdk-headless)"
            raise ComponentMissing("activemq", why=why, command=command)
        page = subprocess.run([jcmd, str(self.pid), "GC.class_histogram"], stdout=subprocess.PIPE, check=True).stdout.decode()
        rows = (line.split() for line in page.splitlines())
        return sum(int(row[1]) for row in rows if len(row) > COLUMNS_BEFORE_NAME and row[COLUMNS_BEFORE_NAME] == class_name)

    def launch(self) -> None:
        java = ["java", f"-Xmx{self._heap}", "-XX:+UseSerialGC", f"-Djava.io.tmpdir={self.folder}"]
        places = {"home": self._distribution.home, "base": self.folder, "conf": self._conf, "data": self._data}
        java += [f"-Dactivemq.{name}={place}" for name, place in places.items()]
        java += [*self._distribution.launch, "start", f"xbean:file:{self._conf / 'broker.xml'}"]
        self.launch_command(java)

    def wait_until_listening(self) -> None:
        """Wait until the broker has said that it is started, and every port answers. A start that a client of before has ended
        (docs/brokers.md, row 33) is begun again, as whoever keeps a broker up does."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not STARTED.search(logged := self.logged_since_launch):
            if time.monotonic() > deadline or (self.pid is None and START_RACE not in logged):
                raise RuntimeError(f"ActiveMQ did not start: {self._last_words()}")
            if self.pid is None:
                self.launch()
            time.sleep(0.05)
        waiting = [self.ports.stomp, self.ports.stomp_tls, self.ports.mqtt, self.ports.mqtt_tls]
        while waiting:
            if self.pid is None or time.monotonic() > deadline:
                raise RuntimeError(f"ActiveMQ did not start: {self._last_words()}")
            try:
                socket.create_connection((HOST, waiting[0]), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                waiting.pop(0)

    def limit_store(self, limit: str) -> None:
        """Bound what waits from the next start on (``2 gb``): below what there is already, nothing more is taken."""
        self._store_limit = limit
        self._configure()

    def _configure(self) -> None:
        self._conf = self.folder / "conf"
        self._conf.mkdir(parents=True, exist_ok=True)
        write_configuration(
            self._conf,
            ports=self.ports,
            bind=HOST,
            data=str(self._data),
            keystore=str(self.certificate.keystore),
            keystore_password=self.certificate.password,
            password_of=self._password_of,
            store_limit=self._store_limit,
            dashboard=self._dashboard,
        )

    def _last_words(self) -> str:
        lines = _lines(self.log)
        telling = [line for line in lines if "ERROR" in line or "Exception" in line] or lines
        return " | ".join(telling[-3:])[:600] or f"no word in {os.fspath(self.log)}"


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []


def without_dashboard(broker_xml: str) -> str:
    """Return the file as docs/dashboard.md has an operator edit it who runs no dashboard."""
    return "".join(line for line in broker_xml.splitlines(keepends=True) if not DASHBOARD_QUEUE.search(line))


def write_configuration(
    conf: Path,
    *,
    ports: Ports,
    bind: str,
    data: str,
    keystore: str,
    keystore_password: str,
    password_of: Callable[[str], str] = password_of,
    store_limit: str = STORE_LIMIT,
    dashboard: bool = False,
) -> None:
    """Write what a broker needs into ``conf``: the broker.xml that reefmesh ships and what differs from place to place.

    Without a ``dashboard`` there are no queues of it, which would fill.
    """
    shipped = BROKER_XML.read_text(encoding="utf-8")
    (conf / BROKER_XML.name).write_text(shipped if dashboard else without_dashboard(shipped), encoding="utf-8")
    (conf / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
    properties = {
        "bind": bind,
        "port.stomp": ports.stomp,
        "port.stomp-tls": ports.stomp_tls,
        "port.mqtt": ports.mqtt,
        "port.mqtt-tls": ports.mqtt_tls,
        "data": data,
        "store.limit": store_limit,
        "temp.limit": "256 mb",
        "tls.keystore": keystore,
        "tls.password": keystore_password,
        **{f"password.{user}": password_of(user) for user in USERS},
    }
    file = conf / "reefmesh.properties"
    file.touch(mode=0o600)
    file.write_text("".join(f"reefmesh.{name} = {value}\n" for name, value in properties.items()), encoding="utf-8")
