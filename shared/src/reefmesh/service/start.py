"""The start of a process, which may be stopped while it waits for a database, a lock or a broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Start:
    """``stopped``: it was cut short, and what would come after it is not to be done."""

    stopped: bool = False


@asynccontextmanager
async def start_until(stop: asyncio.Event) -> AsyncIterator[Start]:
    """Cut short what is inside at the await where it waits when ``stop`` is set; nothing is raised then. What was opened inside
    is for the caller to close."""
    start = Start()
    try:
        async with asyncio.timeout(None) as limit:
            watching = asyncio.create_task(_expire_with(stop, limit), name="stop of the start")
            try:
                yield start
            finally:
                watching.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
        start.stopped = True


async def _expire_with(stop: asyncio.Event, limit: asyncio.Timeout) -> None:
    await stop.wait()
    limit.reschedule(asyncio.get_running_loop().time())
