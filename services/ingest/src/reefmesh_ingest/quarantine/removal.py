"""Entries leave quarantine for their age, and those that are not open also when it is full: a few at a time, noted in their
receipts."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from reefmesh.clock import Clock
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Row, Store, Write
from reefmesh_ingest.domain.decode.values import us_of
from reefmesh_ingest.quarantine.quota import Quota
from reefmesh_ingest.quarantine.storage import QuarantineStorage

log = structlog.get_logger()

INTERVAL_SECONDS: Final = 60.0
MESSAGES_AT_ONCE: Final = 100

_OLD: Final = "SELECT DISTINCT origin FROM quarantine WHERE stored_us < ? LIMIT ?"
_CLOSED: Final = (
    "SELECT origin FROM quarantine GROUP BY origin HAVING MAX(CASE WHEN status = 'open' THEN 1 ELSE 0 END) = 0"
    " ORDER BY MIN(stored_us) LIMIT ?"
)
# The first statement locks what a replay that is handled at the same time would close.
_MARK: Final = "UPDATE quarantine SET status = 'removed' WHERE origin = ? AND status = 'open'"
_NOTE: Final = (
    "UPDATE receipts SET removed_entries = removed_entries"
    " + (SELECT COUNT(*) FROM quarantine WHERE quarantine.origin = receipts.origin AND status = 'removed'),"
    " removed_readings = removed_readings + (SELECT COALESCE(SUM(readings), 0) FROM quarantine"
    " WHERE quarantine.origin = receipts.origin AND status = 'removed' AND scope <> 'channel')"
    " WHERE origin = ? AND counted = 1"
)
_DELETE: Final = "DELETE FROM quarantine WHERE origin = ?"
_DELETE_MESSAGE: Final = "DELETE FROM quarantine_message WHERE origin = ?"


class QuarantineRemoval:
    """A background task of ingest; each of its processes may run it."""

    def __init__(
        self, *, store: Store, clock: Clock, quota: Quota, storage: QuarantineStorage, metrics: Metrics | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._quota = quota
        self._storage = storage
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Remove until ``stop``. A store that is away only delays it."""
        while not stop.is_set():
            try:
                while await self.remove_some() == MESSAGES_AT_ONCE and not stop.is_set():
                    continue
            except TransientError as error:
                log.warning("quarantine removal waits", reason=str(error))
            await is_set_within(stop, INTERVAL_SECONDS)

    async def remove_some(self) -> int:
        """Remove the entries of at most ``MESSAGES_AT_ONCE`` messages; return of how many. Raises StoreUnavailable."""
        before_us = us_of(self._clock.now() - timedelta(days=self._quota.age_days_limit))
        found: Sequence[Row] = await self._store.fetch(_OLD, (before_us, MESSAGES_AT_ONCE))
        if not found and await self._is_full():
            found = await self._store.fetch(_CLOSED, (MESSAGES_AT_ONCE,))
        if not found:
            return 0
        for (origin,) in found:
            await self._store.write([Write(text, (origin,)) for text in (_MARK, _NOTE, _DELETE, _DELETE_MESSAGE)])
        if self._metrics is not None:
            self._metrics.count(table.QUARANTINE_REMOVED, amount=len(found))
        log.info("quarantine entries removed", messages=len(found), older_than_days=self._quota.age_days_limit)
        return len(found)

    async def _is_full(self) -> bool:
        total = await self._storage.total()
        return total.entries >= self._quota.entries_limit or total.stored_bytes >= self._quota.bytes_limit
