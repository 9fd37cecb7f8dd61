"""The devices of a run: they publish a fleet's telemetry, each reef's in order, and note what was confirmed.

What was not confirmed is published again under the same id until it is; the next message of that reef waits so long.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from reefmesh.broker.port import Broker, Publication
from reefmesh.broker.producer import Producer
from reefmesh.contracts.channels import TELEMETRY
from reefmesh.errors import TransientError
from reefmesh_faults.fleet import Fleet, Telemetry
from reefmesh_faults.history import Sent

PUBLISHERS: Final = 3
AT_ONCE_LIMIT: Final = 40
PAUSE_SECONDS: Final = 0.2


@dataclass(slots=True, kw_only=True)
class _Post:
    telemetry: Telemetry
    attempts: int = 0
    confirmed_ns: int | None = None


class Workload:
    """Publishes from ``run`` on until ``finish`` was called; ``brokers`` are the devices' connections, one a publisher."""

    def __init__(self, fleet: Fleet, brokers: Sequence[Broker]) -> None:
        self._telemetry = fleet.telemetry()
        self._brokers = brokers
        self._queues: list[asyncio.Queue[_Post | None]] = [asyncio.Queue() for _ in brokers]
        self._posts: list[_Post] = []
        self._finish = asyncio.Event()
        self._readings_wanted = 0
        self.readings = 0
        self.unconfirmed = 0

    @property
    def messages(self) -> int:
        return len(self._posts)

    def finish(self, *, readings: int = 0) -> None:
        """Make no more telemetry once there are so many readings; what was made is still published."""
        self._readings_wanted = readings
        self._finish.set()

    async def run(self) -> None:
        """Return when all that was made is confirmed."""
        async with asyncio.TaskGroup() as tasks:
            for broker, queue in zip(self._brokers, self._queues, strict=True):
                tasks.create_task(self._publish(broker, queue))
            await self._make()

    def sent(self) -> list[Sent]:
        """Return what was published so far."""
        return [
            Sent(
                event_id=post.telemetry.event_id,
                reef_id=post.telemetry.reef_id,
                number=post.telemetry.number,
                readings=post.telemetry.readings,
                instants=post.telemetry.instants,
                attempts=post.attempts,
                confirmed_ns=post.confirmed_ns,
            )
            for post in self._posts
            if post.attempts
        ]

    def telemetry(self) -> list[Telemetry]:
        """Return what was made so far, each reef's in publishing order."""
        return [post.telemetry for post in self._posts]

    async def _make(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for at_seconds, telemetry in self._telemetry:
            await self._until_due(began + at_seconds - loop.time())
            if self._finish.is_set() and self.readings >= self._readings_wanted:
                break
            post = _Post(telemetry=telemetry)
            self._posts.append(post)
            self.readings += telemetry.readings
            # A reef has one publisher, and so one order.
            self._queues[_place(telemetry.reef_id) % len(self._queues)].put_nowait(post)
        for queue in self._queues:
            queue.put_nowait(None)

    async def _until_due(self, wait_seconds: float) -> None:
        """Wait so long; less once it is time to finish: what is still wanted then comes as a burst."""
        if wait_seconds > 0 and not self._finish.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._finish.wait(), timeout=wait_seconds)

    async def _publish(self, broker: Broker, queue: "asyncio.Queue[_Post | None]") -> None:
        producer = Producer()
        while (first := await queue.get()) is not None:
            posts = [first]
            while len(posts) < AT_ONCE_LIMIT and not queue.empty():
                if (post := queue.get_nowait()) is None:
                    queue.put_nowait(None)
                    break
                posts.append(post)
            await self._until_confirmed(broker, producer, posts)

    async def _until_confirmed(self, broker: Broker, producer: Producer, posts: Sequence[_Post]) -> None:
        now = datetime.now(UTC)
        messages = producer.link([post.telemetry.envelope(now) for post in posts])
        publications = [Publication(channel=TELEMETRY.name, message=message) for message in messages]
        while True:
            for post in posts:
                post.attempts += 1
            try:
                await broker.publish(publications)
            except TransientError:
                self.unconfirmed += len(posts)
                await asyncio.sleep(PAUSE_SECONDS)  # what a device does whose link is down
                continue
            producer.confirmed(messages)
            confirmed_ns = time.monotonic_ns()
            for post in posts:
                post.confirmed_ns = confirmed_ns
            return


def _place(reef_id: str) -> int:
    return int(reef_id.rpartition("-")[2])


def first(fleet: Fleet, count: int) -> list[Telemetry]:
    """Return the first messages of a fleet, without their times."""
    return [telemetry for _, telemetry in islice(fleet.telemetry(), count)]
