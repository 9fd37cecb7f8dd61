"""A lane: one message in hand, until it is settled, parked or released."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from reefmesh.broker.activemq.destinations import parking_queue
from reefmesh.broker.activemq.errors import BrokerRefusal, ConnectionLost
from reefmesh.broker.activemq.message_headers import broker_instant, from_frame
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.parking import parked_headers
from reefmesh.broker.activemq.redelivery import is_redelivered
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.shared_transactions import TransactionPart
from reefmesh.broker.activemq.subscription import InboundMessage
from reefmesh.broker.port import Delivery, LaneLost, Publication
from reefmesh.errors import PoisonMessage

if TYPE_CHECKING:
    from reefmesh.broker.activemq.consumer import ActiveMQConsumer


MOVE_SECONDS: Final = 5.0
"""How long a settlement waits for a message that is on its way to another slot."""


@dataclass(slots=True, eq=False)
class Hold:
    """What the broker must be told to acknowledge, and through which session.

    ``taken_at_seconds`` is of the loop's clock. ``moving``: the message was given back so that it comes again, at once, through
    a slot of its own; done when it has come, or cannot. ``is_settling``: its acknowledgement is being written, so that it may
    not move any more.
    """

    mail: InboundMessage
    session: Session
    taken_at_seconds: float
    is_settling: bool = False
    moving: asyncio.Future[None] | None = None

    @property
    def may_move(self) -> bool:
        """Whether it is in a slot that it may share with other reefs, and nobody has begun to settle it."""
        return self.moving is None and not self.is_settling and self.mail.is_current

    def arrived(self, mail: InboundMessage) -> bool:
        """Take over the message that is moving, if this is it."""
        if self.moving is None or self.moving.done() or _message_id(mail) != _message_id(self.mail):
            return False
        self.mail = mail
        self.moving.set_result(None)
        return True

    def lost(self) -> None:
        """The session is gone: what is moving does not arrive."""
        if self.moving is not None and not self.moving.done():
            self.moving.set_result(None)


class ActiveMQLane:
    def __init__(self, consumer: ActiveMQConsumer, index: int) -> None:
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
    def ticket(self) -> Hold | None:
        """Of the message in hand."""
        return None if self._in_hand is None else _ticket(self._in_hand)

    @property
    def arrived_at(self) -> datetime | None:
        """When the broker took the message in hand, by its own clock; None with empty hands."""
        return None if (ticket := self.ticket) is None else broker_instant(ticket.mail.frame.headers)

    async def receive(self) -> Delivery | None:
        if self._in_hand is not None:  # whoever held it gave up without a word
            await self.release(self._in_hand)
        while (mail := await self._consumer.next_mail()) is not None:
            session = mail.slot.session
            if session is None:
                continue
            ticket = Hold(mail, session, self._loop.time())
            try:
                message = from_frame(mail.frame.headers, mail.frame.body)
            except PoisonMessage as poison:
                await self._park_unreadable(ticket, poison)
                continue
            delivery = Delivery(
                message=message,
                subscription=self._consumer.subscription,
                lane=self._index,
                redelivered=mail.came_back or is_redelivered(mail.frame.headers, session.name),
                token=ticket,
            )
            self._in_hand = delivery
            self._consumer.take_in_hand(message.reef_id, ticket)
            return delivery
        return None

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        await self._conclude(delivery, [OutboundMessage.of(output) for output in outputs])

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        ticket = _ticket(delivery)
        headers = parked_headers(
            ticket.mail.frame.headers, reason=reason, detail=detail, attempts=attempts, parked_at=self._consumer.clock.now()
        )
        destination = parking_queue(self._consumer.subscription)
        await ticket.mail.until_first()  # parked and not acknowledged, it would come again and be parked twice
        await self._conclude(delivery, [OutboundMessage(destination=destination, headers=headers, body=delivery.message.body)])

    async def release(self, delivery: Delivery) -> None:
        ticket = _ticket(delivery)
        await _stands_still(ticket)
        if ticket.mail.is_current and not self._consumer.keep(ticket.mail):
            await self._consumer.give_back(ticket.mail.slot)
        self._let_go(delivery)

    async def _conclude(self, delivery: Delivery, messages: Sequence[OutboundMessage]) -> None:
        ticket = _ticket(delivery)
        await _stands_still(ticket)
        if not ticket.mail.is_current or ticket.session.is_lost:
            self._let_go(delivery)
            raise LaneLost("the broker took the message back")
        part = TransactionPart(messages=messages, acknowledgement=ticket.mail)
        try:
            await self._consumer.transactions(ticket.session).commit(part)
        except BrokerRefusal as refusal:
            ticket.is_settling = False
            raise refusal.as_publish_refused() from refusal
        except ConnectionLost as lost:
            self._let_go(delivery)
            raise LaneLost(str(lost)) from lost
        self._let_go(delivery)

    def _let_go(self, delivery: Delivery) -> None:
        if self._in_hand is delivery:
            self._in_hand = None
            self._consumer.let_go(delivery.message.reef_id)

    async def _park_unreadable(self, ticket: Hold, poison: PoisonMessage) -> None:
        """A message without a readable envelope never reaches a handler: it is parked as it is."""
        await ticket.mail.until_first()
        if not ticket.mail.is_current:
            return
        headers = parked_headers(
            ticket.mail.frame.headers,
            reason=poison.reason,
            detail=poison.detail,
            attempts=0,
            parked_at=self._consumer.clock.now(),
        )
        message = OutboundMessage(
            destination=parking_queue(self._consumer.subscription), headers=headers, body=ticket.mail.frame.body
        )
        part = TransactionPart(messages=[message], acknowledgement=ticket.mail)
        try:
            await self._consumer.transactions(ticket.session).commit(part)
        except (BrokerRefusal, ConnectionLost):
            await self._consumer.give_back(ticket.mail.slot)  # it comes again


def _ticket(delivery: Delivery) -> Hold:
    assert isinstance(delivery.token, Hold)  # noqa: S101 - deliveries of this engine carry its tickets
    return delivery.token


async def _stands_still(ticket: Hold) -> None:
    """From here on the message stays in its slot; wait for it first if it is on its way to another."""
    ticket.is_settling = True
    if ticket.moving is not None and not ticket.moving.done():
        await asyncio.wait([ticket.moving], timeout=MOVE_SECONDS)


def _message_id(mail: InboundMessage) -> str | None:
    return mail.frame.headers.get("message-id")
