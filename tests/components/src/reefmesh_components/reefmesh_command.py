"""The ``reefmesh`` command as its users run it: processes of their own, on a home of their own."""

import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

REEFMESH: Final = (sys.executable, "-m", "reefmesh_standalone")
PATIENCE_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that is over."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What ``--json`` printed."""
        return json.loads(self.out)


class Running:
    """A command that runs; its lines are read as they come."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.err: list[str] = []
        self._fresh: queue.Queue[str | None] = queue.Queue()
        self._out: list[str] = []
        streams = [(stream, into) for stream, into in ((process.stderr, self.err), (process.stdout, self._out)) if stream]
        self._readers = [threading.Thread(target=self._read, args=each, daemon=True) for each in streams]
        for reader in self._readers:
            reader.start()

    def await_line(self, text: str) -> str:
        """Return the next line on either stream that holds ``text``; AssertionError when the process ends before it."""
        ended = 0
        while ended < len(self._readers):
            line = self._fresh.get(timeout=PATIENCE_SECONDS)
            if line is None:
                ended += 1
            elif text in line:
                return line
        raise AssertionError(f"ended with {self.process.wait()} and without saying {text!r}: {''.join(self.err)}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> Ended:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, *, timeout_seconds: float = PATIENCE_SECONDS) -> Ended:
        code = self.process.wait(timeout=timeout_seconds)
        for reader in self._readers:
            reader.join(timeout=PATIENCE_SECONDS)
        return Ended(code=code, out="".join(self._out), err="".join(self.err))

    def _read(self, stream: IO[str], into: list[str]) -> None:
        for line in stream:
            into.append(line)
            self._fresh.put(line)
        self._fresh.put(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReefmeshCommand:
    """Runs ``reefmesh`` on ``home``, or (``name_home`` False) on none that is named; nothing of the caller's ``REEFMESH_``
    environment reaches it."""

    home: Path
    name_home: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Ended:
        """Run it to its end."""
        process = subprocess.run(
            [*REEFMESH, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            env=self._environment(environment),
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Ended(code=process.returncode, out=process.stdout.decode(), err=process.stderr.decode())

    def register(self, reefs: Mapping[str, Sequence[str]]) -> None:
        """Register these reefs, each with its buoys that report every hour."""
        lines = []
        for reef, buoys in reefs.items():
            place = "latitude_degrees = -8.0\nlongitude_degrees = 115.0\nmmm_celsius = 29.0"
            lines.append(f'[[reef]]\nid = "{reef}"\nname = "{reef.title()}"\n{place}')
            lines += [f'[[buoy]]\nid = "{buoy}"\nreef = "{reef}"\nreport_interval_seconds = 3600' for buoy in buoys]
        file = self.home.with_name("register.toml")
        file.write_text("\n".join(lines))
        ended = self("reefs", "load", file)
        assert ended.code == 0, ended.err

    def receipts(self) -> int:
        """How many messages ingest has a receipt for; 0 before it has a table for them."""
        path = self.home / "ingest.db"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
                count: int = database.execute("SELECT count(*) FROM receipts").fetchone()[0]
        except sqlite3.OperationalError:
            return 0
        return count

    def await_receipts(self, number: int, *, running: Running) -> None:
        """Wait until there are so many; AssertionError when ``running`` ends before."""
        for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
            if self.receipts() >= number:
                return
            try:
                code = running.process.wait(timeout=LOOK_SECONDS)  # the wait is on the process: its death ends it
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"ended with {code}: {''.join(running.err)}")
        raise AssertionError(f"only {self.receipts()} receipts, not {number}")

    def json(self, *arguments: str | Path, stdin: bytes = b"") -> Any:
        """Run it with ``--json`` and return the document; the exit code does not matter."""
        ended = self(*arguments, "--json", stdin=stdin)
        assert ended.out, ended.err
        return ended.document

    @contextmanager
    def running(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
        """Start it; it is killed at the end of the context if it still runs."""
        process = subprocess.Popen(
            [*REEFMESH, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment(environment),
            text=True,
        )
        running = Running(process)
        try:
            yield running
        finally:
            process.kill()
            running.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    @contextmanager
    def up(self, *arguments: str) -> Iterator[Running]:
        """Start ``reefmesh up`` on a free port; yields once it says that it is up."""
        with self.running("up", "--port", "0", "--log-level", "warning", *arguments) as running:
            running.await_line("reefmesh is up")
            yield running

    def _environment(self, more: Mapping[str, str] | None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REEFMESH_")}
        named = {"REEFMESH_HOME": str(self.home)} if self.name_home else {}
        return kept | named | {"COLUMNS": "100"} | dict(self.environment) | dict(more or {})
