"""Connecting to a name with several addresses: one that does not answer costs a quarter of a second (RFC 8305)."""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from reefmesh.broker.name_lookup import SocketAddress

HEAD_START_SECONDS: Final = 0.25
ADDRESSES_LIMIT: Final = 8
"""Addresses of one name that are tried."""


async def first_connected(addresses: Sequence[SocketAddress]) -> socket.socket:
    """Return a socket that is connected to the first of these addresses that answers; the caller bounds the time. The next
    address is tried when the one before has failed or had its head start.

    Raises:
        OSError: of the last address that failed; none of them answers.
    """
    waiting = deque(addresses[:ADDRESSES_LIMIT])
    trying: set[asyncio.Task[socket.socket]] = set()
    failure: OSError = OSError("there is no address")
    try:
        while waiting or trying:
            if waiting:
                family, kind, protocol, _, place = waiting.popleft()
                trying.add(asyncio.create_task(_connected(family, kind, protocol, place), name="connect"))
            head_start = HEAD_START_SECONDS if waiting else None
            done, _ = await asyncio.wait(trying, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                trying.discard(task)
                error = task.exception()
                if error is None:
                    trying.update(done - {task})  # another one that won in the same turn is closed below
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failure = error
        raise failure
    finally:
        await _give_up(trying)


async def _connected(family: int, kind: int, protocol: int, place: Any) -> socket.socket:
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, place)
    except BaseException:
        connection.close()
        raise
    return connection


async def _give_up(trying: "set[asyncio.Task[socket.socket]]") -> None:
    for task in trying:
        task.cancel()
    for outcome in await asyncio.gather(*trying, return_exceptions=True):
        if isinstance(outcome, socket.socket):
            outcome.close()
