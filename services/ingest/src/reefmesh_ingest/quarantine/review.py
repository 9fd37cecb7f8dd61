"""The operator's side of quarantine: list, show, replay, discard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from reefmesh.broker.port import Publication
from reefmesh.clock import Clock
from reefmesh.contracts.channels import TELEMETRY
from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope, event_id_of
from reefmesh.contracts.senders import REPLAY_OF
from reefmesh.store.port import Store
from reefmesh_ingest.domain.arrival import RECEIVED_AT
from reefmesh_ingest.domain.decode.refusals import Reason
from reefmesh_ingest.domain.decode.values import instant_of
from reefmesh_ingest.quarantine import folded, rows, stored
from reefmesh_ingest.quarantine.discarding import discard_writes
from reefmesh_ingest.quarantine.rows import QuarantineRow
from reefmesh_ingest.quarantine.stored import StoredEntry, StoredMessage
from reefmesh_ingest.register.table import Register

REPLAY_BATCH: Final = 100
DISCARD_BATCH: Final = 200

AFTER_REGISTRATION: Final = (Reason.UNKNOWN_DEVICE, Reason.DEVICE_MISMATCH)
"""The reasons that registering a device may mend. Telemetry of a buoy that was registered as not deployed is left to the
operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An entry with its message: exactly as it was received, unless the message was cut (``StoredMessage.is_cut``)."""

    entry: StoredEntry
    message: StoredMessage

    @property
    def headers(self) -> dict[str, str]:
        return self.message.headers

    @property
    def payload(self) -> bytes:
        return self.message.payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How many entries were found open, and the (reef, new event id) of each message that was published for them; one that
    was cut stays as it is."""

    entries: int
    messages: tuple[tuple[str, str], ...]


class ReplayPublisher(Protocol):
    """The part of a broker that quarantine needs."""

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Publish, confirmed on return. Raises TransientError."""
        ...


class Quarantine:
    """Every method raises StoreUnavailable while the store is away."""

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
        quantity: str | None = None,
        reason: str | None = None,
        newest_first: bool = False,
    ) -> Sequence[StoredEntry]:
        """Return entries, oldest first unless ``newest_first``. ``status`` None: replayed and discarded ones too."""
        equal = _equal(status=status, reef_id=reef_id, device=device, channel=quantity, reason=reason)
        return await stored.list_entries(self._store, equal, limit=limit, newest_first=newest_first)

    async def show(self, quarantine_id: str) -> Shown | None:
        entry = await stored.fetch_entry(self._store, quarantine_id)
        if entry is None:
            return None
        message = await stored.fetch_message(self._store, entry.origin)
        return Shown(entry=entry, message=message)

    async def rows(
        self,
        *,
        limit: int = 100,
        reef_id: str | None = None,
        device: str | None = None,
        quantity: str | None = None,
        reason: str | None = None,
    ) -> Sequence[QuarantineRow]:
        """Return what is open and what was only counted, one row for each device, part and reason, the newest first.

        The receipts do not say of what reef or quantity it was that was only counted.
        """
        equal = _equal(reef_id=reef_id, device=device, channel=quantity, reason=reason)
        found = await rows.list_rows(self._store, equal, limit=limit)
        if reef_id is None and quantity is None:
            counted = await folded.list_folded(self._store, device=device, reason=reason)
            found += [rows.counted_row(each) for each in counted]
        return sorted(found, key=lambda row: -row.last_us)[:limit]

    async def entries_of_rows(self, row_ids: Sequence[str]) -> dict[str, Sequence[str]]:
        """Return the ids of the open entries of each of these rows, the oldest first; a row without any is left out."""
        kinds = await rows.kinds_named(self._store, row_ids)
        return {row_id: await rows.entry_ids_of(self._store, kind) for row_id, kind in kinds.items()}

    async def discard(self, quarantine_ids: Sequence[str]) -> int:
        """Close these entries for good, as far as they are open, and return how many they were. Nothing is replayed of them any
        more; they can be listed (``status`` None) until they are removed for their age, without their values and messages."""
        closed = 0
        for start in range(0, len(quarantine_ids), DISCARD_BATCH):
            some = quarantine_ids[start : start + DISCARD_BATCH]
            closed += await stored.count_open(self._store, some)
            await self._store.write(discard_writes(some))
        return closed

    async def replay(self, quarantine_ids: Sequence[str]) -> Replayed:
        """Publish the messages of these entries again, oldest first; entries that are not open are left out.

        On return the broker holds them; each gets a receipt when it is handled. After a crash in between, or a second call,
        a message may be published twice; the second one counts nothing. Raises TransientError.
        """
        found = [await stored.fetch_entry(self._store, quarantine_id) for quarantine_id in quarantine_ids]
        return await self._publish([entry for entry in found if entry is not None and entry.status == "open"])

    async def replay_for_device(self, device: str, *, reasons: Sequence[Reason] = AFTER_REGISTRATION) -> Replayed:
        """Replay what was refused for these reasons, once the register knows the device. Raises TransientError."""
        await self._register.refresh()
        buoy = self._register.buoy(device)
        names = [device] if buoy is None else [buoy.entry.id, *buoy.entry.aliases]
        return await self._publish(await stored.open_entries_of(self._store, names, [reason.value for reason in reasons]))

    async def _publish(self, entries: Sequence[StoredEntry]) -> Replayed:
        await self._register.refresh()
        origins = {entry.origin: entry for entry in sorted(entries, key=lambda each: (each.received_us, each.origin))}
        published: list[tuple[str, str]] = []
        ordered = list(origins.values())
        for start in range(0, len(ordered), REPLAY_BATCH):
            some = ordered[start : start + REPLAY_BATCH]
            await self._store.write([stored.count_attempt(entry.origin) for entry in some])
            found = [await self._publication(entry) for entry in some]
            publications = [publication for publication in found if publication is not None]
            await self._broker.publish(publications)
            published += [(each.message.reef_id, each.message.event_id) for each in publications]
        return Replayed(entries=len(entries), messages=tuple(published))

    async def _publication(self, entry: StoredEntry) -> Publication | None:
        """Return the message of an entry; None when it was cut, so that there is nothing to send."""
        kept = await stored.fetch_message(self._store, entry.origin)
        if kept.is_cut:
            return None
        buoy = None if entry.device is None else self._register.buoy(entry.device)
        headers = {
            **{name: value for name, value in kept.headers.items() if name not in (PRODUCER_ID, FOLLOWS)},
            RECEIVED_AT: instant_of(entry.received_us).isoformat(),
            REPLAY_OF: entry.origin,
        }
        message = Envelope(
            event_id=event_id_of(entry.origin, f"replay:{kept.attempts}"),
            reef_id=entry.reef_id if buoy is None else buoy.entry.reef,
            schema_id=entry.schema_id,
            produced_at=self._clock.now(),
            body=kept.payload,
            headers=headers,
        )
        return Publication(channel=TELEMETRY.name, message=message)


def _equal(**asked: str | None) -> dict[str, str]:
    """Return the columns that are asked for; entries are joined with their messages, which have some of the same name."""
    return {f"quarantine.{column}": value for column, value in asked.items() if value is not None}
