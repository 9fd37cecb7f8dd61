"""Entries and their messages as the store holds them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.store.port import Row, Store, Write
from reefmesh_ingest.in_list import in_lists

_ENTRY: Final = (
    "SELECT quarantine_id, quarantine.origin, scope, reason, detail, channel, example, readings, quarantine.reef_id, device,"
    " quarantine.schema_id, received_us, status, attempts"
    " FROM quarantine JOIN quarantine_message ON quarantine_message.origin = quarantine.origin"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """One entry as a person sees it. ``status`` is ``open``, ``replayed`` or ``discarded``; ``example`` is the refused JSON
    value of a quantity or reading; ``channel`` is the quantity or the sensor; ``readings`` counts the message's readings that
    it concerns; ``attempts`` counts the replays of its message."""

    quarantine_id: str
    origin: str
    scope: str
    reason: str
    detail: str
    channel: str | None
    example: bytes
    readings: int
    reef_id: str
    device: str | None
    schema_id: str
    received_us: int
    status: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message as it was received; ``attempts`` counts its replays so far. ``payload_bytes`` and ``payload_sha256`` are those
    of the whole payload where only the first bytes of it were kept, else None."""

    headers: dict[str, str]
    payload: bytes
    attempts: int
    payload_bytes: int | None
    payload_sha256: str | None

    @property
    def is_cut(self) -> bool:
        return self.payload_bytes is not None


async def list_entries(store: Store, equal: Mapping[str, str], *, limit: int, newest_first: bool = False) -> list[StoredEntry]:
    """Return the entries whose columns are ``equal`` to these, oldest or newest first. Raises StoreUnavailable."""
    where = " AND ".join(f"{column} = ?" for column in equal) or "1 = 1"
    order = "received_us DESC, quarantine_id" if newest_first else "received_us, quarantine_id"
    rows = await store.fetch(f"{_ENTRY} WHERE {where} ORDER BY {order} LIMIT ?", (*equal.values(), limit))
    return [_entry(row) for row in rows]


async def fetch_entry(store: Store, quarantine_id: str) -> StoredEntry | None:
    """Raises StoreUnavailable."""
    rows = await store.fetch(f"{_ENTRY} WHERE quarantine_id = ?", (quarantine_id,))
    return _entry(rows[0]) if rows else None


async def count_open(store: Store, quarantine_ids: Sequence[str]) -> int:
    """Return how many of these entries are open. Raises StoreUnavailable."""
    query = "SELECT COUNT(*) FROM quarantine WHERE status = 'open' AND quarantine_id IN ({})"
    counts = [await store.fetch(query.format(places), some) for places, some in in_lists(dict.fromkeys(quarantine_ids))]
    return sum(int(rows[0][0]) for rows in counts)


async def open_entries_of(store: Store, devices: Sequence[str], reasons: Sequence[str]) -> list[StoredEntry]:
    """Return the open entries of devices that have one of the reasons. Raises StoreUnavailable."""
    places, slugs = ", ".join("?" * len(devices)), ", ".join("?" * len(reasons))
    rows = await store.fetch(
        f"{_ENTRY} WHERE device IN ({places}) AND status = 'open' AND reason IN ({slugs})", (*devices, *reasons)
    )
    return [_entry(row) for row in rows]


async def fetch_message(store: Store, origin: str) -> StoredMessage:
    """Return the message of an entry. Raises StoreUnavailable."""
    rows = await store.fetch(
        "SELECT headers_json, attempts, payload, payload_bytes, payload_sha256 FROM quarantine_message WHERE origin = ?",
        (origin,),
    )
    headers_json, attempts, payload, payload_bytes, payload_sha256 = rows[0]
    return StoredMessage(
        headers=json.loads(headers_json),
        payload=bytes(payload),
        attempts=int(attempts),
        payload_bytes=None if payload_bytes is None else int(payload_bytes),
        payload_sha256=payload_sha256,
    )


def count_attempt(origin: str) -> Write:
    """Return the statement that counts one replay of a message."""
    return Write("UPDATE quarantine_message SET attempts = attempts + 1 WHERE origin = ?", (origin,))


def _entry(row: Row) -> StoredEntry:
    (
        id_,
        origin,
        scope,
        reason,
        detail,
        channel,
        example,
        readings,
        reef_id,
        device,
        schema_id,
        received_us,
        status,
        attempts,
    ) = row
    return StoredEntry(
        quarantine_id=id_,
        origin=origin,
        scope=scope,
        reason=reason,
        detail=detail,
        channel=channel,
        example=bytes(example),
        readings=int(readings),
        reef_id=reef_id,
        device=device,
        schema_id=schema_id,
        received_us=int(received_us),
        status=status,
        attempts=int(attempts),
    )
