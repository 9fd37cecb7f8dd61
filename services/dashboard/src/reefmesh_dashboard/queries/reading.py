"""Reads the read model for pages and API, within a time and a number of rows."""

import asyncio
from collections.abc import Sequence
from typing import Final

from reefmesh.errors import TransientError
from reefmesh.store.port import Row, Store, Value

ROWS_LIMIT: Final = 1000
"""No answer has more rows; the next ones are asked for with a cursor."""


class QueryTimeout(TransientError):
    """The database did not answer in time."""


class Reader:
    """``timeout_seconds`` bounds each query, the wait for a free connection included."""

    def __init__(self, store: Store, *, timeout_seconds: float) -> None:
        self._store = store
        self._timeout_seconds = timeout_seconds

    async def fetch(self, sql: str, parameters: Sequence[Value]) -> Sequence[Row]:
        """Return the rows. Raises QueryTimeout and StoreUnavailable: later it may work."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._store.fetch(sql, parameters)
        except TimeoutError:
            raise QueryTimeout(f"the database did not answer within {self._timeout_seconds:g} s") from None
