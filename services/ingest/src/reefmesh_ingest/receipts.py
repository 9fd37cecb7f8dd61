"""What became of every telemetry message, and the accounting that leaves nothing unexplained.

The arithmetic. Every message leaves one receipt; a replay out of quarantine leaves another one of the same ``origin`` and
takes over its count, so exactly one receipt of each origin is ``counted``. Over counted receipts:

* messages: received = accepted + duplicates + quarantined. A message is accepted when at least one of its readings was
  used, else a duplicate when at least one was known already, else quarantined.
* readings: received = new + merged + duplicates + quarantined. New made a row, merged completed or corrected one. A message
  that could not be decoded counts as one reading, because nobody knows how many it held.

Two sums are checked against other tables: ``new`` equals the rows of ``readings`` that are not withdrawn, and ``quarantined``
equals the readings that open quarantine entries stand for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from reefmesh.store.port import Store, Write

ReceiptOutcome = Literal["accepted", "duplicate", "quarantined"]

_COLUMNS: Final = (
    "event_id, origin, counted, replay_of, reef_id, device, buoy_id, schema_id, received_us, payload_bytes, digest, outcome,"
    " reason, readings_received, readings_new, readings_merged, readings_duplicate, readings_quarantined, channels_quarantined"
)
_FIELDS: Final = [name for name in _COLUMNS.split(", ") if name != "counted"]
_NEWEST_COLUMNS: Final = ", ".join(f"newest.{name}" for name in _FIELDS)
_AT_ONCE_LIMIT: Final = 256
_COLUMN_NAMES: Final = tuple(name.strip() for name in _COLUMNS.split(","))
_PUT: Final = (
    f"INSERT INTO receipts ({_COLUMNS}) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # constants
    " ON CONFLICT (event_id) DO NOTHING"
)
_SUPERSEDE: Final = "UPDATE receipts SET counted = 0 WHERE origin = ? AND event_id <> ?"
_WITHDRAW: Final = (
    "UPDATE receipts SET readings_new = readings_new - 1, readings_duplicate = readings_duplicate + 1,"
    " outcome = CASE WHEN readings_new + readings_merged > 1 THEN outcome ELSE 'duplicate' END"
    " WHERE origin = ? AND counted = 1"
)
_EARLIER_AND_LATER: Final = (
    "SELECT (SELECT MAX(received_us) FROM receipts WHERE buoy_id = ? AND digest = ? AND received_us >= ? AND received_us < ?"
    " AND origin <> ?), (SELECT MIN(received_us) FROM receipts WHERE buoy_id = ? AND digest = ? AND received_us > ?"
    " AND received_us <= ? AND origin <> ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """``device`` is the name that the message came under, ``buoy_id`` the registered buoy; ``digest`` is set where equal
    payloads are duplicates (no time stamps, or a broken clock). ``reason`` is that of a message quarantined whole."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """received = accepted + duplicates + quarantined; ``unexplained`` is what is left over, always 0."""

    received: int
    accepted: int
    duplicates: int
    quarantined: int

    @property
    def unexplained(self) -> int:
        return self.received - self.accepted - self.duplicates - self.quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """``stored_readings`` and ``readings_in_open_quarantine`` come from other tables than the tallies; ``discrepancies`` says
    in words what does not agree (empty: all is explained). ``channels_quarantined`` counts single channels of open entries."""

    messages: Tally
    readings: Tally
    readings_new: int
    readings_merged: int
    replays: int
    stored_readings: int
    readings_in_open_quarantine: int
    channels_quarantined: int
    quarantine_entries_open: int

    @property
    def discrepancies(self) -> tuple[str, ...]:
        found = []
        if self.messages.unexplained:
            found.append(f"{self.messages.unexplained} messages are unexplained")
        if self.readings.unexplained:
            found.append(f"{self.readings.unexplained} readings are unexplained")
        if self.stored_readings != self.readings_new:
            found.append(f"{self.stored_readings} readings are stored, {self.readings_new} were counted as new")
        if self.readings_in_open_quarantine != self.readings.quarantined:
            open_, counted = self.readings_in_open_quarantine, self.readings.quarantined
            found.append(f"{open_} readings are in open quarantine entries, {counted} were counted as quarantined")
        return tuple(found)


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
        ),
    )
    if receipt.replay_of is None:
        return [put]
    return [Write(_SUPERSEDE, (receipt.origin, receipt.event_id)), put]


def withdraw(origin: str) -> Write:
    """Return the statement that turns one new reading of a message into a duplicate, after it was withdrawn."""
    return Write(_WITHDRAW, (origin,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The receptions of one buoy's equal payloads, other than the message ``origin``."""

    store: Store
    buoy_id: str
    digest: str
    window_us: int
    origin: str

    async def around(self, received_us: int) -> tuple[int | None, int | None]:
        """Return when a copy came last before, and first after, ``received_us``, within the window. Raises StoreUnavailable."""
        named, window_us = (self.buoy_id, self.digest), self.window_us
        rows = await self.store.fetch(
            _EARLIER_AND_LATER,
            (
                *(*named, received_us - window_us, received_us, self.origin),
                *(*named, received_us, received_us + window_us, self.origin),
            ),
        )
        earlier, later = rows[0]
        return (None if earlier is None else int(earlier)), (None if later is None else int(later))


async def receipts_of(store: Store, event_ids: Sequence[str]) -> dict[str, Receipt]:
    """Return what became of messages, by the event id asked for; one that was not handled yet is not in it.

    Of a message that was replayed since it is the newest receipt.
    """
    found: dict[str, Receipt] = {}
    for start in range(0, len(event_ids), _AT_ONCE_LIMIT):
        some = [*event_ids[start : start + _AT_ONCE_LIMIT]]
        # Numbers of places grow in powers of two, so that a database that prepares statements sees few texts.
        some += [some[-1]] * ((1 << (len(some) - 1).bit_length()) - len(some))
        places = ", ".join("?" * len(some))
        rows = await store.fetch(
            f"SELECT asked.event_id, {_NEWEST_COLUMNS} FROM receipts AS asked JOIN receipts AS newest"  # noqa: S608  # places
            f" ON newest.origin = asked.origin AND newest.counted = 1 WHERE asked.event_id IN ({places})",
            some,
        )
        found.update((row[0], Receipt(**dict(zip(_FIELDS, row[1:], strict=True)))) for row in rows)
    return found


async def receipt_of(store: Store, event_id: str) -> Receipt | None:
    """Return what became of one message, as ``receipts_of``; None when it was not handled yet."""
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


async def accounting(store: Store) -> Accounting:
    """Add everything up. Exact when nothing is being handled at the same time; costs a scan of the receipts."""
    rows = await store.fetch(
        "SELECT outcome, COUNT(*), SUM(readings_received), SUM(readings_new), SUM(readings_merged), SUM(readings_duplicate),"
        " SUM(readings_quarantined) FROM receipts WHERE counted = 1 GROUP BY outcome"
    )
    messages = {row[0]: int(row[1]) for row in rows}
    received, new, merged, duplicates, quarantined = (sum(int(row[column]) for row in rows) for column in range(2, 7))
    replays = await store.fetch("SELECT COUNT(*) FROM receipts WHERE counted = 0")
    origins = await store.fetch("SELECT COUNT(*) FROM receipts WHERE replay_of IS NULL")
    stored = await store.fetch("SELECT COUNT(*) FROM readings WHERE withdrawn = 0")
    entries = await store.fetch("SELECT scope, COUNT(*), SUM(readings) FROM quarantine WHERE status = 'open' GROUP BY scope")
    held = {row[0]: int(row[2]) for row in entries}
    return Accounting(
        messages=Tally(
            received=int(origins[0][0]),
            accepted=messages.get("accepted", 0),
            duplicates=messages.get("duplicate", 0),
            quarantined=messages.get("quarantined", 0),
        ),
        readings=Tally(received=received, accepted=new + merged, duplicates=duplicates, quarantined=quarantined),
        readings_new=new,
        readings_merged=merged,
        replays=int(replays[0][0]),
        stored_readings=int(stored[0][0]),
        readings_in_open_quarantine=held.get("message", 0) + held.get("reading", 0),
        channels_quarantined=held.get("channel", 0),
        quarantine_entries_open=sum(int(row[1]) for row in entries),
    )
