"""Free ports of the loopback for what a test starts.

They lie below those that the system gives to outgoing connections, and each process takes them out of blocks that it holds
until it ends. So nobody else chooses the port of a broker while a test restarts it.
"""

import os
import socket
from collections.abc import Iterator
from typing import Final

HOST: Final = "127.0.0.1"
_FIRST: Final = 12_000
_BLOCKS: Final = 200
_BLOCK_PORTS: Final = 100

_held: Final[list[socket.socket]] = []
_ports_of: Final[dict[int, Iterator[int]]] = {}


def free_port() -> int:
    """Return a port that nobody listens on, and that this function returned to nobody who is still running."""
    return next(_ports_of.setdefault(os.getpid(), _own_ports()))


def _own_ports() -> Iterator[int]:
    for block in range(_BLOCKS):
        first = _FIRST + block * _BLOCK_PORTS
        sign = socket.socket(type=socket.SOCK_DGRAM)  # a sign for other processes: TCP may use the same number
        try:
            sign.bind((HOST, first))
        except OSError:
            sign.close()
            continue
        _held.append(sign)
        yield from (port for port in range(first, first + _BLOCK_PORTS) if _is_free(port))
    raise OSError(f"every port from {_FIRST} to {_FIRST + _BLOCKS * _BLOCK_PORTS - 1} is taken")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
