"""Sessions with peers of all kinds: every failure is noticed within its bound, and is an error of its own type."""

import asyncio
import time
from collections.abc import Callable

import pytest

from reefmesh.broker.activemq.errors import BrokerRefusal, ProtocolViolation
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.transport import WRITE_BUFFER_BYTES
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.port import BrokerUnavailable
from reefmesh.errors import ConfigurationError
from reefmesh_components.stomp_peer import Client, Script, stomp_peer

HEARTBEAT_MS = 200
PATIENCE_SECONDS = 60.0


async def open_session(peer: str, parameters: str = "") -> Session:
    query = parameters or f"heartbeat_ms={HEARTBEAT_MS}"
    address = ActiveMQAddress.parse(f"stomp://ingest:secret@{peer}?{query}")
    return await Session.open(address, address.endpoints[0], None)


async def lost(session: Session) -> ConnectionLost:
    return await asyncio.wait_for(asyncio.shield(session.lost), PATIENCE_SECONDS)


async def test_login_sends_who_we_are_and_asks_for_heartbeats() -> None:
    seen: list[Frame] = []

    async def script(client: Client) -> None:
        await client.log_in(heartbeat="100,200")
        seen.extend(client.frames)
        await client.serve()

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        await session.close()
    (connect,) = seen
    assert {
        "accept-version": "1.2",
        "host": "127.0.0.1",
        "heart-beat": "200,100",
        "login": "ingest",
        "passcode": "secret",
    } == dict(connect.headers)


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        ("User name [ingest] or password is invalid.", ConfigurationError, "wrong user name or password"),
        ("too many connections", BrokerUnavailable, "too many connections"),
    ],
)
async def test_login_refused_is_one_clear_line(message: str, error: type[Exception], words: str) -> None:
    """A wrong password is the operator's to mend; anything else may pass."""

    async def script(client: Client) -> None:
        await client.until("CONNECT")
        client.send("ERROR", ("message", message), body=b"java.lang.SecurityException\n\tat ...")
        await client.stay_silent()

    async with stomp_peer(script) as peer:
        with pytest.raises(error) as caught:
            await open_session(peer)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("greeting", "error", "words"),
    [
        (b"\x00\x00\x01R\x01ActiveMQ\x00\x00\x00\x0c", ConfigurationError, "speaks OpenWire"),
        (b"\x15\x03\x03\x00\x02\x02\n", ConfigurationError, r"speaks TLS there: use stomp\+ssl://"),
        (b"HTTP/1.1 503 Service Unavailable\r\n", BrokerUnavailable, "speaks HTTP"),
        (b"", BrokerUnavailable, "closed the connection; it had not answered the login"),
    ],
)
async def test_peer_that_speaks_something_else_is_named(greeting: bytes, error: type[Exception], words: str) -> None:
    async def script(client: Client) -> None:
        await client.until("CONNECT")
        client.writer.write(greeting)

    async with stomp_peer(script) as peer:
        with pytest.raises(error, match=words):
            await open_session(peer)


async def test_backslash_in_a_login_is_escaped_and_a_colon_is_not() -> None:
    """ActiveMQ reads escapes in CONNECT, which the protocol does not know there (docs/brokers.md, row 29)."""
    seen: list[Frame] = []

    async def script(client: Client) -> None:
        await client.log_in()
        seen.extend(client.frames)
        await client.serve()

    async with stomp_peer(script) as peer:
        address = ActiveMQAddress.parse(f"stomp://in\\gest:a\\n:%5C@{peer}")
        session = await Session.open(address, address.endpoints[0], None)
        await session.close()
    assert ("in\\\\gest", "a\\\\n:\\\\") == (seen[0].headers["login"], seen[0].headers["passcode"])


async def reset(client: Client) -> None:
    await client.next()
    client.reset()


async def half_frame(client: Client) -> None:
    await client.next()
    client.writer.write(b"CONNECTED\nversion:1.2\nsess")
    await client.writer.drain()


async def garbage(client: Client) -> None:
    await client.next()
    client.writer.write(b"\x16\x03\x01\x02\x00\x01 this is no STOMP")
    await client.stay_silent()


async def http(client: Client) -> None:
    await client.next()
    client.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await client.stay_silent()


async def old(client: Client) -> None:
    await client.next()
    client.send("CONNECTED", ("version", "1.0"))
    await client.stay_silent()


async def strange_heartbeat(client: Client) -> None:
    await client.log_in(heartbeat="soon,often")
    await client.stay_silent()


async def silent(client: Client) -> None:
    await client.stay_silent()


@pytest.mark.parametrize("script", [reset, half_frame, garbage, http, old, strange_heartbeat, silent])
async def test_login_at_a_hostile_peer_raises_in_time(script: Script) -> None:
    async with stomp_peer(script) as peer:
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(open_session(peer, "connect_timeout_ms=300"), PATIENCE_SECONDS)


async def test_nobody_listens_raises_in_one_line() -> None:
    async with stomp_peer(silent) as peer:
        pass
    with pytest.raises(BrokerUnavailable, match=peer):
        await open_session(peer)


async def test_peer_goes_silent_noticed_within_two_heartbeats() -> None:
    """A half-open connection looks like a peer that says nothing: only time tells."""

    async def script(client: Client) -> None:
        await client.log_in(heartbeat=f"{HEARTBEAT_MS // 2},{HEARTBEAT_MS}")
        await client.stay_silent()

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        began = time.monotonic()
        reason = await lost(session)
        seconds = time.monotonic() - began
    assert "silent" in str(reason)
    assert HEARTBEAT_MS / 1000 < seconds < 50 * HEARTBEAT_MS / 1000  # two, on a machine that does nothing else


async def test_idle_session_with_a_living_peer_stays_and_is_heard() -> None:
    """Heart-beats keep an idle session up, both ways."""
    beats = 0

    async def script(client: Client) -> None:
        nonlocal beats
        await client.log_in(heartbeat=f"{HEARTBEAT_MS // 2},{HEARTBEAT_MS}")
        while data := await client.reader.read(100):
            beats += data.count(b"\n")
            client.writer.write(b"\n")
            if beats >= 6:
                client.send("MESSAGE", ("subscription", "a"), body=b"")

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        enough = asyncio.Event()
        session.subscribe("a", "/queue/a", (), lambda _: enough.set())
        await asyncio.wait_for(enough.wait(), PATIENCE_SECONDS)
        assert not session.is_lost
        session.lose(ConnectionLost("over"))


async def _after_login(script: Callable[[Client], None]) -> tuple[Session, ConnectionLost]:
    async def whole(client: Client) -> None:
        await client.log_in()
        await client.until("SEND")
        script(client)
        await client.stay_silent()

    async with stomp_peer(whole) as peer:
        session = await open_session(peer)
        receipt = session.request("SEND", (("destination", "/queue/a"),), b"")
        reason = await lost(session)
        with pytest.raises(ConnectionLost):
            await receipt
        with pytest.raises(ConnectionLost):
            session.send("SEND", (("destination", "/queue/a"),), b"")
    return session, reason


async def test_reset_in_a_session_everything_unconfirmed_is_uncertain() -> None:
    """A publish that nobody confirmed raises."""
    await _after_login(lambda client: client.reset())


async def test_half_a_frame_then_the_end_is_a_violation() -> None:
    def half(client: Client) -> None:
        client.writer.write(b"RECEIPT\nreceipt-")
        client.writer.close()

    _, reason = await _after_login(half)
    assert isinstance(reason, ProtocolViolation)


@pytest.mark.parametrize("data", [b"GARBAGE\n\n\0", b"\x00\x00\x00", b"CONNECTED\nversion:1.2\n\n\0", b"RECEIPT\nx\n\n\0"])
async def test_garbage_in_a_session_is_a_violation(data: bytes) -> None:
    _, reason = await _after_login(lambda client: client.writer.write(data))
    assert isinstance(reason, ProtocolViolation)


async def test_unknown_acknowledgement_ends_the_session() -> None:
    """The broker and we disagree on what is in hand: only a new session knows again."""
    _, reason = await _after_login(
        lambda client: client.send("ERROR", ("message", "Unexpected ACK received for message-id [x]"), body=b"")
    )
    assert isinstance(reason, ProtocolViolation)


async def test_peer_that_never_confirms_is_given_up() -> None:
    """A receipt has a bound: nobody waits for ever for a broker that hears but does not answer."""

    async def script(client: Client) -> None:
        await client.log_in()
        await client.stay_silent()

    async with stomp_peer(script) as peer:
        session = await open_session(peer, "confirm_timeout_ms=200")
        with pytest.raises(ConnectionLost, match="did not confirm"):
            await asyncio.wait_for(session.request("SEND", (("destination", "/queue/a"),), b""), PATIENCE_SECONDS)


async def test_peer_that_stalls_its_reads_blocks_the_writer_then_is_given_up() -> None:
    """What waits to be written is bounded: ``drain`` waits, and raises once the peer has taken nothing for too long."""

    async def script(client: Client) -> None:
        await client.log_in(heartbeat=f"{HEARTBEAT_MS // 2},{HEARTBEAT_MS}")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport reads too
        while True:
            client.writer.write(b"\n")  # alive, but deaf
            await asyncio.sleep(HEARTBEAT_MS / 4000)

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while True:
                session.send("SEND", (("destination", "/queue/a"),), b"x" * 65536)
                sent += 65536
                await session.drain()

        with pytest.raises(ConnectionLost, match="takes no data"):
            await asyncio.wait_for(flood(), PATIENCE_SECONDS)
        assert sent < 64 * WRITE_BUFFER_BYTES  # the buffers of two kernels and one of ours


async def test_refusal_goes_to_whoever_asked_alone() -> None:
    async def script(client: Client) -> None:
        await client.log_in()
        client.error(await client.next(), "no space")
        client.receipt(await client.next())
        await client.serve()

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        first = session.request("SEND", (("destination", "/queue/a"),), b"")
        second = session.request("SEND", (("destination", "/queue/a"),), b"")
        with pytest.raises(BrokerRefusal, match="no space"):
            await first
        await second
        await session.close()


@pytest.mark.parametrize("first", ["reason", "refusal"])
async def test_commit_refused_tells_the_reason_of_the_message_that_failed(first: str) -> None:
    """The broker answers COMMIT with "rollback only"; the reason goes to nobody, before it or after it."""

    async def script(client: Client) -> None:
        await client.log_in()
        commit = await client.until("COMMIT")
        if first == "refusal":
            client.error(commit, "COMMIT FAILED: Transaction marked rollback only")
        client.send("ERROR", ("message", "User x is not authorized to write to: topic://y"), body=b"")
        if first == "reason":
            client.error(commit, "COMMIT FAILED: Transaction marked rollback only")
        await client.serve()

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        with pytest.raises(BrokerRefusal, match="not authorized to write") as caught:
            await session.request("COMMIT", (("transaction", "t"),))
        assert caught.value.is_permission
        await session.close()


async def test_commit_refused_without_a_reason_is_refused_all_the_same() -> None:
    async def script(client: Client) -> None:
        await client.log_in()
        client.error(await client.until("COMMIT"), "COMMIT FAILED: Transaction marked rollback only")
        await client.serve()

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        with pytest.raises(BrokerRefusal, match="rollback only"):
            await asyncio.wait_for(session.request("COMMIT", (("transaction", "t"),)), PATIENCE_SECONDS)
        await session.close()


async def test_frame_too_long_for_the_broker_ends_the_session_whatever_is_answered_behind_it() -> None:
    """ActiveMQ reads the rest of the frame as a command, whose receipt is the frame's own: that refuses no message."""

    async def script(client: Client) -> None:
        await client.log_in()
        receipt = (await client.until("SEND")).headers["receipt"]
        client.send("ERROR", ("message", "The maximum header length was exceeded"), body=b"")
        client.send("ERROR", ("message", "Unknown STOMP action: xxx"), ("receipt-id", receipt), body=b"")
        await client.stay_silent()

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        with pytest.raises(ConnectionLost, match="could not read what was sent: The maximum header length was exceeded"):
            await asyncio.wait_for(session.request("SEND", (("destination", "/queue/a"),), b""), PATIENCE_SECONDS)
        assert session.is_lost


async def test_closed_says_farewell_and_waits_for_its_confirmation() -> None:
    seen: list[str] = []

    async def script(client: Client) -> None:
        await client.log_in()
        disconnect = await client.next()
        seen.append(disconnect.command)
        client.receipt(disconnect)

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        await session.close()
        await session.close()
    assert ["DISCONNECT"] == seen


async def test_fault_in_a_subscriber_costs_neither_the_link_nor_the_next_message() -> None:
    """Law 13: the broker would send the same message on the next connection, for ever."""
    got: list[bytes] = []

    def on_message(frame: Frame) -> None:
        if frame.body == b"1":
            raise RecursionError("a mistake of ours")
        got.append(frame.body)

    async def script(client: Client) -> None:
        await client.log_in()
        client.receipt(await client.until("SUBSCRIBE"))
        for number in (b"1", b"2"):
            client.send("MESSAGE", ("subscription", "s"), ("message-id", "m"), body=number)
        await client.serve()

    async with stomp_peer(script) as peer:
        session = await open_session(peer)
        await session.subscribe("s", "/queue/q", (), on_message)
        await session.request("BEGIN", ())  # answered after both messages
        assert not session.is_lost
        await session.close()
    assert [b"2"] == got
