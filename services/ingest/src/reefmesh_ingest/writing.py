"""Write, the last step: the rows, messages, receipt and quarantine entries that one message leaves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from reefmesh.contracts.channels import QUARANTINE, READINGS
from reefmesh.contracts.readings import READINGS_PER_MESSAGE_LIMIT
from reefmesh.contracts.schema import QUARANTINE_1, READINGS_1, READINGS_2
from reefmesh.service.handler import Output
from reefmesh.store.port import Write
from reefmesh_ingest import readings_table, receipts
from reefmesh_ingest.domain.arrival import Reception
from reefmesh_ingest.domain.decode.refusals import Refusal, RefusedPart
from reefmesh_ingest.domain.decode.report import Report
from reefmesh_ingest.domain.join import Joined
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.domain.reading_json import instant_text, reading_text
from reefmesh_ingest.domain.timing import TimedReport
from reefmesh_ingest.identity import Identity
from reefmesh_ingest.quarantine import entries
from reefmesh_ingest.quarantine.folded import folded_text
from reefmesh_ingest.quarantine.quota import Keeping
from reefmesh_ingest.receipts import Receipt, ReceiptOutcome
from reefmesh_ingest.register.known import KnownBuoy, KnownReef

READINGS_BODY_CHARACTERS_LIMIT: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How much of a message's refused parts goes to quarantine, and when."""

    keeping: Keeping
    stored_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Everything that one message leaves. ``writes`` contain ``receipt`` and ``refused``; both are here too, to be counted."""

    writes: list[Write]
    outputs: list[Output]
    receipt: Receipt
    refused: tuple[RefusedPart, ...]


def write_accepted(
    identity: Identity, timed: TimedReport, joined: Joined, revised: Sequence[StoredReading], kept: Kept, *, facts_json: str
) -> Written:
    """Write an admitted message; all of its readings may be duplicates, or refused. ``facts_json``: the buoy's facts."""
    reception, report = timed.reception, timed.report
    writes, outputs = write_readings(revised, identity.buoy, identity.reef, facts_json, reception.received_us)
    writes += [receipts.withdraw(origin) for origin in joined.withdrawn_origins]
    receipt = _receipt(
        reception,
        report.refused,
        has_values=any(reading.contents for reading in timed.readings),
        device=identity.device,
        buoy_id=identity.buoy.entry.id,
        new=joined.new,
        merged=joined.merged,
        duplicates=joined.duplicates,
        quarantined=report.readings_refused,
        digest=joined.digest,
    )
    return _written(reception, receipt, report.refused, kept, writes=writes, outputs=outputs)


def refused_whole(refusal: Refusal, report: Report | None = None) -> RefusedPart:
    """Return the one part of a message that was refused whole. One that could not be decoded (no ``report``) counts as one
    reading."""
    readings = 1 if report is None else max(1, len(report.observations) + report.readings_refused)
    return RefusedPart(scope="message", reason=refusal.reason, detail=refusal.detail, readings=readings)


def write_refused(reception: Reception, part: RefusedPart, device: str | None, kept: Kept) -> Written:
    """Write a message that was refused whole."""
    receipt = _receipt(reception, (part,), device=device, quarantined=part.readings, reason=part.reason.value)
    return _written(reception, receipt, (part,), kept, writes=[], outputs=[])


def _written(
    reception: Reception,
    receipt: Receipt,
    refused: tuple[RefusedPart, ...],
    kept: Kept,
    *,
    writes: list[Write],
    outputs: list[Output],
) -> Written:
    device = receipt.device
    is_folded = bool(refused) and kept.keeping is Keeping.COUNTED
    if is_folded:
        readings = sum(part.readings for part in refused if part.scope != "channel")
        receipt = replace(receipt, folded=folded_text(refused), folded_readings=readings)
    writes += receipts.writes_of(receipt)
    writes += entries.writes_of(reception, refused, device=device, keeping=kept.keeping, stored_us=kept.stored_us)
    if is_folded:
        return Written(writes=writes, outputs=outputs, receipt=receipt, refused=refused)
    outputs += [
        Output(
            channel=QUARANTINE,
            step=f"quarantine-{place}",
            schema_id=QUARANTINE_1,
            body=entries.wire_entry(reception, part, device=device),
        )
        for place, part in enumerate(refused)
    ]
    return Written(writes=writes, outputs=outputs, receipt=receipt, refused=refused)


def write_readings(
    revised: Sequence[StoredReading], buoy: KnownBuoy, reef: KnownReef, facts_json: str, received_us: int
) -> tuple[list[Write], list[Output]]:
    """Return the rows of these readings, and the messages that publish them, in the lowest major that can say it.

    ``facts_json``: the buoy's facts. ``received_us``: when most of the readings were received.
    """
    buoy_id, reef_id = buoy.entry.id, reef.entry.id
    received_text = instant_text(received_us)
    conditions, sensors = reef.conditions_json, buoy.sensors_json
    schema_id, stated = READINGS_1, ""
    if conditions is not None or sensors is not None:
        schema_id, stated = READINGS_2, f'"conditions":{conditions or "null"},"sensors":{sensors or "{}"},'
    head = f'{{"reef":{reef.facts_json},"buoys":[{facts_json}],{stated}"readings":['
    writes: list[Write] = []
    bodies: list[bytes] = []
    texts: list[str] = []
    characters = 0
    for reading in revised:
        received = received_text if reading.received_us == received_us else instant_text(reading.received_us)
        text = reading_text(buoy_id, reading, received)
        writes.append(readings_table.write_of(buoy_id, reef_id, reading, text))
        if len(texts) == READINGS_PER_MESSAGE_LIMIT or (texts and characters + len(text) > READINGS_BODY_CHARACTERS_LIMIT):
            bodies.append(f"{head}{','.join(texts)}]}}".encode())
            texts, characters = [], 0
        texts.append(text)
        characters += len(text) + 1
    if texts:
        bodies.append(f"{head}{','.join(texts)}]}}".encode())
    outputs = [
        Output(channel=READINGS, step=f"readings-{place}", schema_id=schema_id, body=body) for place, body in enumerate(bodies)
    ]
    return writes, outputs


def _receipt(
    reception: Reception,
    refused: Sequence[RefusedPart],
    *,
    device: str | None,
    quarantined: int,
    has_values: bool = False,
    buoy_id: str | None = None,
    new: int = 0,
    merged: int = 0,
    duplicates: int = 0,
    digest: str = "",
    reason: str | None = None,
) -> Receipt:
    message = reception.message
    outcome: ReceiptOutcome = "accepted" if new + merged else "duplicate" if duplicates else "quarantined"
    if outcome == "accepted" and not has_values and any(part.is_of_sensor for part in refused):
        outcome = "quarantined"  # the device's status was used, and no value of what it measures could be read
    return Receipt(
        event_id=message.event_id,
        origin=reception.origin,
        replay_of=reception.replay_of,
        reef_id=message.reef_id,
        device=device,
        buoy_id=buoy_id,
        schema_id=message.schema_id,
        received_us=reception.received_us,
        payload_bytes=len(message.body),
        digest=digest,
        outcome=outcome,
        reason=reason,
        readings_received=new + merged + duplicates + quarantined,
        readings_new=new,
        readings_merged=merged,
        readings_duplicate=duplicates,
        readings_quarantined=quarantined,
        channels_quarantined=sum(part.readings for part in refused if part.scope == "channel"),
    )
