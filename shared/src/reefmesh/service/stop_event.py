"""Waiting on the event that stops a process or a part of it."""

import asyncio


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait until the event is set, ``seconds`` at most; return whether it is set."""
    try:
        return await asyncio.wait_for(event.wait(), timeout=seconds)
    except TimeoutError:
        return False
