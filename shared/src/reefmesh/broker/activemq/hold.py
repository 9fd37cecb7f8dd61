"""A lane's hold on the message that it handles."""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Final

from reefmesh.broker.activemq.inbound_message import InboundMessage

CARRY_OVER_SECONDS: Final = 5.0
"""How long a settlement waits for a message that is on its way to the dedicated subscription."""


class HoldPhase(Enum):
    """``CARRYING_OVER``: returned to the broker, so that it comes again through a dedicated subscription. ``CARRIED_OVER``:
    it came; it is carried over only once. ``SETTLING``: its acknowledgement is being written, so it must stay where it is."""

    IN_HAND = "in hand"
    CARRYING_OVER = "carrying over"
    CARRIED_OVER = "carried over"
    SETTLING = "settling"


@dataclass(slots=True, eq=False)
class Hold:
    """``taken_at_seconds`` is of the loop's clock; ``came_over`` is done when the carried message has come, or cannot come."""

    message: InboundMessage
    taken_at_seconds: float
    phase: HoldPhase = HoldPhase.IN_HAND
    came_over: asyncio.Future[None] | None = None

    @property
    def may_move(self) -> bool:
        return self.phase is HoldPhase.IN_HAND and self.message.is_open

    def carry_over(self) -> None:
        """The message's subscription is about to be given up; the message comes again."""
        self.phase = HoldPhase.CARRYING_OVER
        self.came_over = asyncio.get_running_loop().create_future()

    def take_over(self, message: InboundMessage) -> bool:
        """Hold this delivery of the message that is being carried over; False: it is another message."""
        if self.phase is not HoldPhase.CARRYING_OVER or message.message_id != self.message.message_id:
            return False
        self.message = message
        self._end_carrying()
        return True

    def lost(self) -> None:
        """The session is gone: a message that is being carried over does not come."""
        if self.phase is HoldPhase.CARRYING_OVER:
            self._end_carrying()

    async def begin_settling(self) -> None:
        """From here on the message stays in its subscription; wait for it first if it is being carried over."""
        if self.phase is HoldPhase.CARRYING_OVER and self.came_over is not None:
            await asyncio.wait([self.came_over], timeout=CARRY_OVER_SECONDS)
        self.phase = HoldPhase.SETTLING

    def settling_failed(self) -> None:
        """The broker refused, and the message is still held."""
        self.phase = HoldPhase.IN_HAND if self.came_over is None else HoldPhase.CARRIED_OVER

    def _end_carrying(self) -> None:
        self.phase = HoldPhase.CARRIED_OVER
        if self.came_over is not None and not self.came_over.done():
            self.came_over.set_result(None)
