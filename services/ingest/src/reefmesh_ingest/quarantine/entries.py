"""The entries that one message leaves: a row of ``quarantine`` and a message on ``reef.quarantine`` for each refused part."""

from collections.abc import Sequence
from typing import Final, assert_never

from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.quarantine import PAYLOAD_BYTES_LIMIT, QuarantineEntry
from reefmesh.store.port import Write
from reefmesh_ingest.domain.arrival import Reception
from reefmesh_ingest.domain.decode.refusals import DETAIL_CHARACTERS_LIMIT, RefusedPart
from reefmesh_ingest.domain.decode.values import instant_of, us_of
from reefmesh_ingest.quarantine.kept_message import kept_message
from reefmesh_ingest.quarantine.quota import Keeping
from reefmesh_ingest.quarantine.storage import stored_bytes_of

_PUT_ENTRY: Final = (
    "INSERT INTO quarantine (quarantine_id, origin, scope, reason, detail, channel, example, readings, reef_id, device,"
    " schema_id, received_us, stored_bytes, stored_us, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')"
    " ON CONFLICT (quarantine_id) DO UPDATE SET status = CASE WHEN quarantine.status = 'discarded'"
    " AND quarantine.scope = 'channel' THEN 'discarded' ELSE 'open' END, reason = excluded.reason, detail = excluded.detail,"
    " example = CASE WHEN quarantine.status = 'discarded' AND quarantine.scope = 'channel' THEN quarantine.example"
    " ELSE excluded.example END, stored_bytes = CASE WHEN quarantine.status = 'discarded' AND quarantine.scope <> 'channel'"
    " THEN excluded.stored_bytes ELSE quarantine.stored_bytes END, readings = excluded.readings, reef_id = excluded.reef_id"
)
_PUT_MESSAGE: Final = (
    "INSERT INTO quarantine_message (origin, reef_id, schema_id, produced_us, headers_json, attempts, payload,"
    " payload_bytes, payload_sha256) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
    " headers_json = excluded.headers_json, payload = excluded.payload, payload_bytes = excluded.payload_bytes,"
    " payload_sha256 = excluded.payload_sha256"
    " WHERE quarantine_message.payload_bytes > 0 AND LENGTH(quarantine_message.payload) = 0"
)
"""A replay that was on its way while its entries were discarded brings back the message that these gave up."""
_CLOSE: Final = "UPDATE quarantine SET status = 'replayed' WHERE origin = ? AND status = 'open'"


def entry_id(origin: str, part: RefusedPart) -> str:
    """The same part of the same message, refused for the same reason, has the same id however often it is replayed."""
    match part.scope:
        case "message":
            place = ""
        case "reading" | "channel":
            place = f"{part.name or ''}:{part.reason}"
        case _ as unknown:
            assert_never(unknown)
    return event_id_of(origin, f"quarantine:{part.scope}:{place}")


def wire_entry(reception: Reception, part: RefusedPart, *, device: str | None) -> bytes:
    """Return the body of ``quarantine/1``."""
    message = reception.message
    payload = _payload_of(message, part)
    entry = QuarantineEntry.model_construct(
        quarantine_id=entry_id(reception.origin, part),
        event_id=message.event_id,
        scope=part.scope,
        reason=part.reason.value,
        detail=_detail_of(part),
        device=device,
        channel=part.name,
        schema_id=message.schema_id,
        received_at=instant_of(reception.received_us),
        payload_bytes=len(payload),
        payload=payload if len(payload) <= PAYLOAD_BYTES_LIMIT else None,
    )
    return entry.model_dump_json().encode()


def writes_of(
    reception: Reception, parts: Sequence[RefusedPart], *, device: str | None, keeping: Keeping, stored_us: int
) -> list[Write]:
    """Return the statements that close what a replayed message had open, and open what it has now, as far as it is kept."""
    message, origin = reception.message, reception.origin
    writes = [] if reception.replay_of is None else [Write(_CLOSE, (origin,))]
    if not parts or keeping is Keeping.COUNTED:
        return writes
    kept = kept_message(reception, keeping)
    writes.append(
        Write(
            _PUT_MESSAGE,
            (
                origin,
                message.reef_id,
                message.schema_id,
                us_of(message.produced_at),
                kept.headers_json,
                kept.payload,
                kept.payload_bytes,
                kept.payload_sha256,
            ),
        )
    )
    writes += [
        Write(
            _PUT_ENTRY,
            (
                entry_id(origin, part),
                origin,
                part.scope,
                part.reason.value,
                _detail_of(part),
                part.name,
                part.example,
                part.readings,
                message.reef_id,
                device,
                message.schema_id,
                reception.received_us,
                stored_bytes_of(part) + (kept.stored_bytes if place == 0 else 0),
                stored_us,
            ),
        )
        for place, part in enumerate(parts)
    ]
    return writes


def _payload_of(message: Envelope, part: RefusedPart) -> bytes:
    match part.scope:
        case "message":
            return message.body
        case "reading" | "channel":
            return part.example
        case _ as unknown:
            assert_never(unknown)


def _detail_of(part: RefusedPart) -> str:
    """The reason's sentence, then what is particular to this part."""
    return f"{part.reason.sentence} {part.detail}".strip()[:DETAIL_CHARACTERS_LIMIT]
