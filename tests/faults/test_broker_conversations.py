"""The simulated broker and the real ActiveMQ hold the same conversations: frames in, frames expected.

Each test is a row of docs/brokers.md. What only the model can show (a map of groups that is too small, a broker that is being
stopped) is in tests/test_simulation_broker.py.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from random import Random
from typing import Final, Protocol
from uuid import uuid4

import pytest

from reefmesh.broker.activemq.frames import Frame, FrameParser, encode
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_faults.simulation.broker import BrokerRules, ModelBroker
from reefmesh_faults.simulation.history import History
from reefmesh_faults.simulation.loop import Process, VirtualLoop
from reefmesh_faults.simulation.network import Connection

PATIENCE_SECONDS: Final = 60.0
USER: Final = "operator"
"""Services may not make queues."""
OPERATOR: Final = "operator"
SCRATCH: Final = "/queue/conversation.scratch"
FORBIDDEN: Final = "/queue/Consumer.scoring.VirtualTopic.conversation"
"""A destination that nobody can write to: scoring's queues are all there, and no other of its names is made."""
BODY_BYTES_LIMIT: Final = 1 << 20


class Ended(AssertionError):
    """The broker closed the connection."""


class Wire(Protocol):
    """One connection to a broker, below STOMP."""

    def write(self, data: bytes) -> None: ...

    async def read(self) -> bytes:
        """Wait for what the broker sends. Raises Ended when it closed the connection, AssertionError when nothing comes."""
        ...

    def cut(self) -> None: ...


class Caller:
    """A client that says exactly what the test wants it to say."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._parser = FrameParser(body_bytes_limit=BODY_BYTES_LIMIT)
        self._unread: list[Frame] = []

    async def log_in(self, user: str, password: str) -> None:
        self.say("CONNECT", {"accept-version": "1.2", "host": "/", "login": user, "passcode": password, "heart-beat": "0,0"})
        await self.next("CONNECTED")

    def say(self, command: str, headers: Mapping[str, str], body: bytes | None = None) -> None:
        self._wire.write(encode(command, headers.items(), body))

    async def next(self, command: str) -> Frame:
        """Return the oldest unread frame of this kind; others stay unread."""
        while True:
            for frame in self._unread:
                if frame.command == command:
                    self._unread.remove(frame)
                    return frame
            self._unread += self._parser.feed(await self._wire.read())

    async def do(self, command: str, headers: Mapping[str, str], body: bytes | None = None) -> None:
        """Say it and wait for its receipt."""
        receipt = uuid4().hex
        self.say(command, {**headers, "receipt": receipt}, body)
        frame = await self.next("RECEIPT")
        assert receipt == frame.headers["receipt-id"]

    async def refused(self, command: str, headers: Mapping[str, str], body: bytes | None = None) -> Frame:
        """Say it and wait for the error that answers it."""
        receipt = uuid4().hex
        self.say(command, {**headers, "receipt": receipt}, body)
        error = await self.next("ERROR")
        assert receipt == error.headers["receipt-id"]
        return error

    async def subscribe(self, queue: str, *, prefetch: int = 1, name: str = "s1", **headers: str) -> None:
        facts = {"id": name, "destination": queue, "ack": "client", "activemq.prefetchSize": str(prefetch)}
        await self.do("SUBSCRIBE", {**facts, **{key.replace("_", "."): value for key, value in headers.items()}})

    async def send(self, destination: str, reef_id: str, text: str, **headers: str) -> None:
        facts = {"destination": destination, "JMSXGroupID": reef_id, "event-id": text, "persistent": "true"}
        await self.do("SEND", {**facts, **headers}, text.encode())

    async def messages(self, count: int) -> list[Frame]:
        return [await self.next("MESSAGE") for _ in range(count)]

    async def texts(self, count: int) -> list[str]:
        return [frame.body.decode() for frame in await self.messages(count)]

    async def quiet(self) -> None:
        """Assert that nothing is unread. What the broker had sent before comes before the receipt of a further command: one
        that is no transaction, because those that overlap disturb each other (row 24)."""
        await self.do("SEND", {"destination": SCRATCH, "persistent": "false"}, b"")
        assert [] == [(frame.command, frame.headers) for frame in self._unread]

    async def ended(self) -> None:
        """Wait until the broker closes the connection, whatever it still says."""
        with contextlib.suppress(Ended):
            while True:
                await self._wire.read()

    def vanish(self) -> None:
        """Cut the connection without a farewell."""
        self._wire.cut()


class Side(Protocol):
    """One of the two brokers."""

    async def caller(self, user: str = USER) -> Caller:
        """Return a client that is logged in."""
        ...


class ModelWire(Connection):
    """A connection to the model without a network: each answer is there at once."""

    def __init__(self, broker: ModelBroker) -> None:
        self.process = Process("caller")
        self._answers: list[bytes] = []
        self._is_ended = False
        self._session = broker.accept(self)

    def send(self, data: bytes) -> None:
        self._answers.append(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._session.receive(bytes(data))

    async def read(self) -> bytes:
        if self._is_ended and not self._answers:
            raise Ended
        assert self._answers, "the model sends nothing"
        return self._answers.pop(0)

    def cut(self) -> None:
        self._session.gone()

    def drop(self) -> None:
        self._is_ended = True
        self._session.gone()


class ModelSide:
    def __init__(self) -> None:
        loop = VirtualLoop(Random(0))
        self._broker = ModelBroker(Random(1), History(loop.time), BrokerRules(refused=frozenset({FORBIDDEN})))
        loop.close()

    async def caller(self, user: str = USER) -> Caller:
        caller = Caller(ModelWire(self._broker))
        await caller.log_in(user, "")
        return caller


class SocketWire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def read(self) -> bytes:
        try:
            data = await asyncio.wait_for(self._reader.read(65536), PATIENCE_SECONDS)
        except ConnectionError:
            raise Ended from None
        if not data:
            raise Ended
        return data

    def cut(self) -> None:
        self._writer.transport.abort()


class ActivemqSide:
    def __init__(self, process: ActivemqProcess) -> None:
        self._process = process
        self._wires: list[SocketWire] = []

    async def caller(self, user: str = USER) -> Caller:
        address = ActiveMQAddress.parse(self._process.url(user))
        (endpoint,) = address.endpoints
        wire = SocketWire(*await asyncio.open_connection(endpoint.host, endpoint.port))
        self._wires.append(wire)
        caller = Caller(wire)
        await caller.log_in(user, address.password)
        return caller

    def close(self) -> None:
        for wire in self._wires:
            wire.cut()


@pytest.fixture(params=["model", "activemq"])
async def side(request: pytest.FixtureRequest) -> AsyncIterator[Side]:
    if request.param == "model":
        yield ModelSide()
        return
    real = ActivemqSide(request.getfixturevalue("activemq_process"))
    yield real
    real.close()


@pytest.fixture
def make_queue() -> Callable[[], str]:
    return lambda: f"/queue/conversation.{uuid4().hex[:12]}"


@pytest.fixture
def queue(make_queue: Callable[[], str]) -> str:
    return make_queue()


async def test_group_stays_with_its_consumer_although_another_is_free(side: Side, queue: str) -> None:
    """Row 3."""
    owner, other, sender = [await side.caller() for _ in range(3)]
    await owner.subscribe(queue)
    await sender.send(queue, "reef-1", "a")
    (first,) = await owner.messages(1)
    await other.subscribe(queue)
    await sender.send(queue, "reef-1", "b")
    await sender.send(queue, "reef-2", "c")
    assert await other.texts(1) == ["c"]
    await owner.quiet()
    await owner.do("ACK", {"id": first.headers["ack"]})
    assert await owner.texts(1) == ["b"]
    await other.quiet()


async def test_group_is_free_once_its_consumer_unsubscribes(side: Side, queue: str) -> None:
    """Row 3: this is how reefs move to a consumer that joined."""
    owner, other, sender = [await side.caller() for _ in range(3)]
    await owner.subscribe(queue)
    await sender.send(queue, "reef-1", "a")
    (first,) = await owner.messages(1)
    await other.subscribe(queue)
    await owner.do("ACK", {"id": first.headers["ack"]})
    await owner.do("UNSUBSCRIBE", {"id": "s1"})
    await sender.send(queue, "reef-1", "b")
    assert await other.texts(1) == ["b"]


async def test_consumer_has_no_more_than_its_prefetch_unacknowledged(side: Side, queue: str) -> None:
    """Row 7."""
    narrow, wide, sender = [await side.caller() for _ in range(3)]
    await narrow.subscribe(queue, prefetch=2)
    for text in ("a", "b", "c"):
        await sender.send(queue, "reef-1", text)
    held = await narrow.messages(2)
    await wide.subscribe(queue, prefetch=5)
    await sender.send(queue, "reef-2", "d")
    assert await wide.texts(1) == ["d"]
    await narrow.quiet()
    await narrow.do("ACK", {"id": held[0].headers["ack"]})
    assert await narrow.texts(1) == ["c"]


async def test_acknowledgement_covers_everything_before_it(side: Side, queue: str) -> None:
    """Row 18: ``ack:client``."""
    one, sender = [await side.caller() for _ in range(2)]
    await one.subscribe(queue, prefetch=3)
    for text in ("a", "b", "c", "d"):
        await sender.send(queue, "reef-1", text)
    held = await one.messages(3)
    await one.do("ACK", {"id": held[1].headers["ack"]})
    assert await one.texts(1) == ["d"]
    one.vanish()
    successor = await side.caller()
    await successor.subscribe(queue, prefetch=5)
    assert await successor.texts(2) == ["c", "d"]


async def test_acknowledgement_after_unsubscribe_is_confirmed_and_lost(side: Side, queue: str) -> None:
    """Row 16: the message comes again, although its acknowledgement got a receipt."""
    one, sender = [await side.caller() for _ in range(2)]
    await one.subscribe(queue)
    await sender.send(queue, "reef-1", "a")
    (first,) = await one.messages(1)
    await one.do("UNSUBSCRIBE", {"id": "s1"})
    await one.do("ACK", {"id": first.headers["ack"]})
    successor = await side.caller()
    await successor.subscribe(queue)
    assert await successor.texts(1) == ["a"]


async def test_acknowledgement_in_a_transaction_is_lost_by_unsubscribe_before_the_commit(side: Side, queue: str) -> None:
    """Row 16: so UNSUBSCRIBE stands behind the COMMIT."""
    one, sender = [await side.caller() for _ in range(2)]
    await one.subscribe(queue)
    await sender.send(queue, "reef-1", "a")
    (first,) = await one.messages(1)
    await one.do("BEGIN", {"transaction": "t1"})
    await one.do("ACK", {"id": first.headers["ack"], "transaction": "t1"})
    await one.do("UNSUBSCRIBE", {"id": "s1"})
    await one.do("COMMIT", {"transaction": "t1"})
    successor = await side.caller()
    await successor.subscribe(queue)
    assert await successor.texts(1) == ["a"]


async def test_lost_consumers_messages_come_again_in_order_before_later_ones_and_flagged(side: Side, queue: str) -> None:
    """Rows 6 and 7."""
    one, sender = [await side.caller() for _ in range(2)]
    await one.subscribe(queue, prefetch=2)
    for text in ("a", "b", "c"):
        await sender.send(queue, "reef-1", text)
    await one.messages(2)
    one.vanish()
    successor = await side.caller()
    await successor.subscribe(queue, prefetch=5)
    came = await successor.messages(3)
    assert [frame.body for frame in came] == [b"a", b"b", b"c"]
    assert [frame.headers.get("redelivered") for frame in came] == ["true", "true", None]
    assert not any({"JMSXGroupID", "JMSXDeliveryCount"} & frame.headers.keys() for frame in came)


async def test_consumers_lost_in_turn_leave_the_later_message_before_the_earlier_one(side: Side, queue: str) -> None:
    """Row 7: what the second lost consumer held is put behind what the first one's death left over."""
    first, second, third, sender = [await side.caller() for _ in range(4)]
    await first.subscribe(queue, prefetch=2)
    for text in ("a", "b", "c"):
        await sender.send(queue, "reef-1", text)
    await first.messages(2)
    await second.subscribe(queue)
    first.vanish()
    assert await second.texts(1) == ["a"]
    await third.subscribe(queue)
    second.vanish()
    (came,) = await third.messages(1)
    order = [came.body]
    for _ in range(2):
        await third.do("ACK", {"id": came.headers["ack"]})
        (came,) = await third.messages(1)
        order.append(came.body)
    assert order == [b"b", b"a", b"c"]


async def test_transaction_committed_sends_and_acknowledges_at_once(side: Side, make_queue: Callable[[], str]) -> None:
    """Row 14: until the commit nothing is out, and the next message of the group does not come."""
    inbound, outbound = make_queue(), make_queue()
    one, downstream, sender = [await side.caller() for _ in range(3)]
    await downstream.subscribe(outbound)
    await one.subscribe(inbound)
    await sender.send(inbound, "reef-1", "a")
    await sender.send(inbound, "reef-1", "b")
    (held,) = await one.messages(1)
    await one.do("BEGIN", {"transaction": "t1"})
    await one.send(outbound, "reef-1", "out", transaction="t1")
    await one.do("ACK", {"id": held.headers["ack"], "transaction": "t1"})
    await one.quiet()
    await downstream.quiet()
    await one.do("COMMIT", {"transaction": "t1"})
    assert await downstream.texts(1) == ["out"]
    assert await one.texts(1) == ["b"]


async def test_transaction_aborted_sends_nothing_and_the_connection_goes_on(side: Side, make_queue: Callable[[], str]) -> None:
    """Row 14."""
    inbound, outbound = make_queue(), make_queue()
    one, downstream, sender = [await side.caller() for _ in range(3)]
    await downstream.subscribe(outbound)
    await one.subscribe(inbound)
    await sender.send(inbound, "reef-1", "a")
    (held,) = await one.messages(1)
    await one.do("BEGIN", {"transaction": "t1"})
    await one.send(outbound, "reef-1", "never", transaction="t1")
    await one.do("ABORT", {"transaction": "t1"})
    await one.do("ACK", {"id": held.headers["ack"]})
    await one.send(outbound, "reef-1", "later")
    assert await downstream.texts(1) == ["later"]


async def test_transaction_of_a_lost_connection_never_was(side: Side, make_queue: Callable[[], str]) -> None:
    """Row 14: outputs and acknowledgement together or not at all."""
    inbound, outbound = make_queue(), make_queue()
    one, downstream, sender = [await side.caller() for _ in range(3)]
    await downstream.subscribe(outbound)
    await one.subscribe(inbound)
    await sender.send(inbound, "reef-1", "a")
    (held,) = await one.messages(1)
    await one.do("BEGIN", {"transaction": "t1"})
    await one.send(outbound, "reef-1", "never", transaction="t1")
    await one.do("ACK", {"id": held.headers["ack"], "transaction": "t1"})
    one.vanish()
    successor = await side.caller()
    await successor.subscribe(inbound)
    assert await successor.texts(1) == ["a"]
    await sender.send(outbound, "reef-1", "later")
    assert await downstream.texts(1) == ["later"]


async def test_refused_send_without_a_receipt_makes_the_commit_refused(side: Side, make_queue: Callable[[], str]) -> None:
    """Row 19: two errors come, in any order, and what the transaction sent besides is not out."""
    outbound = make_queue()
    one, downstream = [await side.caller() for _ in range(2)]
    await downstream.subscribe(outbound)
    await one.do("BEGIN", {"transaction": "t1"})
    await one.send(outbound, "reef-1", "never", transaction="t1")
    one.say("SEND", {"destination": FORBIDDEN, "transaction": "t1", "persistent": "true"}, b"refused")
    one.say("COMMIT", {"transaction": "t1", "receipt": "commit"})
    errors = [await one.next("ERROR") for _ in range(2)]
    assert {None, "commit"} == {error.headers.get("receipt-id") for error in errors}
    await one.send(outbound, "reef-1", "later")
    assert await downstream.texts(1) == ["later"]


async def test_refused_send_with_a_receipt_leaves_the_rest_to_be_committed(side: Side, make_queue: Callable[[], str]) -> None:
    """Row 19: whoever asked for a receipt knows, and must abort by itself."""
    outbound = make_queue()
    one, downstream = [await side.caller() for _ in range(2)]
    await downstream.subscribe(outbound)
    await one.do("BEGIN", {"transaction": "t1"})
    await one.send(outbound, "reef-1", "out", transaction="t1")
    await one.refused("SEND", {"destination": FORBIDDEN, "transaction": "t1", "persistent": "true"}, b"refused")
    await one.do("COMMIT", {"transaction": "t1"})
    assert await downstream.texts(1) == ["out"]


async def test_refused_send_in_a_transaction_that_is_aborted_costs_nothing(side: Side, queue: str) -> None:
    """Row 19: the message in hand is still ours, and may be acknowledged otherwise."""
    one, sender = [await side.caller() for _ in range(2)]
    await one.subscribe(queue)
    await sender.send(queue, "reef-1", "a")
    await sender.send(queue, "reef-1", "b")
    (held,) = await one.messages(1)
    await one.do("BEGIN", {"transaction": "t1"})
    await one.refused("SEND", {"destination": FORBIDDEN, "transaction": "t1", "persistent": "true"}, b"refused")
    await one.do("ABORT", {"transaction": "t1"})
    await one.do("ACK", {"id": held.headers["ack"]})
    assert await one.texts(1) == ["b"]


async def test_send_too_long_to_be_read_costs_the_connection_and_nothing_was_settled(side: Side, queue: str) -> None:
    """Row 31: the error names no receipt, and a client that waits for it before it acknowledges loses nothing."""
    one, sender = [await side.caller() for _ in range(2)]
    await one.subscribe(queue)
    await sender.send(queue, "reef-1", "a")
    await one.messages(1)
    await one.do("BEGIN", {"transaction": "t1"})
    one.say("SEND", {"destination": queue, "transaction": "t1", "receipt": "r", "x": ":" * 6_000}, b"too long")
    error = await one.next("ERROR")
    assert ("The maximum header length was exceeded", None) == (error.headers["message"], error.headers.get("receipt-id"))
    await one.ended()
    successor = await side.caller()
    await successor.subscribe(queue)
    assert await successor.texts(1) == ["a"]


async def test_unknown_acknowledgement_in_a_transaction_is_refused_at_once(side: Side, queue: str) -> None:
    """Row 16: the rest of the transaction can be committed."""
    one, downstream = [await side.caller() for _ in range(2)]
    await downstream.subscribe(queue)
    await one.do("BEGIN", {"transaction": "t1"})
    await one.send(queue, "reef-1", "out", transaction="t1")
    await one.refused("ACK", {"id": "no-such-message", "transaction": "t1"})
    await one.do("COMMIT", {"transaction": "t1"})
    assert await downstream.texts(1) == ["out"]


async def test_dedicated_subscription_gets_its_group_before_all_others(side: Side, queue: str) -> None:
    """Row 20: a selector on the group and a higher priority."""
    shared, dedicated, sender = [await side.caller() for _ in range(3)]
    await shared.subscribe(queue, prefetch=5)
    await dedicated.subscribe(queue, prefetch=5, selector="JMSXGroupID = 'reef-1'", activemq_priority="10")
    await sender.send(queue, "reef-1", "a")
    await sender.send(queue, "reef-2", "b")
    assert await dedicated.texts(1) == ["a"]
    assert await shared.texts(1) == ["b"]
    await dedicated.quiet()


async def test_group_moves_to_its_dedicated_subscription_when_the_shared_one_ends(side: Side, queue: str) -> None:
    """Row 20: it stays where it is until then; what was unacknowledged moves with it, in order."""
    one, sender = [await side.caller() for _ in range(2)]
    await one.subscribe(queue, prefetch=2, name="shared")
    for text in ("a", "b", "c"):
        await sender.send(queue, "reef-1", text)
    assert await one.texts(2) == ["a", "b"]
    await one.subscribe(queue, prefetch=2, name="dedicated", selector="JMSXGroupID = 'reef-1'", activemq_priority="10")
    await one.quiet()
    await one.do("UNSUBSCRIBE", {"id": "shared"})
    came = await one.messages(2)
    assert [(frame.headers["subscription"], frame.body) for frame in came] == [("dedicated", b"a"), ("dedicated", b"b")]
    await one.do("ACK", {"id": came[1].headers["ack"]})
    assert await one.texts(1) == ["c"]


async def test_groups_move_together_to_one_dedicated_subscription(side: Side, queue: str) -> None:
    """Row 20 for several groups: one selector names them, and a quote in a name is written twice."""
    one, sender = [await side.caller() for _ in range(2)]
    await one.subscribe(queue, prefetch=4, name="shared")
    names = ("reef-1", "it's", "reef-3", "reef-1")
    for group in names:
        await sender.send(queue, group, group)
    assert [*names] == await one.texts(4)
    selector = "JMSXGroupID IN ('reef-1', 'it''s')"
    await one.subscribe(queue, prefetch=8, name="dedicated", selector=selector, activemq_priority="10")
    await one.do("UNSUBSCRIBE", {"id": "shared"})
    assert ["reef-1", "it's", "reef-1"] == await one.texts(3)
    await one.quiet()
    await one.subscribe(queue, prefetch=4, name="again")
    assert ["reef-3"] == await one.texts(1)


async def test_advisories_tell_of_consumers_that_join_and_leave(side: Side, queue: str) -> None:
    """Row 21: who it was, and how many there are now; a wildcard's consumer of an earlier conversation may still be counted."""
    listener, member = [await side.caller() for _ in range(2)]
    topic = f"/topic/ActiveMQ.Advisory.Consumer.Queue.{queue.removeprefix('/queue/')}"
    facts = {"id": "advisories", "destination": topic, "ack": "auto", "transformation": "jms-advisory-json"}
    await listener.do("SUBSCRIBE", facts)
    await member.subscribe(queue)
    (joined,) = await listener.messages(1)
    identity = json.loads(joined.body)["ConsumerInfo"]["consumerId"]
    await member.do("UNSUBSCRIBE", {"id": "s1"})
    (left,) = await listener.messages(1)
    gone = json.loads(left.body)["RemoveInfo"]["objectId"]
    assert int(joined.headers["consumerCount"]) > int(left.headers["consumerCount"]) >= 0
    assert {key: identity[key] for key in ("connectionId", "sessionId", "value")} == {
        key: gone[key] for key in ("connectionId", "sessionId", "value")
    }


async def test_virtual_topic_copies_into_every_queue_of_its_name(side: Side) -> None:
    """Row 22: each copy with its group."""
    channel = f"conversation.{uuid4().hex[:12]}"
    callers = [await side.caller(OPERATOR) for _ in range(2)]
    for caller, service in zip(callers, ("alpha", "beta"), strict=True):
        await caller.subscribe(f"/queue/Consumer.{service}.VirtualTopic.{channel}")
    sender = await side.caller(OPERATOR)
    for text in ("a", "b"):
        await sender.send(f"/topic/VirtualTopic.{channel}", "reef-1", text)
    for caller in callers:
        (first,) = await caller.messages(1)
        await caller.quiet()  # the group: its next message waits for the acknowledgement
        await caller.do("ACK", {"id": first.headers["ack"]})
        assert (first.body, await caller.texts(1)) == (b"a", ["b"])


async def test_receipts_come_in_the_order_of_the_commands(side: Side, queue: str) -> None:
    """Row 11: commands may be pipelined."""
    one = await side.caller()
    for number in range(20):
        facts = {"destination": queue, "JMSXGroupID": f"reef-{number % 3}", "persistent": "true", "receipt": str(number)}
        one.say("SEND", facts, b"a")
    assert [(await one.next("RECEIPT")).headers["receipt-id"] for _ in range(20)] == [str(number) for number in range(20)]


@pytest.mark.parametrize("name", ["JMSXUserID", "userid", "userID", "UserID"])
async def test_message_carries_its_senders_name_whatever_the_sender_writes_there(side: Side, queue: str, name: str) -> None:
    """Row 26: nobody takes another's name, neither alone nor in a transaction."""
    sender, reader = await side.caller(OPERATOR), await side.caller()
    await reader.subscribe(queue, prefetch=10)
    await sender.send(queue, "a", "honest")
    await sender.send(queue, "a", "lies", **{name: "ingest"})
    await sender.do("BEGIN", {"transaction": "t1"})
    await sender.send(queue, "a", "lies-in-a-transaction", transaction="t1", **{name: "ingest"})
    await sender.do("COMMIT", {"transaction": "t1"})
    assert [OPERATOR] * 3 == [frame.headers.get("JMSXUserID") for frame in await reader.messages(3)]


async def test_copies_of_a_virtual_topic_carry_the_senders_name(side: Side) -> None:
    """Row 26: also in a channel with a reader of its own."""
    topic = f"VirtualTopic.conversation.{uuid4().hex[:12]}"
    sender, reader = await side.caller(OPERATOR), await side.caller()
    await reader.subscribe(f"/queue/Consumer.conversation.{topic}")
    await sender.send(f"/topic/{topic}", "a", "a0", JMSXUserID="scoring")
    assert [OPERATOR] == [frame.headers.get("JMSXUserID") for frame in await reader.messages(1)]
