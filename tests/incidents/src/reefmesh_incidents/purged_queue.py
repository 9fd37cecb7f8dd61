"""A scoring service whose queue an operator empties: readings go in, scores come out, and each is timed on its way."""

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.port import Lane, Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.readings import ChannelReading, Reading, Readings
from reefmesh.contracts.register import BuoyFacts, ReefFacts
from reefmesh.contracts.schema import READINGS_1
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.service_process import ServiceProcess

BEGINS_AT: Final = datetime(2026, 3, 1, tzinfo=UTC)
INTERVAL: Final = timedelta(minutes=10)
LANES: Final = 64
PATIENCE_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Arrived:
    """A score as it came: its number of the reef, of which reading it tells, and when (the loop's clock)."""

    seq: int
    as_of: datetime
    at_seconds: float


@dataclass
class ScoredReadings:
    """What was sent, by (reef, number of the reading), and the scores of each reef in the order of their arrival."""

    sent_at_seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    scores: dict[str, list[Arrived]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, message: Envelope) -> None:
        as_of = datetime.fromisoformat(json.loads(message.body)["as_of"])
        arrived = Arrived(message.seq or 0, as_of, asyncio.get_running_loop().time())
        self.scores.setdefault(message.reef_id, []).append(arrived)
        self._changed.set()

    async def until(self, reefs: Sequence[str], number: int) -> None:
        """Return when the score of this reading of each of these reefs has come."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not all(self.came_at_seconds(reef, number) for reef in reefs):
                self._changed.clear()
                await self._changed.wait()

    def came_at_seconds(self, reef: str, number: int) -> float | None:
        as_of = instant_of(number)
        return next((score.at_seconds for score in self.scores.get(reef, ()) if score.as_of == as_of), None)

    def seconds_on_the_way(self, reef: str, number: int) -> float:
        came_at = self.came_at_seconds(reef, number)
        assert came_at is not None, f"no score of reading {number} of {reef}"
        return came_at - self.sent_at_seconds[reef, number]

    def came_count(self, reefs: Sequence[str], number: int) -> int:
        return sum(self.came_at_seconds(reef, number) is not None for reef in reefs)

    def faults(self, *, purged: Sequence[tuple[str, int]]) -> Sequence[str]:
        """Return each reef whose scores are not those of what was sent and not purged: all, once, in order, numbered from 1."""
        expected: dict[str, list[tuple[int, datetime]]] = {}
        for reef, number in sorted(self.sent_at_seconds.keys() - set(purged)):
            scores = expected.setdefault(reef, [])
            scores.append((len(scores) + 1, instant_of(number)))
        seen = {reef: [(score.seq, score.as_of) for score in scores] for reef, scores in self.scores.items()}
        return [f"{reef}: {seen.get(reef)}" for reef, scores in expected.items() if seen.get(reef) != scores]


class PurgedQueue:
    """Publishes as ingest, receives as alerts, and empties scoring's queue as an operator."""

    def __init__(
        self, publisher: ActiveMQBroker, operator: ActiveMQBroker, scoring: ServiceProcess, readings: ScoredReadings
    ) -> None:
        self.scoring = scoring
        self.readings = readings
        self._publisher = publisher
        self._operator = operator

    async def start(self) -> None:
        self.scoring.start()
        await asyncio.to_thread(self.scoring.wait_until_healthy)

    async def stop(self) -> None:
        """End scoring, as a deployment does."""
        assert await asyncio.to_thread(self.scoring.terminate) == 0

    async def publish(self, reefs: Sequence[str], number: int) -> None:
        """Publish this reading of each reef, in one transaction."""
        now = asyncio.get_running_loop().time()
        self.readings.sent_at_seconds |= dict.fromkeys([(reef, number) for reef in reefs], now)
        await self._publisher.publish([Publication(channel=channels.READINGS.name, message=_message(r, number)) for r in reefs])

    async def purge(self, count: int) -> None:
        """Take all ``count`` messages out of scoring's queue."""
        consumer = self._operator.consumer(channels.SCORING, lanes=LANES)
        await consumer.start()
        left = count

        async def take(lane_number: int) -> None:
            nonlocal left
            lane = consumer.lanes[lane_number]
            while left and (delivery := await lane.receive()) is not None:
                left -= 1
                await lane.settle(delivery, ())
            await consumer.drain()  # ends the other lanes' waiting

        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(take(number) for number in range(LANES)))
        assert left == 0

    async def publish_steadily(self, reefs: Sequence[str], *, first: int, each_seconds: float, until: asyncio.Event) -> int:
        """Publish readings of these reefs in turn, from this number on, one every so often; return the first number that not
        all of them have."""
        number = first
        while not until.is_set():
            for reef in reefs:
                if until.is_set():
                    return number
                await self.publish([reef], number)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), each_seconds)
            number += 1
        return number

    async def look_at_health(self, until: asyncio.Event) -> Sequence[str]:
        """Return what health said, each time that it changed."""
        said: list[str] = []
        while not until.is_set():
            page = await asyncio.to_thread(_health_of, self.scoring)
            told = f"{page['status']}, alive {page['alive']}: {'; '.join(page['reasons'])}"
            if not said or said[-1] != told:
                said.append(told)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), LOOK_SECONDS)
        return said


@asynccontextmanager
async def purged_queue(activemq: ActivemqProcess, folder: Path, *, patience_seconds: float) -> AsyncIterator[PurgedQueue]:
    """Provide the clients and a scoring process that is not started yet; end it at the end."""
    readings = ScoredReadings()
    scoring = ServiceProcess(
        "scoring",
        name="scoring",
        broker_url=activemq.url("scoring"),
        store_url=f"sqlite:///{folder / 'scoring.db'}",
        folder=folder,
        environment={"REEFMESH_GAP_PATIENCE_SECONDS": str(patience_seconds), "REEFMESH_LANES": str(LANES)},
    )
    async with (
        _client(activemq.url("ingest")) as publisher,
        _client(activemq.url("operator")) as operator,
        _client(activemq.url("alerts")) as alerts,
    ):
        receiving = asyncio.create_task(_receive(alerts, channels.ALERTING, readings))
        try:
            yield PurgedQueue(publisher, operator, scoring, readings)
        finally:
            scoring.kill()
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)


def reef_ids(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number:04d}" for number in range(count)]


def instant_of(number: int) -> datetime:
    return BEGINS_AT + number * INTERVAL


def percentile(values: Sequence[float], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def _message(reef: str, number: int) -> Envelope:
    at = instant_of(number)
    water = ChannelReading(value=28.0, raw=28.0, flag=Flag.PASS)
    reading = Reading(buoy_id=f"buoy-{reef}", observed_at=at, received_at=at, channels={SEA_WATER_TEMPERATURE: water})
    facts = ReefFacts(reef_id=reef, name=reef, latitude_degrees=-8, longitude_degrees=115, mmm_celsius=29.5)
    body = Readings(reef=facts, buoys=[BuoyFacts(buoy_id=f"buoy-{reef}")], readings=[reading])
    return Envelope(
        event_id=event_id_of(reef, str(number)),
        reef_id=reef,
        schema_id=READINGS_1,
        produced_at=datetime.now(UTC),
        seq=number,
        body=body.model_dump_json().encode(),
    )


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[ActiveMQBroker]:
    broker = ActiveMQBroker(url, clock=SystemClock())
    await broker.connect()
    try:
        yield broker
    finally:
        await broker.close()


async def _receive(broker: ActiveMQBroker, subscription: Subscription, readings: ScoredReadings) -> None:
    consumer = broker.consumer(subscription, lanes=LANES)
    await consumer.start()

    async def take(lane: Lane) -> None:
        while (delivery := await lane.receive()) is not None:
            readings.note(delivery.message)
            await lane.settle(delivery, ())

    await asyncio.gather(*(take(lane) for lane in consumer.lanes))


def _health_of(service: ServiceProcess) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{service.url}/health", timeout=5) as answer:  # noqa: S310 - an address of ours
            return dict(json.load(answer))
    except urllib.error.HTTPError as refused:
        return dict(json.load(refused))
