"""Rows of a dataset, in pages, in memory that does not grow."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Final

from reefmesh_dashboard.exports.constraint import Constraint, millisecond_bounds
from reefmesh_dashboard.exports.dataset import Dataset, Period
from reefmesh_dashboard.exports.variable import CellRow, Variable
from reefmesh_dashboard.queries.places import ReefPlace, reef_places
from reefmesh_dashboard.queries.reading import Reader

EARLIEST_MS: Final = 0
RowPages = AsyncGenerator[Sequence[CellRow], None]
LATEST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChoice:
    """Which columns of a dataset, and which of its rows."""

    dataset: Dataset
    variables: tuple[Variable, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def period(self) -> Period:
        first, last = millisecond_bounds(self.constraints, "time")
        return Period(ceil(max(first, EARLIEST_MS)), floor(min(last, LATEST_MS)) + 1)


@dataclass(frozen=True, slots=True)
class _OfReef:
    reef: ReefPlace


async def row_pages(reader: Reader, choice: TableChoice) -> RowPages:
    """Yield pages of rows, none of them empty. Raises QueryTimeout and StoreUnavailable.

    The period and conditions on the reef choose what is read; all others choose from what was read.
    """
    of_reef = [each for each in choice.constraints if each.variable.of_reef]
    of_row = [each for each in choice.constraints if not each.variable.of_reef]
    places = [place for place in await reef_places(reader) if _holds(of_reef, _OfReef(place))]
    period = choice.period
    if not places or period.first >= period.end:
        return
    async for records in choice.dataset.records(reader, places, period):
        # in a thread, because a page takes longer than the service's other work should wait
        rows = await asyncio.to_thread(_rows, records, choice.variables, of_row)
        if rows:
            yield rows


def _rows(records: Sequence[Any], variables: Sequence[Variable], constraints: Sequence[Constraint]) -> list[CellRow]:
    reads = [variable.read for variable in variables]
    return [tuple([read(record) for read in reads]) for record in records if _holds(constraints, record)]


def _holds(constraints: Sequence[Constraint], record: Any) -> bool:
    return all(each.holds(each.variable.read(record)) for each in constraints)
