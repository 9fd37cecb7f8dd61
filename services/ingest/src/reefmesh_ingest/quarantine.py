"""What could not be understood: kept whole with its reason, listed, shown, and replayed after the cause was mended.

A replay publishes the message again, as it was received, under the device's registered reef. Whatever it leads to, the unit
that handles it closes the message's entries and writes the new ones, so that an entry is open exactly as long as its trouble.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from reefmesh.broker.port import Publication
from reefmesh.clock import Clock
from reefmesh.contracts.channels import TELEMETRY
from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope, event_id_of
from reefmesh.contracts.quarantine import PAYLOAD_BYTES_LIMIT, QuarantineEntry
from reefmesh.store.port import Row, Store, Write
from reefmesh_ingest.domain.decode.refusals import DETAIL_CHARACTERS_LIMIT, Reason, Scope
from reefmesh_ingest.domain.decode.values import instant_of, us_of
from reefmesh_ingest.register.table import Register

REPLAY_OF: Final = "replay-of"
RECEIVED_AT: Final = "received-at"
DEVICE: Final = "device"
REPLAY_BATCH: Final = 100

AFTER_REGISTRATION: Final = (Reason.UNKNOWN_DEVICE, Reason.DEVICE_MISMATCH)
"""What registering a device may mend. Telemetry of a buoy that was registered as not deployed is left to the operator."""

_PUT_ENTRY: Final = (
    "INSERT INTO quarantine (quarantine_id, origin, scope, reason, detail, channel, example, readings, reef_id, device,"
    " schema_id, received_us, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')"
    " ON CONFLICT (quarantine_id) DO UPDATE SET status = 'open', reason = excluded.reason, detail = excluded.detail,"
    " example = excluded.example, readings = excluded.readings, reef_id = excluded.reef_id"
)
_PUT_MESSAGE: Final = (
    "INSERT INTO quarantine_message (origin, reef_id, schema_id, produced_us, headers_json, attempts, payload)"
    " VALUES (?, ?, ?, ?, ?, 0, ?) ON CONFLICT (origin) DO NOTHING"
)
_CLOSE: Final = "UPDATE quarantine SET status = 'replayed' WHERE origin = ? AND status = 'open'"
_ENTRY: Final = (
    "SELECT quarantine_id, quarantine.origin, scope, reason, detail, channel, example, readings, quarantine.reef_id, device,"
    " quarantine.schema_id, received_us, status, attempts"
    " FROM quarantine JOIN quarantine_message ON quarantine_message.origin = quarantine.origin"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One entry to be: see ``RefusedPart`` for scopes; of a whole message ``readings`` are those that it held."""

    scope: Scope
    reason: Reason
    detail: str
    channel: str | None
    example: bytes
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """One entry as a person sees it. ``status`` is ``open`` or ``replayed``; ``example`` is the refused JSON value of a
    channel or reading; ``readings`` says how many readings of the message it concerns."""

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
class Shown:
    """An entry with its message exactly as it was received."""

    entry: StoredEntry
    headers: dict[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How many entries were found open, and the (reef, new event id) of each message that was published for them."""

    entries: int
    messages: tuple[tuple[str, str], ...]


def entry_id(origin: str, trouble: Trouble) -> str:
    """The same trouble of the same message has the same id, however often it is replayed."""
    place = "" if trouble.scope == "message" else f"{trouble.channel or ''}:{trouble.reason}"
    return event_id_of(origin, f"quarantine:{trouble.scope}:{place}")


def wire_entry(message: Envelope, origin: str, trouble: Trouble, *, device: str | None, received_us: int) -> bytes:
    """Return the body of ``quarantine/1``."""
    payload = message.body if trouble.scope == "message" else trouble.example
    entry = QuarantineEntry.model_construct(
        quarantine_id=entry_id(origin, trouble),
        event_id=message.event_id,
        scope=trouble.scope,
        reason=trouble.reason.value,
        detail=detail_of(trouble),
        device=device,
        channel=trouble.channel,
        schema_id=message.schema_id,
        received_at=instant_of(received_us),
        payload_bytes=len(payload),
        payload=payload if len(payload) <= PAYLOAD_BYTES_LIMIT else None,
    )
    return entry.model_dump_json().encode()


def detail_of(trouble: Trouble) -> str:
    """The reason's sentence, and what is particular."""
    return f"{trouble.reason.sentence} {trouble.detail}".strip()[:DETAIL_CHARACTERS_LIMIT]


def writes_of(
    message: Envelope, origin: str, troubles: Sequence[Trouble], *, device: str | None, received_us: int
) -> list[Write]:
    """Return the statements that close what a replayed message had open, and open what it has now."""
    writes = [Write(_CLOSE, (origin,))] if REPLAY_OF in message.headers else []
    if not troubles:
        return writes
    headers = {name: value for name, value in message.headers.items() if name != REPLAY_OF}
    writes.append(
        Write(
            _PUT_MESSAGE,
            (
                origin,
                message.reef_id,
                message.schema_id,
                us_of(message.produced_at),
                json.dumps(headers),
                message.body,
            ),
        )
    )
    writes += [
        Write(
            _PUT_ENTRY,
            (
                entry_id(origin, trouble),
                origin,
                trouble.scope,
                trouble.reason.value,
                detail_of(trouble),
                trouble.channel,
                trouble.example,
                trouble.readings,
                message.reef_id,
                device,
                message.schema_id,
                received_us,
            ),
        )
        for trouble in troubles
    ]
    return writes


class ReplayPublisher(Protocol):
    """What quarantine needs of a broker."""

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Publish, confirmed on return. Raises TransientError."""
        ...


class Quarantine:
    """The operator's side of quarantine."""

    def __init__(self, *, store: Store, broker: ReplayPublisher, register: Register, clock: Clock) -> None:
        self._store = store
        self._broker = broker
        self._register = register
        self._clock = clock

    async def list(
        self,
        *,
        limit: int = 100,
        status: str | None = "open",
        reef_id: str | None = None,
        device: str | None = None,
        reason: str | None = None,
    ) -> Sequence[StoredEntry]:
        """Return entries, oldest first. ``status`` None: replayed ones too."""
        asked = {"quarantine.status": status, "quarantine.reef_id": reef_id, "device": device, "reason": reason}
        given = {column: value for column, value in asked.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given) or "1 = 1"
        rows = await self._store.fetch(
            f"{_ENTRY} WHERE {where} ORDER BY received_us, quarantine_id LIMIT ?", (*given.values(), limit)
        )
        return [_entry(row) for row in rows]

    async def show(self, quarantine_id: str) -> Shown | None:
        rows = await self._store.fetch(f"{_ENTRY} WHERE quarantine_id = ?", (quarantine_id,))
        if not rows:
            return None
        entry = _entry(rows[0])
        message = await self._store.fetch(
            "SELECT headers_json, payload FROM quarantine_message WHERE origin = ?", (entry.origin,)
        )
        return Shown(entry=entry, headers=json.loads(message[0][0]), payload=bytes(message[0][1]))

    async def replay(self, quarantine_ids: Sequence[str]) -> Replayed:
        """Publish the messages of these entries again, oldest first; entries that are not open are passed over.

        On return the broker holds them; what becomes of each is in its receipt. A crash in between, or a second call,
        at most publishes a message twice, and the second one counts nothing. Raises TransientError.
        """
        entries = []
        for quarantine_id in quarantine_ids:
            rows = await self._store.fetch(f"{_ENTRY} WHERE quarantine_id = ? AND status = 'open'", (quarantine_id,))
            entries += [_entry(row) for row in rows]
        return await self._publish(entries)

    async def replay_for_device(self, device: str, *, reasons: Sequence[Reason] = AFTER_REGISTRATION) -> Replayed:
        """Replay what was refused for these reasons, once the register knows the device. Raises TransientError."""
        await self._register.refresh()
        buoy = self._register.buoy(device)
        names = [device] if buoy is None else [buoy.entry.id, *buoy.entry.aliases]
        places, slugs = ", ".join("?" * len(names)), ", ".join("?" * len(reasons))
        rows = await self._store.fetch(
            f"{_ENTRY} WHERE device IN ({places}) AND status = 'open' AND reason IN ({slugs})",
            (*names, *(reason.value for reason in reasons)),
        )
        return await self._publish([_entry(row) for row in rows])

    async def _publish(self, entries: Sequence[StoredEntry]) -> Replayed:
        await self._register.refresh()
        origins = {entry.origin: entry for entry in sorted(entries, key=lambda each: (each.received_us, each.origin))}
        published: list[tuple[str, str]] = []
        ordered = list(origins.values())
        for start in range(0, len(ordered), REPLAY_BATCH):
            some = ordered[start : start + REPLAY_BATCH]
            await self._store.write(
                [
                    Write("UPDATE quarantine_message SET attempts = attempts + 1 WHERE origin = ?", (entry.origin,))
                    for entry in some
                ]
            )
            publications = [await self._publication(entry) for entry in some]
            await self._broker.publish(publications)
            published += [(each.message.reef_id, each.message.event_id) for each in publications]
        return Replayed(entries=len(entries), messages=tuple(published))

    async def _publication(self, entry: StoredEntry) -> Publication:
        rows = await self._store.fetch(
            "SELECT headers_json, attempts, payload FROM quarantine_message WHERE origin = ?", (entry.origin,)
        )
        headers_json, attempts, payload = rows[0]
        buoy = None if entry.device is None else self._register.buoy(entry.device)
        headers = {
            **{name: value for name, value in json.loads(headers_json).items() if name not in (PRODUCER_ID, FOLLOWS)},
            RECEIVED_AT: instant_of(entry.received_us).isoformat(),
            REPLAY_OF: entry.origin,
        }
        message = Envelope(
            event_id=event_id_of(entry.origin, f"replay:{attempts}"),
            reef_id=entry.reef_id if buoy is None else buoy.entry.reef,
            schema_id=entry.schema_id,
            produced_at=self._clock.now(),
            body=bytes(payload),
            headers=headers,
        )
        return Publication(channel=TELEMETRY.name, message=message)


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
