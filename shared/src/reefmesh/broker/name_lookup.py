"""The addresses of a broker's name: looked up in bounded time, without a place in the event loop's pool of threads."""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import Any, Final

SocketAddress = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""As ``socket.getaddrinfo`` returns it."""

LOOKUP_SHARE: Final = 0.8
"""Of the time for a connection. A resolver asks the next name server after 5 s, which fits into 0.8 of 10 s."""


def is_address(host: str) -> bool:
    """Return whether there is nothing to look up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def look_up(host: str, port: int, *, timeout_seconds: float) -> list[SocketAddress]:
    """Return the addresses of a name, best first, as the system knows them now.

    A resolver cannot be interrupted: one without a name server that answers takes half a minute. It has a thread of its own,
    which ends by itself; the loop's pool would fill up with such threads, and a process would wait for them before it ends.

    Raises:
        OSError: the name does not resolve, or not within this time.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[SocketAddress]] = loop.create_future()

    def resolve() -> None:
        outcome: list[SocketAddress] | Exception
        try:
            outcome = list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            outcome = error
        except UnicodeError:
            outcome = socket.gaierror(socket.EAI_NONAME, "no name that a resolver takes")
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_answer, answer, outcome)

    threading.Thread(target=resolve, name=f"look up {host}", daemon=True).start()
    try:
        async with asyncio.timeout(timeout_seconds):
            return await answer
    except TimeoutError:
        raise socket.gaierror(socket.EAI_AGAIN, f"no answer within {timeout_seconds:g} s") from None


def _answer(answer: "asyncio.Future[list[SocketAddress]]", outcome: list[SocketAddress] | Exception) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
