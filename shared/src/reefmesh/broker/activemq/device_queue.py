"""The queue into which the broker forwards messages of devices (MQTT): one exclusive consumer gets all, the others stand by.

Every consumer has the same prefetch: when the active one dies, all that it held goes to one successor, so
two deaths in a row cannot reverse the order.

Transactions are written for the same reasons as in ``transaction``, but never two at once: the later one could be committed
although the earlier one was refused.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.broker.activemq.destinations import DEVICE_QUEUE, mqtt_topic
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.message_headers import USER_ID, broker_instant
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.redelivery import is_redelivered
from reefmesh.broker.activemq.session import ReconnectingSession, Session
from reefmesh.broker.activemq.transaction import ReceiptPolicy, Transaction
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.devices import DeviceMessage, Move, Role
from reefmesh.broker.port import LaneLost

PREFETCH: Final = 200
"""The same for all consumers; two batches, so that neither the broker nor the consumer waits for the other."""
BATCH_MESSAGES_LIMIT: Final = 100
BATCH_BYTES_LIMIT: Final = 4 * 1024 * 1024
_HEADERS: Final = (
    ("ack", "client"),  # as in ``subscription``, for the same reason: the last message acknowledges its whole batch
    ("activemq.exclusive", "true"),
    ("activemq.prefetchSize", str(PREFETCH)),
)


@dataclass(frozen=True, slots=True, eq=False)
class _QueuedMessage:
    """``number``: from 1, of the messages that came through this subscription; ``ack_id`` acknowledges it."""

    session: Session
    subscription_id: str
    number: int
    ack_id: str


class ActiveMQDeviceQueue:
    """``sessions``: of the queue alone; it is opened when the queue starts."""

    def __init__(self, sessions: ReconnectingSession, receipts: ReceiptPolicy) -> None:
        self._sessions = sessions
        self._receipts = receipts
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
        await self._sessions.open()
        session = self._sessions.current()
        await self.attach(session)
        self._sessions.add(self)

    async def receive(self) -> Sequence[DeviceMessage]:
        while not self._stopped:
            if self._waiting:
                return self._take()
            self._awake.clear()
            await self._awake.wait()
        return ()

    async def settle(self, moves: Sequence[Move]) -> None:
        queued = [_queued(move.message) for move in moves]
        if not queued:
            return
        if not all(self._is_current(each) for each in queued):
            raise LaneLost("the broker took the messages back")
        first = self._settled_messages + 1
        if [each.number for each in queued] != list(range(first, first + len(queued))):
            raise ValueError("only the oldest messages can be settled, in their order")
        messages = [OutboundMessage.of(output) for move in moves for output in move.outputs]
        await self._commit(queued[-1], messages)
        self._settled_messages = queued[-1].number

    def stop(self) -> None:
        self._stopped = True
        self._awake.set()

    async def close(self) -> None:
        self.stop()
        if self._closed:
            return
        self._closed = True
        self._sessions.remove(self)
        session, self._session = self._session, None
        self._waiting.clear()
        if session is not None and not session.is_lost:
            with contextlib.suppress(BrokerRefusal, ConnectionLost):
                await session.unsubscribe(self._subscription_id)

    # called by the reconnecting session

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

    # internal

    def _subscribe(self, session: Session) -> "asyncio.Future[None]":
        self._session, self._subscription_id = session, session.new_name("d")
        self._waiting.clear()
        self._arrived_messages = self._settled_messages = 0
        return session.subscribe(self._subscription_id, DEVICE_QUEUE, _HEADERS, self._on_message)

    async def _commit(self, last: _QueuedMessage, messages: Sequence[OutboundMessage]) -> None:
        """Raises PublishRefused after an abort, with nothing acknowledged; LaneLost when the connection is gone."""
        asks_receipts = self._receipts.asks_receipts(self._loop.time())
        try:
            with Transaction(last.session) as transaction:
                if asks_receipts:
                    await self._send_confirmed(transaction, messages)
                else:
                    await transaction.send(messages)
                transaction.acknowledge(last.ack_id)
                committed = transaction.commit()
            await committed
        except BrokerRefusal as refusal:
            self._receipts.note_refusal(self._loop.time())
            last.session.lose(ConnectionLost(f"the broker did not commit: {refusal}"))
            raise LaneLost(f"the broker did not commit: {refusal}") from refusal
        except ConnectionLost as lost:
            raise LaneLost(str(lost)) from lost

    async def _send_confirmed(self, transaction: Transaction, messages: Sequence[OutboundMessage]) -> None:
        try:
            await transaction.send_confirmed(messages)
        except BrokerRefusal as refusal:
            self._receipts.note_refusal(self._loop.time())
            raise refusal.as_publish_refused() from refusal

    def _on_message(self, frame: Frame) -> None:
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
                user_id=headers.get(USER_ID),
                token=_QueuedMessage(session, self._subscription_id, self._arrived_messages, headers.get("ack", "")),
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

    def _is_current(self, each: _QueuedMessage) -> bool:
        return each.session is self._session and each.subscription_id == self._subscription_id and not each.session.is_lost


def _queued(message: DeviceMessage) -> _QueuedMessage:
    assert isinstance(message.token, _QueuedMessage)  # noqa: S101 - this engine's messages carry its tokens
    return message.token
