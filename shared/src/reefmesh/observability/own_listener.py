"""The second listener of the pages, for the health check of the same container: a socket that no other peer can exhaust.

It is a Unix socket in Linux's abstract name space: it needs no file, so that a read-only container has it, it ends with its
process, and no address of another machine or container leads to it. Both ends ask the kernel for the other's user, so that
another user of a shared host can neither fill it nor answer in the service's place.

The check loads this module every few seconds: nothing but the standard library.
"""

import os
import socket
import struct
import sys
from typing import Final

SUPPORTED: Final = sys.platform == "linux"
_CREDENTIALS: Final = struct.Struct("3i")
ROOT: Final = 0


def own_listener_name(host: str, port: int) -> bytes:
    """Return the name of the listener that stands beside the pages at this address; 0.0.0.0 and :: count as the loopback."""
    return f"\0reefmesh/pages/{loopback_of(host)}:{port}".encode()


def loopback_of(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where to connect, nothing listens here


def listen_beside(host: str, port: int, *, backlog: int) -> socket.socket | None:
    """Listen beside the pages of this (numeric) address. None where the system has no such sockets.

    Raises:
        OSError: another process has taken the name.
    """
    if not SUPPORTED:
        return None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(own_listener_name(host, port))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def connect_beside(host: str, port: int, *, timeout_seconds: float) -> socket.socket | None:
    """Connect to the listener beside these pages. None where there is none, where other processes of this machine have filled
    its backlog, or where it belongs to another user.

    Raises:
        OSError: it is there and does not take the connection in time.
    """
    if not SUPPORTED:
        return None
    try:
        address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return None  # asking the pages themselves reports it
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_seconds)
    try:
        connection.connect(own_listener_name(address, port))
    except (ConnectionRefusedError, BlockingIOError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    if os.getuid() not in (ROOT, user_of_peer(connection)):
        connection.close()
        return None
    return connection


def user_of_peer(connection: socket.socket) -> int:
    """Return the numeric user of the process at the other end of a Unix socket, as the kernel knows it."""
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)


def may_use_own_listener(connection: socket.socket) -> bool:
    """Whether the process at the other end runs as the user of this one, or as root."""
    return user_of_peer(connection) in (ROOT, os.getuid())
