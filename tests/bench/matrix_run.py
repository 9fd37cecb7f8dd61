"""One scenario: its clients in this process, its samples, and whether every message came, in its reef's order."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from matrix_engine import Engine
from matrix_result import Cpu, Meter, Result, Sample
from matrix_scenario import SLOW, SLOW_SECONDS, STAGING, Matrix, Scenario
from processes import cpu_seconds
from reefmesh.broker.port import Broker, BrokerUnavailable, Lane, LaneLost, Publication, PublishRefused
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.service.stop_event import is_set_within

LANES: Final = 32
"""Of all consumers together, but each has ``LANES_LEAST``."""
LANES_LEAST: Final = 4
REEFS: Final = 64
"""Of each producer."""
UNDER_WAY_LIMIT: Final = 2000
UNDER_WAY_BYTES_LIMIT: Final = 64 * 1024 * 1024
HEAPED_LIMIT: Final = 200_000
"""Under way where the backlog is what is measured."""
IN_FLIGHT_LIMIT: Final = 1000
"""Publishes that wait for their confirmation at once, where a rate is offered."""
ERRORS_LIMIT: Final = 100
STUCK_SECONDS: Final = 60.0
"""Without any message while some are missing."""
SLOW_CONSUMER: Final = 1
SENT: Final = "sent-nanoseconds"
NUMBER: Final = "number"


class Course:
    """What is under way, what came, and in which order. A message has its place among those of its reef in its headers."""

    def __init__(self, scenario: Scenario, *, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._stuck_seconds = stuck_seconds
        self.meter = Meter()
        self.repeats = 0
        self._copies = scenario.copies
        self._published = self._came = 0
        self._next: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._change = asyncio.Event()
        most = HEAPED_LIMIT if scenario.group in {SLOW, STAGING} else UNDER_WAY_LIMIT
        call = scenario.messages_a_call
        self._limit = max(call, min(most, UNDER_WAY_BYTES_LIMIT // scenario.message_bytes)) * self._copies

    def has_room(self, messages: int) -> bool:
        return self.missing + messages * self._copies <= self._limit

    async def room(self, messages: int) -> None:
        while not self.has_room(messages):
            await self._changed()

    def published(self, messages: int) -> None:
        """Call before the publish: its messages may come before its confirmation."""
        self._published += messages * self._copies

    def came(self, subscription: Subscription, message: Envelope, *, slow: bool) -> None:
        """Raises RuntimeError when it came before its turn."""
        place, number = (str(subscription), message.reef_id), int(message.headers[NUMBER])
        if number > self._next[place]:
            raise RuntimeError(f"{subscription}: {message.reef_id}: {number} came where {self._next[place]} was due")
        if number < self._next[place]:
            self.repeats += 1
            return
        self._next[place] += 1
        self._came += 1
        self.meter.hear(time.monotonic_ns() - int(message.headers[SENT]), slow=slow)
        self._change.set()

    @property
    def missing(self) -> int:
        return self._published - self._came

    async def until_all_came(self) -> None:
        """Raises RuntimeError when nothing comes any more, and some are missing."""
        try:
            while self.missing:
                async with asyncio.timeout(self._stuck_seconds):
                    await self._changed()
        except TimeoutError:
            raise RuntimeError(f"{self.missing} of {self._published} messages did not come") from None

    def error(self) -> None:
        """Raises RuntimeError when there were too many."""
        self.meter.errors += 1
        if self.meter.errors > ERRORS_LIMIT:
            raise RuntimeError(f"more than {ERRORS_LIMIT} errors within one sample")

    async def _changed(self) -> None:
        self._change.clear()
        await self._change.wait()


class Producer:
    """Publishes to one channel, a call after the other, or at a rate whether the earlier ones are confirmed or not. Then a
    message waits only for the one before it of its reef, because calls that overlap have no order."""

    def __init__(self, index: int, client: Broker, channel: Channel, scenario: Scenario, course: Course) -> None:
        self._index, self._client, self._channel, self._scenario, self._course = index, client, channel, scenario, course
        self._body = b"x" * scenario.message_bytes
        self._sent = 0

    async def run(self, stop: asyncio.Event) -> None:
        if self._scenario.producer_rate:
            await self._steadily(stop)
            return
        messages = self._scenario.messages_a_call
        while not stop.is_set():
            if not self._course.has_room(messages):
                await _either(self._course.room(messages), stop)
            if not stop.is_set():
                await self._publish(self._made(messages))

    async def _steadily(self, stop: asyncio.Event) -> None:
        began, rate = time.monotonic(), self._scenario.producer_rate
        in_flight = asyncio.Semaphore(IN_FLIGHT_LIMIT)

        turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

        async def publish(publication: Publication) -> None:
            try:
                async with turns[publication.message.reef_id]:
                    await self._publish([publication])
            finally:
                in_flight.release()

        async with asyncio.TaskGroup() as publishes:
            while not stop.is_set():
                if (wait := began + self._sent / rate - time.monotonic()) > 0 and await is_set_within(stop, wait):
                    break
                await in_flight.acquire()
                publishes.create_task(publish(self._next()))

    async def _publish(self, publications: Sequence[Publication]) -> None:
        self._course.published(len(publications))
        while True:
            try:
                await self._client.publish(publications)
            except (BrokerUnavailable, PublishRefused):
                self._course.error()  # and again: what is out already is recognised as a repeat
            else:
                self._course.meter.produced += len(publications)
                return

    def _made(self, messages: int) -> list[Publication]:
        return [self._next() for _ in range(messages)]

    def _next(self) -> Publication:
        number, reef = divmod(self._sent, REEFS)
        self._sent += 1
        message = Envelope(
            event_id=f"{self._channel}-{self._index}-{self._sent}",
            reef_id=f"reef-{self._index}-{reef}",
            schema_id="bench/1",
            produced_at=datetime.now(UTC),
            body=self._body,
            headers={SENT: str(time.monotonic_ns()), NUMBER: str(number)},
        )
        return Publication(channel=self._channel.name, message=message)


async def consume(lane: Lane, subscription: Subscription, course: Course, *, slow: bool, hurry: asyncio.Event) -> None:
    """Receive and acknowledge until the consumer drains; ``hurry``: the slow one is as quick as the others."""
    while (delivery := await lane.receive()) is not None:
        course.came(subscription, delivery.message, slow=slow)
        if slow:
            await is_set_within(hurry, SLOW_SECONDS)
        try:
            await lane.settle(delivery, [])
        except (LaneLost, PublishRefused):
            course.error()


def subscriptions_of(scenario: Scenario, run: str) -> list[Subscription]:
    """Return the subscription of each consumer; those of a queue share theirs."""
    channels = [Channel(f"bench.{run}.{index}", numbered=False) for index in range(scenario.destinations)]
    services = [f"c{index}" if scenario.mode == "topic" else "all" for index in range(scenario.consumers)]
    return [Subscription(service, channels[index % len(channels)]) for index, service in enumerate(services)]


async def run_scenario(engine: Engine, scenario: Scenario, matrix: Matrix, *, run: str) -> Result:
    """Return its samples, once every message came; ``run`` is in the names of the channels, and no two have the same.

    Raises:
        RuntimeError: a message did not come, or came before its turn, or there were too many errors.
    """
    course = Course(scenario)
    subscriptions = subscriptions_of(scenario, run)
    channels = list(dict.fromkeys(subscription.channel for subscription in subscriptions))
    async with _clients(engine, scenario) as (publishing, consuming):
        await consuming[0].declare(list(dict.fromkeys(subscriptions)))
        lanes = max(LANES_LEAST, LANES // scenario.consumers)
        consumers = [client.consumer(each, lanes=lanes) for client, each in zip(consuming, subscriptions, strict=True)]
        producers = [
            Producer(index, client, channels[index % len(channels)], scenario, course)
            for index, client in enumerate(publishing)
        ]
        stop, hurry = asyncio.Event(), asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:

                async def start() -> None:
                    for index, (consumer, subscription) in enumerate(zip(consumers, subscriptions, strict=True)):
                        slow = scenario.group == SLOW and index == SLOW_CONSUMER
                        await consumer.start()
                        for lane in consumer.lanes:
                            tasks.create_task(consume(lane, subscription, course, slow=slow, hurry=hurry))

                if scenario.group != STAGING:
                    await start()
                running = [tasks.create_task(producer.run(stop)) for producer in producers]
                sampler = Sampler(engine, course.meter, matrix)
                if scenario.group == STAGING:
                    await sampler.take(matrix.samples, warm_ups=matrix.warm_ups)
                    stop.set()
                    await asyncio.gather(*running)
                    await start()
                    await sampler.take(matrix.samples, warm_ups=0)
                else:
                    await sampler.take(matrix.samples, warm_ups=matrix.warm_ups)
                stop.set()
                hurry.set()
                await asyncio.gather(*running)
                await course.until_all_came()
                await asyncio.gather(*(consumer.drain() for consumer in consumers))
        except* RuntimeError as faults:
            raise _first(faults) from faults
    return Result(scenario=scenario, samples=sampler.samples, meter=course.meter, cpu=sampler.cpu, repeats=course.repeats)


class Sampler:
    """Takes samples of the meter, and of the CPU that client and broker use meanwhile."""

    def __init__(self, engine: Engine, meter: Meter, matrix: Matrix) -> None:
        self._pids = {} if engine.pid is None else {"broker": engine.pid}
        self._meter, self._matrix = meter, matrix
        self.samples: list[Sample] = []
        self._consumed = 0
        self._client_seconds = self._broker_seconds = 0.0

    async def take(self, samples: int, *, warm_ups: int) -> None:
        never = asyncio.Event()
        for _ in range(warm_ups):
            await is_set_within(never, self._matrix.sample_seconds)
        self._meter.restart()
        self._meter.collecting = True
        client, broker = time.process_time(), cpu_seconds(self._pids).get("broker", 0.0)
        began = time.monotonic()
        for _ in range(samples):
            await is_set_within(never, self._matrix.sample_seconds)
            now = time.monotonic()
            self.samples.append(Sample.of(self._meter, now - began))
            began = now
            self._consumed += self._meter.consumed
            self._meter.restart()
        self._meter.collecting = False
        self._client_seconds += time.process_time() - client
        self._broker_seconds += cpu_seconds(self._pids).get("broker", 0.0) - broker

    @property
    def cpu(self) -> Cpu | None:
        """None when nothing was consumed."""
        if not self._consumed:
            return None
        broker = self._broker_seconds / self._consumed * 1e6 if self._pids else None
        return Cpu(client=self._client_seconds / self._consumed * 1e6, broker=broker)


@asynccontextmanager
async def _clients(engine: Engine, scenario: Scenario) -> AsyncIterator[tuple[list[Broker], list[Broker]]]:
    clients = await engine.clients(scenario, scenario.producers + scenario.consumers)
    try:
        yield clients[: scenario.producers], clients[scenario.producers :]
    finally:
        for client in reversed(clients):
            await client.close()


async def _either(waiting: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Return when this is done, or when it is stopped."""
    both = [asyncio.ensure_future(waiting), asyncio.ensure_future(stop.wait())]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in both:
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*both)


def _first(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    first = faults.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
