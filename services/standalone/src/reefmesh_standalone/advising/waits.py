"""Waiting times as queueing theory approximates them: nobody waits, or the wait is exponential."""

from dataclasses import dataclass
from math import exp, floor
from typing import Final

NEARLY_EQUAL: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """With ``probability`` (0 to 1) there is a wait; it is then exponential with a mean of ``mean_seconds``."""

    probability: float
    mean_seconds: float

    @property
    def expected_seconds(self) -> float:
        """The mean over all, those that do not wait included."""
        return self.probability * self.mean_seconds

    def share_above(self, seconds: float) -> float:
        """The share of all (0 to 1) that wait for longer."""
        if seconds < 0:
            return 1.0
        if self.probability == 0 or self.mean_seconds == 0:
            return 0.0
        return self.probability * exp(-seconds / self.mean_seconds)


def share_above(seconds: float, one: Wait, other: Wait) -> float:
    """The share (0 to 1) whose two independent waits together take longer than ``seconds``.

    The sum of two exponentials of different means is hypoexponential, of equal means Erlang-2.
    """
    if seconds < 0:
        return 1.0
    only_one = (1 - other.probability) * one.share_above(seconds)
    only_other = (1 - one.probability) * other.share_above(seconds)
    a, b = one.mean_seconds, other.mean_seconds
    both = one.probability * other.probability
    if both == 0 or a == 0 or b == 0:
        return only_one + only_other + (one.share_above(seconds) * other.probability if b == 0 else 0.0)
    if abs(a - b) < NEARLY_EQUAL * max(a, b):
        tail = (1 + seconds / a) * exp(-seconds / a)
    else:
        tail = (a * exp(-seconds / a) - b * exp(-seconds / b)) / (a - b)
    return only_one + only_other + both * tail


def erlang_c(servers: float, load: float) -> float:
    """The share of arrivals (0 to 1) that find all ``servers`` busy, with Poisson arrivals and ``load`` = rate x seconds.

    Erlang's formula C by the stable recursion over formula B (Cooper, Introduction to Queueing Theory, 1981, section 3.4);
    between whole numbers of servers it is interpolated.
    """
    if load <= 0:
        return 0.0
    if load >= servers:
        return 1.0
    below = floor(servers)
    share = servers - below
    lower = _whole(below, load)
    return lower if share == 0 else lower + share * (_whole(below + 1, load) - lower)


def _whole(servers: int, load: float) -> float:
    if load >= servers:
        return 1.0
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    use = load / servers
    return blocked / (1 - use * (1 - blocked))


def lane_wait(*, rate_per_second: float, mean_seconds: float, variation: float, burstiness: float, lanes: int) -> Wait | None:
    """Return the wait for a free lane of ``lanes``; None when they cannot keep up, and the wait grows without end.

    ``variation``: squared coefficient of variation of the handling time; ``burstiness``: variance of the number of arrivals
    over its mean (1 for Poisson). The mean is Allen and Cunneen's (M/M/c times the mean of both variations); the probability is
    Hayward's: a bursty load on c servers is as a Poisson load on c/z, with the peakedness z = (burstiness + 1) / 2.
    """
    load = rate_per_second * mean_seconds
    if load >= lanes:
        return None
    peakedness = max(1.0, (burstiness + 1) / 2)
    probability = erlang_c(lanes / peakedness, load / peakedness)
    return Wait(probability=probability, mean_seconds=mean_seconds * (burstiness + variation) / 2 / (lanes - load))


def reef_wait(*, rate_per_second: float, mean_seconds: float, variation: float, lane: Wait, burstiness: float) -> Wait | None:
    """Return the wait for the reef's messages before; None when the reef alone is more than one lane can do.

    One message of a reef is in hand at a time, so a reef is a queue with one server, whose service is the wait for a lane and
    the handling: M/G/1, mean wait = rate x second moment / (2 (1 - utilisation)) (Pollaczek and Khinchine).
    """
    held_seconds = mean_seconds + lane.expected_seconds
    utilisation = rate_per_second * held_seconds
    if utilisation >= 1:
        return None
    if utilisation == 0:
        return Wait(probability=0.0, mean_seconds=0.0)
    variance = mean_seconds**2 * variation + lane.expected_seconds * (2 * lane.mean_seconds - lane.expected_seconds)
    squared = variance / held_seconds**2
    waiting_seconds = held_seconds * (burstiness + squared) / 2 / (1 - utilisation)
    return Wait(probability=utilisation, mean_seconds=waiting_seconds)
