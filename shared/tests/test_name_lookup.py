"""Names of brokers: looked up in bounded time, and of several addresses the first that answers is taken."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.name_lookup import SocketAddress, look_up
from reefmesh.broker.port import BrokerUnavailable
from reefmesh.broker.socket_race import HEAD_START_SECONDS, first_connected
from reefmesh.clock import SystemClock
from reefmesh_components.activemq_client import PATIENCE_SECONDS, Events
from reefmesh_components.stomp_peer import Client, stomp_peer

NAME = "broker.reefmesh.test"
Resolver = Callable[..., list[SocketAddress]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[[Resolver], None]:
    """Put a resolver of the test's in the place of the system's."""
    return lambda resolve: monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A port whose connections are never made: its backlog is full."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as server:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server
        for filler in fillers:
            filler.close()


def address_of(server: socket.socket) -> SocketAddress:
    return socket.AF_INET, socket.SOCK_STREAM, 0, "", server.getsockname()


def refusing() -> SocketAddress:
    """An address at which nobody listens any more."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return address_of(server)


async def test_resolver_that_does_not_answer_is_given_up_and_blocks_no_exit(resolver: Callable[[Resolver], None]) -> None:
    """Its thread may outlive the process's wish to end: only a daemon's may."""
    released = threading.Event()
    threads: list[threading.Thread] = []

    def hang(*_: Any, **__: Any) -> list[SocketAddress]:
        threads.append(threading.current_thread())
        released.wait()
        return []

    resolver(hang)
    try:
        with pytest.raises(socket.gaierror, match=r"no answer within 0\.05 s"):
            await look_up(NAME, 61613, timeout_seconds=0.05)
    finally:
        released.set()
    assert [True] == [thread.daemon for thread in threads]
    threads[0].join()


async def test_answer_after_its_time_harms_nobody(resolver: Callable[[Resolver], None]) -> None:
    released = threading.Event()

    def late(*_: Any, **__: Any) -> list[SocketAddress]:
        released.wait()
        return [refusing()]

    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    resolver(late)
    with pytest.raises(socket.gaierror):
        await look_up(NAME, 61613, timeout_seconds=0.01)
    released.set()
    (thread,) = (each for each in threading.enumerate() if each.name == f"look up {NAME}")
    thread.join()
    delivered = asyncio.Event()
    loop.call_soon(delivered.set)
    await delivered.wait()  # behind the answer
    assert not faults


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN, getattr(socket, "EAI_NODATA", socket.EAI_FAIL)])
async def test_name_that_does_not_resolve_is_transient(code: int, resolver: Callable[[Resolver], None]) -> None:
    """Also one that does not exist: names of containers come and go with them."""

    def refuse(*_: Any, **__: Any) -> list[SocketAddress]:
        raise socket.gaierror(code, "no such thing")

    resolver(refuse)
    broker = ActiveMQBroker(f"stomp://{NAME}", clock=SystemClock())
    with pytest.raises(BrokerUnavailable, match=r"its name does not resolve \(no such thing\)") as caught:
        await broker.connect()
    assert "\n" not in str(caught.value)


async def test_name_goes_and_comes_back_it_reconnects_and_never_counts_as_refused(
    resolver: Callable[[Resolver], None],
) -> None:
    """Health asks for a restart when a broker refuses us, not when its name is away."""
    loop = asyncio.get_running_loop()
    is_away, missed = False, asyncio.Event()
    gone = asyncio.Event()

    async def ended(client: Client) -> None:
        await client.log_in()
        await gone.wait()

    async def served(client: Client) -> None:
        await client.log_in()
        await client.serve()

    async with stomp_peer(ended, ended, served) as peer:
        port = int(peer.rpartition(":")[2])
        here: SocketAddress = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))

        def resolve(*_: Any, **__: Any) -> list[SocketAddress]:
            if is_away:
                loop.call_soon_threadsafe(missed.set)
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [here]

        resolver(resolve)
        broker = ActiveMQBroker(f"stomp://{NAME}:{port}", clock=SystemClock())
        events = Events(broker)
        await broker.connect()
        is_away = True
        gone.set()
        for _ in range(4):  # the second failure of a connection is counted before its third look-up
            await asyncio.wait_for(missed.wait(), PATIENCE_SECONDS)
            missed.clear()
        away = await broker.statistics()
        is_away = False
        await events.until("connected", 4)  # both connections, twice
        back = await broker.statistics()
        await broker.close()
    assert (False, None) == (away.connected, away.refused_seconds)
    assert "does not resolve" in away.trouble
    assert (True, None, "") == (back.connected, back.refused_seconds, back.trouble)


async def test_address_that_does_not_answer_costs_its_head_start(deaf: socket.socket, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(20 * HEAD_START_SECONDS):
        connection = await first_connected([address_of(deaf), address_of(listening)])
    with closing(connection):
        assert listening.getsockname() == connection.getpeername()
    assert loop.time() - began >= HEAD_START_SECONDS


async def test_address_that_refuses_costs_nothing(listening: socket.socket) -> None:
    """The quickest of some: on a busy machine one alone may take as long as a head start."""
    loop, took_seconds = asyncio.get_running_loop(), list[float]()
    while len(took_seconds) < 20 and HEAD_START_SECONDS <= min(took_seconds, default=HEAD_START_SECONDS):
        began = loop.time()
        with closing(await first_connected([refusing(), address_of(listening)])) as connection:
            assert listening.getsockname() == connection.getpeername()
        took_seconds.append(loop.time() - began)
    assert min(took_seconds) < HEAD_START_SECONDS


@pytest.mark.parametrize("addresses", [0, 1, 3])
async def test_no_address_answers_raises(addresses: int) -> None:
    with pytest.raises(OSError, match=r"there is no address|Connect call failed"):
        await first_connected([refusing() for _ in range(addresses)])


async def test_name_has_the_address_of_a_machine_that_is_gone_login_is_bounded(
    deaf: socket.socket, resolver: Callable[[Resolver], None]
) -> None:
    resolver(lambda *_, **__: [address_of(deaf)])
    address = ActiveMQAddress.parse(f"stomp://{NAME}?connect_timeout_ms=200")
    with pytest.raises(BrokerUnavailable, match=r"did not answer within 0\.2 s"):
        await asyncio.wait_for(Session.open(address, address.endpoints[0], None), 60)
