"""So many requests of an address in five minutes, and no more."""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from math import ceil
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from reefmesh_dashboard.web.clients import Network, client_of
from reefmesh_dashboard.web.problems import problem

MINUTES: Final = 5
CLIENTS_LIMIT: Final = 50_000
"""Addresses that are counted one by one; all further ones share one count until some are forgotten."""
CROWD: Final = "the others"


class RateRule:
    """Counts the requests of each client over a sliding window. All routes of the service share one.

    ``refused`` is called for each request that is not answered.
    """

    def __init__(self, requests_limit: int, *, trusted: Sequence[Network], refused: Callable[[], None]) -> None:
        self._rule = RateLimitItemPerMinute(requests_limit, MINUTES)
        self._storage = MemoryStorage()
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)
        self._trusted = trusted
        self._refused = refused

    async def wait_seconds(self, scope: Scope) -> int | None:
        """Count the request; return None if it may go on, else after how many seconds the next one may."""
        client = client_of(scope, self._trusted)
        if len(self._storage.storage) >= CLIENTS_LIMIT and not await self._is_counted(client):
            client = CROWD
        if await self._limiter.hit(self._rule, client):
            return None
        self._refused()
        stats = await self._limiter.get_window_stats(self._rule, client)
        return max(1, ceil(stats.reset_time - time.time()))

    async def _is_counted(self, client: str) -> bool:
        stats = await self._limiter.get_window_stats(self._rule, client)
        return stats.remaining < self._rule.amount


def too_many(seconds: int) -> Response:
    detail = f"too many requests from this address; try again in {seconds} seconds"
    return problem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"retry-after": str(seconds)})


class Limited:
    """An application behind the rule. ``refusal`` makes the answer to a request that has to wait so many seconds."""

    def __init__(self, app: ASGIApp, *, rule: RateRule, refusal: Callable[[int], Response] = too_many) -> None:
        self._app = app
        self._rule = rule
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = await self._rule.wait_seconds(scope)
        if seconds is None:
            await self._app(scope, receive, send)
            return
        await self._refusal(seconds)(scope, receive, send)
