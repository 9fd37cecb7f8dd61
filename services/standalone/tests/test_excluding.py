"""What ``exclude`` understands of its options, and what it says where ingest does nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from reefmesh.contracts import services
from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_ingest.bootstrap import MIGRATIONS
from reefmesh_ingest.exclusions.table import RequestState, add_to_request
from reefmesh_standalone.commands.exclude import period_of
from reefmesh_standalone.excluding import until_applied

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


@pytest.mark.parametrize(
    ("given", "from_us", "until_us"),
    [
        (("1970-01-02", "1970-01-03", None), DAY_US, 3 * DAY_US),
        (("1970-01-02T08:00+08:00", "1970-01-02T00:00:01Z", None), DAY_US, DAY_US + SECOND_US),
        ((None, None, "1970-01-02T00:00Z"), DAY_US, DAY_US + SECOND_US),
        ((None, None, "1970-01-02T00:00:00.250000Z"), DAY_US + 250_000, DAY_US + 250_001),
    ],
)
def test_period_is_that_of_the_options(given: tuple[Any, Any, Any], from_us: int, until_us: int) -> None:
    assert (from_us, until_us) == period_of(*given)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((None, None, None), "name the period by --from and --to, or one value by --at"),
        (("2024-01-01", None, None), "name the period"),
        (("2024-01-02", "2024-01-01", None), "ends before it begins"),
        (("2024-01-02T08:00", "2024-01-03", None), "no offset from UTC"),
        (("2024-01-02", "9999-12-31", None), "the last day there is"),
        ((None, None, "2024-01-02"), "is no instant"),
        ((None, None, "noon today"), "--at .* is neither a day"),
        ((None, "2024-01-03", "2024-01-02T00:00Z"), "not both"),
    ],
)
def test_period_that_cannot_be_is_one_line(given: tuple[Any, Any, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        period_of(*given)


@dataclass
class Session:
    """A mesh elsewhere, of which a command sees the databases alone."""

    stores: dict[Any, Store]
    ended: asyncio.Event


@pytest.fixture
async def session() -> AsyncIterator[Any]:
    store = open_store("sqlite://", migrations=MIGRATIONS)
    await store.open()
    yield Session(stores={services.INGEST: store}, ended=asyncio.Event())
    await store.close()


def state(outcome: Any, **counts: Any) -> RequestState:
    return RequestState(request_id="r", exclusion_id="e", action="exclude", outcome=outcome, **counts)


async def wait(session: Any, moved: list[int], *, patience_seconds: float = 30) -> RequestState | None:
    return await until_applied(session, "r", report=moved.append, stop=asyncio.Event(), patience_seconds=patience_seconds)


async def test_without_ingest_the_command_says_so_and_that_nothing_is_lost(session: Any) -> None:
    with pytest.raises(TransientError, match=r"not taken the request within 0\.2 s: it does not run.*safe in the broker"):
        await wait(session, [], patience_seconds=0.2)


async def test_ingest_that_ends_halfway_is_told_apart(session: Any) -> None:
    moved: list[int] = []
    await session.stores[services.INGEST].write([add_to_request(state("working", readings_looked_at=2000))])
    with pytest.raises(TransientError, match="looked at 2,000 readings and then did nothing"):
        await wait(session, moved, patience_seconds=0.2)
    assert [2000] == moved


async def test_parts_add_up_until_the_request_is_done_or_refused(session: Any) -> None:
    store = session.stores[services.INGEST]
    moved: list[int] = []
    waiting = asyncio.create_task(wait(session, moved))
    for part in (state("working", readings_looked_at=2, readings_changed=2), state("done", readings_looked_at=1)):
        await store.write([add_to_request(part)])
    done = await waiting
    assert done is not None
    assert (3, 2, 3) == (done.readings_looked_at, done.readings_changed, moved[-1])
    await store.write([add_to_request(state("refused", detail="wall-9 is not registered"))])
    with pytest.raises(ConfigurationError, match="refused: wall-9 is not registered"):
        await wait(session, [])
