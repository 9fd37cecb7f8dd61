"""One telemetry message in; readings, a receipt and quarantine entries out. No payload of a device makes it raise.

``handle`` is the whole way of a message, one line for each step; docs/ingest.md follows one message along it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from reefmesh.clock import Clock
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import EXCLUSION_1
from reefmesh.observability.metrics import Metrics
from reefmesh.service.handler import Change
from reefmesh.store.port import Store
from reefmesh_ingest import learned_table
from reefmesh_ingest.admission import admit
from reefmesh_ingest.counting import Counting
from reefmesh_ingest.decoding import decode_payload
from reefmesh_ingest.domain.arrival import Reception, reception_of
from reefmesh_ingest.domain.assignment import assign_report
from reefmesh_ingest.domain.decode import Refusal, Report
from reefmesh_ingest.domain.decode.refusals import RefusedPart
from reefmesh_ingest.domain.decode.values import us_of
from reefmesh_ingest.domain.timing import time_report
from reefmesh_ingest.exclusions.handling import ExclusionHandling
from reefmesh_ingest.identity import Identity, device_name, identify
from reefmesh_ingest.joining import join_known
from reefmesh_ingest.judging import judge
from reefmesh_ingest.quarantine.quota import Quota
from reefmesh_ingest.quarantine.storage import QuarantineStorage
from reefmesh_ingest.register.table import Register
from reefmesh_ingest.tail import ReefTails
from reefmesh_ingest.writing import Kept, Written, refused_whole, write_accepted, write_refused

_STATE: Final = b"{}"


class IngestHandler:
    """``reefmesh.service.handler.Handler`` of the subscription ``ingest@reef.telemetry``.

    The reef's row holds no state: everything is in the service's own tables, and the tails at hand are loaded from there.
    """

    def __init__(
        self,
        *,
        store: Store,
        register: Register,
        clock: Clock,
        storage: QuarantineStorage | None = None,
        metrics: Metrics | None = None,
        exclusions: ExclusionHandling | None = None,
    ) -> None:
        """``storage`` None: with the quota that the settings have by default; ``exclusions`` None: with parts of the usual
        size."""
        self._store = store
        self._register = register
        self._clock = clock
        self._storage = storage or QuarantineStorage(store=store, clock=clock, quota=Quota(), metrics=metrics)
        self._counting = Counting(clock=clock, metrics=metrics)
        self._exclusions = exclusions or ExclusionHandling(store=store, register=register)

    async def load(self, reef_id: str, state: bytes | None) -> ReefTails:  # noqa: ARG002  # everything is in the tables
        return ReefTails()

    def dump(self, state: ReefTails) -> bytes:  # noqa: ARG002  # as above
        return _STATE

    async def handle(self, message: Envelope, state: ReefTails) -> Change[ReefTails]:
        """Apply one message; whatever the bytes of telemetry are, it ends in a receipt.

        Raises:
            PoisonMessage: an operator's exclusion that cannot be read.
            TransientError: the store is away.
        """
        if message.schema_id == EXCLUSION_1:
            return await self._exclusions.handle(message, state)
        reception = reception_of(message, now=self._clock.now())
        report = decode_payload(reception)
        await self._refresh_register(reception)
        if isinstance(report, Refusal):
            return await self._refused(state, reception, report)
        identity = await self._admitted(reception, report)
        if isinstance(identity, Refusal):
            return await self._refused(state, reception, identity, report)
        assigned = assign_report(report, identity.buoy.assignment, identity.reef.water)
        timed = time_report(assigned, identity.buoy.deployment, reception)
        tail = await state.at_hand(self._store, identity.buoy, identity.reef)
        joined = await join_known(self._store, tail, timed)
        revised = await judge(self._store, tail, joined)
        self._counting.lag(identity.reef.entry.id, tail.newest_us)
        kept = await self._kept(reception, identity.device, timed.report.refused)
        has_learned = tail.learn(revised, "nbs" if assigned.has_nbs_probe else None)
        written = write_accepted(identity, timed, joined, revised, kept, facts_json=tail.facts_json)
        if has_learned:
            written.writes.append(learned_table.write_of(tail.entry.id, tail.learned))
        return self._change(state, written)

    async def _refresh_register(self, reception: Reception) -> None:
        if self._register.is_due() or reception.replay_of is not None:  # a replay follows a change of a moment ago
            await self._register.refresh()

    async def _admitted(self, reception: Reception, report: Report) -> Identity | Refusal:
        """Identify and admit; a refusal is checked once more against the newest register."""
        identity = admit(identify(self._register, reception, report), reception)
        if isinstance(identity, Refusal):
            await self._register.refresh()
            identity = admit(identify(self._register, reception, report), reception)
        return identity

    async def _refused(
        self, state: ReefTails, reception: Reception, refusal: Refusal, report: Report | None = None
    ) -> Change[ReefTails]:
        part, device = refused_whole(refusal, report), device_name(reception, report)
        return self._change(state, write_refused(reception, part, device, await self._kept(reception, device, (part,))))

    async def _kept(self, reception: Reception, device: str | None, parts: Sequence[RefusedPart]) -> Kept:
        keeping = await self._storage.keeping(reception, device, parts)
        return Kept(keeping=keeping, stored_us=us_of(self._clock.now()))

    def _change(self, state: ReefTails, written: Written) -> Change[ReefTails]:
        counted = partial(self._counting.count, written)
        return Change(state=state, writes=written.writes, outputs=written.outputs, committed=counted)
