"""Giving an order to a load process, and ending it whatever happens."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from order import Order, Report

LOAD_PROCESS: Final = Path(__file__).with_name("load_process.py")
REPORT_BYTES_LIMIT: Final = 256 * 1024 * 1024


@asynccontextmanager
async def sending(order: Order) -> AsyncIterator["asyncio.Task[Report]"]:
    """Run the order beside what the context does; its task gives the report."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(LOAD_PROCESS), order.model_dump_json(), stdout=asyncio.subprocess.PIPE, limit=REPORT_BYTES_LIMIT
    )

    async def finish() -> Report:
        output, _ = await process.communicate()
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


async def send(order: Order) -> Report:
    async with sending(order) as report:
        return await report
