"""The stored readings of a home, buoy by buoy and oldest first, a page at a time."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.quantities import UNITS
from reefmesh.store.port import Store, Value
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.readings_table import COLUMNS, reading_of

PAGE_READINGS: Final = 1_000

_BUOYS: Final = "SELECT buoy_id FROM readings{where} GROUP BY buoy_id ORDER BY buoy_id"
_PAGE: Final = (
    f"SELECT reef_id, {COLUMNS} FROM readings{{where}}"  # noqa: S608  # constants
    " ORDER BY observed_us LIMIT ?"
)
_ANY: Final = "SELECT 1 FROM readings{where} LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which readings: of a reef, of a buoy, from ``first_us`` on, before ``end_us``; None: all. Withdrawn readings never."""

    reef_id: str | None = None
    buoy_id: str | None = None
    first_us: int | None = None
    end_us: int | None = None

    def where(self, *more: tuple[str, Value]) -> tuple[str, tuple[Value, ...]]:
        """Return the condition and its parameters; ``more`` are further conditions with one parameter each."""
        stated: list[tuple[str, Value]] = [
            ("withdrawn = ?", 0),
            ("reef_id = ?", self.reef_id),
            ("buoy_id = ?", self.buoy_id),
            ("observed_us >= ?", self.first_us),
            ("observed_us < ?", self.end_us),
            *more,
        ]
        used = [(sql, value) for sql, value in stated if value is not None]
        return f" WHERE {' AND '.join(sql for sql, _ in used)}", tuple(value for _, value in used)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOfBuoy:
    reef_id: str
    buoy_id: str
    reading: StoredReading


async def quantities_in(store: Store, choice: Choice) -> list[str]:
    """Return the quantities that any of these readings has. Raises StoreUnavailable."""
    found = []
    for quantity in UNITS:
        where, parameters = choice.where(("body_json LIKE ?", f'%"{quantity}":{{"value":%'))
        if await store.fetch(_ANY.format(where=where), parameters):
            found.append(quantity)
    return found


async def stored_readings(store: Store, choice: Choice) -> AsyncIterator[ReadingOfBuoy]:
    """Iterate over these readings in pages. Raises StoreUnavailable."""
    where, parameters = choice.where()
    buoys: Sequence[str] = [row[0] for row in await store.fetch(_BUOYS.format(where=where), parameters)]
    for buoy_id in buoys:
        after_us = -(2**62)
        while True:
            where, parameters = choice.where(("buoy_id = ?", buoy_id), ("observed_us > ?", after_us))
            rows = await store.fetch(_PAGE.format(where=where), (*parameters, PAGE_READINGS))
            for reef_id, *row in rows:
                yield ReadingOfBuoy(reef_id=reef_id, buoy_id=buoy_id, reading=reading_of(row))
            if len(rows) < PAGE_READINGS:
                break
            after_us = int(rows[-1][1])
