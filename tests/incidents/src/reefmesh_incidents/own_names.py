"""A process with its own view of names: its ``/etc/hosts`` and name servers are the test's files, in a mount namespace."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from reefmesh_components.requirement import ComponentMissing

COMPONENT: Final = "namespaces"
SILENT_NAME_SERVER: Final = "127.0.0.153"
HOSTS: Final = "127.0.0.1 localhost\n"

_ENTER: Final = """\
mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/resolv.conf" /etc/resolv.conf &&
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf && shift && exec "$@"
"""
_RUN: Final = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"


class OwnNames:
    """``folder`` holds the files. A name that was never pointed anywhere does not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._write("hosts", HOSTS)
        self._write("resolv.conf", "")
        self._write("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")

    def command(self, *python: str) -> tuple[str, ...]:
        """Return what Python is to run, so that ``python`` runs with these names.

        Raises:
            ComponentMissing: this machine makes no mount namespace for us.
        """
        if (unshare := shutil.which("unshare")) is None:
            raise ComponentMissing(COMPONENT, why="unshare is not on the path", command="install util-linux")
        enter = [unshare, "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
        tried = subprocess.run([*enter, "true"], capture_output=True, check=False)
        if tried.returncode:
            why = f"unshare: {tried.stderr.decode().strip()}"
            raise ComponentMissing(COMPONENT, why=why, command="run as root, or allow user namespaces")
        return "-c", _RUN, *enter, "sh", "-c", _ENTER, "sh", str(self._folder), sys.executable, *python

    def point(self, name: str, *addresses: str) -> None:
        """The name has these addresses from now on."""
        self._write("hosts", HOSTS + "".join(f"{address} {name}\n" for address in addresses))

    def forget(self) -> None:
        """No name exists any more."""
        self._write("hosts", HOSTS)

    @contextmanager
    def silent_name_server(self) -> Iterator[None]:
        """Names that ``/etc/hosts`` does not have are asked of a name server that never answers.

        Raises:
            ComponentMissing: this user may not be a name server.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            try:
                deaf.bind((SILENT_NAME_SERVER, 53))
            except OSError as error:
                raise ComponentMissing(COMPONENT, why=f"port 53: {error.strerror}", command="run as root") from None
            self._write("resolv.conf", f"nameserver {SILENT_NAME_SERVER}\n")
            self._write("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
            yield

    def _write(self, name: str, text: str) -> None:
        """In place: the mount is of this very file."""
        (self._folder / name).write_text(text, encoding="utf-8")
