"""Reefs that are held back: their next message was released to wait for an earlier one, and no lane gets it before its time.

It stays in the ready queue, so it holds no lane. When an earlier message of the reef arrives, the reef is held back no longer.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar


class OrderedMessage(Protocol):
    """What is needed of an engine's inbound message. ``identity``: the same for each delivery of a message."""

    @property
    def reef_id(self) -> str: ...

    @property
    def identity(self) -> str | None: ...

    def comes_before(self, other: Self, *, by_number: bool) -> bool:
        """Whether it provably was published before ``other`` of the same reef."""
        ...


MessageT = TypeVar("MessageT", bound=OrderedMessage)


@dataclass(slots=True)
class _HeldBack(Generic[MessageT]):
    message: MessageT
    timer: asyncio.TimerHandle


class HeldBackReefs(Generic[MessageT]):
    """Of one consumer; bounded by what the broker sends ahead. ``by_number``: whether ``seq`` orders a reef's messages;
    ``on_over``: a reef may be handed out again."""

    def __init__(self, *, by_number: bool, on_over: Callable[[], None]) -> None:
        self._by_number = by_number
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._reefs: dict[str, _HeldBack[MessageT]] = {}

    def __contains__(self, reef_id: object) -> bool:
        return reef_id in self._reefs

    def __bool__(self) -> bool:
        return bool(self._reefs)

    def hold_back(self, message: MessageT, seconds: float) -> None:
        """Hold back this message's reef for so long."""
        self._forget(message.reef_id)
        timer = self._loop.call_later(seconds, self._end, message.reef_id)
        self._reefs[message.reef_id] = _HeldBack(message, timer)

    def note_arrival(self, message: MessageT) -> MessageT | None:
        """A message has arrived. Return the message that has waited for it, whose wait is over; None: there is no such one, or
        it is that message itself, delivered again."""
        held = self._reefs.get(message.reef_id)
        if held is None:
            return None
        if message.identity == held.message.identity:
            held.message = message
        elif message.comes_before(held.message, by_number=self._by_number):
            self._forget(message.reef_id)
            return held.message
        return None

    @property
    def messages(self) -> Sequence[MessageT]:
        """The messages that wait, one of each reef."""
        return [held.message for held in self._reefs.values()]

    def clear(self) -> None:
        for reef_id in tuple(self._reefs):
            self._forget(reef_id)

    def _end(self, reef_id: str) -> None:
        self._forget(reef_id)
        self._on_over()

    def _forget(self, reef_id: str) -> None:
        held = self._reefs.pop(reef_id, None)
        if held is not None:
            held.timer.cancel()
