"""What one subscription has to do, and how long its messages take with so many lanes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, log, sqrt
from statistics import NormalDist
from typing import Final

from reefmesh_standalone.advising.waits import Wait, lane_wait, reef_wait, share_above

LATE_SHARE: Final = 0.01
"""p99: so many messages may take longer."""
SLICES: Final = 64
LANES_LIMIT: Final = 1024
"""What the services' setting ``lanes`` allows."""
TASKS_LIMIT: Final = 1000
LATENCY_SECONDS_LIMIT: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Messages of ``reefs`` reefs, ``rate_per_second`` in all; one message of a reef is in hand at a time.

    ``mean_seconds``: from receipt by a lane to acknowledgement; ``variation``: its squared coefficient of variation.
    ``burstiness``: variance of the number of arrivals over its mean, 1 for Poisson. ``hottest_share``: the part of all messages
    (0 to 1) that the busiest reef sends; all other reefs send alike.
    """

    rate_per_second: float
    mean_seconds: float
    variation: float = 1.0
    burstiness: float = 1.0
    reefs: int
    hottest_share: float = 0.0

    @property
    def concurrency(self) -> float:
        """Messages in hand on average: rate x seconds (Little's law, 1961)."""
        return self.rate_per_second * self.mean_seconds

    @property
    def hottest(self) -> float:
        return max(self.hottest_share, 1 / self.reefs)

    @property
    def hottest_utilisation(self) -> float:
        """The share of its time (1 and more: never enough) in which the hottest reef has a message in hand."""
        return self.concurrency * self.hottest

    def useful_lanes(self, lanes: int) -> int:
        """A lane beyond the number of reefs never has a message."""
        return min(lanes, self.reefs)

    def capacity_per_second(self, lanes: int) -> float:
        """The rate at which the lanes, or the hottest reef alone, are busy all the time."""
        return min(self.useful_lanes(lanes), 1 / self.hottest) / self.mean_seconds

    def p99_seconds(self, lanes: int) -> float | None:
        """Return the time from production to acknowledgement that 99 % of all messages keep; None when the work piles up."""
        tail = self._tail(lanes)
        return None if tail is None else _where(tail, LATE_SHARE)

    def holds(self, lanes: int, latency_seconds: float) -> bool:
        tail = self._tail(lanes)
        return tail is not None and tail(latency_seconds) <= LATE_SHARE

    def lanes_for(self, latency_seconds: float) -> int | None:
        """Return the fewest lanes, of all tasks together, that keep p99; None when no number of lanes does."""
        most = min(self.reefs, LANES_LIMIT * TASKS_LIMIT)
        low, high = max(1, ceil(self.concurrency)), most
        if low > high or not self.holds(high, latency_seconds):
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.holds(middle, latency_seconds) else (middle + 1, high)
        return low

    def _tail(self, lanes: int) -> Callable[[float], float] | None:
        lane = lane_wait(
            rate_per_second=self.rate_per_second,
            mean_seconds=self.mean_seconds,
            variation=self.variation,
            burstiness=self.burstiness,
            lanes=self.useful_lanes(lanes),
        )
        if lane is None:
            return None
        rest_share = (1 - self.hottest) / max(1, self.reefs - 1)
        waits = [self._reef(self.hottest, lane), self._reef(rest_share, lane)]
        handling = handling_slices(self.mean_seconds, self.variation)
        shares = (self.hottest, 1 - self.hottest)
        found = [(share, wait) for share, wait in zip(shares, waits, strict=True) if wait is not None]
        if len(found) < len(waits):
            return None

        def tail(seconds: float) -> float:
            late = (share * share_above(seconds - took, wait, lane) for share, wait in found for took in handling)
            return sum(late) / SLICES

        return tail

    def _reef(self, share: float, lane: Wait) -> Wait | None:
        return reef_wait(
            rate_per_second=self.rate_per_second * share,
            mean_seconds=self.mean_seconds,
            variation=self.variation,
            lane=lane,
            burstiness=1 + (self.burstiness - 1) * share,  # a burst spreads over the reefs: thinning
        )


@lru_cache(maxsize=256)
def handling_slices(mean_seconds: float, variation: float) -> tuple[float, ...]:
    """Return the middles of ``SLICES`` equally likely slices of the handling time, taken as lognormal."""
    if variation <= 0:
        return (mean_seconds,) * SLICES
    spread = log(1 + variation)
    middle = log(mean_seconds) - spread / 2
    normal = NormalDist()
    return tuple(exp(middle + sqrt(spread) * normal.inv_cdf((place + 0.5) / SLICES)) for place in range(SLICES))


def _where(tail: Callable[[float], float], share: float) -> float | None:
    low, high = 0.0, 0.001
    while tail(high) > share:
        low, high = high, high * 2
        if high > LATENCY_SECONDS_LIMIT:
            return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > share else (low, middle)
    return high
