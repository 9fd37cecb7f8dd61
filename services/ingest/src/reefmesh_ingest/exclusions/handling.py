"""An operator's message that excludes values of a buoy, or includes them again: one part of the period in one unit of work."""

from functools import partial
from typing import Final

import structlog

from reefmesh.contracts.channels import TELEMETRY
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.exclusion import READERS, REASON_CHARACTERS_LIMIT, ExclusionRequest
from reefmesh.contracts.schema import EXCLUSION_1, read_body
from reefmesh.service.handler import Change, Output
from reefmesh.store.port import Store, Write
from reefmesh_ingest import learned_table
from reefmesh_ingest.domain.decode.values import clean_text, instant_of, us_of
from reefmesh_ingest.domain.exclusion import Exclusion, in_order
from reefmesh_ingest.exclusions import table
from reefmesh_ingest.exclusions.reassessment import READINGS_PER_PART, reassess
from reefmesh_ingest.exclusions.table import EXCLUSIONS_PER_BUOY_LIMIT, RequestState, exclusions_in_force
from reefmesh_ingest.register.known import KnownBuoy, KnownReef
from reefmesh_ingest.register.table import Register
from reefmesh_ingest.tail import ReefTails
from reefmesh_ingest.writing import write_readings

CONTINUED: Final = "continued"

log = structlog.get_logger()


class ExclusionHandling:
    """Puts an exclusion into its table and its effect into the readings, in the order of the reef's messages.

    What a part does depends on the exclusions in force when it is handled, and not on the request: so requests may overlap and
    overtake each other's parts, and telemetry may come in between.
    """

    def __init__(self, *, store: Store, register: Register, readings_per_part: int = READINGS_PER_PART) -> None:
        self._store = store
        self._register = register
        self._readings_per_part = readings_per_part

    async def handle(self, message: Envelope, state: ReefTails) -> Change[ReefTails]:
        """Apply one part of a request.

        Raises:
            PoisonMessage: its body cannot be read.
            StoreUnavailable: try again later.
        """
        request = read_body(message, READERS)
        request_id = request.request_id or message.event_id
        await self._register.refresh()  # the command has looked there a moment ago
        placed = self._placed(request, message.reef_id)
        exclusion = _exclusion_of(request)
        refused = partial(self._refused, state, request, request_id)
        if isinstance(placed, str):
            return refused(placed)
        buoy, reef = placed
        writes: list[Write] = []
        in_force = await exclusions_in_force(self._store, exclusion.buoy_id)
        if request.resume_at is None:
            others = [each for each in in_force if each.exclusion_id != exclusion.exclusion_id]
            if request.action == "include":
                in_force = in_order(others)
                writes.append(table.end(exclusion.exclusion_id, ended_us=us_of(message.produced_at)))
            elif len(others) >= EXCLUSIONS_PER_BUOY_LIMIT:
                return refused(f"{len(others)} exclusions of this buoy are in force; one for a longer period takes their place")
            else:
                in_force = in_order([*others, exclusion])
                writes.append(table.put(exclusion, reef_id=reef.entry.id, made_us=us_of(message.produced_at)))
        from_us = exclusion.from_us if request.resume_at is None else us_of(request.resume_at)
        part = await reassess(
            self._store,
            exclusion.buoy_id,
            buoy.entry.limits_over(reef.entry, reef.limits),
            in_force,
            from_us=from_us,
            until_us=exclusion.until_us,
            readings_limit=self._readings_per_part,
        )
        learned = await learned_table.fetch(self._store, exclusion.buoy_id)
        facts_json = buoy.entry.facts(learned).model_dump_json()
        rows, outputs = write_readings(part.revisions, buoy, reef, facts_json, us_of(message.produced_at))
        if part.resume_us is not None:
            onward = request.model_copy(update={"request_id": request_id, "resume_at": instant_of(part.resume_us)})
            body = onward.model_dump_json().encode()
            outputs.append(Output(channel=TELEMETRY, step=CONTINUED, schema_id=EXCLUSION_1, body=body))
        writes += rows
        done = RequestState(
            request_id=request_id,
            exclusion_id=exclusion.exclusion_id,
            action=request.action,
            outcome="done" if part.resume_us is None else "working",
            readings_looked_at=part.looked_at,
            readings_changed=part.changed,
            neighbours_changed=len(part.revisions) - part.changed,
        )
        writes.append(table.add_to_request(done))
        state.forget(exclusion.buoy_id)
        return Change(state=state, writes=writes, outputs=outputs, committed=partial(_log, done, exclusion))

    def _placed(self, request: ExclusionRequest, reef_id: str) -> tuple[KnownBuoy, KnownReef] | str:
        """Return the buoy of a request and its reef, or why it cannot be granted."""
        buoy = self._register.buoy(request.buoy_id)
        if buoy is None or buoy.entry.id != request.buoy_id:
            return f"{request.buoy_id} is not registered"
        reef = self._register.reef(buoy.entry.reef)
        if reef is None or reef.entry.id != reef_id:
            return f"{request.buoy_id} is registered at {buoy.entry.reef}, the message came under {reef_id}"
        return buoy, reef

    def _refused(self, state: ReefTails, request: ExclusionRequest, request_id: str, why: str) -> Change[ReefTails]:
        refusal = RequestState(
            request_id=request_id,
            exclusion_id=request.exclusion_id,
            action=request.action,
            outcome="refused",
            detail=why,
        )
        log.warning("exclusion refused", buoy_id=request.buoy_id, reason=why)
        return Change(state=state, writes=[table.add_to_request(refusal)])


def _exclusion_of(request: ExclusionRequest) -> Exclusion:
    return Exclusion(
        exclusion_id=request.exclusion_id,
        buoy_id=request.buoy_id,
        from_us=us_of(request.from_at),
        until_us=us_of(request.until_at),
        quantity=request.quantity,
        reason=clean_text(request.reason, REASON_CHARACTERS_LIMIT),
    )


def _log(part: RequestState, exclusion: Exclusion) -> None:
    log.info(
        "exclusion applied",
        action=part.action,
        outcome=part.outcome,
        exclusion_id=part.exclusion_id,
        buoy_id=exclusion.buoy_id,
        quantity=exclusion.quantity,
        readings=part.readings_changed,
    )
