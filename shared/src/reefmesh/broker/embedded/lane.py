"""One lane of a consumer: one message at a time."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from reefmesh.broker.embedded.dispatcher import Dispatcher
from reefmesh.broker.embedded.fifo import Held
from reefmesh.broker.embedded.parking import park_action
from reefmesh.broker.embedded.session import JournalSession
from reefmesh.broker.parking_quota import ParkedAs, ParkingQuota
from reefmesh.broker.port import PARKING_FOLDED, BrokerEvent, Delivery, LaneLost, Publication
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import UNAUTHENTICATED


class LaneOwner(Protocol):
    """The part of its consumer that a lane uses. ``dispatcher`` is None before the start and after the end."""

    session: JournalSession
    dispatcher: Dispatcher | None
    quota: ParkingQuota | None
    is_stopping: bool
    is_closed: bool

    def lane_free(self) -> None:
        """The lane holds nothing any more."""
        ...


class EmbeddedLane:
    """Holds one message at a time; the dispatcher chooses which."""

    def __init__(self, index: int, consumer: LaneOwner) -> None:
        self._index = index
        self._consumer = consumer
        self._held: Held[Envelope] | None = None
        self._waiting: asyncio.Future[Held[Envelope] | None] | None = None

    @property
    def index(self) -> int:
        return self._index

    @property
    def is_busy(self) -> bool:
        return self._held is not None

    async def receive(self) -> Delivery | None:
        """As the port says. A lane that holds a delivery must settle, park or release it first."""
        if self._held is not None or self._waiting is not None:
            raise RuntimeError(f"lane {self._index} has a delivery, or a receive that waits: one at a time")
        dispatcher = self._consumer.dispatcher
        if self._consumer.is_stopping:
            return None
        if dispatcher is None:
            raise RuntimeError("a lane receives once its consumer is started")
        held = dispatcher.take(self)
        if held is None:
            held = await self._wait(dispatcher)
            if held is None:
                return None
        self._held = held
        return Delivery(
            message=held.entry.payload,
            subscription=dispatcher.subscription,
            lane=self._index,
            redelivered=held.entry.redelivered,
            user_id=UNAUTHENTICATED,
            token=held,
        )

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        dispatcher, held = self._own(delivery)
        await self._consumer.session.settle(dispatcher, held, outputs)

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        dispatcher, held = self._own(delivery)
        action = park_action(
            dispatcher.number,
            held.entry.position,
            message=delivery.message,
            quota=self._consumer.quota,
            reason=reason,
            detail=detail,
            attempts=attempts,
            now_us=self._consumer.session.now_us(),
        )
        session = self._consumer.session
        if await session.park(dispatcher, held, action) is ParkedAs.COUNTED:
            facts: dict[str, str | int | float] = {
                "subscription": str(dispatcher.subscription),
                "reason": reason,
                "user_id": UNAUTHENTICATED,
            }
            session.tell(BrokerEvent(name=PARKING_FOLDED, facts=facts))

    async def release(self, delivery: Delivery, *, again_after_seconds: float = 0.0) -> None:
        held, dispatcher = self._held, self._consumer.dispatcher
        if held is delivery.token and held is not None and not held.pinned:
            self._drop()
            if dispatcher is not None and again_after_seconds > 0:
                dispatcher.release_later(held, again_after_seconds)
            elif dispatcher is not None:
                dispatcher.release(held)
            self._consumer.lane_free()

    # called by the dispatcher and by the consumer

    def give(self, held: Held[Envelope]) -> bool:
        if self._waiting is None or self._waiting.done():
            return False
        self._held = held
        self._waiting.set_result(held)
        return True

    def settled(self, held: Held[Envelope]) -> None:
        if self._held is held:
            self._drop()
            self._consumer.lane_free()

    def kept(self, held: Held[Envelope]) -> None:
        if self._held is held and self._consumer.is_closed:
            self.give_up()

    def lost(self, held: Held[Envelope]) -> None:
        self.settled(held)

    def stop_waiting(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def give_up(self) -> None:
        """Release the message that this lane holds, unless its settlement is being written."""
        held, dispatcher = self._held, self._consumer.dispatcher
        if held is not None and dispatcher is not None and not held.pinned:
            self._drop()
            dispatcher.release(held)
            self._consumer.lane_free()

    async def _wait(self, dispatcher: Dispatcher) -> Held[Envelope] | None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            return await self._waiting
        except asyncio.CancelledError:
            dispatcher.leave(self)
            if self._held is not None:  # given at the same moment: no task is left to handle it
                self.give_up()
            raise
        finally:
            self._waiting = None

    def _own(self, delivery: Delivery) -> tuple[Dispatcher, Held[Envelope]]:
        held, dispatcher = self._held, self._consumer.dispatcher
        if held is None or held is not delivery.token or not held.live or dispatcher is None:
            raise LaneLost(f"message {delivery.message.event_id} is no longer held by this lane")
        if held.pinned:
            raise LaneLost(f"message {delivery.message.event_id} is being settled already")
        return dispatcher, held

    def _drop(self) -> None:
        self._held = None
