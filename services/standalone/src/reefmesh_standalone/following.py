"""Finds out when the mesh is done with a set of messages. It reads the services' own tables, so it works on every engine and
from any process."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from reefmesh.contracts import channels, services
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store
from reefmesh_ingest.receipts import Receipt, receipts_of
from reefmesh_standalone.mesh import Stores

CHUNK: Final = 500
LOOK_EVERY_SECONDS: Final = 0.1


class Follower:
    """Follows telemetry messages to their receipts, and their reefs through scoring and alerts."""

    def __init__(self, stores: Stores, sent: Iterable[tuple[str, str]], *, reefs: Iterable[str] = ()) -> None:
        """``sent``: (event id, reef id) of every message, in the order of publishing. ``reefs``: further ones to follow from
        ingest's readings on."""
        self._stores = stores
        pairs = list(sent)
        self._open = [event_id for event_id, _ in pairs]
        self._reefs = sorted({*reefs, *(reef_id for _, reef_id in pairs)})
        self.receipts: dict[str, Receipt] = {}

    async def look(self) -> bool:
        """Look once; True when every message has its receipt and every reef is through scoring and alerts."""
        while self._open:
            chunk, rest = self._open[:CHUNK], self._open[CHUNK:]
            found = await receipts_of(self._stores[services.INGEST], chunk)
            self.receipts.update(found)
            missing = [event_id for event_id in chunk if event_id not in found]
            self._open = missing + rest
            if missing:
                return False
        for reef_id in list(self._reefs):
            if not await self._passed(reef_id):
                return False
            self._reefs.remove(reef_id)
        return True

    async def until_done(
        self,
        report: Callable[[int], None],
        *,
        stop: asyncio.Event,
        ended: asyncio.Event | None = None,
        look_every_seconds: float = LOOK_EVERY_SECONDS,
    ) -> bool:
        """Look until done and pass the number of receipts to ``report`` each time; False when ``stop`` came first, or the mesh
        that runs in this process ``ended``."""
        while True:
            done = await self.look()
            report(len(self.receipts))
            if done or stop.is_set() or (ended is not None and ended.is_set()):
                return done
            await is_set_within(stop, look_every_seconds)

    async def _passed(self, reef_id: str) -> bool:
        """Upstream first: all telemetry of the reef has its receipts, so what upstream published is final."""
        stages: Sequence[tuple[Store, channels.Channel, Store, channels.Subscription]] = (
            (self._stores[services.INGEST], channels.READINGS, self._stores[services.SCORING], channels.SCORING),
            (self._stores[services.SCORING], channels.SCORES, self._stores[services.ALERTS], channels.ALERTING),
        )
        for upstream, channel, downstream, subscription in stages:
            published = (await upstream.load(reef_id)).cursor.published.get(channel.name, 0)
            applied = (await downstream.load(reef_id)).cursor.applied.get(str(subscription), 0)
            if applied < published:
                return False
        return True
