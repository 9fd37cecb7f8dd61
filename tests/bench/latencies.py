"""How long messages took, in bounded memory: counts in buckets that are one percent wide."""

from collections import Counter
from math import exp, floor, log
from typing import Final

BUCKET: Final = log(1.01)
SHARES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


class Latencies:
    """In nanoseconds; what a percentile says is at most one percent above the truth."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._messages = 0
        self.largest = 0

    def add(self, nanoseconds: int) -> None:
        self._counts[floor(log(max(1, nanoseconds)) / BUCKET)] += 1
        self._messages += 1
        self.largest = max(self.largest, nanoseconds)

    def percentile(self, share: float) -> int | None:
        """Return what this share of the messages did not exceed; None without any."""
        below = 0
        for bucket in sorted(self._counts):
            below += self._counts[bucket]
            if below >= share * self._messages:
                return min(self.largest, round(exp((bucket + 1) * BUCKET)))
        return None

    def percentiles(self) -> dict[str, int]:
        """Return those of ``SHARES``, in nanoseconds; nothing without any message."""
        found = {name: self.percentile(share) for name, share in SHARES.items()}
        return {name: value for name, value in found.items() if value is not None}
