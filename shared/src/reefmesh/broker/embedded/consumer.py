"""Lanes on one subscription."""

import asyncio
from collections.abc import Sequence

from reefmesh.broker.embedded.desk import Desk
from reefmesh.broker.embedded.engine import Engine
from reefmesh.broker.embedded.fifo import Held
from reefmesh.broker.embedded.parked import park_action
from reefmesh.broker.port import Delivery, Lane, LaneLost, Publication
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope


class EmbeddedLane:
    """One message at a time; which one is the desk's choice."""

    def __init__(self, index: int, consumer: "EmbeddedConsumer") -> None:
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
        """See the port. A lane that holds a delivery must settle, park or release it first."""
        if self._held is not None or self._waiting is not None:
            raise RuntimeError(f"lane {self._index} has a delivery in hand, or a receive waiting: one at a time")
        desk = self._consumer.desk
        if self._consumer.is_stopping:
            return None
        if desk is None:
            raise RuntimeError("a lane receives once its consumer is started")
        held = desk.take(self)
        if held is None:
            held = await self._wait(desk)
            if held is None:
                return None
        self._held = held
        return Delivery(
            message=held.entry.payload,
            subscription=desk.subscription,
            lane=self._index,
            redelivered=held.entry.redelivered,
            token=held,
        )

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        desk, held = self._own(delivery)
        await self._consumer.engine.settle(desk, held, outputs)

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        desk, held = self._own(delivery)
        action = park_action(
            desk.number,
            held.entry.position,
            reason=reason,
            detail=detail,
            attempts=attempts,
            now_us=self._consumer.engine.now_us(),
        )
        await self._consumer.engine.park(desk, held, action)

    async def release(self, delivery: Delivery) -> None:
        """Give it back; one that was lost meanwhile has gone back already."""
        held = self._held
        if held is delivery.token and held is not None and not held.pinned:
            self._drop()
            if self._consumer.desk is not None:
                self._consumer.desk.release(held)
            self._consumer.lane_free()

    # what the desk and the consumer call

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
        """Release what is in hand, unless its end is being written."""
        held, desk = self._held, self._consumer.desk
        if held is not None and desk is not None and not held.pinned:
            self._drop()
            desk.release(held)
            self._consumer.lane_free()

    async def _wait(self, desk: Desk) -> Held[Envelope] | None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            return await self._waiting
        except asyncio.CancelledError:
            desk.leave(self)
            if self._held is not None:  # given in the same moment: nobody will handle it here
                self.give_up()
            raise
        finally:
            self._waiting = None

    def _own(self, delivery: Delivery) -> tuple[Desk, Held[Envelope]]:
        held, desk = self._held, self._consumer.desk
        if held is None or held is not delivery.token or not held.live or desk is None:
            raise LaneLost(f"message {delivery.message.event_id} is no longer in this lane's hands")
        if held.pinned:
            raise LaneLost(f"message {delivery.message.event_id} is being settled already")
        return desk, held

    def _drop(self) -> None:
        self._held = None


class EmbeddedConsumer:
    """K lanes; started once, stopped by ``drain`` or ``close``."""

    def __init__(self, engine: Engine, subscription: Subscription, lanes: int) -> None:
        if lanes < 1:
            raise ValueError("a consumer has at least one lane")
        self.engine = engine
        self.desk: Desk | None = None
        self.is_closed = False
        self._subscription = subscription
        self._lanes = [EmbeddedLane(index, self) for index in range(lanes)]
        self.is_stopping = False
        self._free = asyncio.Event()

    @property
    def lanes(self) -> Sequence[Lane]:
        return self._lanes

    async def start(self) -> None:
        if self.is_stopping or self.desk is not None:
            raise RuntimeError("a consumer is started once")
        self.desk = await self.engine.attach(self._subscription, len(self._lanes))

    async def isolate(self, reef_id: str) -> None:
        """Nothing to do: a lane takes any message whose reef is free, so no reef waits for another one."""

    async def drain(self) -> None:
        self._stop_waiting()
        while any(lane.is_busy for lane in self._lanes):
            self._free.clear()
            await self._free.wait()
        await self.close()

    async def close(self) -> None:
        self._stop_waiting()
        self.is_closed = True
        for lane in self._lanes:
            lane.give_up()
        self._leave()

    def lane_free(self) -> None:
        self._free.set()
        if self.is_closed:
            self._leave()

    def _stop_waiting(self) -> None:
        self.is_stopping = True
        for lane in self._lanes:
            if self.desk is not None:
                self.desk.leave(lane)
            lane.stop_waiting()

    def _leave(self) -> None:
        """Leave the desk once the last lane is free: what is being written still needs it."""
        if self.desk is not None and not any(lane.is_busy for lane in self._lanes):
            desk, self.desk = self.desk, None
            self.engine.detach(desk, len(self._lanes))
