"""A dataset: a table that is made from the read model, page by page."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reefmesh_dashboard.exports.variable import Variable
from reefmesh_dashboard.queries.places import ReefPlace
from reefmesh_dashboard.queries.reading import Reader


class TimeRange(NamedTuple):
    """The first and the last instant, in milliseconds since 1970."""

    first: int
    last: int


class Period(NamedTuple):
    """From the first millisecond since 1970 on, before the second."""

    first: int
    end: int


Records = Callable[[Reader, Sequence[ReefPlace], Period], AsyncIterator[Sequence[Any]]]
"""Yields records of these reefs and this period in pages; each record has its ``reef``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """``station`` are the variables that say whose series a row belongs to; ``time_range`` returns None for an empty table.

    Every dataset has ``time``, ``latitude`` and ``longitude`` (of the reef: where a buoy lies is its operator's).
    """

    dataset_id: str
    title: str
    summary: str
    keywords: str
    variables: tuple[Variable, ...]
    station: tuple[str, ...]
    records: Records
    time_range: Callable[[Reader], Awaitable[TimeRange | None]]

    @property
    def by_name(self) -> Mapping[str, Variable]:
        return {variable.name: variable for variable in self.variables}
