"""Giving an order to a load process, and ending it whatever happens."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from order import Order, Report

LOAD_PROCESS: Final = Path(__file__).with_name("load_process.py")
REPORT_BYTES_LIMIT: Final = 256 * 1024 * 1024
ALLOW_EVERY_SECONDS: Final = 0.2


@asynccontextmanager
async def sending(
    order: Order, *, allowed: Callable[[], Awaitable[int]] | None = None
) -> AsyncIterator["asyncio.Task[Report]"]:
    """Run the order beside what the context does; its task gives the report. ``allowed`` is asked again and again how many
    messages may have been published; without it all may."""
    order = order.model_copy(update={"on_allowance": allowed is not None})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(LOAD_PROCESS),
        order.model_dump_json(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=REPORT_BYTES_LIMIT,
    )
    lines, report = process.stdin, process.stdout
    assert lines is not None
    assert report is not None

    async def allow(ask: Callable[[], Awaitable[int]]) -> None:
        try:
            with contextlib.suppress(ConnectionError):  # it has all it needs
                while True:
                    lines.write(b"%d\n" % await ask())
                    await lines.drain()
                    await asyncio.sleep(ALLOW_EVERY_SECONDS)
        finally:
            lines.close()  # one that waits for more ends

    async def finish() -> Report:
        allowing = asyncio.create_task(allow(allowed)) if allowed is not None else None
        output = await report.read()
        await process.wait()
        if allowing is not None:
            allowing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await allowing
        if process.returncode != 0:
            raise RuntimeError(f"the load process failed with {process.returncode}; its words are above")
        return Report.model_validate_json(output)

    task = asyncio.create_task(finish(), name="load process")
    try:
        yield task
        await task
    finally:
        if process.returncode is None:
            process.kill()
        with contextlib.suppress(asyncio.CancelledError, RuntimeError):
            await task


async def send(order: Order, *, allowed: Callable[[], Awaitable[int]] | None = None) -> Report:
    async with sending(order, allowed=allowed) as report:
        return await report
