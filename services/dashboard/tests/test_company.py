"""Changes of reefs that are busy together come to the store together, and nobody waits for a reef that does not come."""

import asyncio
from collections.abc import Sequence

import pytest

from reefmesh_dashboard.company import BUSY_SECONDS, Company

NEVER_SECONDS = 3600.0


async def come(company: Company, *reefs: str) -> Sequence["asyncio.Task[None]"]:
    """Let these come one after the other, and all that can go on go on."""
    tasks = []
    for reef in reefs:
        tasks.append(asyncio.create_task(company.gather(reef)))
        for _ in range(3):
            await asyncio.sleep(0)
    return tasks


async def test_reef_that_is_busy_alone_waits_for_nobody() -> None:
    company = Company(wait_seconds=NEVER_SECONDS)
    for _ in range(3):
        (task,) = await come(company, "a")
        assert task.done()


async def test_busy_reefs_go_on_when_the_last_of_them_has_come() -> None:
    company = Company(wait_seconds=NEVER_SECONDS)
    await come(company, "a")
    waiting = await come(company, "b")
    assert not waiting[0].done(), "a was here just now"
    waiting = [*waiting, *await come(company, "a")]
    assert all(task.done() for task in waiting)


async def test_reef_that_does_not_come_is_waited_for_no_longer_than_the_limit() -> None:
    company = Company(wait_seconds=0.001)
    await come(company, "a")
    async with asyncio.timeout(5):
        await company.gather("b")


async def test_reef_that_has_been_quiet_is_not_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    company = Company(wait_seconds=NEVER_SECONDS)
    await come(company, "a")
    loop = asyncio.get_running_loop()
    later = loop.time() + BUSY_SECONDS + 1
    monkeypatch.setattr(loop, "time", lambda: later)
    (task,) = await come(company, "b")
    assert task.done()


async def test_one_that_is_cancelled_does_not_cancel_the_others() -> None:
    company = Company(wait_seconds=NEVER_SECONDS)
    await come(company, "a")
    b, c = await come(company, "b", "c")
    b.cancel()
    (last,) = await come(company, "a")
    await asyncio.wait([b, c, last])
    assert (True, False, False) == (b.cancelled(), c.cancelled(), last.cancelled())
