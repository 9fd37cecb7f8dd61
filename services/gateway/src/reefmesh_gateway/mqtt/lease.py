"""Which of several gateways is the client of an MQTT broker: one holds the lease, the others stand by.

A session at an MQTT broker has one client: two with the same id would put each other out for ever. The holder counts a number
up in the database; whoever has seen it stand still for long enough takes over. No clocks of different machines are compared.
If two ever believe that they hold it, the broker gives the session to one of them, and repeats have the same event ids.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

import structlog

from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store, StoreUnavailable, Write

BEAT_SECONDS: Final = 1.0
GIVE_UP_SECONDS: Final = 4.0
"""A holder that could not count up for so long stops."""
TAKE_OVER_SECONDS: Final = 6.0
NOBODY: Final = ""

_MAKE: Final = "INSERT INTO gateway_lease (name, holder, beat) VALUES (?, '', 0) ON CONFLICT (name) DO NOTHING"
_READ: Final = "SELECT holder, beat FROM gateway_lease WHERE name = ?"
_TAKE: Final = "UPDATE gateway_lease SET holder = ?, beat = beat + 1 WHERE name = ? AND holder = ? AND beat = ?"
_BEAT: Final = "UPDATE gateway_lease SET beat = beat + 1 WHERE name = ? AND holder = ?"
_RELEASE: Final = "UPDATE gateway_lease SET holder = '' WHERE name = ? AND holder = ?"

log = structlog.get_logger()


class Lease:
    """``name``: the session. ``now`` is a monotonic clock in seconds."""

    def __init__(self, store: Store, name: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._name = name
        self._now = now
        self._me = uuid4().hex
        self._seen: tuple[str, int] | None = None
        self._seen_at = 0.0
        self.is_held = False

    async def take(self) -> bool:
        """Take the lease if nobody has it, or whoever had it stands still; return whether it is ours now.

        Raises:
            StoreUnavailable: that cannot be known.
        """
        rows = await self._store.fetch(_READ, (self._name,))
        if not rows:
            await self._store.write([Write(_MAKE, (self._name,))])
            rows = await self._store.fetch(_READ, (self._name,))
        holder, beat = str(rows[0][0]), int(rows[0][1])
        now = self._now()
        if self._seen != (holder, beat):
            self._seen, self._seen_at = (holder, beat), now
        if holder not in (NOBODY, self._me) and now - self._seen_at < TAKE_OVER_SECONDS:
            return False
        await self._store.write([Write(_TAKE, (self._me, self._name, holder, beat))])
        ((holder, _),) = await self._store.fetch(_READ, (self._name,))
        self.is_held = holder == self._me
        return self.is_held

    async def hold(self, stop: asyncio.Event) -> None:
        """Count up until ``stop`` or until the lease is lost: another one has it, or the database does not answer in time."""
        beaten_at = self._now()
        while self.is_held and not await is_set_within(stop, BEAT_SECONDS):
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._store.write([Write(_BEAT, (self._name, self._me))])
                    ((holder, _),) = await self._store.fetch(_READ, (self._name,))
            except (StoreUnavailable, TimeoutError) as error:
                if self._now() - beaten_at > GIVE_UP_SECONDS:
                    self._lose(f"the database does not answer: {error or 'time-out'}")
                continue
            beaten_at = self._now()
            if holder != self._me:
                self._lose("another gateway has it")

    async def release(self) -> None:
        """Let a standby take over at once. Idempotent."""
        self.is_held = False
        try:
            await self._store.write([Write(_RELEASE, (self._name, self._me))])
        except StoreUnavailable as error:
            log.warning("the lease is not given back; a standby waits for it", lease=self._name, reason=str(error))

    def _lose(self, why: str) -> None:
        self.is_held = False
        log.warning("the lease of the MQTT session is lost", lease=self._name, reason=why)
