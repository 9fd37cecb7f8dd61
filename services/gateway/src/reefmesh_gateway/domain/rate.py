"""How often somebody may do something: counts in a sliding window, for a bounded number of keys.

The library ``limits`` counts in memory without a bound on its keys, so that whoever has many addresses could fill it; it also
reads its own clock. This is the same counter (the weight of the window before falls as time passes) with both in hand.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil
from typing import Final

KEYS_LIMIT: Final = 100_000
"""Beyond it the key that was used least recently is forgotten."""


@dataclass(slots=True)
class _Count:
    started_at_seconds: float
    before: float = 0.0
    current: float = 0.0


class SlidingCounts:
    """Counts by key in the last ``window_seconds``. Instants are seconds of a monotonic clock."""

    def __init__(self, *, window_seconds: float, keys_limit: int = KEYS_LIMIT) -> None:
        self._window_seconds = window_seconds
        self._keys_limit = keys_limit
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def spend(self, key: str, amount: float, *, limit: float, now_seconds: float) -> int:
        """Count ``amount`` and return 0; or, where that would go over ``limit``, count nothing and return after how many
        seconds it would fit (at least 1)."""
        count = self._of(key, now_seconds)
        if self._total(count, now_seconds) + amount <= limit:
            count.current += amount
            return 0
        return self._fits_after(count, amount, limit, now_seconds)

    def add(self, key: str, *, limit: float, now_seconds: float) -> int:
        """Count one in any case; return 0, or how many seconds must pass without another until it would fit."""
        if wait := self.spend(key, 1, limit=limit, now_seconds=now_seconds):
            count = self._of(key, now_seconds)
            count.current = min(count.current + 1, limit + 1)  # whoever stops is let in after one window
            return wait
        return 0

    def _of(self, key: str, now_seconds: float) -> _Count:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(now_seconds)
            if len(self._counts) > self._keys_limit:
                self._counts.popitem(last=False)
        self._counts.move_to_end(key)
        windows = int((now_seconds - count.started_at_seconds) // self._window_seconds)
        if windows > 0:
            count.before = count.current if windows == 1 else 0.0
            count.current = 0.0
            count.started_at_seconds += windows * self._window_seconds
        return count

    def _total(self, count: _Count, now_seconds: float) -> float:
        passed = (now_seconds - count.started_at_seconds) / self._window_seconds
        return count.before * (1.0 - passed) + count.current

    def _fits_after(self, count: _Count, amount: float, limit: float, now_seconds: float) -> int:
        window, passed = self._window_seconds, now_seconds - count.started_at_seconds
        room = limit - amount
        if count.current <= room and count.before > 0:
            wait = window * (1.0 - (room - count.current) / count.before) - passed
        else:
            share = max(0.0, min(1.0, room / count.current)) if count.current else 0.0
            wait = (window - passed) + window * (1.0 - share)
        return max(1, ceil(wait))
