"""The stretches of stored points that must be loaded to judge late ones."""

from collections.abc import Iterable
from dataclasses import dataclass

from reefmesh_ingest.domain.quality.limits import QuantityLimits
from reefmesh_ingest.domain.quality.thresholds import thresholds_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LateWindow:
    """Points that must be loaded together, both ends inside, to judge the late ``times_us`` among them."""

    low_us: int
    high_us: int
    times_us: tuple[int, ...]


def dependency_range(limits: QuantityLimits, time_us: int) -> tuple[int, int]:
    """Return the first and last instant, both inside, whose points decide what a change at ``time_us`` does to any verdict."""
    reach = reach_us(limits)
    return time_us - reach, time_us + reach


def reach_us(limits: QuantityLimits) -> int:
    """Return how far from a point, before and after it, a change of its value alters verdicts, and how far from a verdict the
    points are that decide it."""
    return thresholds_of(limits).reach_us


def tail_us(limits: QuantityLimits) -> int:
    """Return how far behind the newest point of a buoy rows must be loaded to rebuild a series."""
    return thresholds_of(limits).tail_us


def windows(limits: Iterable[QuantityLimits], times_us: Iterable[int]) -> list[LateWindow]:
    """Group late instants into disjoint windows that cover the ``dependency_range`` of each under all ``limits``.

    Instants of different windows are so far apart that they cannot alter the same verdict.
    """
    reach = max((reach_us(each) for each in limits), default=0)
    groups: list[list[int]] = []
    for time_us in sorted(set(times_us)):
        if groups and time_us - groups[-1][-1] <= 2 * reach:
            groups[-1].append(time_us)
        else:
            groups.append([time_us])
    return [LateWindow(low_us=group[0] - reach, high_us=group[-1] + reach, times_us=tuple(group)) for group in groups]
