"""A lane: one message in hand, until it is settled, parked or released."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from reefmesh.broker.activemq.destinations import parking_queue
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.inbound_message import InboundMessage, MessageState
from reefmesh.broker.activemq.message_headers import USER_ID, broker_instant, from_frame
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.parked_copy import ParkedCopy
from reefmesh.broker.activemq.parking import UNREADABLE
from reefmesh.broker.activemq.redelivery import is_redelivered
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.session_killers import KILLS_SESSIONS, SESSIONS_LIMIT, SessionKillers
from reefmesh.broker.activemq.shared_transactions import SharedTransactions, TransactionPart
from reefmesh.broker.connection_loss import BrokerSilent, ConnectionLost
from reefmesh.broker.hold import Hold
from reefmesh.broker.parking_stock import ParkingStock
from reefmesh.broker.port import Delivery, LaneLost, Publication, PublishRefused
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import PoisonMessage

PARK_AGAIN_SECONDS: Final = 1.0
"""How long a lane waits with an unreadable message that the parking did not take; then it comes again."""
UNREADABLE_BODY_BYTES_LIMIT: Final = 64 * 1024
"""An unreadable message of a channel to which devices write is parked with this much at most: no replay makes it readable."""


IDS: Final = ("message-id", "event-id", "reef-id")
ID_CHARACTERS: Final = 128


class OwningConsumer(Protocol):
    """What a lane uses of its consumer."""

    @property
    def subscription(self) -> Subscription: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def stock(self) -> ParkingStock[OutboundMessage]: ...

    @property
    def killers(self) -> SessionKillers: ...

    async def next_message(self) -> InboundMessage | None:
        """Wait for a message of a reef that no lane has in hand; None: there will be none."""
        ...

    def take_in_hand(self, reef_id: str, hold: Hold[InboundMessage]) -> None: ...

    def let_go(self, reef_id: str) -> None: ...

    def keep(self, message: InboundMessage) -> bool:
        """Put a released message back into the ready queue; False: it must be given back to the broker."""
        ...

    def hold_back(self, message: InboundMessage, seconds: float) -> bool:
        """The same for a message that waits for an earlier one: no lane gets it for so long."""
        ...

    def transactions(self, session: Session) -> SharedTransactions: ...

    def note_unreadable(self, message: InboundMessage, copy: ParkedCopy) -> None:
        """A message that no lane can hand to a worker lies in the parking now."""
        ...


class ActiveMQLane:
    def __init__(self, consumer: OwningConsumer, index: int) -> None:
        self._consumer = consumer
        self._index = index
        self._in_hand: Delivery | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def index(self) -> int:
        return self._index

    @property
    def is_busy(self) -> bool:
        return self._in_hand is not None

    @property
    def arrived_at(self) -> datetime | None:
        """When the broker took the message in hand, by its own clock; None with empty hands."""
        return None if self._in_hand is None else broker_instant(_hold(self._in_hand).message.frame.headers)

    async def receive(self) -> Delivery | None:
        if self._in_hand is not None:  # the handler was interrupted and did not release it
            await self.release(self._in_hand)
        while (message := await self._consumer.next_message()) is not None:
            if self._consumer.killers.is_killer(message.identity):
                await self._park_killer(message)
                continue
            try:
                envelope = _envelope_of(message)
            except PoisonMessage as poison:
                copy = self._copy(message, message.frame.body, reason=poison.reason, detail=poison.detail, attempts=0)
                is_long = len(copy.body) > UNREADABLE_BODY_BYTES_LIMIT and not self._consumer.subscription.is_numbered
                await self._park_unread(message, copy, is_cut=is_long)
                continue
            released = message.state is MessageState.RELEASED
            hold = Hold(message, self._loop.time())
            delivery = Delivery(
                message=envelope,
                subscription=self._consumer.subscription,
                lane=self._index,
                redelivered=released or is_redelivered(message.frame.headers, message.session.name),
                user_id=message.frame.headers.get(USER_ID),
                token=hold,
            )
            self._in_hand = delivery
            self._consumer.take_in_hand(envelope.reef_id, hold)
            return delivery
        return None

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        await self._conclude(delivery, [OutboundMessage.of(output) for output in outputs])

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        message = _hold(delivery).message
        copy = self._copy(message, delivery.message.body, reason=reason, detail=detail, attempts=attempts)
        queue = parking_queue(self._consumer.subscription)
        await message.until_first()  # parked but not acknowledged, it would come again and be parked twice
        async with self._consumer.stock.place(copy, queue=queue) as copies:
            try:
                await self._conclude(delivery, copies, confirms_first=True)
            except PublishRefused as refused:
                if not (isinstance(refused.__cause__, BrokerRefusal) and refused.__cause__.is_about_size):
                    raise
                await self._conclude(delivery, [copy.small(queue)], confirms_first=True)

    async def release(self, delivery: Delivery, *, again_after_seconds: float = 0.0) -> None:
        hold = _hold(delivery)
        await hold.begin_settling()
        if hold.message.is_open and not self._keep(hold.message, again_after_seconds):
            await hold.message.source.give_back()
        self._let_go(delivery)

    def _keep(self, message: InboundMessage, again_after_seconds: float) -> bool:
        if again_after_seconds > 0:
            return self._consumer.hold_back(message, again_after_seconds)
        return self._consumer.keep(message)

    async def _conclude(self, delivery: Delivery, messages: Sequence[OutboundMessage], *, confirms_first: bool = False) -> None:
        hold = _hold(delivery)
        await hold.begin_settling()
        session = hold.message.session
        if not hold.message.is_open or session.is_lost:
            self._let_go(delivery)
            raise LaneLost("the broker took the message back")
        part = TransactionPart(messages=messages, acknowledgement=hold.message, confirms_first=confirms_first)
        try:
            await self._commit(part, hold.message)
        except BrokerRefusal as refusal:
            hold.settling_failed()
            raise refusal.as_publish_refused() from refusal
        except ConnectionLost as lost:
            self._let_go(delivery)
            raise LaneLost(str(lost)) from lost
        self._let_go(delivery)

    def _let_go(self, delivery: Delivery) -> None:
        if self._in_hand is delivery:
            self._in_hand = None
            self._consumer.let_go(delivery.message.reef_id)

    async def _park_killer(self, message: InboundMessage) -> None:
        """Nothing that the sender wrote into a header goes out again: it may be what the broker cannot bear."""
        ids = ", ".join(f"{name} {message.frame.headers.get(name, '')[:ID_CHARACTERS]!a}" for name in IDS)
        copy = ParkedCopy(
            headers={name: value for name, value in message.frame.headers.items() if name == USER_ID},
            body=message.frame.body,
            reason=KILLS_SESSIONS,
            detail=f"{SESSIONS_LIMIT} connections in a row were lost while it was being settled; {ids}",
            attempts=SESSIONS_LIMIT,
            parked_at=self._consumer.clock.now(),
        )
        await self._park_unread(message, copy, is_cut=True)

    async def _park_unread(self, message: InboundMessage, copy: ParkedCopy, *, is_cut: bool) -> None:
        """A message that no handler gets: it is parked with what is readable."""
        await message.until_first()
        if not message.is_open:
            return
        queue = parking_queue(self._consumer.subscription)
        try:
            async with self._consumer.stock.place(copy, queue=queue, is_cut=is_cut) as copies:
                try:
                    await self._move_out(message, copies)
                except BrokerRefusal as refusal:
                    if not refusal.is_about_size:
                        raise
                    await self._move_out(message, [copy.small(queue)])
        except (BrokerRefusal, ConnectionLost):
            await asyncio.sleep(PARK_AGAIN_SECONDS)  # a refusal may last: a full store, a missing right
            await message.source.give_back()
        else:
            self._consumer.note_unreadable(message, copy)

    async def _move_out(self, message: InboundMessage, copies: Sequence[OutboundMessage]) -> None:
        await self._commit(TransactionPart(messages=copies, acknowledgement=message, confirms_first=True), message)

    async def _commit(self, part: TransactionPart, message: InboundMessage) -> None:
        """Raises BrokerRefusal or ConnectionLost."""
        killers = self._consumer.killers
        if killers.is_one_at_a_time:
            async with killers.turn:
                await self._write(part, message)
        else:
            await self._write(part, message)

    async def _write(self, part: TransactionPart, message: InboundMessage) -> None:
        session, killers = message.session, self._consumer.killers
        if session.is_lost:
            raise ConnectionLost(str(session.lost.result()))
        try:
            await self._consumer.transactions(session).commit(part)
        except ConnectionLost:
            if session.is_lost and not isinstance(session.lost.result(), BrokerSilent):
                killers.note_lost(session, message.identity)
            raise
        killers.note_settled(session)

    def _copy(self, message: InboundMessage, body: bytes, *, reason: str, detail: str, attempts: int) -> ParkedCopy:
        return ParkedCopy(
            headers=message.frame.headers,
            body=body,
            reason=reason,
            detail=detail,
            attempts=attempts,
            parked_at=self._consumer.clock.now(),
        )


def _envelope_of(message: InboundMessage) -> Envelope:
    """Raises PoisonMessage."""
    frame = message.frame
    if frame.fault is not None:
        raise PoisonMessage(UNREADABLE, frame.fault)
    return from_frame(frame.headers, frame.body)


def _hold(delivery: Delivery) -> Hold[InboundMessage]:
    assert isinstance(delivery.token, Hold)  # noqa: S101 - deliveries of this engine carry its holds
    return delivery.token
