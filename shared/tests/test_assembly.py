"""A service as it is assembled from its blueprint: several subscriptions, none, and pages of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability import table
from reefmesh.observability.http import pages, serve
from reefmesh.observability.metrics import exposition, process_registry
from reefmesh.service.assembly import Assembled, Blueprint, Parts, assemble
from reefmesh.service.handler import Change, Output
from reefmesh.service.lifecycle import Background
from reefmesh.settings import ServiceSettings

WARM = Subscription("twin", Channel("test.warm", numbered=True))
COLD = Subscription("twin", Channel("test.cold", numbered=True))
EAR = Subscription("ear", Channel("test.mixed", numbered=True))
REEFS = ("amed", "atoll", "lovina")
MESSAGES = 40
"""Of each reef on each channel."""
Counts = dict[str, int]


class Arrived:
    """Set once so many messages are in the store."""

    def __init__(self, expected: int) -> None:
        self._left = expected
        self.all = asyncio.Event()

    def one(self) -> None:
        self._left -= 1
        if not self._left:
            self.all.set()


class Counting:
    """Counts the messages of one channel; both handlers of the service share the reef's state."""

    def __init__(self, channel: Channel, arrived: Arrived) -> None:
        self._name = channel.name
        self._arrived = arrived

    async def load(self, reef_id: str, state: bytes | None) -> Counts:
        counts: Counts = json.loads(state) if state else {}
        return counts

    def dump(self, state: Counts) -> bytes:
        return json.dumps(state).encode()

    async def handle(self, message: Envelope, state: Counts) -> Change[Counts]:
        output = Output(channel=EAR.channel, step="mixed", schema_id="test/1", body=b"{}")
        counted = state | {self._name: state.get(self._name, 0) + 1}
        return Change(state=counted, outputs=[output], committed=self._arrived.one)


def twin(arrived: Arrived) -> Blueprint:
    handlers = {WARM: lambda _: Counting(WARM.channel, arrived), COLD: lambda _: Counting(COLD.channel, arrived)}
    return Blueprint(name="twin", handlers=handlers)


def answering(path: str, answer: Callable[[Parts], Awaitable[object]]) -> Callable[[Parts], Sequence[Route]]:
    """Return what makes a service's one route."""

    def routes(parts: Parts) -> Sequence[Route]:
        async def endpoint(_: Request) -> Response:
            return JSONResponse(await answer(parts))

        return [Route(path, endpoint)]

    return routes


def messages(channel: Channel) -> list[Publication]:
    return [
        Publication(
            channel=channel.name,
            message=Envelope(
                event_id=f"{channel}-{reef}-{seq}",
                reef_id=reef,
                schema_id="test/1",
                produced_at=datetime.now(UTC),
                body=b"{}",
                seq=seq,
            ),
        )
        for seq in range(1, MESSAGES + 1)
        for reef in REEFS
    ]


async def numbers_heard(broker: Broker) -> dict[str, list[int]]:
    """Return the numbers of each reef's outputs as a consumer applies them: in the order of arrival, repeats skipped."""
    consumer = broker.consumer(EAR, lanes=1)
    await consumer.start()
    heard: dict[str, list[int]] = {reef: [] for reef in REEFS}
    while any(numbers[-1:] != [2 * MESSAGES] for numbers in heard.values()):
        delivery = await consumer.lanes[0].receive()
        assert delivery is not None
        numbers, seq = heard[delivery.message.reef_id], delivery.message.seq or 0
        if seq > (numbers[-1] if numbers else 0):
            numbers.append(seq)
        await consumer.lanes[0].settle(delivery, ())
    await consumer.close()
    return heard


@asynccontextmanager
async def running(blueprint: Blueprint, store_url: str = "sqlite://") -> AsyncIterator[tuple[Broker, Assembled]]:
    """A service on a broker in memory, which drains at the end."""
    settings = ServiceSettings(broker_url="embedded://", store_url=store_url, lanes=4)
    broker = open_broker(settings.broker_url, clock=SystemClock())
    await broker.connect()
    await broker.declare(blueprint.subscriptions)
    async with assemble(blueprint, settings, broker=broker, clock=SystemClock()) as assembled:
        stop = asyncio.Event()
        task = asyncio.create_task(assembled.service.run(stop))
        yield broker, assembled
        stop.set()
        assert await task
    await broker.close()


@pytest.mark.parametrize("store_url", ["sqlite://", "sqlite:///{folder}/twin.db"])
async def test_service_with_two_subscriptions_has_a_worker_for_each_and_loses_nothing(store_url: str, tmp_path: Path) -> None:
    """Both workers write the same reefs' rows; neither undoes what the other did, and their outputs come in one order."""
    arrived = Arrived(2 * len(REEFS) * MESSAGES)
    async with running(twin(arrived), store_url.format(folder=tmp_path)) as (broker, assembled):
        await broker.declare([EAR])
        await asyncio.gather(*(broker.publish(messages(each.channel)) for each in (WARM, COLD)))
        await arrived.all.wait()
        heard = await numbers_heard(broker)
        rows = [await assembled.store.load(reef) for reef in REEFS]
        await exposition([assembled.metrics], process=process_registry())
    assert {reef: list(range(1, 2 * MESSAGES + 1)) for reef in REEFS} == heard
    for row in rows:
        assert {"test.warm": MESSAGES, "test.cold": MESSAGES} == json.loads(row.state or b"{}")
        assert {str(WARM): MESSAGES, str(COLD): MESSAGES} == row.cursor.applied
    for subscription in (WARM, COLD):
        assert 4 == assembled.metrics.value(table.LANES, str(subscription))
        assert len(REEFS) == assembled.metrics.value(table.REEFS_CACHED, str(subscription))
        assert 0 == assembled.metrics.value(table.FENCE_REFUSALS, str(subscription))


async def test_service_without_subscriptions_runs_its_tasks_shows_its_pages_and_drains() -> None:
    began, halted = asyncio.Event(), asyncio.Event()

    def background(_: Parts) -> Sequence[Background]:
        async def work(stop: asyncio.Event) -> None:
            began.set()
            await stop.wait()
            halted.set()

        return (work,)

    async def answer(parts: Parts) -> object:
        return {"reefs": [row[0] for row in await parts.store.fetch("SELECT reef_id FROM mesh_reef")]}

    door = Blueprint(name="door", handlers={}, background=background, routes=answering("/reefs", answer))
    async with running(door) as (_, assembled):
        await began.wait()
        app = pages([assembled.health], [assembled.metrics], routes=assembled.routes)
        async with serve(app) as address, httpx.AsyncClient(base_url=address.url) as client:
            own, health, metrics = [await client.get(path) for path in ("/reefs", "/health", "/metrics")]
    assert (200, {"reefs": []}) == (own.status_code, own.json())
    assert (200, "door") == (health.status_code, health.json()["service"])
    assert 'reefmesh_broker_connected{service="door"} 1.0' in metrics.text
    assert halted.is_set()


async def test_health_of_a_service_does_not_depend_on_what_waits_for_its_neighbours() -> None:
    """In one process all services share a broker client, which tells of all subscriptions."""
    async with running(Blueprint(name="door", handlers={})) as (broker, assembled):
        await broker.declare([WARM])
        await broker.publish(messages(WARM.channel))
        report = await assembled.health.report()
    (progress,) = [check for check in report.checks if check.name == "progress"]
    assert 0 == progress.facts["waiting"]


@pytest.mark.parametrize("path", ["/health", "/health/live", "/metrics", "/{anything}", "/health/{kind}"])
async def test_route_that_would_hide_a_page_of_every_service_is_refused_when_the_service_is_assembled(path: str) -> None:
    async def answer(_: Parts) -> object:
        return "mine"

    with pytest.raises(ValueError, match=r"the route .* of a service hides /(health|metrics)"):
        async with running(Blueprint(name="greedy", handlers={}, routes=answering(path, answer))):
            pass
