"""The start of a process hears the stop at every await, and nothing else ends it."""

import asyncio

import pytest

from reefmesh.service.start import start_until


async def test_start_that_waits_is_cut_short_when_it_is_stopped() -> None:
    stop, waits = asyncio.Event(), asyncio.Event()

    async def started() -> bool:
        async with start_until(stop) as start:
            waits.set()
            await asyncio.Event().wait()
        return start.stopped

    starting = asyncio.create_task(started())
    await waits.wait()
    stop.set()
    assert await starting is True


async def test_start_that_is_done_goes_on_after_a_later_stop() -> None:
    stop = asyncio.Event()
    async with start_until(stop) as start:
        await asyncio.sleep(0)
    stop.set()
    await asyncio.sleep(0)
    assert start.stopped is False


async def test_time_out_of_what_is_opened_is_not_taken_for_a_stop() -> None:
    with pytest.raises(TimeoutError):
        async with start_until(asyncio.Event()):
            raise TimeoutError
