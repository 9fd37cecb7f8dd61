"""The broker's name as the processes of a run know it: a file says whether it resolves.

The system's resolver cannot be led astray by somebody without rights: ``/etc/hosts`` is root's, and a mount namespace is not
everybody's. So each process of a run asks ours for this one name, in place of ``socket.getaddrinfo``, below all that reefmesh
does with an answer; ``tests/incidents/test_broker_name.py`` takes a name away from the system's own resolver.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from reefmesh_components.ports import HOST
from reefmesh_standalone.whole_file import replacing

NAME: Final = "broker.reefmesh.test"
SILENT_SECONDS: Final = 30.0
"""How long a resolver may take whose name servers are all silent; then it says that it does not know."""
LOOK_SECONDS: Final = 0.1
KNOWN: Final = "known"
UNKNOWN: Final = "unknown"
SILENT: Final = "silent"
TOLD: Final = "broker.name"
MET_AWAY_SUFFIX: Final = ".nameless"


class BrokerName:
    """The run's side. ``folder`` holds the file, and of each process a byte for each look-up while the name was away."""

    silent_from_seconds: Final = 5.0
    """A name that is away for longer is so because nobody answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def know(self) -> None:
        self._tell(KNOWN)

    @contextmanager
    def away(self, *, is_silent: bool) -> Iterator[None]:
        """While inside, the name does not exist, or whoever is asked for it says nothing."""
        self._tell(SILENT if is_silent else UNKNOWN)
        try:
            yield
        finally:
            self._tell(KNOWN)

    def met_away(self) -> int:
        """Return how many look-ups of all processes were made while it was away."""
        return sum(file.stat().st_size for file in self._folder.glob(f"*{MET_AWAY_SUFFIX}"))

    def _tell(self, what: str) -> None:
        with replacing(self._folder / TOLD) as file:
            file.write(what)


def ask_told_names(folder: Path) -> None:
    """Let this process look the broker's name up in ``folder`` from now on; all other names go to the system's resolver."""
    system = socket.getaddrinfo
    met_away = folder / f"{os.getpid()}{MET_AWAY_SUFFIX}"

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host != NAME:
            return system(host, port, *arguments, **options)
        told, until = (folder / TOLD).read_text(), time.monotonic() + SILENT_SECONDS
        if told != KNOWN:
            with met_away.open("ab") as file:
                file.write(b".")
        while told == SILENT and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)  # a resolver blocks whoever asks it
            told = (folder / TOLD).read_text()
        if told == KNOWN:
            return system(HOST, port, *arguments, **options)
        code = socket.EAI_AGAIN if told == SILENT else socket.EAI_NONAME
        raise socket.gaierror(code, "Temporary failure in name resolution" if told == SILENT else "Name or service not known")

    socket.getaddrinfo = getaddrinfo
