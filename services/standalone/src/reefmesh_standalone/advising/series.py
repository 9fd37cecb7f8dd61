"""ScrapedSeries as they were read at several instants, from whatever source."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

RUNNING_SECONDS: Final = 60.0
"""A process that was last read longer ago than the newest is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapedSeries:
    """One series of one process; ``points`` are (seconds since 1970, value), oldest first, at least one."""

    name: str
    process: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class ObservedSeries:
    """All series of a mesh over one period."""

    def __init__(self, series: Iterable[ScrapedSeries]) -> None:
        self._by_name: dict[str, list[ScrapedSeries]] = {}
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        for each in series:
            self._by_name.setdefault(each.name, []).append(each)
            first, last = each.points[0][0], each.points[-1][0]
            self._first[each.process] = min(first, self._first.get(each.process, first))
            self._last[each.process] = max(last, self._last.get(each.process, last))

    @property
    def seconds(self) -> float:
        """The longest time over which a process was observed; 0 when each was read once."""
        return max((self._last[each] - first for each, first in self._first.items()), default=0.0)

    def named(self, name: str, **labels: str) -> list[ScrapedSeries]:
        """Return the series of this name that have all these labels."""
        return [each for each in self._by_name.get(name, ()) if labels.items() <= each.labels.items()]

    def values(self, name: str, label: str, **labels: str) -> list[str]:
        """Return the values of one label, sorted."""
        return sorted({each.labels[label] for each in self.named(name, **labels) if label in each.labels})

    def increase(self, name: str, **labels: str) -> float:
        return sum(map(self.increase_of, self.named(name, **labels)))

    def increase_of(self, series: ScrapedSeries) -> float:
        """By how much a counter rose. One that was not there when its process was first read was 0 then; one that falls began
        again at 0 (its process was restarted)."""
        before = series.points[0][1] if series.points[0][0] <= self._first[series.process] else 0.0
        risen = 0.0
        for _, value in series.points:
            risen += value - before if value >= before else value
            before = value
        return risen

    def now(self, name: str, **labels: str) -> list[float]:
        """Return a gauge's newest value for each process that still runs."""
        return [each.points[-1][1] for each in self.named(name, **labels) if self.runs(each.process)]

    def earlier(self, name: str, **labels: str) -> list[float]:
        """Return a gauge's oldest value for each process."""
        return [each.points[0][1] for each in self.named(name, **labels)]

    def runs(self, process: str) -> bool:
        return self._last[process] >= max(self._last.values()) - RUNNING_SECONDS
