"""Reefs as the read model has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from reefmesh.contracts.scores import ReefScore
from reefmesh.store.port import Row
from reefmesh_dashboard.queries.reading import Reader

_VERSION: Final = "facts_seq, score_seq, alerts_seq"
_COLUMNS: Final = f"reef_id, name, latitude_degrees, longitude_degrees, score_json, {_VERSION}"
_SELECT_BY_ID: Final = f"SELECT {_COLUMNS} FROM reefs WHERE reef_id > ? ORDER BY reef_id LIMIT ?"  # noqa: S608  # constants
_SELECT_BY_NAME: Final = f"SELECT {_COLUMNS} FROM reefs WHERE (name, reef_id) > (?, ?) ORDER BY name, reef_id LIMIT ?"  # noqa: S608
_SELECT_ONE: Final = f"SELECT {_COLUMNS} FROM reefs WHERE reef_id = ?"  # noqa: S608
SOME: Final = 25
_SELECT_SOME: Final = f"SELECT {_COLUMNS} FROM reefs WHERE reef_id IN ({', '.join('?' * SOME)})"  # noqa: S608
_SELECT_VERSIONS: Final = f"SELECT reef_id, {_VERSION} FROM reefs"  # noqa: S608


class ReefVersion(NamedTuple):
    """The numbers of the newest messages of a reef: it differs whenever something else is to be shown. It is no order: after a
    repair the numbers may begin anew."""

    facts_seq: int
    score_seq: int
    alerts_seq: int

    def __str__(self) -> str:
        return f"{self.facts_seq}.{self.score_seq}.{self.alerts_seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedReef:
    """``score`` is None while none has come; the position is None while no readings have."""

    reef_id: str
    name: str
    latitude_degrees: float | None
    longitude_degrees: float | None
    score: ReefScore | None
    version: ReefVersion


async def reefs_by_id(reader: Reader, *, after: str, limit: int) -> Sequence[ListedReef]:
    return [_reef(row) for row in await reader.fetch(_SELECT_BY_ID, (after, limit))]


async def reefs_by_name(reader: Reader, *, after: tuple[str, str], limit: int) -> Sequence[ListedReef]:
    """``after``: name and id of the last one before."""
    return [_reef(row) for row in await reader.fetch(_SELECT_BY_NAME, (*after, limit))]


async def reef_of(reader: Reader, reef_id: str) -> ListedReef | None:
    rows = await reader.fetch(_SELECT_ONE, (reef_id,))
    return _reef(rows[0]) if rows else None


async def some_reefs(reader: Reader, reef_ids: Sequence[str]) -> Sequence[ListedReef]:
    """Return those of the reefs that there are, in no order."""
    found = []
    for first in range(0, len(reef_ids), SOME):
        part = list(reef_ids[first : first + SOME])
        filled = part + part[-1:] * (SOME - len(part))  # one text for any number of them
        found += [_reef(row) for row in await reader.fetch(_SELECT_SOME, filled)]
    return found


async def reef_versions(reader: Reader) -> Mapping[str, ReefVersion]:
    """Return the version of every reef, by its id."""
    return {reef_id: ReefVersion(*numbers) for reef_id, *numbers in await reader.fetch(_SELECT_VERSIONS, ())}


def _reef(row: Row) -> ListedReef:
    reef_id, name, latitude_degrees, longitude_degrees, score_json, *version = row
    return ListedReef(
        reef_id=reef_id,
        name=name,
        latitude_degrees=latitude_degrees,
        longitude_degrees=longitude_degrees,
        score=None if score_json is None else ReefScore.model_validate_json(score_json),
        version=ReefVersion(*version),
    )
