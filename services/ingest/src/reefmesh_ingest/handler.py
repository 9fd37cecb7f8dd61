"""One telemetry message in; readings, receipts and quarantine entries out. No payload makes it raise."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from reefmesh.clock import Clock
from reefmesh.contracts.channels import QUARANTINE, READINGS
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.readings import READINGS_PER_MESSAGE_LIMIT
from reefmesh.contracts.schema import QUARANTINE_1, READINGS_1
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.handler import Change, Output
from reefmesh.store.port import Store, Write
from reefmesh_ingest import quarantine, readings_table, receipts
from reefmesh_ingest.domain.decode import Observation, Reason, Refusal, Report, decode
from reefmesh_ingest.domain.decode.refusals import RefusedParts
from reefmesh_ingest.domain.decode.values import clean_text, us_of
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.domain.reading_json import instant_text, reading_text
from reefmesh_ingest.domain.time_sanity import instants_of
from reefmesh_ingest.identity import device_name, identify
from reefmesh_ingest.intake import Counts, Instant, Intake, assigned
from reefmesh_ingest.judging import judge
from reefmesh_ingest.quarantine import Trouble
from reefmesh_ingest.receipts import Receipt
from reefmesh_ingest.register.table import KnownBuoy, KnownReef, Register
from reefmesh_ingest.tail import BuoyTail, load_tail

READINGS_BODY_CHARACTERS_LIMIT: Final = 200_000
UNTIMED_WINDOW_MICROSECONDS: Final = 60 * 1_000_000
EVER_MICROSECONDS: Final = 2**61

_STATE: Final = b"{}"

log = structlog.get_logger()


@dataclass(slots=True)
class ReefTails:
    """What is at hand of a reef: the tails of its buoys, each loaded when its first message comes."""

    tails: dict[str, BuoyTail] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """A message and what its headers say; ``origin`` is its own event id, or that of the message which it replays."""

    message: Envelope
    origin: str
    replay_of: str | None
    received_us: int
    header_device: str | None


class IngestHandler:
    """``reefmesh.service.handler.Handler`` of the subscription ``ingest@reef.telemetry``.

    The reef's row holds no state: everything is in the service's own tables, and what is at hand is read from there.
    """

    def __init__(self, *, store: Store, register: Register, clock: Clock, metrics: Metrics | None = None) -> None:
        self._store = store
        self._register = register
        self._clock = clock
        self._metrics = metrics

    async def load(self, reef_id: str, state: bytes | None) -> ReefTails:  # noqa: ARG002  # everything is in the tables
        return ReefTails()

    def dump(self, state: ReefTails) -> bytes:  # noqa: ARG002  # as above
        return _STATE

    async def handle(self, message: Envelope, state: ReefTails) -> Change[ReefTails]:
        """Apply one message; whatever its bytes are, it ends in a receipt.

        Raises:
            TransientError: the store is away.
        """
        arrival = _arrival_of(message)
        message = arrival.message
        report = self._decode(message)
        if self._register.is_due() or quarantine.REPLAY_OF in message.headers:  # a mend of just now must be known
            await self._register.refresh()
        body_device = report.device if isinstance(report, Report) else None
        device = device_name(arrival.header_device, body_device)
        if isinstance(report, Refusal):
            return self._refuse(arrival, state, report, device=device, readings=1)
        found = await self._identify(arrival, report)
        if isinstance(found, Refusal):
            readings = max(1, len(report.observations) + report.readings_refused)
            return self._refuse(arrival, state, found, device=device, readings=readings)
        return await self._accept(arrival, state, report, *found, device=device)

    def _decode(self, message: Envelope) -> Report | Refusal:
        try:
            return decode(message.schema_id, message.body)
        except Exception as error:
            # A decoder's bug must not stall the reef: the message is kept, and replayed once the bug is mended.
            log.exception("decoder fault", schema=message.schema_id, event_id=message.event_id)
            return Refusal(reason=Reason.DECODER_FAULT, detail=clean_text(f"{type(error).__name__}: {error}", 500))

    async def _identify(self, arrival: _Arrival, report: Report) -> tuple[KnownBuoy, KnownReef] | Refusal:
        header, reef_id = arrival.header_device, arrival.message.reef_id
        found = identify(self._register, header=header, body=report.device, reef_id=reef_id)
        if isinstance(found, Refusal):
            await self._register.refresh()  # the entry may be newer than what is known
            found = identify(self._register, header=header, body=report.device, reef_id=reef_id)
        return found

    async def _accept(
        self,
        arrival: _Arrival,
        state: ReefTails,
        report: Report,
        buoy: KnownBuoy,
        reef: KnownReef,
        *,
        device: str | None,
    ) -> Change[ReefTails]:
        tail = await self._tail(state, buoy, reef)
        refused = RefusedParts(report.refused)
        observations = assigned(report, buoy, refused)
        intake = Intake(buoy=buoy, origin=arrival.origin, received_us=arrival.received_us)
        digest = await self._take(intake, tail, report, observations, arrival.message.body)
        verdicts, loaded = await judge(self._store, tail, intake.values)
        missing = [instant for instant in verdicts if instant not in intake.work]
        neighbours = {**loaded, **tail.recent}
        if unknown := [instant for instant in missing if instant not in neighbours]:
            neighbours |= await readings_table.fetch_at(self._store, buoy.entry.id, unknown)
        revised = intake.conclude(verdicts, neighbours)
        tail.remember(intake.work)
        if self._metrics is not None and tail.newest_us is not None:
            lag_seconds = (us_of(self._clock.now()) - tail.newest_us) / 1e6
            self._metrics.set(table.READING_LAG_SECONDS, lag_seconds, reef.entry.id)
        troubles = [
            Trouble(
                scope=part.scope,
                reason=part.reason,
                detail=part.detail,
                channel=part.channel,
                example=part.example,
                readings=part.readings,
            )
            for part in refused.collected()
        ]
        counts = intake.counts
        counts.quarantined = report.readings_refused
        writes, bodies = _written(revised, buoy, reef, arrival.received_us)
        writes += [receipts.withdraw(origin) for origin in intake.withdrawn_origins]
        outputs = [
            Output(channel=READINGS, step=f"readings-{place}", schema_id=READINGS_1, body=body)
            for place, body in enumerate(bodies)
        ]
        receipt = _receipt(arrival, counts, troubles, device=device, buoy_id=buoy.entry.id, digest=digest, reason=None)
        return self._conclude(arrival, state, receipt, troubles, writes=writes, outputs=outputs)

    async def _take(
        self, intake: Intake, tail: BuoyTail, report: Report, observations: Sequence[Observation], payload: bytes
    ) -> str:
        """Put the observations where they belong in time; returns the digest of a payload without certain times.

        Such a payload has nothing but its content and its reception to tell a copy from a new report: it is a copy when
        the same bytes came from the buoy within the window before. That depends on the set of receptions alone.
        """
        earliest_us, buoy_id = intake.buoy.earliest_us, intake.buoy.entry.id
        observed = [observation.observed_us for observation in observations]

        def at(received_us: int) -> list[Instant]:
            return instants_of(observed, sent_us=report.sent_us, received_us=received_us, earliest_us=earliest_us)

        reported = intake.readings_of(observations, at(intake.received_us))
        certain = [reading for reading in reported if reading.time_source == "device"]
        if len(certain) == len(reported):
            intake.take(reported, await self._known(tail, buoy_id, reported))
            return ""
        digest = _digest(payload)
        untimed = all(reading.time_source != "broken_clock" for reading in reported)
        interval_us = intake.buoy.entry.report_interval_seconds * 1_000_000
        window_us = min(UNTIMED_WINDOW_MICROSECONDS, interval_us // 2) if untimed else EVER_MICROSECONDS
        copies = receipts.Copies(store=self._store, buoy_id=buoy_id, digest=digest, window_us=window_us, origin=intake.origin)
        earlier_us, later_us = await copies.around(intake.received_us)
        if later_us is not None and (await copies.around(later_us))[0] is None:
            # Until now the next copy was the first of its window; now this message is.
            late = intake.readings_of(observations, at(later_us))
            late = [copy for copy in late if copy.time_source != "device"]
            intake.withdraw(late, await self._known(tail, buoy_id, late))
        if earlier_us is not None:
            intake.counts.duplicate += len(reported) - len(certain)
            reported = certain
        intake.take(reported, await self._known(tail, buoy_id, reported))
        return digest

    async def _known(self, tail: BuoyTail, buoy_id: str, reported: Sequence[StoredReading]) -> dict[int, StoredReading]:
        """The stored readings at the same instants."""
        newest_us, recent = tail.newest_us, tail.recent
        if newest_us is None:
            return {}
        known = {}
        unknown = []
        for reading in reported:
            instant = reading.observed_us
            if instant > newest_us:
                continue
            if instant in recent:
                known[instant] = recent[instant]
            elif not tail.knows(instant):
                unknown.append(instant)
        if unknown:
            known |= await readings_table.fetch_at(self._store, buoy_id, unknown)
        return known

    async def _tail(self, state: ReefTails, buoy: KnownBuoy, reef: KnownReef) -> BuoyTail:
        entry = buoy.entry
        tail = state.tails.get(entry.id)
        if tail is None or tail.entry is not entry or tail.limits is not reef.limits:
            tail = state.tails[entry.id] = await load_tail(self._store, entry, reef.limits)
        return tail

    def _refuse(
        self, arrival: _Arrival, state: ReefTails, refused: Refusal, *, device: str | None, readings: int
    ) -> Change[ReefTails]:
        trouble = Trouble(
            scope="message",
            reason=refused.reason,
            detail=refused.detail,
            channel=None,
            example=b"",
            readings=readings,
        )
        counts = Counts(quarantined=readings)
        receipt = _receipt(arrival, counts, [trouble], device=device, buoy_id=None, digest="", reason=refused.reason)
        return self._conclude(arrival, state, receipt, [trouble], writes=[], outputs=[])

    def _conclude(
        self,
        arrival: _Arrival,
        state: ReefTails,
        receipt: Receipt,
        troubles: Sequence[Trouble],
        *,
        writes: list[Write],
        outputs: list[Output],
    ) -> Change[ReefTails]:
        message, received_us, device = arrival.message, arrival.received_us, receipt.device
        writes += receipts.writes_of(receipt)
        writes += quarantine.writes_of(message, arrival.origin, troubles, device=device, received_us=received_us)
        outputs += [
            Output(
                channel=QUARANTINE,
                step=f"quarantine-{place}",
                schema_id=QUARANTINE_1,
                body=quarantine.wire_entry(message, arrival.origin, trouble, device=device, received_us=received_us),
            )
            for place, trouble in enumerate(troubles)
        ]
        return Change(state=state, writes=writes, outputs=outputs, committed=partial(self._count, receipt, troubles))

    def _count(self, receipt: Receipt, troubles: Sequence[Trouble]) -> None:
        if self._metrics is None:
            return
        counted = {
            "accepted": receipt.readings_new + receipt.readings_merged,
            "duplicate": receipt.readings_duplicate,
            "quarantined": receipt.readings_quarantined,
        }
        for outcome, readings in counted.items():
            if readings:
                self._metrics.count(table.READINGS, outcome, amount=readings)
        for trouble in troubles:
            self._metrics.count(table.QUARANTINED, trouble.reason.value)


def _arrival_of(message: Envelope) -> _Arrival:
    headers = message.headers
    replay_of = headers.get(quarantine.REPLAY_OF)
    schema_id = clean_text(message.schema_id, 64)
    if schema_id != message.schema_id:
        message = message.model_copy(update={"schema_id": schema_id})  # what a database takes; it is unknown either way
    if replay_of is not None:
        replay_of = clean_text(replay_of, 128)
    return _Arrival(
        message=message,
        origin=replay_of or message.event_id,
        replay_of=replay_of,
        received_us=_received_us(headers.get(quarantine.RECEIVED_AT), message),
        header_device=headers.get(quarantine.DEVICE) or None,
    )


def _received_us(stamp: str | None, message: Envelope) -> int:
    """When the broker received it; a stamp that is missing or unreadable is replaced by the envelope's own time."""
    if stamp is not None:
        try:
            instant = datetime.fromisoformat(stamp)
        except ValueError:
            instant = None
        if instant is not None and instant.tzinfo is not None and (at := us_of(instant)) >= 0:
            return at
    return max(0, us_of(message.produced_at))


def _written(
    revised: Sequence[StoredReading], buoy: KnownBuoy, reef: KnownReef, received_us: int
) -> tuple[list[Write], list[bytes]]:
    """Return the rows of these readings, and the bodies of ``readings/1`` that publish them."""
    buoy_id, reef_id = buoy.entry.id, reef.entry.id
    received_text = instant_text(received_us)
    head = f'{{"reef":{reef.facts_json},"buoys":[{buoy.facts_json}],"readings":['
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
    return writes, bodies


def _receipt(
    arrival: _Arrival,
    counts: Counts,
    troubles: Sequence[Trouble],
    *,
    device: str | None,
    buoy_id: str | None,
    digest: str,
    reason: Reason | None,
) -> Receipt:
    message = arrival.message
    return Receipt(
        event_id=message.event_id,
        origin=arrival.origin,
        replay_of=arrival.replay_of,
        reef_id=message.reef_id,
        device=device,
        buoy_id=buoy_id,
        schema_id=message.schema_id,
        received_us=arrival.received_us,
        payload_bytes=len(message.body),
        digest=digest,
        outcome="accepted" if counts.new + counts.merged else "duplicate" if counts.duplicate else "quarantined",
        reason=None if reason is None else reason.value,
        readings_received=counts.received,
        readings_new=counts.new,
        readings_merged=counts.merged,
        readings_duplicate=counts.duplicate,
        readings_quarantined=counts.quarantined,
        channels_quarantined=sum(trouble.readings for trouble in troubles if trouble.scope == "channel"),
    )


def _digest(payload: bytes) -> str:
    return hashlib.blake2b(payload, digest_size=16).hexdigest()
