"""Reefs as the read model has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.scores import ReefScore
from reefmesh.store.port import Row
from reefmesh_dashboard.queries.reading import Reader

_COLUMNS: Final = "reef_id, name, latitude_degrees, longitude_degrees, score_json"
_SELECT_BY_ID: Final = f"SELECT {_COLUMNS} FROM reefs WHERE reef_id > ? ORDER BY reef_id LIMIT ?"  # noqa: S608  # constants
_SELECT_BY_NAME: Final = f"SELECT {_COLUMNS} FROM reefs WHERE (name, reef_id) > (?, ?) ORDER BY name, reef_id LIMIT ?"  # noqa: S608
_SELECT_ONE: Final = f"SELECT {_COLUMNS} FROM reefs WHERE reef_id = ?"  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedReef:
    """``score`` is None while none has come; the position is None while no readings have."""

    reef_id: str
    name: str
    latitude_degrees: float | None
    longitude_degrees: float | None
    score: ReefScore | None


async def reefs_by_id(reader: Reader, *, after: str, limit: int) -> Sequence[ListedReef]:
    return [_reef(row) for row in await reader.fetch(_SELECT_BY_ID, (after, limit))]


async def reefs_by_name(reader: Reader, *, after: tuple[str, str], limit: int) -> Sequence[ListedReef]:
    """``after``: name and id of the last one before."""
    return [_reef(row) for row in await reader.fetch(_SELECT_BY_NAME, (*after, limit))]


async def reef_of(reader: Reader, reef_id: str) -> ListedReef | None:
    rows = await reader.fetch(_SELECT_ONE, (reef_id,))
    return _reef(rows[0]) if rows else None


def _reef(row: Row) -> ListedReef:
    reef_id, name, latitude_degrees, longitude_degrees, score_json = row
    return ListedReef(
        reef_id=reef_id,
        name=name,
        latitude_degrees=latitude_degrees,
        longitude_degrees=longitude_degrees,
        score=None if score_json is None else ReefScore.model_validate_json(score_json),
    )
