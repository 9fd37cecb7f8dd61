"""Messages that may have killed their process, or stood beside one that did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import PoisonMessage
from reefmesh.store.port import Store

WAIT_SECONDS: Final = 30.0


class Suspects:
    """Of one subscription. ``crash_limit``: tries after which a message counts as one that kills its process."""

    def __init__(self, *, store: Store, inbox: str, crash_limit: int) -> None:
        self._store = store
        self._inbox = inbox
        self._crash_limit = crash_limit
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def trying(self, message: Envelope) -> AsyncIterator[None]:
        """Try a redelivered message inside. From its second redelivery on it is tried while no other such message is, and
        counted only then: the killer is found out, its neighbours are not blamed.

        Raises:
            PoisonMessage: it was tried too often without an end.
        """
        is_suspect = self._crash_limit == 1 or await self._store.attempts(self._inbox, message.event_id) > 0
        async with self._alone() if is_suspect else nullcontext():
            tries = await self._store.count_attempt(self._inbox, message.event_id)
            if tries > self._crash_limit:
                raise PoisonMessage("kills-its-process", f"tried {tries - 1} times without an end")
            yield

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait for the other suspects, but not for ever for one that is stuck."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._lock.release()
