"""A handler that fails is called again with the same message, while its reef waits.

To give the message back to the broker instead would lose its place (STOMP: a NACK is a verdict, and the next message of the
reef goes on), or bring it back at once and without end (RabbitMQ).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from faststream import BaseMiddleware
from faststream.exceptions import IgnoredException
from faststream.message import StreamMessage

from reefmesh.backoff import Backoff
from reefmesh.errors import PoisonMessage, TransientError

ATTEMPTS: Final = 5

log = logging.getLogger("reefmesh.faststream")  # the application's own logging decides what becomes of it


@dataclass(slots=True, kw_only=True)
class Retrying:
    """How often and when; ``stopping`` is set when the broker stops: a message that fails then is left to its next delivery."""

    attempts: int = ATTEMPTS
    backoff: Backoff = field(default_factory=Backoff)
    random: Random = field(default_factory=Random)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    is_off: bool = False
    """Every error is raised at once, as tests want it."""

    def middleware(self, raw: Any, /, *, context: Any) -> BaseMiddleware[Any, Any]:
        """FastStream's factory of middlewares, one for each message."""
        return RetryInPlace(raw, context=context, retrying=self)


class RetryInPlace(BaseMiddleware[Any, Any]):
    """For messages of the mesh; what the application consumes besides is not touched."""

    def __init__(self, msg: Any | None, /, *, context: Any, retrying: Retrying) -> None:
        super().__init__(msg, context=context)
        self._retrying = retrying

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
        """``TransientError`` has no limit of attempts, ``PoisonMessage`` no second one."""
        retrying, attempt = self._retrying, 0
        if retrying.is_off or "envelope" not in vars(msg):
            return await call_next(msg)
        while True:
            attempt += 1
            try:
                return await call_next(msg)
            except (PoisonMessage, IgnoredException):
                raise
            except Exception as error:
                if attempt >= retrying.attempts and not isinstance(error, TransientError):
                    raise
                delay_seconds = retrying.backoff.delay_seconds(attempt, retrying.random)
                envelope = vars(msg)["envelope"]
                log.warning(
                    "attempt %d at message %s of %s failed, again in %.1f s: %r",
                    *(attempt, envelope.event_id, envelope.reef_id, delay_seconds, error),
                )
                if await self._stops_within(delay_seconds):
                    # FastStream neither acknowledges nor rejects what was cancelled, so the broker delivers it again.
                    raise asyncio.CancelledError("the broker stops") from error

    async def _stops_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._retrying.stopping.wait()
        except TimeoutError:
            return False
