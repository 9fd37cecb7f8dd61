"""How much quarantine holds, as this process knows it, and what it therefore keeps of a refused message.

The figures come from the store and are at most ``FRESH_SECONDS`` old; what this process has decided to keep since is added to
them. Several processes of ingest may together go over a quota by what each of them keeps in that time.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reefmesh.clock import Clock
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.store.port import Row, Store
from reefmesh_ingest.domain.arrival import Reception
from reefmesh_ingest.domain.decode.refusals import PARTS_LIMIT, RefusedPart
from reefmesh_ingest.quarantine.kept_message import kept_message
from reefmesh_ingest.quarantine.quota import Keeping, Quota, Usage, keeping_of, kinds_of

FRESH_SECONDS: Final = 30.0
DEVICES_LIMIT: Final = 2_000
"""Devices whose usage is in memory; that of another one costs a query."""
REPLAYED_ENTRIES_LIMIT: Final = 2 * PARTS_LIMIT
"""A message that quarantine holds already keeps its place when it is replayed, up to so many entries."""

_SUMS: Final = "SELECT scope, reason, COUNT(*), COALESCE(SUM(stored_bytes), 0) FROM quarantine"
_ALL: Final = f"{_SUMS} GROUP BY reason, scope"
_OF_DEVICE: Final = f"{_SUMS} WHERE device = ? AND status = 'open' GROUP BY reason, scope"
_OF_NOBODY: Final = f"{_SUMS} WHERE device IS NULL AND status = 'open' GROUP BY reason, scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    usage: Usage
    since: datetime


class QuarantineStorage:
    """Shared by all lanes of one ingest process."""

    def __init__(self, *, store: Store, clock: Clock, quota: Quota, metrics: Metrics | None = None) -> None:
        self._store = store
        self._clock = clock
        self._quota = quota
        self._metrics = metrics
        self._total: _Known | None = None
        self._devices: OrderedDict[str | None, _Known] = OrderedDict()

    async def keeping(self, reception: Reception, device: str | None, parts: Sequence[RefusedPart]) -> Keeping:
        """Decide what is kept of a message with these refused parts, and count it as kept. Raises StoreUnavailable."""
        if not parts or (reception.replay_of is not None and await self._has_its_place(reception.origin, len(parts))):
            return Keeping.WHOLE
        total, own = await self.total(), await self._of(device)
        stored = _stored_bytes(reception, parts, Keeping.WHOLE)
        keeping = keeping_of(self._quota, own=own, total=total, parts=parts, stored_bytes=stored)
        if keeping is not Keeping.COUNTED:
            for usage in (total, own):
                usage.add(kinds_of(parts), len(parts), _stored_bytes(reception, parts, keeping))
        return keeping

    async def sample(self) -> None:
        """Set the gauges; ``Metrics.add_sampler`` takes this."""
        if self._metrics is not None:
            total = await self.total()
            self._metrics.set(table.QUARANTINE_ENTRIES, total.entries)
            self._metrics.set(table.QUARANTINE_ENTRIES_LIMIT, self._quota.entries_limit)
            self._metrics.set(table.QUARANTINE_BYTES, total.stored_bytes)
            self._metrics.set(table.QUARANTINE_BYTES_LIMIT, self._quota.bytes_limit)

    async def total(self) -> Usage:
        """Return the usage of all devices, replayed entries included. Raises StoreUnavailable."""
        if self._total is None or self._is_old(self._total):
            self._total = _Known(usage=_usage(await self._store.fetch(_ALL)), since=self._clock.now())
        return self._total.usage

    async def _of(self, device: str | None) -> Usage:
        known = self._devices.get(device)
        if known is None or self._is_old(known):
            rows = await (self._store.fetch(_OF_NOBODY) if device is None else self._store.fetch(_OF_DEVICE, (device,)))
            known = self._devices[device] = _Known(usage=_usage(rows), since=self._clock.now())
        self._devices.move_to_end(device)
        if len(self._devices) > DEVICES_LIMIT:
            self._devices.popitem(last=False)
        return known.usage

    async def _has_its_place(self, origin: str, parts: int) -> bool:
        rows = await self._store.fetch("SELECT COUNT(*) FROM quarantine WHERE origin = ?", (origin,))
        held = int(rows[0][0])
        return 0 < held <= REPLAYED_ENTRIES_LIMIT - parts

    def _is_old(self, known: _Known) -> bool:
        return abs(self._clock.now() - known.since) > timedelta(seconds=FRESH_SECONDS)


def _usage(rows: Sequence[Row]) -> Usage:
    return Usage(
        entries=sum(int(row[2]) for row in rows),
        stored_bytes=sum(int(row[3]) for row in rows),
        kinds={(row[0], row[1]) for row in rows},
    )


def _stored_bytes(reception: Reception, parts: Sequence[RefusedPart], keeping: Keeping) -> int:
    return kept_message(reception, keeping).stored_bytes + sum(stored_bytes_of(part) for part in parts)


def stored_bytes_of(part: RefusedPart) -> int:
    """Return what a part keeps besides its message."""
    return len(part.example) + len(part.detail)
