"""The tables ``exclusions`` and ``exclusion_requests``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from reefmesh.store.port import Row, Store, Write
from reefmesh_ingest.domain.exclusion import Exclusion, in_order

EXCLUSIONS_PER_BUOY_LIMIT: Final = 1_000
"""In force at once: every reading of a buoy is held against those of its time."""

RequestOutcome = Literal["working", "done", "refused"]

_COLUMNS: Final = "exclusion_id, buoy_id, from_us, until_us, quantity, reason"
_PUT: Final = (
    f"INSERT INTO exclusions ({_COLUMNS}, reef_id, made_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # constants
    " ON CONFLICT (exclusion_id) DO UPDATE SET reason = excluded.reason, reef_id = excluded.reef_id,"
    " made_us = excluded.made_us, ended_us = NULL"
)
_END: Final = "UPDATE exclusions SET ended_us = ? WHERE exclusion_id = ? AND ended_us IS NULL"
_PUT_REQUEST: Final = (
    "INSERT INTO exclusion_requests (request_id, exclusion_id, action, outcome, detail, readings_looked_at, readings_changed,"
    " neighbours_changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_id) DO UPDATE SET outcome = excluded.outcome,"
    " detail = excluded.detail, readings_looked_at = exclusion_requests.readings_looked_at + excluded.readings_looked_at,"
    " readings_changed = exclusion_requests.readings_changed + excluded.readings_changed,"
    " neighbours_changed = exclusion_requests.neighbours_changed + excluded.neighbours_changed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeExclusion:
    """An exclusion in force, since when, and of which reef its buoy was then."""

    exclusion: Exclusion
    reef_id: str
    made_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestState:
    """How far ingest is with one message of an operator. ``readings_changed``: whose own values were excluded or included;
    ``neighbours_changed``: others whose verdict that changed."""

    request_id: str
    exclusion_id: str
    action: str
    outcome: RequestOutcome
    detail: str | None = None
    readings_looked_at: int = 0
    readings_changed: int = 0
    neighbours_changed: int = 0


def put(exclusion: Exclusion, *, reef_id: str, made_us: int) -> Write:
    """Return the statement that puts an exclusion in force."""
    each = exclusion
    facts = (each.exclusion_id, each.buoy_id, each.from_us, each.until_us, each.quantity, each.reason)
    return Write(_PUT, (*facts, reef_id, made_us))


def end(exclusion_id: str, *, ended_us: int) -> Write:
    """Return the statement by which an exclusion is no longer in force."""
    return Write(_END, (ended_us, exclusion_id))


def add_to_request(part: RequestState) -> Write:
    """Return the statement that adds one part to what is known of a request."""
    return Write(
        _PUT_REQUEST,
        (
            part.request_id,
            part.exclusion_id,
            part.action,
            part.outcome,
            part.detail,
            part.readings_looked_at,
            part.readings_changed,
            part.neighbours_changed,
        ),
    )


async def exclusions_in_force(store: Store, buoy_id: str) -> tuple[Exclusion, ...]:
    """Return the exclusions of a buoy, in order. Raises StoreUnavailable."""
    rows = await store.fetch(f"SELECT {_COLUMNS} FROM exclusions WHERE buoy_id = ? AND ended_us IS NULL", (buoy_id,))  # noqa: S608  # constants
    return in_order(_exclusion(row) for row in rows)


async def list_exclusions(store: Store, *, buoy_id: str | None = None) -> list[MadeExclusion]:
    """Return the exclusions in force, buoy by buoy and oldest period first. Raises StoreUnavailable."""
    where, parameters = ("", ()) if buoy_id is None else (" AND buoy_id = ?", (buoy_id,))
    rows = await store.fetch(
        f"SELECT {_COLUMNS}, reef_id, made_us FROM exclusions WHERE ended_us IS NULL{where}"  # noqa: S608  # constants
        " ORDER BY buoy_id, from_us, until_us, exclusion_id",
        parameters,
    )
    return [MadeExclusion(exclusion=_exclusion(row[:6]), reef_id=row[6], made_us=int(row[7])) for row in rows]


async def request_state(store: Store, request_id: str) -> RequestState | None:
    """Return how far ingest is with a request; None: it has not begun. Raises StoreUnavailable."""
    rows: Sequence[Row] = await store.fetch(
        "SELECT exclusion_id, action, outcome, detail, readings_looked_at, readings_changed, neighbours_changed"
        " FROM exclusion_requests WHERE request_id = ?",
        (request_id,),
    )
    if not rows:
        return None
    exclusion_id, action, outcome, detail, looked_at, changed, neighbours = rows[0]
    return RequestState(
        request_id=request_id,
        exclusion_id=exclusion_id,
        action=action,
        outcome=outcome,
        detail=detail,
        readings_looked_at=int(looked_at),
        readings_changed=int(changed),
        neighbours_changed=int(neighbours),
    )


def _exclusion(row: Row) -> Exclusion:
    exclusion_id, buoy_id, from_us, until_us, quantity, reason = row
    return Exclusion(
        exclusion_id=exclusion_id,
        buoy_id=buoy_id,
        from_us=int(from_us),
        until_us=int(until_us),
        quantity=quantity,
        reason=reason,
    )
