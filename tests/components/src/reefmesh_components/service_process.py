"""One service of the mesh as a process of its own, as an operator would run it: settings in the environment, SIGTERM to end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from reefmesh_components.ports import HOST, free_port

START_TIMEOUT_SECONDS: Final = 60.0
DRAIN_TIMEOUT_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.05
SETTINGS_PREFIX: Final = "REEFMESH_"


class ServiceProcess:
    """``name`` tells processes of one service apart (``scoring-2``). ``start`` may be called again after the process ended;
    its log goes on, its port stays. ``command`` is what Python runs, when it is not the service's own module; without
    ``broker_url`` or ``store_url`` it has its own. ``output``: the pipe into which it logs, when whoever reads that fills
    ``log``."""

    def __init__(
        self,
        service: str,
        *,
        name: str,
        broker_url: str | None,
        store_url: str | None,
        folder: Path,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
        output: Path | None = None,
    ) -> None:
        self._command = command or ("-m", f"reefmesh_{service}")
        self.service = service
        self.name = name
        self.log = folder / f"{name}.log"
        self._output = output or self.log
        self.port = free_port() if port is None else port
        addresses = {"BROKER_URL": broker_url, "STORE_URL": store_url}
        self._environment = {
            **{f"{SETTINGS_PREFIX}{name}": address for name, address in addresses.items() if address is not None},
            f"{SETTINGS_PREFIX}HTTP_HOST": HOST,
            f"{SETTINGS_PREFIX}HTTP_PORT": str(self.port),
            f"{SETTINGS_PREFIX}LOG_FORMAT": "json",
            f"{SETTINGS_PREFIX}SCORING_SCORES_SCHEMA": "scores/2",  # every service is of this checkout and reads it
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start in a session of its own: a Ctrl-C at the terminal is for whoever started us, who then ends us in order."""
        if self.pid is not None:
            return
        with self._output.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._whole_environment(),
                start_new_session=True,
            )

    def check_health(self) -> int:
        """Run the container's check (``--check-health``) beside the service; return its exit code."""
        command = [sys.executable, *self._command, "--check-health"]
        done = subprocess.run(command, env=self._whole_environment(), capture_output=True, timeout=30, check=False)
        return done.returncode

    def _whole_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_PREFIX)}
        return kept | self._environment

    def wait_until_healthy(self) -> None:
        """Return when the service consumes and says that it is well.

        Raises:
            RuntimeError: it ended, or did not come up in time; with its last words.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.is_healthy():
            if not self._lives_on(LOOK_SECONDS) or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not come up: {self.last_words()}")

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:  # noqa: S310 - an address of ours
                return bool(json.load(answer)["status"] == "ok")
        except (OSError, ValueError):
            return False

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the series of this name that have these labels; 0 when there is none."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:  # noqa: S310 - an address of ours
            text = answer.read().decode()
        total = 0.0
        for line in text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{label}="{wanted}"' in series for label, wanted in labels.items()):
                total += float(value)
        return total

    def terminate(self) -> int:
        """Drain (SIGTERM); return the exit code. Ends it hard when the drain takes too long."""
        self.ask_to_end()
        return self.wait_until_ended(DRAIN_TIMEOUT_SECONDS)

    def ask_to_end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9: nothing is finished, nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait_until_ended(self, timeout_seconds: float) -> int:
        if self._process is None:
            return 0
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        return " | ".join(lines[-3:])[:800] or "it said nothing"

    def _lives_on(self, seconds: float) -> bool:
        """Wait so long, less when it ends."""
        if self._process is None:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return False
        return True
