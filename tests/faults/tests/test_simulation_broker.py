"""The model does what was measured on ActiveMQ: each test is a row of those notes."""

from random import Random

import pytest

from reefmesh.broker.activemq.frames import Frame, FrameParser, encode
from reefmesh_faults.simulation.broker import BrokerRules, ModelBroker
from reefmesh_faults.simulation.history import History
from reefmesh_faults.simulation.loop import Process, VirtualLoop
from reefmesh_faults.simulation.network import Connection

QUEUE = "/queue/Consumer.scoring.VirtualTopic.reef.readings"


class Wire(Connection):
    """A connection without a network: what the broker sends is there at once."""

    def __init__(self, name: str) -> None:
        self.process = Process(name)
        self.frames: list[Frame] = []
        self._parsing = FrameParser(body_bytes_limit=1 << 20)

    def send(self, data: bytes) -> None:
        self.frames += self._parsing.feed(data)

    def messages(self) -> list[str]:
        return [frame.body.decode() for frame in self.frames if frame.command == "MESSAGE"]

    def acks(self) -> list[str]:
        return [frame.headers["ack"] for frame in self.frames if frame.command == "MESSAGE"]


class Client:
    def __init__(self, broker: ModelBroker, name: str) -> None:
        self.wire = Wire(name)
        self.session = broker.accept(self.wire)
        self.say("CONNECT")

    def say(self, command: str, body: bytes | None = None, **headers: str) -> None:
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.session.receive(encode(command, named, body))

    def subscribe(self, name: str = "s1") -> None:
        self.say("SUBSCRIBE", id=name, destination=QUEUE, ack="client")

    def send(self, reef_id: str, text: str, **headers: str) -> None:
        self.say("SEND", text.encode(), destination=QUEUE, JMSXGroupID=reef_id, event_id=text, **headers)


def model(rules: BrokerRules | None = None) -> ModelBroker:
    loop = VirtualLoop(Random(0))
    broker = ModelBroker(Random(1), History(loop.time), rules or BrokerRules())
    loop.close()
    return broker


def test_group_stays_with_its_consumer_and_comes_one_at_a_time() -> None:
    """Rows 3 and 7: who has the group gets all of it, with a prefetch of one only after an acknowledgement."""
    broker = model()
    one, other, sender = (Client(broker, name) for name in ("one", "other", "sender"))
    one.subscribe()
    sender.send("reef-1", "a")
    other.subscribe()
    sender.send("reef-1", "b")
    assert (one.wire.messages(), other.wire.messages()) == (["a"], [])
    one.say("ACK", id=one.wire.acks()[0])
    assert (one.wire.messages(), other.wire.messages()) == (["a", "b"], [])


def test_lost_consumers_messages_come_again_before_later_ones() -> None:
    broker = model()
    one, other, sender = (Client(broker, name) for name in ("one", "other", "sender"))
    one.subscribe()
    sender.send("reef-1", "a")
    sender.send("reef-1", "b")
    one.session.gone()
    other.subscribe()
    other.say("ACK", id=other.wire.acks()[0])
    assert other.wire.messages() == ["a", "b"]
    assert [frame.headers.get("redelivered") for frame in other.wire.frames if frame.command == "MESSAGE"] == ["true", None]


def test_group_map_of_limited_size_lets_two_have_one_group() -> None:
    """Row 1: what the map forgot is given to anybody, although its owner still handles it."""
    broker = model(BrokerRules(groups_limit=1))
    owners = [Client(broker, f"owner-{number}") for number in range(4)]
    for owner in owners:
        owner.subscribe()
    sender = Client(broker, "sender")
    for text in ("reef-1 a", "reef-2 a", "reef-1 b"):
        sender.send(text.partition(" ")[0], text)
    holders = [owner for owner in owners if any("reef-1" in text for text in owner.wire.messages())]
    assert len(holders) == 2


def test_broker_that_is_being_stopped_gives_later_messages_to_others_until_it_restarts() -> None:
    """Read in ActiveMQ's code: ``Queue.removeSubscription`` queues nothing again once the broker ``isStopping``."""
    broker = model()
    one, other, sender = (Client(broker, name) for name in ("one", "other", "sender"))
    one.subscribe()
    other.subscribe()
    for text in ("a", "b", "c"):
        sender.send("reef-1", text)
    holder, left = (one, other) if one.wire.messages() else (other, one)
    assert broker.begin_to_stop() == [one.wire, other.wire, sender.wire]
    with pytest.raises(ConnectionRefusedError):
        Client(broker, "late")
    holder.session.gone()
    sender.send("reef-2", "wakes it")
    assert left.wire.messages() == ["b"]
    for client in (left, sender):
        client.session.gone()
    broker.restart()
    again = Client(broker, "again")
    again.subscribe()
    for number in range(3):
        again.say("ACK", id=again.wire.acks()[number])
    assert again.wire.messages() == ["a", "b", "c", "wakes it"]


def test_acknowledgement_after_unsubscribe_is_unknown() -> None:
    """Row 16."""
    broker = model()
    one, sender = Client(broker, "one"), Client(broker, "sender")
    one.subscribe()
    sender.send("reef-1", "a")
    one.say("UNSUBSCRIBE", id="s1")
    one.say("ACK", id=one.wire.acks()[0])
    assert one.wire.frames[-1].command == "ERROR"
    assert broker.queue(QUEUE.removeprefix("/queue/")).unsettled_messages == 1


def test_transaction_of_a_lost_connection_never_was() -> None:
    """Row 14: outputs and acknowledgement together or not at all."""
    broker = model()
    one, sender = Client(broker, "one"), Client(broker, "sender")
    one.subscribe()
    sender.send("reef-1", "a")
    one.say("BEGIN", transaction="t1")
    one.send("reef-1", "out", transaction="t1")
    one.say("ACK", id=one.wire.acks()[0], transaction="t1")
    one.session.gone()
    assert broker.queue(QUEUE.removeprefix("/queue/")).unsettled_messages == 1
    assert broker.history.events[-1].event_id == "a"  # type: ignore[union-attr]  # the message that came back


def test_acknowledgement_covers_everything_before_it() -> None:
    """What ``ack:client`` means."""
    broker = model(BrokerRules(prefetch=3))
    one = Client(broker, "one")
    one.subscribe()
    for text in ("a", "b", "c", "d"):
        one.send("reef-1", text)
    assert one.wire.messages() == ["a", "b", "c"]
    one.say("ACK", id=one.wire.acks()[1])
    assert one.wire.messages() == ["a", "b", "c", "d"]
    assert broker.queue(QUEUE.removeprefix("/queue/")).unsettled_messages == 2


def test_prefetch_of_several_inverts_the_order_when_consumers_die_in_turn() -> None:
    """Row 7: what the second lost consumer held is put behind what the first one's death left over."""
    broker = model(BrokerRules(prefetch=2))
    sender = Client(broker, "sender")
    first = Client(broker, "first")
    first.subscribe()
    for text in ("a", "b", "c"):
        sender.send("reef-1", text)
    assert first.wire.messages() == ["a", "b"]
    broker.rules = BrokerRules(prefetch=1)
    second = Client(broker, "second")
    second.subscribe()
    first.session.gone()
    assert second.wire.messages() == ["a"]
    second.session.gone()
    third = Client(broker, "third")
    third.subscribe()
    assert third.wire.messages() == ["b"]
