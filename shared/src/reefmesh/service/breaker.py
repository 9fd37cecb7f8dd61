"""The poison breaker of a numbered channel: stops the consumer when the messages of many reefs are poison.

On a numbered channel one service is the only sender. Poison of many reefs at once is then a fault of that service's new version
or of ours, and parking everything would not mend it. Poison of one reef is a fault of its messages, however many they are.
"""

from collections import Counter, deque
from dataclasses import dataclass, field


class TooMuchPoison(Exception):
    """The breaker opened and the consumer stopped; the messages in hand were released, not parked."""


@dataclass(slots=True, kw_only=True)
class PoisonBreaker:
    """Opens when, of the last ``window`` messages, more than ``ratio`` were poison and at least ``minimum``, and they were of
    more than ``ratio`` of the window's reefs and of at least ``reefs_minimum``.

    While the process has received messages of fewer reefs than ``reefs_minimum``, all of them (at least two) take its place.
    """

    ratio: float = 0.5
    window: int = 200
    minimum: int = 50
    reefs_minimum: int = 8
    _recent: deque[tuple[str, bool]] = field(default_factory=deque)
    _messages: Counter[str] = field(default_factory=Counter)
    """Of each reef in the window."""
    _poison: Counter[str] = field(default_factory=Counter)
    _poisoned: int = 0
    _known: set[str] = field(default_factory=set)
    """The first reefs that this process has received; at most ``reefs_minimum``."""

    def note(self, reef_id: str, *, poison: bool) -> None:
        if len(self._known) < self.reefs_minimum:
            self._known.add(reef_id)
        self._recent.append((reef_id, poison))
        self._messages[reef_id] += 1
        if poison:
            self._poison[reef_id] += 1
            self._poisoned += 1
        if len(self._recent) > self.window:
            self._forget(*self._recent.popleft())

    @property
    def open(self) -> bool:
        reefs = len(self._poison)
        return (
            self._poisoned >= self.minimum
            and self._poisoned > self.ratio * len(self._recent)
            and reefs > self.ratio * len(self._messages)
            and reefs >= max(2, min(self.reefs_minimum, len(self._known)))
        )

    def _forget(self, reef_id: str, was_poison: bool) -> None:
        _take_one(self._messages, reef_id)
        if was_poison:
            _take_one(self._poison, reef_id)
            self._poisoned -= 1


def _take_one(counts: Counter[str], reef_id: str) -> None:
    counts[reef_id] -= 1
    if not counts[reef_id]:
        del counts[reef_id]
