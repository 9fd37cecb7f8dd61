"""Finds out which reefs changed, and passes that on to whoever listens (ADR 0042)."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from reefmesh.errors import TransientError
from reefmesh.service.stop_event import is_set_within
from reefmesh_dashboard.live.listeners import Changed, Listeners
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.queries.reefs import ReefVersion, reef_versions, some_reefs

LOOK_SECONDS: Final = 1.0

log = structlog.get_logger()


class Changes:
    """Looks at the versions of all reefs every ``look_seconds``, while somebody listens."""

    def __init__(self, reader: Reader, listeners: Listeners, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._reader = reader
        self._listeners = listeners
        self._look_seconds = look_seconds
        self._known: Mapping[str, ReefVersion] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop``, then end every stream. A look that fails is repeated with the next one; nothing is missed."""
        stopped = asyncio.create_task(stop.wait(), name="dashboard/changes/stop")
        try:
            while not stop.is_set():
                if not self._listeners:
                    self._known = None
                    await self._until_somebody_listens(stopped)
                    continue
                try:
                    await self.look()
                except TransientError as error:
                    log.warning("changes cannot be read", reason=str(error))
                await is_set_within(stop, self._look_seconds)
        finally:
            stopped.cancel()
            self._listeners.end()

    async def look(self) -> None:
        """Compare with the look before, and give every listener what changed.

        Raises TransientError: nobody was given anything, and the next look finds the same.
        """
        versions = await reef_versions(self._reader)
        known = versions if self._known is None else self._known
        differing = [each for each, version in versions.items() if known.get(each) != version]
        wanted = {listener: listener.missing(versions, differing) for listener in self._listeners}
        reef_ids = list({each for missing in wanted.values() for each in missing})
        changed = {reef.reef_id: Changed(reef=reef) for reef in await some_reefs(self._reader, reef_ids)}
        for listener, missing in wanted.items():
            listener.send([changed[each] for each in missing if each in changed])
        self._known = versions

    async def _until_somebody_listens(self, stopped: asyncio.Task[bool]) -> None:
        arrived = asyncio.create_task(self._listeners.arrived.wait(), name="dashboard/changes/arrived")
        try:
            await asyncio.wait({stopped, arrived}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrived.cancel()
