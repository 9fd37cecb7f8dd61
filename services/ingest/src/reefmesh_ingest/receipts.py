"""One receipt for every telemetry message: its outcome, and the counts of its readings. ``accounting`` adds them up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from reefmesh.store.port import Store, Write
from reefmesh_ingest.in_list import in_lists

ReceiptOutcome = Literal["accepted", "duplicate", "quarantined"]

_COLUMNS: Final = (
    "event_id, origin, counted, replay_of, reef_id, device, buoy_id, schema_id, received_us, payload_bytes, digest, outcome,"
    " reason, readings_received, readings_new, readings_merged, readings_duplicate, readings_quarantined, channels_quarantined,"
    " folded, folded_readings"
)
_FIELDS: Final = [name for name in _COLUMNS.split(", ") if name != "counted"]
_NEWEST_COLUMNS: Final = ", ".join(f"newest.{name}" for name in _FIELDS)
_PUT: Final = (
    f"INSERT INTO receipts ({_COLUMNS}) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # constants
    " ON CONFLICT (event_id) DO NOTHING"
)
_SUPERSEDE: Final = "UPDATE receipts SET counted = 0 WHERE origin = ? AND event_id <> ?"
_WITHDRAW: Final = (
    "UPDATE receipts SET readings_new = readings_new - 1, readings_duplicate = readings_duplicate + 1,"
    " outcome = CASE WHEN readings_new + readings_merged > 1 THEN outcome ELSE 'duplicate' END"
    " WHERE origin = ? AND counted = 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """``device`` is the name under which the message came, ``buoy_id`` the registered buoy; ``digest`` is set where equal
    payloads are duplicates (no time stamps, or a broken clock). ``reason`` is that of a message quarantined whole. ``folded``
    (see ``quarantine.folded``) counts the refused parts where quarantine has no entries of them, ``folded_readings`` their
    readings."""

    event_id: str
    origin: str
    replay_of: str | None
    reef_id: str
    device: str | None
    buoy_id: str | None
    schema_id: str
    received_us: int
    payload_bytes: int
    digest: str
    outcome: ReceiptOutcome
    reason: str | None
    readings_received: int
    readings_new: int
    readings_merged: int
    readings_duplicate: int
    readings_quarantined: int
    channels_quarantined: int
    folded: str | None = None
    folded_readings: int = 0


def writes_of(receipt: Receipt) -> list[Write]:
    """Return the statements that store a receipt, and take over the count of the message that it replays."""
    put = Write(
        _PUT,
        (
            receipt.event_id,
            receipt.origin,
            receipt.replay_of,
            receipt.reef_id,
            receipt.device,
            receipt.buoy_id,
            receipt.schema_id,
            receipt.received_us,
            receipt.payload_bytes,
            receipt.digest,
            receipt.outcome,
            receipt.reason,
            receipt.readings_received,
            receipt.readings_new,
            receipt.readings_merged,
            receipt.readings_duplicate,
            receipt.readings_quarantined,
            receipt.channels_quarantined,
            receipt.folded,
            receipt.folded_readings,
        ),
    )
    if receipt.replay_of is None:
        return [put]
    return [Write(_SUPERSEDE, (receipt.origin, receipt.event_id)), put]


def withdraw(origin: str) -> Write:
    """Return the statement that turns one new reading of a message into a duplicate, after it was withdrawn."""
    return Write(_WITHDRAW, (origin,))


async def receipts_of(store: Store, event_ids: Sequence[str]) -> dict[str, Receipt]:
    """Return the receipts of messages, by event id; a message that was not handled yet has none.

    A message that was replayed since has the receipt of its newest replay.
    """
    found: dict[str, Receipt] = {}
    for places, some in in_lists(event_ids):
        rows = await store.fetch(
            f"SELECT asked.event_id, {_NEWEST_COLUMNS} FROM receipts AS asked JOIN receipts AS newest"  # noqa: S608  # places
            f" ON newest.origin = asked.origin AND newest.counted = 1 WHERE asked.event_id IN ({places})",
            some,
        )
        found.update((row[0], Receipt(**dict(zip(_FIELDS, row[1:], strict=True)))) for row in rows)
    return found


async def receipt_of(store: Store, event_id: str) -> Receipt | None:
    """Return the receipt of one message, as ``receipts_of``; None when it was not handled yet."""
    return (await receipts_of(store, [event_id])).get(event_id)


async def last_received(store: Store, *, device: str, buoy_id: str | None) -> int | None:
    """Return when a device's newest message was received, quarantined or not, in UTC microseconds; ``buoy_id`` is that of the
    registered buoy. None: never. Raises StoreUnavailable."""
    rows = await store.fetch(
        "SELECT (SELECT MAX(received_us) FROM receipts WHERE buoy_id = ?),"
        " (SELECT MAX(received_us) FROM quarantine WHERE device = ?)",
        (buoy_id or device, device),
    )
    return max((int(instant) for instant in rows[0] if instant is not None), default=None)
