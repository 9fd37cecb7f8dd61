"""The RabbitMQ that tests share: they leave it running, and restart, kill and pause nothing.

A node whose queues were made and deleted by the hundred may fail all the same, and would then fail every test that comes later.
So after each test it is asked to log somebody in. If it does not, the test has failed, and the next one gets another node.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Final

import aiormq

from reefmesh_components.rabbitmq import RabbitmqServer

ANSWER_SECONDS: Final = 30.0
"""Of a machine that is busy with other tests."""


class SharedRabbitmq:
    """``open_server`` starts one, for as long as its context lasts."""

    def __init__(self, open_server: Callable[[], AbstractContextManager[RabbitmqServer]]) -> None:
        self._open_server = open_server
        self._stack = ExitStack()
        self._server: RabbitmqServer | None = None

    def server(self) -> RabbitmqServer:
        """Return the one that is up; the first call, and the first after ``end``, starts it. Raises ComponentMissing."""
        if self._server is None:
            self._server = self._stack.enter_context(self._open_server())
        return self._server

    def failure(self) -> str:
        """Return why it logs nobody in any more; empty: it does."""
        if (server := self._server) is None:
            return ""
        with ThreadPoolExecutor(max_workers=1) as thread:  # a test's own event loop is none of ours
            return thread.submit(asyncio.run, _failure(server.url)).result()

    def story(self) -> str:
        """Return what it logged last, where this run owns it."""
        return "" if self._server is None or self._server.process is None else self._server.process.story()

    def end(self) -> None:
        """Idempotent."""
        self._server = None
        self._stack.close()


async def _failure(url: str) -> str:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            connection = await aiormq.connect(url)
            await connection.channel()
            await connection.close()
    except Exception as error:  # noqa: BLE001 - whatever it is, the node is of no more use
        return f"{type(error).__name__}: {error}"
    return ""
