"""What an operator discards is gone for good, alone, and stays in the accounting and in the quota."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from reefmesh.clock import SystemClock
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.quarantine.discarding import discard
from reefmesh_ingest.quarantine.quota import Quota
from reefmesh_ingest.quarantine.storage import QuarantineStorage
from reefmesh_ingest.quarantine.stored import list_entries

Make = Callable[..., bytes]


@pytest.fixture
async def ingest(new_ingest: Any, url: str) -> AsyncIterator[Any]:
    """The statements are the database's: each holds on both."""
    service = await new_ingest(url)
    yield service
    await service.store.close()


async def test_discarded_message_is_gone_and_accounted(ingest: Any) -> None:
    for number in range(3):
        await ingest.take(b"junk %d" % number, "telemetry/1", device="agent-1")
    found = await list_entries(ingest.store, {}, limit=10)
    assert await discard(ingest.store, found[:2]) == 2
    assert [entry.quarantine_id for entry in await list_entries(ingest.store, {}, limit=10)] == [found[2].quarantine_id]
    assert await ingest.store.fetch("SELECT origin FROM quarantine_message") == [(found[2].origin,)]
    books = await accounting(ingest.store)
    assert (books.messages.quarantined, books.entries_removed, books.readings_removed) == (3, 2, 2)
    await ingest.assert_accounted()


async def test_discarded_value_leaves_its_message_to_the_others_and_its_bytes_too(ingest: Any, telemetry: Make) -> None:
    body = telemetry([28.1]).replace(b'"sea_water_temperature":', b'"mood":1,"luck":2,"sea_water_temperature":')
    await ingest.take(body, "telemetry/1")
    found = await list_entries(ingest.store, {}, limit=10)
    assert ["luck", "mood"] == sorted(entry.channel or "" for entry in found)
    for gone in found:
        before = await _stored_bytes(ingest)
        assert await discard(ingest.store, [gone]) == 1
        assert await discard(ingest.store, [gone]) == 1  # an interrupted command is repeated
        after = await _stored_bytes(ingest)
        own = len(gone.example) + len(gone.detail)
        assert after == (before - own if gone is found[0] else 0)
        books = await accounting(ingest.store)
        assert books.readings_removed == 0
        await ingest.assert_accounted()
    assert (await accounting(ingest.store)).entries_removed == 2
    assert await ingest.store.fetch("SELECT origin FROM quarantine_message") == []


async def _stored_bytes(ingest: Any) -> int:
    storage = QuarantineStorage(store=ingest.store, clock=SystemClock(), quota=Quota())
    return (await storage.total()).stored_bytes
