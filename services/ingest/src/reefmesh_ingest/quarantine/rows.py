"""Open entries as a person reads them: one row for each device, part and reason, however many reports had that trouble.

A device with five wrong sensors has five rows, not 240 more entries a day. The entries themselves stay, with their messages: a
row that is replayed replays each of them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from reefmesh.store.port import Row, Store, Value
from reefmesh_ingest.quarantine.folded import Folded

ROW_ID_CHARACTERS: Final = 12
EXAMPLE_BYTES: Final = 200
"""Of a whole message the first ones are its example."""

Kind = tuple[str | None, str, str | None, str]
"""Device, scope, channel (the quantity or the sensor; None: the whole) and reason."""

_COLUMNS: Final = ("device", "scope", "channel", "reason")
_ROWS: Final = (
    "SELECT device, scope, channel, reason, entries, readings, cut, first_us, last_us, quarantine_id, reef_id, detail,"
    " CASE WHEN scope = 'message' THEN (SELECT SUBSTR(payload, 1, {example_bytes}) FROM quarantine_message AS whole"
    " WHERE whole.origin = judged.origin) ELSE example END"
    " FROM (SELECT device, scope, channel, reason, quarantine_id, quarantine.origin, quarantine.reef_id, detail, example,"
    " COUNT(*) OVER same AS entries, SUM(readings) OVER same AS readings, COUNT(payload_bytes) OVER same AS cut,"
    " MIN(received_us) OVER same AS first_us, MAX(received_us) OVER same AS last_us,"
    " ROW_NUMBER() OVER (PARTITION BY device, scope, channel, reason ORDER BY received_us DESC, quarantine_id) AS place"
    " FROM quarantine JOIN quarantine_message ON quarantine_message.origin = quarantine.origin WHERE status = 'open'{where}"
    " WINDOW same AS (PARTITION BY device, scope, channel, reason)) AS judged"
    " WHERE place = 1 ORDER BY last_us DESC, device, channel, reason LIMIT ?"
)
_KINDS: Final = "SELECT DISTINCT device, scope, channel, reason FROM quarantine WHERE status = 'open'"
_ENTRY_IDS: Final = "SELECT quarantine_id FROM quarantine WHERE status = 'open'"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRow:
    """``entries`` are open, received from ``first_us`` to ``last_us``, and concern ``readings``; ``cut`` of them cannot be
    replayed, because only the first bytes of their messages were kept. ``newest_id``, ``reef_id``, ``detail`` and ``example``
    are of the newest entry. ``counted``: further ones beyond the quota, of which there is only this count; a row of these alone
    has neither entries nor an example.
    """

    device: str | None
    scope: str
    channel: str | None
    reason: str
    entries: int
    readings: int
    cut: int
    counted: int
    first_us: int
    last_us: int
    newest_id: str | None
    reef_id: str | None
    detail: str
    example: bytes

    @property
    def row_id(self) -> str:
        return row_id_of((self.device, self.scope, self.channel, self.reason))


def row_id_of(kind: Kind) -> str:
    """Return the name of a row, the same at all times and in all processes."""
    return hashlib.blake2b(json.dumps(kind).encode()).hexdigest()[:ROW_ID_CHARACTERS]


async def list_rows(store: Store, equal: Mapping[str, str], *, limit: int) -> list[QuarantineRow]:
    """Return the rows of open entries whose columns are ``equal`` to these, the newest first. Raises StoreUnavailable."""
    where = "".join(f" AND {column} = ?" for column in equal)
    rows = await store.fetch(_ROWS.format(where=where, example_bytes=EXAMPLE_BYTES), (*equal.values(), limit))
    return [_row(row) for row in rows]


def counted_row(folded: Folded) -> QuarantineRow:
    """Return the row of what was only counted: the receipts do not say of which channel it was."""
    return QuarantineRow(
        device=folded.device,
        scope=folded.scope,
        channel=None,
        reason=folded.reason,
        entries=0,
        readings=folded.readings,
        cut=0,
        counted=folded.entries,
        first_us=folded.first_us,
        last_us=folded.last_us,
        newest_id=None,
        reef_id=None,
        detail="",
        example=b"",
    )


async def kinds_named(store: Store, row_ids: Iterable[str]) -> dict[str, Kind]:
    """Return what the rows with these names are about, as far as they have open entries. Raises StoreUnavailable."""
    wanted = set(row_ids)
    kinds: list[Kind] = [(row[0], row[1], row[2], row[3]) for row in await store.fetch(_KINDS)]
    return {row_id: kind for kind in kinds if (row_id := row_id_of(kind)) in wanted}


async def entry_ids_of(store: Store, kind: Kind) -> list[str]:
    """Return the ids of a row's open entries, the oldest first. Raises StoreUnavailable."""
    condition, values = _condition(kind)
    rows = await store.fetch(f"{_ENTRY_IDS}{condition} ORDER BY received_us, quarantine_id", values)
    return [row[0] for row in rows]


def _row(row: Row) -> QuarantineRow:
    device, scope, channel, reason, entries, readings, cut, first_us, last_us, newest_id, reef_id, detail, example = row
    return QuarantineRow(
        device=device,
        scope=scope,
        channel=channel,
        reason=reason,
        entries=int(entries),
        readings=int(readings),
        cut=int(cut),
        counted=0,
        first_us=int(first_us),
        last_us=int(last_us),
        newest_id=newest_id,
        reef_id=reef_id,
        detail=detail,
        example=bytes(example),
    )


def _condition(kind: Kind) -> tuple[str, tuple[Value, ...]]:
    named = dict(zip(_COLUMNS, kind, strict=True))
    text = "".join(f" AND {column} IS NULL" if value is None else f" AND {column} = ?" for column, value in named.items())
    return text, tuple(value for value in kind if value is not None)
