"""A real Mosquitto for tests, with the shipped configuration: only its folder and its port are the test's."""

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.ports import HOST, free_port
from reefmesh_components.requirement import ComponentMissing

COMPONENT: Final = "mosquitto"
FOLDERS: Final = f"{os.environ.get('PATH', '')}:/usr/sbin"
CONFIGURATION: Final = Path(__file__).parents[4] / "deploy" / "mosquitto"
START_TIMEOUT_SECONDS: Final = 20.0
STOP_TIMEOUT_SECONDS: Final = 20.0
_SHIPPED_FOLDER: Final = "/mosquitto/"
_SHIPPED_LISTENER: Final = "listener 8883\n"


class MosquittoProcess(BrokerProcess):
    """``tls``: the folder of ``ca.pem``, ``crl.pem``, ``server.pem`` and ``server.key``."""

    def __init__(self, folder: Path, tls: Path) -> None:
        super().__init__(folder, stop_timeout_seconds=STOP_TIMEOUT_SECONDS)
        self.tls = tls
        self._port = free_port()
        (folder / "config").mkdir()
        (folder / "data").mkdir()
        (folder / "tls").symlink_to(tls)
        shutil.copy(CONFIGURATION / "acl", folder / "config" / "acl")
        shipped = (CONFIGURATION / "mosquitto.conf").read_text(encoding="utf-8")
        assert _SHIPPED_FOLDER in shipped
        assert _SHIPPED_LISTENER in shipped
        text = shipped.replace(_SHIPPED_FOLDER, f"{folder}/").replace(_SHIPPED_LISTENER, f"listener {self._port} {HOST}\n")
        if os.geteuid() == 0:
            text += "user root\n"  # it would give its rights up to a user who may not enter a test's folders
        self.configuration = folder / "config" / "mosquitto.conf"
        self.configuration.write_text(text, encoding="utf-8")

    @property
    def port(self) -> int:
        return self._port

    @property
    def version(self) -> str:
        said = subprocess.run(["mosquitto", "-h"], env={"PATH": FOLDERS}, capture_output=True, text=True, check=False)
        return next(iter(said.stdout.splitlines()), "unknown")

    def url(self, user: str = "gateway", *, tls: bool = True, parameters: str = "") -> str:
        """Users come in by certificate: ``user`` and ``parameters`` say nothing here."""
        return f"{'mqtts' if tls else 'mqtt'}://{HOST}:{self._port}"

    def launch(self) -> None:
        command = [CONFIGURATION / "start.sh", self.configuration, self.tls]
        self.launch_command(command, {**os.environ, "PATH": FOLDERS})

    def wait_until_listening(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._answers():
            if self.pid is None or time.monotonic() > deadline:
                raise RuntimeError(f"Mosquitto did not come up: {self.story()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            socket.create_connection((HOST, self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def story(self) -> str:
        return f"Mosquitto: {self.state}; {self.logged_since_launch[-2000:]}"


@contextmanager
def local_mosquitto(tls: Path) -> Iterator[MosquittoProcess]:
    """Provide a broker of its own, which runs.

    Raises:
        ComponentMissing: it is not installed.
    """
    if shutil.which("mosquitto", path=FOLDERS) is None:
        raise ComponentMissing(COMPONENT, why="there is no mosquitto here", command="apt-get install mosquitto")
    folder = Path(tempfile.mkdtemp(prefix="reefmesh-mosquitto-"))
    try:
        process = MosquittoProcess(folder, tls)
        try:
            process.start()
            yield process
        finally:
            process.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def device_tls(ca_file: Path, certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """Return TLS with a device's certificate."""
    context = ssl.create_default_context(cafile=ca_file)
    context.load_cert_chain(certificate_file, key_file)
    return context
