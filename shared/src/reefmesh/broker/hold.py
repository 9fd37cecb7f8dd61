"""A lane's hold on the message that it handles."""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

CARRY_OVER_SECONDS: Final = 5.0
"""How long a settlement waits for a message that is being carried over."""


class HeldMessage(Protocol):
    """What is needed of an engine's inbound message. ``identity``: the same for each delivery of a message."""

    @property
    def identity(self) -> str | None: ...

    @property
    def is_open(self) -> bool: ...


MessageT = TypeVar("MessageT", bound=HeldMessage)


class HoldPhase(Enum):
    """``CARRYING_OVER``: on its way to another place at the broker, from where it comes again: the reef is being isolated.
    ``CARRIED_OVER``: it came; it is carried over only once. ``SETTLING``: it is being settled, so it must stay where it is."""

    IN_HAND = "in hand"
    CARRYING_OVER = "carrying over"
    CARRIED_OVER = "carried over"
    SETTLING = "settling"


@dataclass(slots=True, eq=False)
class Hold(Generic[MessageT]):
    """``taken_at_seconds`` is of the loop's clock; ``came_over`` is done when the carried message has come, or cannot come."""

    message: MessageT
    taken_at_seconds: float
    phase: HoldPhase = HoldPhase.IN_HAND
    came_over: asyncio.Future[None] | None = None
    _was_carried: bool = False
    _settled: asyncio.Future[None] | None = None

    @property
    def may_move(self) -> bool:
        return self.phase is HoldPhase.IN_HAND and self.message.is_open

    def carry_over(self) -> None:
        """The message is about to be moved; it comes again."""
        self.phase = HoldPhase.CARRYING_OVER
        self.came_over = asyncio.get_running_loop().create_future()

    def take_over(self, message: MessageT) -> bool:
        """Hold this delivery of the message that is being carried over; False: it is another message."""
        if self.phase is not HoldPhase.CARRYING_OVER or message.identity != self.message.identity:
            return False
        self.message = message
        self._was_carried = True
        self._end_carrying()
        return True

    def stay(self) -> None:
        """The message was not moved, or cannot come: what is held is what there was."""
        if self.phase is HoldPhase.CARRYING_OVER:
            self._end_carrying()

    async def begin_settling(self) -> None:
        """From here on the message stays where it is; wait for it first if it is being carried over."""
        if self.phase is HoldPhase.CARRYING_OVER and self.came_over is not None:
            await asyncio.wait([self.came_over], timeout=CARRY_OVER_SECONDS)
        self.phase = HoldPhase.SETTLING

    def settling_failed(self) -> None:
        """The broker refused, and the message is still held."""
        self.phase = self._phase_at_rest
        self.settled()

    def settled(self) -> None:
        """The settlement has ended, this way or that."""
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        self._settled = None

    async def until_settled(self) -> None:
        """Wait for the end of the settlement."""
        if self._settled is None:
            self._settled = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._settled)

    @property
    def _phase_at_rest(self) -> HoldPhase:
        return HoldPhase.CARRIED_OVER if self._was_carried else HoldPhase.IN_HAND

    def _end_carrying(self) -> None:
        self.phase = self._phase_at_rest
        if self.came_over is not None and not self.came_over.done():
            self.came_over.set_result(None)
