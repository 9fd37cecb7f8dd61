"""A lane's hold on the message that it handles."""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Final

from reefmesh.broker.rabbitmq.inbound_message import InboundMessage

CARRY_OVER_SECONDS: Final = 5.0
"""How long a settlement waits for a message that is on its way through the overflow queue."""


class HoldPhase(Enum):
    """``CARRYING_OVER``: its copy is on its way through the overflow queue. ``CARRIED_OVER``: that came, and is held now.
    ``SETTLING``: it is being settled, so it must stay where it is."""

    IN_HAND = "in hand"
    CARRYING_OVER = "carrying over"
    CARRIED_OVER = "carried over"
    SETTLING = "settling"


@dataclass(slots=True, eq=False)
class Hold:
    """``taken_at_seconds`` is of the loop's clock; ``came_over`` is done when the copy has come, or cannot come."""

    message: InboundMessage
    taken_at_seconds: float
    phase: HoldPhase = HoldPhase.IN_HAND
    came_over: asyncio.Future[None] | None = None
    _settled: asyncio.Future[None] | None = None

    @property
    def may_move(self) -> bool:
        return self.phase is HoldPhase.IN_HAND and self.message.is_open

    def carry_over(self) -> None:
        """A copy of the message is about to be sent to the overflow queue."""
        self.phase = HoldPhase.CARRYING_OVER
        self.came_over = asyncio.get_running_loop().create_future()

    def take_over(self, message: InboundMessage) -> bool:
        """Hold this copy of the message that is being carried over; False: it is another message."""
        if self.phase is not HoldPhase.CARRYING_OVER or message.identity != self.message.identity:
            return False
        self.message = message
        self._end_carrying(HoldPhase.CARRIED_OVER)
        return True

    def stay(self) -> None:
        """The copy was not sent, or cannot come: the message that is held is the original."""
        if self.phase is HoldPhase.CARRYING_OVER:
            self._end_carrying(HoldPhase.IN_HAND)

    async def begin_settling(self) -> None:
        """From here on the message stays where it is; wait for it first if it is being carried over."""
        if self.phase is HoldPhase.CARRYING_OVER and self.came_over is not None:
            await asyncio.wait([self.came_over], timeout=CARRY_OVER_SECONDS)
        self.phase = HoldPhase.SETTLING

    def settling_failed(self) -> None:
        """The broker refused, and the message is still held."""
        self.phase = HoldPhase.CARRIED_OVER if self.message.is_overflow else HoldPhase.IN_HAND
        self.let_go()

    def let_go(self) -> None:
        """The settlement has ended."""
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        self._settled = None

    async def until_let_go(self) -> None:
        """Wait for the end of the settlement."""
        if self._settled is None:
            self._settled = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._settled)

    def _end_carrying(self, phase: HoldPhase) -> None:
        self.phase = phase
        if self.came_over is not None and not self.came_over.done():
            self.came_over.set_result(None)
