"""Lets the changes of several reefs come to the store at the same time, so that they share a transaction.

A transaction costs several times what a reef's rows in it cost: a flush of the disk, two hand-overs between threads, and the
same again for the acknowledgements that follow it. Reefs that are busy together come every few milliseconds, each at its own
time; here they wait for one another, not longer than anybody who looks at a page could notice.
"""

import asyncio
from typing import Final

WAIT_SECONDS: Final = 0.02
"""No change waits longer for others."""
BUSY_SECONDS: Final = 0.06
"""A reef whose last change is not longer ago is expected again."""


class Company:
    """The changes that are waiting for one another, and the reefs that are expected to bring one.

    A reef that is busy alone waits for nobody, so its backlog goes as fast as without this.
    """

    def __init__(self, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._came_seconds: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._go: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def gather(self, reef_id: str) -> None:
        """Return when every reef that is expected has come here, at the latest after ``wait_seconds``."""
        loop = asyncio.get_running_loop()
        now_seconds = loop.time()
        self._came_seconds.pop(reef_id, None)
        self._came_seconds[reef_id] = now_seconds  # the latest stands last
        self._forget_before(now_seconds - BUSY_SECONDS)
        self._waiting.add(reef_id)
        if len(self._waiting) >= len(self._came_seconds):
            self._let_go()
            return
        if self._go is None:
            self._go = loop.create_future()
            self._timer = loop.call_later(self._wait_seconds, self._let_go)
        await asyncio.shield(self._go)  # one that is cancelled must not cancel the others

    def _forget_before(self, seconds: float) -> None:
        while self._came_seconds[oldest := next(iter(self._came_seconds))] < seconds:
            del self._came_seconds[oldest]

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._go is not None:
            self._go.set_result(None)
        self._go = self._timer = None
        self._waiting.clear()
