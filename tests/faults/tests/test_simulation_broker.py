"""Behaviour that only the model can show; what the real broker shows too is in ``test_broker_conversations.py``."""

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
        self.is_dropped = False

    def drop(self) -> None:
        self.is_dropped = True

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


def test_what_was_written_behind_a_send_too_long_to_be_read_is_carried_out() -> None:
    """Row 31: the acknowledgement is committed without the message that belongs to it."""
    broker = model()
    one, sender = Client(broker, "one"), Client(broker, "sender")
    one.subscribe()
    sender.send("reef-1", "a")
    one.say("BEGIN", transaction="t1")
    unread = {"destination": QUEUE, "transaction": "t1", "x": ":" * 6_000}
    acknowledgement = {"id": one.wire.acks()[0], "transaction": "t1"}
    written = [("SEND", unread, b"output"), ("ACK", acknowledgement, None), ("COMMIT", {"transaction": "t1"}, None)]
    one.session.receive(b"".join(encode(command, headers.items(), body) for command, headers, body in written))
    assert one.wire.is_dropped
    one.session.gone()
    successor = Client(broker, "successor")
    successor.subscribe()
    assert [] == successor.wire.messages()


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
