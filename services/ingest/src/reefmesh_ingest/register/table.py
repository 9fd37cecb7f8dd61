"""The register as the service knows it: a table with a version, and what was read of it last."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.errors import ConfigurationError
from reefmesh.store.port import Row, Store, Write
from reefmesh_ingest import learned_table, readings_table
from reefmesh_ingest.domain.assignment import FED_BY
from reefmesh_ingest.domain.learned import Learned
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.known import KnownBuoy, KnownReef

NEWEST_LOOKED_AT: Final = 50
"""Readings: a buoy reports its position or battery more often than its temperature, but not so much more often."""

REFRESH_SECONDS: Final = 2.0
"""How stale what a running service knows may be."""

_BUMP: Final = "UPDATE register_version SET version = version + 1 WHERE id = 1"
_PUT_REEF: Final = (
    "INSERT INTO register_reef (reef_id, version, removed, entry_json)"
    " SELECT ?, version, 0, ? FROM register_version WHERE id = 1"
    " ON CONFLICT (reef_id) DO UPDATE SET version = excluded.version, removed = 0, entry_json = excluded.entry_json"
)
_PUT_BUOY: Final = (
    "INSERT INTO register_buoy (buoy_id, reef_id, version, removed, entry_json)"
    " SELECT ?, ?, version, 0, ? FROM register_version WHERE id = 1"
    " ON CONFLICT (buoy_id) DO UPDATE SET reef_id = excluded.reef_id, version = excluded.version, removed = 0,"
    " entry_json = excluded.entry_json"
)
_CHANGES: Final = "SELECT {kind}_id, removed, entry_json FROM register_{kind} WHERE version > ?"
_REMOVE: Final = (
    "UPDATE register_{kind} SET removed = 1, version = (SELECT version FROM register_version WHERE id = 1) WHERE {kind}_id = ?"
)


class Register:
    """Reefs and buoys by name. ``refresh`` before use; look-ups are plain dictionary reads.

    ``now`` is a monotonic clock in seconds.
    """

    def __init__(
        self, store: Store, *, refresh_seconds: float = REFRESH_SECONDS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._refresh_seconds = refresh_seconds
        self._now = now
        self._read_at: float | None = None
        self._version = -1
        self._refreshing = asyncio.Lock()
        self._reefs: dict[str, KnownReef] = {}
        self._buoys: dict[str, KnownBuoy] = {}
        self._buoy_ids: dict[str, str] = {}

    @property
    def version(self) -> int:
        """Counts up with every change; -1 before the first read."""
        return self._version

    def is_due(self) -> bool:
        return self._read_at is None or self._now() - self._read_at >= self._refresh_seconds

    async def refresh(self) -> bool:
        """Read what changed since the last read; returns whether anything did. Raises StoreUnavailable."""
        async with self._refreshing:  # else all lanes of a starting service would read the whole register, each for itself
            rows = await self._store.fetch("SELECT version FROM register_version WHERE id = 1")
            self._read_at = self._now()
            version = int(rows[0][0])
            if version == self._version:
                return False
            for reef_id, removed, entry_json in await self._changes("reef"):
                self._reefs.pop(reef_id, None)
                if not removed:
                    self._reefs[reef_id] = KnownReef(ReefEntry.model_validate_json(entry_json))
            for buoy_id, removed, entry_json in await self._changes("buoy"):
                self._forget_buoy(buoy_id)
                if not removed:
                    self._learn_buoy(BuoyEntry.model_validate_json(entry_json))
            self._version = version
            return True

    async def _changes(self, kind: str) -> Sequence[Row]:
        return await self._store.fetch(_CHANGES.format(kind=kind), (self._version,))

    def reef(self, reef_id: str) -> KnownReef | None:
        return self._reefs.get(reef_id)

    def buoy(self, device: str) -> KnownBuoy | None:
        """Find a buoy by its id or one of its aliases."""
        buoy_id = self._buoy_ids.get(device)
        return None if buoy_id is None else self._buoys.get(buoy_id)

    def reefs(self) -> list[KnownReef]:
        return [self._reefs[reef_id] for reef_id in sorted(self._reefs)]

    def buoys(self, reef_id: str | None = None) -> list[KnownBuoy]:
        known = (self._buoys[buoy_id] for buoy_id in sorted(self._buoys))
        return [buoy for buoy in known if reef_id is None or buoy.entry.reef == reef_id]

    async def learned(self, buoy_id: str) -> Learned:
        """Return what a buoy's own reports show of it. Raises StoreUnavailable."""
        return await learned_table.fetch(self._store, buoy_id)

    async def temperature_probe(self, buoy_id: str) -> str | None:
        """Return which of a logger's probes fed the newest temperature, where that is not its first one, or another was there.
        Raises StoreUnavailable."""
        newest = await readings_table.fetch_newest(self._store, buoy_id, limit=NEWEST_LOOKED_AT)
        with_values = (reading for reading in newest if SEA_WATER_TEMPERATURE in reading.contents)
        reading = next(with_values, None)
        return None if reading is None or reading.status is None else reading.status.detail.get(FED_BY)

    async def upsert(self, *, reefs: Sequence[ReefEntry] = (), buoys: Sequence[BuoyEntry] = ()) -> None:
        """Add or replace entries, all or none.

        Raises:
            ConfigurationError: a buoy's reef is not registered, or a device name is another buoy's already.
        """
        await self.refresh()
        reef_ids = self._reefs.keys() | {reef.id for reef in reefs}
        named = {name: id_ for name, id_ in self._buoy_ids.items() if id_ not in {buoy.id for buoy in buoys}}
        for buoy in buoys:
            if buoy.reef not in reef_ids:
                raise ConfigurationError(f"buoy {buoy.id}: reef {buoy.reef} is not registered, register it first")
            for name in (buoy.id, *buoy.aliases):
                if named.setdefault(name, buoy.id) != buoy.id:
                    raise ConfigurationError(f"buoy {buoy.id}: {name} is a name of buoy {named[name]} already")
        await self._write(
            [
                *(Write(_PUT_REEF, (reef.id, reef.model_dump_json(exclude_defaults=True, by_alias=True))) for reef in reefs),
                *(
                    Write(_PUT_BUOY, (buoy.id, buoy.reef, buoy.model_dump_json(exclude_defaults=True, by_alias=True)))
                    for buoy in buoys
                ),
            ]
        )

    async def remove_buoy(self, buoy_id: str) -> bool:
        """Take a buoy out; its readings stay. Returns whether it was there."""
        await self.refresh()
        if buoy_id not in self._buoys:
            return False
        await self._write([Write(_REMOVE.format(kind="buoy"), (buoy_id,))])
        return True

    async def remove_reef(self, reef_id: str) -> bool:
        """Take a reef out; returns whether it was there.

        Raises:
            ConfigurationError: buoys are registered there.
        """
        await self.refresh()
        if reef_id not in self._reefs:
            return False
        if moored := self.buoys(reef_id):
            raise ConfigurationError(f"reef {reef_id} has buoys ({moored[0].entry.id}, ...): remove or move them first")
        await self._write([Write(_REMOVE.format(kind="reef"), (reef_id,))])
        return True

    async def _write(self, writes: Iterable[Write]) -> None:
        await self._store.write([Write(_BUMP, ()), *writes])
        await self.refresh()

    def _learn_buoy(self, entry: BuoyEntry) -> None:
        self._buoys[entry.id] = KnownBuoy(entry)
        for name in (entry.id, *entry.aliases):
            self._buoy_ids[name] = entry.id

    def _forget_buoy(self, buoy_id: str) -> None:
        known = self._buoys.pop(buoy_id, None)
        for name in () if known is None else (known.entry.id, *known.entry.aliases):
            if self._buoy_ids.get(name) == buoy_id:
                del self._buoy_ids[name]
