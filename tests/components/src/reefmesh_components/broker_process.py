"""A broker as a process of its own group: what is the same for each kind of broker."""

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path


class BrokerProcess(ABC):
    """``start``, ``stop`` and ``kill`` may be called again and again; data and addresses stay. ``folder`` holds its
    configuration (``conf``), its log and, unless told otherwise, its data."""

    def __init__(self, folder: Path, *, stop_timeout_seconds: float) -> None:
        self.folder = folder
        self.log = folder / "broker.log"
        self._stop_timeout_seconds = stop_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._log_before_bytes = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def state(self) -> str:
        """Whether it runs, and how it ended."""
        if self._process is None:
            return "stopped by the test, or not started"
        if (code := self._process.poll()) is None:
            return f"running, process {self._process.pid}"
        return f"ENDED BY ITSELF with exit code {code} (below 0: the number of a signal)"

    @property
    def logged_since_launch(self) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_before_bytes)
            return log.read().decode("utf-8", errors="replace")

    def start(self, *, wait: bool = True) -> None:
        """Start; returns when every port answers, or at once without ``wait`` (a standby listens only when it takes over)."""
        if self.pid is not None:
            return
        self.launch()
        if wait:
            self.wait_until_listening()

    @property
    @abstractmethod
    def version(self) -> str: ...

    @property
    @abstractmethod
    def port(self) -> int:
        """The port at which services and devices reach it without TLS."""

    @abstractmethod
    def url(self, user: str = "operator", *, tls: bool = False, parameters: str = "") -> str:
        """Return the address for one of its users; further ``parameters`` as ``name=value&...``."""

    @abstractmethod
    def launch(self) -> None: ...

    @abstractmethod
    def wait_until_listening(self) -> None:
        """Raises RuntimeError with what it logged last."""

    @abstractmethod
    def story(self) -> str:
        """Return whether it runs, how it ended, and what it logged last."""

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

    def launch_command(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        self._log_before_bytes = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=None if environment is None else dict(environment),
                start_new_session=True,
            )

    def _end(self, how: signal.Signals) -> None:
        if (process := self._process) is None:
            return
        self._process = None
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(self._stop_timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # What it started ends with it, of its own accord or here: the group is ours alone.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
