"""One gateway at a time is the client of an MQTT broker; on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_gateway.bootstrap import MIGRATIONS
from reefmesh_gateway.mqtt.lease import TAKE_OVER_SECONDS, Lease


class Hand:
    """A monotonic clock that moves when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    is_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'gateway.db'}" if is_file else request.getfixturevalue("postgresql_schema_url")
    store = open_store(url, migrations=MIGRATIONS)
    await store.open()
    yield store
    await store.close()


async def test_lease_has_one_holder_until_that_one_stands_still(store: Store) -> None:
    now = Hand()
    first, second = Lease(store, "s", now=now), Lease(store, "s", now=now)
    assert (True, False) == (await first.take(), await second.take())
    now.seconds = TAKE_OVER_SECONDS - 0.1
    assert not await second.take()
    now.seconds = TAKE_OVER_SECONDS
    assert await second.take()
    assert not await first.take()


async def test_holder_that_counts_up_keeps_the_lease(store: Store) -> None:
    now = Hand()
    first, second = Lease(store, "s", now=now), Lease(store, "s", now=now)
    assert await first.take()
    assert not await second.take()
    assert await first.take()  # as each beat does, it counts up
    now.seconds = TAKE_OVER_SECONDS
    assert not await second.take()


async def test_holder_that_was_overtaken_notices(store: Store) -> None:
    now, stop = Hand(), asyncio.Event()
    first, second = Lease(store, "s", now=now), Lease(store, "s", now=now)
    assert (True, False) == (await first.take(), await second.take())
    now.seconds = TAKE_OVER_SECONDS
    assert await second.take()
    async with asyncio.timeout(30):
        await first.hold(stop)
    assert (False, True) == (first.is_held, second.is_held)


async def test_lease_that_was_given_back_is_free_at_once_and_sessions_do_not_share_one(store: Store) -> None:
    now = Hand()
    first, second, other = Lease(store, "s", now=now), Lease(store, "s", now=now), Lease(store, "t", now=now)
    assert (True, False, True) == (await first.take(), await second.take(), await other.take())
    await first.release()
    assert await second.take()
    await first.release()  # of what is no longer its own it gives nothing back
    assert not await first.take()
