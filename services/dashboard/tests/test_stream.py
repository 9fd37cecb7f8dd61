"""The stream of changes over real connections: nothing is missed, everything is bounded, nothing is kept for a listener."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from reefmesh.observability import table
from reefmesh.store.port import Row, StoreUnavailable, Value
from reefmesh_dashboard.live.changes import Changes
from reefmesh_dashboard.live.listeners import ListenerLimits
from reefmesh_dashboard.live.stream import PATH, REEFS_LIMIT
from reefmesh_dashboard.queries.reading import Reader

if TYPE_CHECKING:
    from services.dashboard.tests.conftest import Bench, Samples

    from reefmesh.observability.table import Counter, Gauge
    from reefmesh.store.port import Store


class Event(NamedTuple):
    name: str
    data: dict[str, Any]
    id: str = ""


async def events_of(answer: httpx.Response) -> AsyncIterator[Event]:
    """Read the stream as the standard of server-sent events says; blocks without data are no events."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            if "data" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
            fields = {}


@asynccontextmanager
async def listening(client: httpx.AsyncClient, query: str = "", **headers: str) -> AsyncIterator[AsyncIterator[Event]]:
    async with client.stream("GET", PATH + query, headers=headers) as answer:
        assert (200, "text/event-stream; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
        yield events_of(answer)


async def names(events: AsyncIterator[Event], count: int) -> list[str]:
    return [(await anext(events)).name for _ in range(count)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)  # one turn of the loop, in which a connection may end


def counted(bench: Bench, row: Counter | Gauge, *labels: str) -> float:
    return bench.metrics.value(row, *labels)


async def test_what_changes_after_ready_comes_as_the_api_has_it(any_bench: Bench, samples: type[Samples]) -> None:
    bench = any_bench
    await bench.readings(samples.reading(0, t=29.5))
    async with bench.served() as client, listening(client) as events:
        await bench.changes.look()
        assert ("ready", "2026-11-29T13:00:00Z") == ((ready := await anext(events)).name, ready.data["now"])
        await bench.score(samples.score(dive=samples.dive("no_go")))
        await bench.changes.look()
        reef = await anext(events)
        known = (await client.get("/api/v1/reefs/north-wall")).json()
        assert ("reef", "north-wall", "no_go") == (
            reef.name,
            reef.data["reef_id"],
            reef.data["reef"]["properties"]["dive"]["verdict"],
        )
        assert known == reef.data["reef"]
        assert f"north-wall@{reef.data['version']}" == reef.id
        assert (1, 1) == (counted(bench, table.LISTENERS), counted(bench, table.CHANGES_SENT))
        await bench.alert(samples.alert("a1"))
        await bench.changes.look()
        assert "reef" == (await anext(events)).name, "an alert is on the page, too"
    await until(lambda: not len(bench.listeners))
    assert 0 == counted(bench, table.LISTENERS)


async def test_whoever_says_what_it_has_is_sent_what_differs_and_nothing_else(bench: Bench, samples: type[Samples]) -> None:
    """That is why no process has to remember a listener: it may come back to another one."""
    for reef_id in ("a", "b", "c"):
        await bench.score(samples.score(reef_id=reef_id))
    async with bench.served(beat_seconds=0.05) as client:
        async with listening(client, "?reef=a&reef=b&reef=c") as events:
            await bench.changes.look()
            assert ["ready", "beat"] == await names(events, 2), "it does not say, so it has read them just now"
        has = "?reef=a@0.1.0&reef=b@0.1.0"
        await bench.score(samples.score(reef_id="b", dive=samples.dive("poor")), seq=7)
        await bench.score(samples.score(reef_id="c", dive=samples.dive("poor")), seq=8)
        async with listening(client, has) as events:
            await bench.changes.look()
            ready, reef, beat = [await anext(events) for _ in range(3)]
            assert ("ready", "reef", "beat") == (ready.name, reef.name, beat.name)
            assert ("b", "0.7.0") == (reef.data["reef_id"], reef.data["version"])
        async with listening(client, has.replace("b@0.1.0", "b@0.7.0"), **{"last-event-id": reef.id}) as events:
            await bench.changes.look()
            assert ["ready", "beat"] == await names(events, 2)


async def test_whoever_comes_back_without_saying_so_reads_everything_anew(bench: Bench, samples: type[Samples]) -> None:
    async with bench.served() as client, listening(client, **{"last-event-id": "north-wall@1.1.0"}) as events:
        await bench.changes.look()
        assert ["ready", "reload"] == await names(events, 2)


async def test_slow_listener_is_told_to_read_anew_instead_of_piling_up(bench: Bench, samples: type[Samples]) -> None:
    limits = ListenerLimits(ahead=2)
    async with bench.served(listeners=limits) as client, listening(client) as events:
        await bench.changes.look()
        assert "ready" == (await anext(events)).name
        for number in range(3):
            await bench.score(samples.score(reef_id=f"r{number}"))
        await bench.changes.look()
        assert "reload" == (await anext(events)).name
        for verdict in ("fair", "poor"):
            await bench.score(samples.score(reef_id="r1", dive=samples.dive(verdict)))
        await bench.changes.look()
        reef = await anext(events)
        assert "poor" == reef.data["reef"]["properties"]["dive"]["verdict"], "two changes are one"
        assert 1 == counted(bench, table.RELOADS_SENT)


async def test_rows_are_those_of_the_page_in_its_language_and_units(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(samples.reading(0, t=29.5), reef=samples.reef(name="<b>Wall</b>"))
    chosen = {"cookie": "reefmesh=id:kn:F:dark"}
    async with bench.served() as client, listening(client, "?rows=html&reef=north-wall", **chosen) as events:
        await bench.changes.look()
        await anext(events)
        await bench.score(samples.score(reef_name="<b>Wall</b>"))
        await bench.changes.look()
        row = (await anext(events)).data["row"]
        page = (await client.get("/", headers=chosen)).text
    assert "".join(row.split()) in "".join(page.split())
    assert ("85.1 °F" in row, "Menyelam" in row, "<b>" in row) == (True, True, False)


@pytest.mark.parametrize(
    ("limits", "status", "why"),
    [(ListenerLimits(in_all=1), 503, "all"), (ListenerLimits(for_each_address=1), 429, "address")],
)
async def test_further_streams_are_refused_and_say_when_to_come_again(
    limits: ListenerLimits, status: int, why: str, bench: Bench
) -> None:
    async with bench.served(listeners=limits) as client:
        async with listening(client):
            refused = await client.get(PATH)
            assert (status, "60", "application/problem+json") == (
                refused.status_code,
                refused.headers["retry-after"],
                refused.headers["content-type"],
            )
            assert 1 == counted(bench, table.LISTENERS_REFUSED, why)
        await until(lambda: not len(bench.listeners))
        async with listening(client):
            assert 1 == len(bench.listeners)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("?reef=No%20Where", "reef"),
        ("?reef=a%00", "reef"),
        ("?reef=", "reef"),
        (f"?reef=a@{'1' * 65}", "reef"),
        ("?" + "&".join(f"reef=r{number}" for number in range(REEFS_LIMIT + 1)), "reef"),
        ("?rows=json", "rows"),
        ("?rows=html&rows=html", "rows"),
        ("?reefs=a", "reefs"),
    ],
)
async def test_wrong_parameter_is_a_problem_that_names_it(query: str, parameter: str, bench: Bench) -> None:
    async with bench.visitor() as client:
        answer = await client.get(PATH + query)
    assert (400, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    (error,) = answer.json()["errors"]
    assert (parameter, True) == (error["parameter"], bool(error["allowed"]))


async def test_head_opens_no_stream(bench: Bench) -> None:
    async with bench.visitor() as client:
        answer = await client.head(PATH)
    assert (200, "text/event-stream; charset=utf-8", 0) == (
        answer.status_code,
        answer.headers["content-type"],
        len(bench.listeners),
    )
    assert "script-src 'self'" in answer.headers["content-security-policy"]


class FailingStore:
    """A store whose next reads fail."""

    def __init__(self, store: Store, *, failures: int) -> None:
        self._store = store
        self.failures = failures
        self.reads = 0

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        self.reads += 1
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the database is away")
        return await self._store.fetch(sql, parameters)


async def test_looks_go_on_over_a_lost_database_while_somebody_listens_and_end_with_the_service(
    bench: Bench, samples: type[Samples]
) -> None:
    stop = asyncio.Event()
    async with bench.served() as client:
        store = FailingStore(bench.store, failures=3)
        reader = Reader(store, timeout_seconds=30.0)  # type: ignore[arg-type]  # of a store, a reader needs no more
        running = asyncio.create_task(Changes(reader, bench.listeners, look_seconds=0.01).run(stop))
        await asyncio.sleep(0)
        assert 0 == store.reads, "nobody listens"
        async with listening(client) as events:
            assert "ready" == (await anext(events)).name
            assert 0 == store.failures
            await bench.score(samples.score())
            assert "reef" == (await anext(events)).name
            stop.set()
            assert [] == [each async for each in events], "the stream ends, and the server need not wait for it"
        await running
        async with listening(client) as events:
            assert [] == [each async for each in events]
