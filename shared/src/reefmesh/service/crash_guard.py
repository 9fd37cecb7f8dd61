"""The crash guard: finds the message that kills its process, among all that were in hand when the process died."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import PoisonMessage
from reefmesh.store.port import Store

WAIT_SECONDS: Final = 30.0
"""The longest wait of a suspect for another one that is being tried."""


class CrashGuard:
    """The tries of redelivered messages of one inbox. A message is poison after ``crash_limit`` tries, none of which ended."""

    def __init__(self, *, store: Store, inbox: str, crash_limit: int) -> None:
        self._store = store
        self._inbox = inbox
        self._crash_limit = crash_limit
        self._one_suspect = asyncio.Lock()

    @asynccontextmanager
    async def trying(self, message: Envelope) -> AsyncIterator[None]:
        """Count a try of a redelivered message durably, then let the caller try it inside the context.

        A message that was counted before is a suspect. Suspects are tried one at a time, each counted only when its turn
        comes: so the killer reaches the limit, and the messages beside it do not. Waits for the other suspects,
        ``WAIT_SECONDS`` at most.

        Raises:
            PoisonMessage: the message was tried ``crash_limit`` times, and no try ended.
            StoreUnavailable: the try could not be counted.
        """
        is_suspect = self._crash_limit == 1 or await self._store.attempts(self._inbox, message.event_id) > 0
        async with self._alone() if is_suspect else nullcontext():
            tries = await self._store.count_attempt(self._inbox, message.event_id)
            if tries > self._crash_limit:
                raise PoisonMessage("kills-its-process", f"tried {tries - 1} times without an end")
            yield

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait for the other suspects, but go on without the lock when one of them is stuck."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._one_suspect.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._one_suspect.release()
