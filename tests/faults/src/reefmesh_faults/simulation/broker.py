"""A model of ActiveMQ Classic as the mesh uses it over STOMP, frame by frame, in memory.

The numbers are rows of docs/brokers.md; ``test_broker_conversations.py`` checks them against the real broker.

- A group belongs to one consumer until that consumer goes (3); the map of groups may be of limited size (1).
- A consumer has at most its prefetch unacknowledged (7), and one acknowledgement covers all before it (18).
- An acknowledgement after UNSUBSCRIBE is confirmed and lost, an unknown one is refused at once (16).
- What a lost consumer held is put behind what other lost consumers held (7).
- BEGIN/SEND/ACK/COMMIT is one transaction (14). It cannot be committed once a SEND in it without a receipt was refused (19).
- A SEND with a header line that is too long costs the connection, but what was written behind it at once is carried out (31).
- Frames carry neither the group nor a count of deliveries (6).
- A consumer may ask for one group alone; of those that have room the one with the highest priority gets a group (20).
- Consumers that join or leave are announced (21), and a channel's message is copied into each subscription's queue (22).
- Every message carries the name of the user that sent it (26).
- A broker that restarts forgets "redelivered". One that is being stopped closes its connections one after another: it goes on
  with those that are left, and queues nothing again (23).
"""

import json
import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Final

from reefmesh.broker.activemq.frames import CLIENT_COMMANDS, Frame, FrameParser, encode
from reefmesh.broker.activemq.message_headers import line_bytes
from reefmesh_faults.simulation.history import History, MessageReturned, Queued
from reefmesh_faults.simulation.network import Connection

RUN_STARTED_MS: Final = 1_700_000_000_000
BODY_BYTES_LIMIT: Final = 1 << 20
HEADER_LINE_BYTES_LIMIT: Final = 10 * 1024
USER_ID: Final = "JMSXUserID"
_NOT_PASSED_ON: Final = frozenset(
    {"receipt", "transaction", "destination", "content-length", "persistent", "JMSXGroupID", USER_ID}
)
_ADVISORY: Final = "/topic/ActiveMQ.Advisory.Consumer.Queue."
_GROUP_SELECTOR: Final = re.compile(r"JMSXGroupID (?:= .*|IN \(.*\))")
_QUOTED: Final = re.compile(r"'((?:[^']|'')*)'")
_CHANNEL: Final = "/topic/VirtualTopic."


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRules:
    """What an operator's configuration, or a client's subscription, makes different.

    ``groups_limit``: how many groups the map remembers; None: all. ``prefetch``: in place of what the client asks for.
    ``refused``: destinations that nobody may send to. ``stamps``: messages carry the name of the user that sent them.
    """

    groups_limit: int | None = None
    prefetch: int | None = None
    refused: frozenset[str] = frozenset()
    stamps: bool = True


@dataclass(slots=True, eq=False)
class Message:
    """``place``: its number in its queue."""

    number: int
    place: int
    run: int
    group: str
    headers: Mapping[str, str]
    body: bytes
    redelivered: bool = False
    user_id: str | None = None


@dataclass(slots=True, eq=False)
class Subscriber:
    """``held``: what was sent to it and is not acknowledged, in the order of sending. ``only_groups``: what its selector
    asks for; None: anything."""

    number: int
    session: "BrokerSession"
    name: str
    queue: "Queue"
    prefetch: int
    priority: int = 0
    only_groups: frozenset[str] | None = None
    held: dict[str, Message] = field(default_factory=dict)

    def may_have(self, group: str) -> bool:
        return self.only_groups is None or group in self.only_groups

    def settle(self, ack_id: str) -> None:
        """An acknowledgement covers everything that was sent up to its message (``ack:client``)."""
        while next(iter(self.held)) != ack_id:
            del self.held[next(iter(self.held))]
        del self.held[ack_id]


class Refused(Exception):
    """The broker does not do what a frame asks for."""


@dataclass(slots=True, eq=False)
class Transaction:
    """``is_doomed``: a SEND in it that asked for no receipt was refused, so it can only be aborted."""

    frames: list[Frame] = field(default_factory=list)
    is_doomed: bool = False


class Queue:
    """One queue with message groups."""

    def __init__(self, broker: "ModelBroker", name: str) -> None:
        self.name = name
        self.subscribers: list[Subscriber] = []
        self._broker = broker
        self._waiting: deque[Message] = deque()
        self._returned: deque[Message] = deque()
        self._until_restart: list[Message] = []
        self._groups: OrderedDict[str, Subscriber] = OrderedDict()
        self._places = count(1)

    @property
    def waiting(self) -> Sequence[Message]:
        return [*self._returned, *self._waiting]

    @property
    def unsettled_messages(self) -> int:
        held = sum(len(each.held) for each in self.subscribers)
        return len(self._waiting) + len(self._returned) + len(self._until_restart) + held

    def put(self, headers: Mapping[str, str], body: bytes, *, sender: str) -> None:
        broker = self._broker
        message = Message(next(broker.numbers), next(self._places), broker.run, headers.get("JMSXGroupID", ""), headers, body)
        message.user_id = sender if broker.rules.stamps else headers.get(USER_ID)
        broker.history.add(
            Queued(queue=self.name, place=message.place, event_id=headers.get("event-id", ""), reef_id=message.group)
        )
        self._waiting.append(message)

    def join(self, subscriber: Subscriber) -> None:
        self.subscribers.append(subscriber)
        self._broker.tell_consumers(self, "ConsumerInfo", subscriber)

    def leave(self, subscriber: Subscriber, *, how: str) -> None:
        if subscriber not in self.subscribers:
            return
        self.subscribers.remove(subscriber)
        for group in [group for group, owner in self._groups.items() if owner is subscriber]:
            del self._groups[group]
        for message in subscriber.held.values():
            message.redelivered = True
            (self._until_restart if self._broker.stopping else self._returned).append(message)
            self._broker.history.add(
                MessageReturned(
                    queue=self.name,
                    place=message.place,
                    process=subscriber.session.connection.process.name,
                    subscriber=subscriber.number,
                    event_id=message.headers.get("event-id", ""),
                    how="move" if self._moves_within(subscriber.session, message.group) else how,
                )
            )
        subscriber.held.clear()
        self._broker.tell_consumers(self, "RemoveInfo", subscriber)

    def _moves_within(self, session: "BrokerSession", group: str) -> bool:
        """Whether the group stays with the session that gives it back, because it asked for that before."""
        return any(each.session is session and group in (each.only_groups or ()) for each in self._candidates(group))

    def forget_redeliveries(self) -> None:
        """The broker restarts: what waits is in the order of its journal again."""
        everything = sorted([*self._until_restart, *self._returned, *self._waiting], key=lambda message: message.place)
        for message in everything:
            message.redelivered = False
        self._until_restart.clear()
        self._returned.clear()
        self._waiting = deque(everything)

    def dispatch(self) -> None:
        """Send what may be sent: first what came back, then what is new."""
        for source in (self._returned, self._waiting):
            kept: deque[Message] = deque()
            while source:
                message = source.popleft()
                subscriber = self._owner(message.group)
                if subscriber is None or len(subscriber.held) >= subscriber.prefetch:
                    kept.append(message)
                    if not any(len(each.held) < each.prefetch for each in self.subscribers):
                        break
                else:
                    subscriber.session.deliver(subscriber, message)
            kept.extend(source)
            source.clear()
            source.extend(kept)

    def _owner(self, group: str) -> Subscriber | None:
        owner = self._groups.get(group)
        if owner is not None:
            self._groups.move_to_end(group)
            return owner
        candidates = self._candidates(group)
        if not candidates:
            return None
        owner = self._broker.random.choice(candidates)
        self._groups[group] = owner
        limit = self._broker.rules.groups_limit
        if limit is not None and len(self._groups) > limit:
            self._groups.popitem(last=False)
        return owner

    def _candidates(self, group: str) -> list[Subscriber]:
        """Those with the highest priority of all that may have the group and have room."""
        free = [each for each in self.subscribers if len(each.held) < each.prefetch and each.may_have(group)]
        highest = max((each.priority for each in free), default=0)
        return [each for each in free if each.priority == highest]


class ModelBroker:
    """Queues, and the sessions of those who are connected. What it holds survives a restart, as a journal would."""

    def __init__(self, random: Random, history: History, rules: BrokerRules) -> None:
        self.random = random
        self.history = history
        self.rules = rules
        self.run = 1
        self.stopping = False
        self.numbers = count(1)
        self.queues: dict[str, Queue] = {}
        self._sessions: list[BrokerSession] = []
        self._listeners: list[Subscriber] = []

    def accept(self, connection: Connection) -> "BrokerSession":
        """Raises ConnectionRefusedError while it is being stopped."""
        if self.stopping:
            raise ConnectionRefusedError("the broker is being stopped")
        session = BrokerSession(self, connection, next(self.numbers))
        self._sessions.append(session)
        return session

    def begin_to_stop(self) -> Sequence[Connection]:
        """Take nobody new; whoever stops it closes these connections, in any order, and then has it restart."""
        self.stopping = True
        return [session.connection for session in self._sessions]

    def restart(self) -> None:
        """All connections are gone, and what was only in memory; the queues remain."""
        for session in tuple(self._sessions):
            session.connection.drop()
        self.stopping = False
        self.run += 1
        for queue in self.queues.values():
            queue.forget_redeliveries()

    def queue(self, name: str) -> Queue:
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = Queue(self, name)
        return queue

    def route(self, frame: Frame) -> Iterable[Queue]:
        """The queues that a SEND goes to."""
        destination = frame.headers.get("destination", "")
        if destination.startswith(_CHANNEL):
            suffix = destination.removeprefix("/topic/")
            return [queue for name, queue in self.queues.items() if name.startswith("Consumer.") and name.endswith(suffix)]
        return [self.queue(destination.removeprefix("/queue/"))]

    def listen(self, listener: Subscriber) -> None:
        self._listeners.append(listener)

    def forget(self, session: "BrokerSession") -> None:
        if session in self._sessions:
            self._sessions.remove(session)
        self._listeners = [each for each in self._listeners if each.session is not session]

    def forget_listener(self, session: "BrokerSession", name: str) -> None:
        self._listeners = [each for each in self._listeners if each.session is not session or each.name != name]

    def tell_consumers(self, queue: Queue, kind: str, subscriber: Subscriber) -> None:
        """An advisory, as the broker's JSON transformation writes it."""
        identity = {"connectionId": subscriber.session.name, "sessionId": 1, "value": subscriber.number}
        facts = {"consumerId": identity, "browser": False} if kind == "ConsumerInfo" else {"objectId": identity}
        body = json.dumps({kind: facts}).encode()
        for listener in tuple(self._listeners):
            if listener.queue is queue:
                headers = [
                    ("subscription", listener.name),
                    ("message-id", f"{subscriber.session.name}:{next(self.numbers)}"),
                    ("destination", _ADVISORY + queue.name),
                    ("consumerCount", str(len(queue.subscribers))),
                ]
                listener.session.connection.send(encode("MESSAGE", headers, body))


class BrokerSession:
    """The broker's end of one connection."""

    def __init__(self, broker: ModelBroker, connection: Connection, number: int) -> None:
        self.connection = connection
        self.name = f"ID:sim-1-{RUN_STARTED_MS + broker.run}-{number}:1"
        self._broker = broker
        self._user = ""
        self._parser = FrameParser(body_bytes_limit=BODY_BYTES_LIMIT, commands=CLIENT_COMMANDS)
        self._subscribers: dict[str, Subscriber] = {}
        self._transactions: dict[str, Transaction] = {}
        self._given_up: set[str] = set()  # what was held through subscriptions that this session ended

    def receive(self, data: bytes) -> None:
        is_broken = False
        for frame in self._parser.feed(data):
            if frame.command == "SEND" and any(_is_too_long(*header) for header in frame.headers.items()):
                self.connection.send(encode("ERROR", [("message", "The maximum header length was exceeded")], b""))
                is_broken = True
            else:
                self._take(frame)
        if is_broken:
            self.connection.drop()

    def gone(self) -> None:
        self._leave_all(how="connection")

    def deliver(self, subscriber: Subscriber, message: Message) -> None:
        ack_id = f"{subscriber.name}-{next(self._broker.numbers)}"
        subscriber.held[ack_id] = message
        headers = [(name, value) for name, value in message.headers.items() if name not in _NOT_PASSED_ON]
        headers += [
            ("subscription", subscriber.name),
            ("ack", ack_id),
            ("message-id", f"ID:sim-1-{RUN_STARTED_MS + message.run}-{message.number}:1:1:1"),
        ]
        if message.user_id is not None:
            headers.append((USER_ID, message.user_id))
        if message.redelivered:
            headers.append(("redelivered", "true"))
        self.connection.send(encode("MESSAGE", headers, message.body))

    def _take(self, frame: Frame) -> None:
        """Do what a frame asks for, and answer it when it wants a receipt."""
        receipt = frame.headers.get("receipt")
        try:
            self._do(frame)
        except Refused as refusal:
            answer = [("message", str(refusal))] if receipt is None else [("receipt-id", receipt), ("message", str(refusal))]
            self.connection.send(encode("ERROR", answer, b""))
        else:
            if receipt is not None:
                self.connection.send(encode("RECEIPT", [("receipt-id", receipt)]))

    def _do(self, frame: Frame) -> None:
        headers = frame.headers
        transaction = headers.get("transaction", "")
        match frame.command:
            case "CONNECT":
                self._user = headers.get("login", "")
                answer = [("version", "1.2"), ("session", self.name), ("heart-beat", "0,0")]
                self.connection.send(encode("CONNECTED", answer))
            case "BEGIN":
                self._transactions[transaction] = Transaction()
            case "SEND" | "ACK":
                self._check(frame)
                if transaction:
                    self._transactions[transaction].frames.append(frame)
                else:
                    self._apply([frame])
            case "COMMIT":
                if self._transactions[transaction].is_doomed:
                    raise Refused("the transaction can only be rolled back")
                self._apply(self._transactions.pop(transaction).frames)
            case "ABORT":
                self._transactions.pop(transaction, None)
            case "SUBSCRIBE":
                self._subscribe(headers)
            case "UNSUBSCRIBE":
                self._unsubscribe(headers.get("id", ""))
            case "DISCONNECT":
                self._leave_all(how="farewell")

    def _check(self, frame: Frame) -> None:
        """Refuse a message that may not be sent, or an acknowledgement of what this session does not hold."""
        headers = frame.headers
        if frame.command == "ACK":
            ack_id = headers.get("id", "")
            if self._holder(ack_id) is None and ack_id not in self._given_up:
                raise Refused(f"Unexpected ACK received for message-id [{ack_id}]")
        elif headers.get("destination") in self._broker.rules.refused:
            transaction = self._transactions.get(headers.get("transaction", ""))
            if transaction is not None and "receipt" not in headers:
                transaction.is_doomed = True
            raise Refused(f"not allowed to write to {headers.get('destination')}")
        else:
            tuple(self._broker.route(frame))  # a queue is made by whoever names it, committed or not

    def _apply(self, frames: Iterable[Frame]) -> None:
        touched: dict[str, Queue] = {}
        for frame in frames:
            if frame.command == "SEND":
                for queue in self._broker.route(frame):
                    queue.put(frame.headers, frame.body, sender=self._user)
                    touched[queue.name] = queue
            elif (subscriber := self._holder(frame.headers.get("id", ""))) is not None:  # else given up since its ACK
                subscriber.settle(frame.headers["id"])
                touched[subscriber.queue.name] = subscriber.queue
        for queue in touched.values():
            queue.dispatch()

    def _holder(self, ack_id: str) -> Subscriber | None:
        subscriber = self._subscribers.get(ack_id.rpartition("-")[0])
        return subscriber if subscriber is not None and ack_id in subscriber.held else None

    def _subscribe(self, headers: Mapping[str, str]) -> None:
        destination, name = headers["destination"], headers["id"]
        asked = self._broker.rules.prefetch or int(headers.get("activemq.prefetchSize", "1"))
        number = next(self._broker.numbers)
        if destination.startswith(_ADVISORY):
            queue = self._broker.queue(destination.removeprefix(_ADVISORY))
            self._broker.listen(Subscriber(number, self, name, queue, 0))
            return
        queue = self._broker.queue(destination.removeprefix("/queue/"))
        if headers.get("browser") == "true":
            self._show(queue, name)
            return
        subscriber = self._subscribers[name] = Subscriber(number, self, name, queue, asked)
        subscriber.priority = int(headers.get("activemq.priority", "0"))
        if _GROUP_SELECTOR.fullmatch(selector := headers.get("selector", "")):
            subscriber.only_groups = frozenset(name.replace("''", "'") for name in _QUOTED.findall(selector))
        queue.join(subscriber)
        queue.dispatch()

    def _show(self, queue: Queue, name: str) -> None:
        """What a browser gets: each message that waits, and an end; nothing is taken."""
        for message in queue.waiting:
            headers = [(each, value) for each, value in message.headers.items() if each not in _NOT_PASSED_ON]
            self.connection.send(encode("MESSAGE", [*headers, ("subscription", name)], message.body))
        self.connection.send(encode("MESSAGE", [("subscription", name), ("browser", "end")], b""))

    def _unsubscribe(self, name: str) -> None:
        subscriber = self._subscribers.pop(name, None)
        if subscriber is None:
            self._broker.forget_listener(self, name)
            return
        self._given_up |= subscriber.held.keys()
        subscriber.queue.leave(subscriber, how="unsubscribe")
        subscriber.queue.dispatch()

    def _leave_all(self, *, how: str) -> None:
        self._transactions.clear()
        subscribers, self._subscribers = self._subscribers, {}
        self._broker.forget(self)
        for subscriber in subscribers.values():
            subscriber.queue.leave(subscriber, how=how)
        for queue in dict.fromkeys(subscriber.queue for subscriber in subscribers.values()):
            queue.dispatch()


def _is_too_long(name: str, value: str) -> bool:
    is_long = len(name) + len(value) > HEADER_LINE_BYTES_LIMIT // 4  # a character has four bytes at most
    return is_long and line_bytes(name, value) > HEADER_LINE_BYTES_LIMIT
