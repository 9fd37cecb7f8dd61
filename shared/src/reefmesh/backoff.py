"""How long to wait before trying again: exponential, capped, with full jitter."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays grow from ``first_seconds`` by doubling to ``max_seconds``; each is drawn from the upper half of its span,
    so that many lanes that failed together do not come back together."""

    first_seconds: float = 0.05
    max_seconds: float = 15.0

    def delay_seconds(self, attempt: int, random: Random) -> float:
        """Return the wait after the ``attempt``-th failure (from 1)."""
        span = min(self.max_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 30))
        return span * (0.5 + 0.5 * random.random())
