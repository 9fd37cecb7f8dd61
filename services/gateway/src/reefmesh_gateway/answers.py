"""Answers to requests with an idempotency key: whoever repeats a request within a day gets the first answer again."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Final

import structlog

from reefmesh.clock import Clock
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store, StoreUnavailable, Write
from reefmesh_gateway.identities.device import us_of

KEPT: Final = timedelta(days=1)
REMOVE_EVERY_SECONDS: Final = 600.0

_SELECT: Final = (
    "SELECT body_sha256, answer_json FROM gateway_answer WHERE device = ? AND idempotency_key = ? AND created_us > ?"
)
_PUT: Final = (
    "INSERT INTO gateway_answer (device, idempotency_key, body_sha256, answer_json, created_us) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (device, idempotency_key) DO UPDATE SET body_sha256 = excluded.body_sha256,"
    " answer_json = excluded.answer_json, created_us = excluded.created_us"
)
_REMOVE: Final = "DELETE FROM gateway_answer WHERE created_us <= ?"

log = structlog.get_logger()


class KeyOfAnotherBody(Exception):
    """The key was used for a request with another body."""


def body_hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Answers:
    """Of a device's requests. Give ``run`` to the service as a background task. Methods may raise StoreUnavailable.

    How many there are is bounded by how often a device may send, times a day.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def find(self, device: str, key: str, body_sha256: str) -> str | None:
        """Return the answer that this request had before, as JSON; None: it is new.

        Raises:
            KeyOfAnotherBody: the device used the key for another body.
        """
        rows = await self._store.fetch(_SELECT, (device, key, us_of(self._clock.now() - KEPT)))
        if not rows:
            return None
        ((known_sha256, answer_json),) = rows
        if known_sha256 != body_sha256:
            raise KeyOfAnotherBody
        return str(answer_json)

    async def keep(self, device: str, key: str, body_sha256: str, answer_json: str) -> None:
        await self._store.write([Write(_PUT, (device, key, body_sha256, answer_json, us_of(self._clock.now())))])

    async def remove_old(self) -> None:
        await self._store.write([Write(_REMOVE, (us_of(self._clock.now() - KEPT),))])

    async def run(self, stop: asyncio.Event) -> None:
        """Remove what is older than a day, until ``stop``."""
        while not await is_set_within(stop, REMOVE_EVERY_SECONDS):
            try:
                await self.remove_old()
            except StoreUnavailable as error:
                log.warning("old answers cannot be removed, and are tried again", reason=str(error))
