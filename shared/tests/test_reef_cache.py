"""The reef cache: bounded, never without a reef that is in use, and cheap when it is full."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from reefmesh.contracts import channels
from reefmesh.observability import table
from reefmesh.service.assembly import Blueprint, assemble
from reefmesh.service.reef_cache import LOOKS_PER_MISS_LIMIT, ReefCache
from reefmesh.settings import ServiceSettings
from reefmesh_components.worker_bench import INBOX, Collector, open_worker_bench


class CountingLock(asyncio.Lock):
    """A lock that counts how often it was asked for its state."""

    def __init__(self, looks: list[str], reef_id: str) -> None:
        super().__init__()
        self._looks = looks
        self._reef_id = reef_id

    def locked(self) -> bool:
        self._looks.append(self._reef_id)
        return super().locked()


def test_miss_of_a_full_cache_does_not_walk_the_cache() -> None:
    limit, misses = 2_000, 500
    cache: ReefCache[str] = ReefCache(limit=limit)
    looks: list[str] = []
    for number in range(limit + misses):
        cache.get(f"reef-{number}").lock = CountingLock(looks, f"reef-{number}")
    assert limit == len(cache)
    assert [f"reef-{number}" for number in range(misses)] == looks


async def test_locked_reefs_stay_and_cost_each_miss_a_bounded_number_of_looks() -> None:
    limit, locked = 100, 40
    cache: ReefCache[str] = ReefCache(limit=limit)
    looks: list[str] = []
    reefs = []
    for number in range(limit):
        reef = cache.get(f"reef-{number}")
        reef.lock = CountingLock(looks, reef.reef_id)
        reefs.append(reef)
    for reef in reefs[:locked]:
        await reef.lock.acquire()
    for number in range(1_000):
        before = len(looks)
        cache.get(f"other-{number}").lock = CountingLock(looks, f"other-{number}")
        assert len(looks) - before <= LOOKS_PER_MISS_LIMIT
    assert all(cache.get(reef.reef_id) is reef for reef in reefs[:locked])
    assert limit == len(cache)


async def test_cache_of_which_all_reefs_are_locked_grows_and_shrinks_again() -> None:
    """A lane's reef is never dropped for its own sake, nor one that another lane has locked."""
    cache: ReefCache[str] = ReefCache(limit=1)
    reefs = [cache.get(f"reef-{number}") for number in range(1)]
    await reefs[0].lock.acquire()
    for number in range(1, 10):
        reef = cache.get(f"reef-{number}")
        assert cache.get(reef.reef_id) is reef
        await reef.lock.acquire()
        reefs.append(reef)
    assert 10 == len(cache)
    for reef in reefs:
        reef.lock.release()
    for number in range(9):
        cache.get(f"later-{number}")
    assert 1 == len(cache)


@given(limit=st.integers(1, 5), used=st.lists(st.integers(0, 8), max_size=60))
def test_least_recently_used_reef_is_dropped_first(limit: int, used: list[int]) -> None:
    cache: ReefCache[str] = ReefCache(limit=limit)
    model: dict[str, int] = {}
    for number in used:
        reef_id = f"reef-{number}"
        identity = id(cache.get(reef_id))
        kept = model.pop(reef_id, None)
        assert kept in (None, identity)
        model[reef_id] = identity
        if len(model) > limit:
            del model[next(iter(model))]
        assert len(model) == len(cache)


async def test_operator_sets_how_many_reefs_a_service_keeps_in_memory() -> None:
    settings = ServiceSettings.load(
        environment={"REEFMESH_REEFS_CACHED_LIMIT": "3"}, overrides={"broker_url": "embedded://", "store_url": "sqlite://"}
    )
    scoring = Blueprint(name="scoring", handlers={channels.SCORING: lambda _: Collector()})
    stop = asyncio.Event()
    async with open_worker_bench() as bench, assemble(scoring, settings, broker=bench.broker, clock=bench.clock) as assembled:
        service = asyncio.create_task(assembled.service.run(stop))
        for number in range(10):
            await bench.send(f"reef-{number}", "a")
            await bench.received(1)
        stop.set()
        assert await service
        await assembled.metrics.refresh()
        assert 3 == assembled.metrics.value(table.REEFS_CACHED, INBOX)
