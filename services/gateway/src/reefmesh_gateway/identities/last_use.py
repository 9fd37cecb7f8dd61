"""When each token was used last, for the operator's list: kept in memory and written every few seconds."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog

from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store, StoreUnavailable, Write
from reefmesh_gateway.identities.device import us_of

WRITE_SECONDS: Final = 10.0
RESOLUTION: Final = timedelta(minutes=1)
"""A token that is used all the time is written this often."""
PENDING_LIMIT: Final = 100_000
"""Tokens to be written, while the database is away; uses beyond it are not noted."""

_PUT: Final = (
    "INSERT INTO gateway_last_use (credential_id, used_us) VALUES (?, ?)"
    " ON CONFLICT (credential_id) DO UPDATE SET used_us = excluded.used_us"
)


def use_over_mqtt(name: str) -> str:
    """Return under what the last use over MQTT is noted: the broker says which device it is, not by which certificate."""
    return f"mqtt/{name}"


log = structlog.get_logger()


class LastUse:
    """Give ``run`` to the service as a background task."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: dict[str, datetime] = {}
        self._written: dict[str, datetime] = {}

    def note(self, credential_id: str, at: datetime) -> None:
        written = self._written.get(credential_id)
        if written is not None and at - written < RESOLUTION:
            return
        if credential_id in self._pending or len(self._pending) < PENDING_LIMIT:
            self._pending[credential_id] = at

    async def run(self, stop: asyncio.Event) -> None:
        """Write until ``stop``, and once more then."""
        while not await is_set_within(stop, WRITE_SECONDS):
            await self.write()
        await self.write()

    async def write(self) -> None:
        if not self._pending:
            return
        uses, self._pending = self._pending, {}
        try:
            await self._store.write([Write(_PUT, (credential_id, us_of(at))) for credential_id, at in sorted(uses.items())])
        except StoreUnavailable as error:
            self._pending = {**uses, **self._pending}
            log.warning("last uses of tokens cannot be written, and are tried again", reason=str(error))
            return
        newest = max(uses.values())
        self._written = {each: at for each, at in self._written.items() if newest - at < RESOLUTION} | uses
