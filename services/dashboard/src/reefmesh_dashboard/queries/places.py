"""Every reef with its name and position, without its score."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from reefmesh_dashboard.queries.reading import ROWS_LIMIT, Reader

_SELECT: Final = (
    "SELECT reef_id, name, latitude_degrees, longitude_degrees FROM reefs WHERE reef_id > ? ORDER BY reef_id LIMIT ?"
)


class ReefPlace(NamedTuple):
    """The position is None while no readings have come."""

    reef_id: str
    name: str
    latitude_degrees: float | None
    longitude_degrees: float | None


async def reef_places(reader: Reader) -> Sequence[ReefPlace]:
    """Return all reefs by id. Raises QueryTimeout and StoreUnavailable."""
    found: list[ReefPlace] = []
    while True:
        rows = await reader.fetch(_SELECT, (found[-1].reef_id if found else "", ROWS_LIMIT))
        found += [ReefPlace(*row) for row in rows]
        if len(rows) < ROWS_LIMIT:
            return found
