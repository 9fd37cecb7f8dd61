"""Waiting that ends early when a process is to stop."""

import asyncio


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait that long, or until the event is set; returns whether it is."""
    try:
        return await asyncio.wait_for(event.wait(), timeout=seconds)
    except TimeoutError:
        return False
