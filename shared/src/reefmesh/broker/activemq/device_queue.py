"""The queue into which the broker forwards what devices send over MQTT: one exclusive consumer of all, the others stand by.

Every consumer takes the same number of messages in advance: what one that died had in hand goes to the next one whole, so
no two deaths in turn can bring it out of order.

Transactions are written as ``group_commit`` writes them and for its reasons, but never two at once: the later one could be
committed when the earlier one is refused.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.broker.activemq.destinations import DEVICE_QUEUE, channel_topic, mqtt_topic
from reefmesh.broker.activemq.errors import BrokerRefusal, ConnectionLost
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.message_headers import broker_instant, to_frame
from reefmesh.broker.activemq.reconnecting_session import ReconnectingSession
from reefmesh.broker.activemq.redelivery import is_redelivered
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.shared_transactions import Care, Send
from reefmesh.broker.devices import DeviceMessage, Move, Role
from reefmesh.broker.port import LaneLost

PREFETCH: Final = 200
"""The same for all; two batches, so that the broker never waits for us, nor we for it."""
BATCH_MESSAGES_LIMIT: Final = 100
BATCH_BYTES_LIMIT: Final = 4 * 1024 * 1024
_HEADERS: Final = (
    ("ack", "client"),  # as slots do, and for their reason: a batch is acknowledged by its last message
    ("activemq.exclusive", "true"),
    ("activemq.prefetchSize", str(PREFETCH)),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Through which subscription of which session it came, as its how manieth, and what acknowledges it."""

    session: Session
    subscription_id: str
    number: int
    ack_id: str


class ActiveMQDeviceQueue:
    def __init__(self, link: ReconnectingSession, care: Care) -> None:
        self._link = link
        self._care = care
        self._loop = asyncio.get_running_loop()
        self._session: Session | None = None
        self._subscription_id = ""
        self._waiting: deque[DeviceMessage] = deque()
        self._awake = asyncio.Event()
        self._arrived_messages = self._settled_messages = 0  # through this subscription
        self._stopped = self._closed = False

    @property
    def role(self) -> Role:
        if self._session is None or self._session.is_lost:
            return "away"
        return "active" if self._arrived_messages else "standby"

    async def start(self) -> None:
        if self._session is not None or self._closed:
            return
        session = self._link.session()
        await self.attach(session)
        self._link.add(self)

    async def receive(self) -> Sequence[DeviceMessage]:
        while not self._stopped:
            if self._waiting:
                return self._take()
            self._awake.clear()
            await self._awake.wait()
        return ()

    async def settle(self, moves: Sequence[Move]) -> None:
        tickets = [_ticket(move.message) for move in moves]
        if not tickets:
            return
        session = tickets[0].session
        if not all(self._is_current(ticket) for ticket in tickets):
            raise LaneLost("the broker took the messages back")
        first = self._settled_messages + 1
        if [ticket.number for ticket in tickets] != list(range(first, first + len(tickets))):
            raise ValueError("only the oldest messages can be settled, in their order")
        sends = [
            Send(destination=channel_topic(output.channel), headers=to_frame(output.message), body=output.message.body)
            for move in moves
            for output in move.outputs
        ]
        transaction = ("transaction", session.new_name("t"))
        try:
            session.tell("BEGIN", (transaction,))
            if self._care.is_taken(self._loop.time()):
                await self._send_confirmed(session, transaction, sends)
            else:
                await self._send(session, transaction, sends)
            session.tell("ACK", (("id", tickets[-1].ack_id), transaction))
            await session.request("COMMIT", (transaction,))
        except BrokerRefusal as refusal:
            self._care.take(self._loop.time())
            session.lose(ConnectionLost(f"the broker did not commit: {refusal}"))
            raise LaneLost(f"the broker did not commit: {refusal}") from refusal
        except ConnectionLost as lost:
            raise LaneLost(str(lost)) from lost
        self._settled_messages = tickets[-1].number

    def stop(self) -> None:
        self._stopped = True
        self._awake.set()

    async def close(self) -> None:
        self.stop()
        if self._closed:
            return
        self._closed = True
        self._link.remove(self)
        session, self._session = self._session, None
        self._waiting.clear()
        if session is not None and not session.is_lost:
            with contextlib.suppress(BrokerRefusal, ConnectionLost):
                await session.unsubscribe(self._subscription_id)

    # what the link calls

    async def attach(self, session: Session) -> None:
        """Raises ConfigurationError without permission, BrokerUnavailable otherwise."""
        try:
            await self._subscribe(session)
        except BrokerRefusal as refusal:
            self._session = None
            raise refusal.as_failure() from refusal
        except ConnectionLost:
            self._session = None
            raise

    def detach(self) -> None:
        self._session = None
        self._waiting.clear()

    # inside

    def _subscribe(self, session: Session) -> "asyncio.Future[None]":
        self._session, self._subscription_id = session, session.new_name("d")
        self._waiting.clear()
        self._arrived_messages = self._settled_messages = 0
        return session.subscribe(self._subscription_id, DEVICE_QUEUE, _HEADERS, self._arrived)

    async def _send(self, session: Session, transaction: tuple[str, str], sends: Sequence[Send]) -> None:
        """Without receipts, which cost a millisecond each: of a refused message the COMMIT says so."""
        for send in sends:
            session.tell("SEND", (("destination", send.destination), transaction, *send.headers), send.body)
            await session.drain()

    async def _send_confirmed(self, session: Session, transaction: tuple[str, str], sends: Sequence[Send]) -> None:
        """Raises PublishRefused after the transaction was given up, with nothing acknowledged in it."""
        confirmations = []
        for send in sends:
            headers = (("destination", send.destination), transaction, *send.headers)
            confirmations.append(session.request("SEND", headers, send.body))
            await session.drain()
        outcomes = await asyncio.gather(*confirmations, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BrokerRefusal):
                self._care.take(self._loop.time())
                session.tell("ABORT", (transaction,))
                raise outcome.as_publish_refused() from outcome
            if isinstance(outcome, BaseException):
                raise outcome

    def _arrived(self, frame: Frame) -> None:
        session = self._session
        if session is None:
            return
        headers = frame.headers
        self._arrived_messages += 1
        self._waiting.append(
            DeviceMessage(
                message_id=headers.get("message-id", ""),
                topic=mqtt_topic(headers.get("original-destination", "")),
                received_at=broker_instant(headers),
                body=frame.body,
                redelivered=is_redelivered(headers, session.name),
                token=_Place(session, self._subscription_id, self._arrived_messages, headers.get("ack", "")),
            )
        )
        self._awake.set()

    def _take(self) -> Sequence[DeviceMessage]:
        batch = [self._waiting.popleft()]
        size_bytes = len(batch[0].body)
        while self._waiting and len(batch) < BATCH_MESSAGES_LIMIT:
            size_bytes += len(self._waiting[0].body)
            if size_bytes > BATCH_BYTES_LIMIT:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _is_current(self, ticket: _Place) -> bool:
        return (
            ticket.session is self._session and ticket.subscription_id == self._subscription_id and not ticket.session.is_lost
        )


def _ticket(message: DeviceMessage) -> _Place:
    assert isinstance(message.token, _Place)  # noqa: S101 - messages of this engine carry its tickets
    return message.token
