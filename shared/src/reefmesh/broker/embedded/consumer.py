"""K lanes on one subscription."""

import asyncio
from collections.abc import Sequence

from reefmesh.broker.embedded.dispatcher import Dispatcher
from reefmesh.broker.embedded.lane import EmbeddedLane
from reefmesh.broker.embedded.session import JournalSession
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Lane
from reefmesh.contracts.channels import Subscription


class EmbeddedConsumer:
    """K lanes; started once, stopped by ``drain`` or ``close``."""

    def __init__(self, session: JournalSession, subscription: Subscription, lanes: int, quota: ParkingQuota | None) -> None:
        if lanes < 1:
            raise ValueError("a consumer has at least one lane")
        self.session = session
        self.quota = quota
        self.dispatcher: Dispatcher | None = None
        self.is_closed = False
        self._subscription = subscription
        self._lanes = [EmbeddedLane(index, self) for index in range(lanes)]
        self.is_stopping = False
        self._free = asyncio.Event()

    @property
    def lanes(self) -> Sequence[Lane]:
        return self._lanes

    async def start(self) -> None:
        if self.is_stopping or self.dispatcher is not None:
            raise RuntimeError("a consumer is started once")
        self.dispatcher = await self.session.attach(self._subscription, len(self._lanes), self.quota)

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
            if self.dispatcher is not None:
                self.dispatcher.release_waiting(lane)
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
            if self.dispatcher is not None:
                self.dispatcher.leave(lane)
            lane.stop_waiting()

    def _leave(self) -> None:
        """Leave the dispatcher once the last lane is free: a settlement that is being written still needs it."""
        if self.dispatcher is not None and not any(lane.is_busy for lane in self._lanes):
            dispatcher, self.dispatcher = self.dispatcher, None
            self.session.detach(dispatcher, len(self._lanes))
