"""The poison breaker: stops the consumer when too many messages are poison. Then the fault is ours or upstream's."""

from collections import deque
from dataclasses import dataclass, field


class TooMuchPoison(Exception):
    """The breaker opened and the consumer stopped; the messages in hand were released, not parked."""


@dataclass(slots=True, kw_only=True)
class PoisonBreaker:
    """Opens when more than ``ratio`` of the last ``window`` messages were poison, once ``minimum`` were poison."""

    ratio: float = 0.5
    window: int = 200
    minimum: int = 50
    _recent: deque[bool] = field(default_factory=deque)
    _poisoned: int = 0

    def note(self, *, poison: bool) -> None:
        self._recent.append(poison)
        self._poisoned += poison
        if len(self._recent) > self.window:
            self._poisoned -= self._recent.popleft()

    @property
    def open(self) -> bool:
        return self._poisoned >= self.minimum and self._poisoned > self.ratio * len(self._recent)
