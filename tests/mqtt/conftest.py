"""A broker of these tests' own, ingest on it, and what comes out."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Consumer, LaneLost
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.health import Health
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import assemble
from reefmesh.store.port import Store
from reefmesh_components import requirement
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess, password_of
from reefmesh_components.rabbitmq import local_rabbitmq
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_ingest.bootstrap import blueprint
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_ingest.settings import IngestSettings

REEF: Final = ReefEntry(id="menjangan", name="Menjangan", latitude_degrees=-8.1, longitude_degrees=114.5)
IMEI: Final = "867740030000003"
OTHER: Final = "867740030000004"
CERTIFIED: Final = "867740030000005"
FLEET: Final = (IMEI, OTHER, *(f"8677400301{number:05d}" for number in range(20)))
DEVICES: Final = "".join(f"{imei} {password_of(imei)}\n" for imei in FLEET) + f"{CERTIFIED}\n"
"""Of RabbitMQ, where each device has a user of its own; one shows a certificate."""
SHARDS: Final = "shards=2"
PATIENCE_SECONDS: Final = 60.0
_numbers: Final = itertools.count(1)


@pytest.fixture(scope="module")
def broker() -> Iterator[ActivemqProcess]:
    """Tests may stop, kill and restart it; they leave it running and its queues empty."""
    try:
        with local_activemq() as process:
            yield process
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@pytest.fixture(scope="module")
def rabbitmq_broker() -> Iterator[RabbitmqProcess]:
    """As ``broker``, for tests of devices that have users of their own."""
    try:
        with local_rabbitmq(devices=DEVICES) as process:
            yield process
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@dataclass
class Ear:
    """Everything that a channel carried since the ear was made, in the order of its first arrival."""

    consumer: Consumer
    messages: list[Envelope] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        lane = self.consumer.lanes[0]
        while (delivery := await lane.receive()) is not None:
            async with self.changed:
                if delivery.message.event_id not in self.known:
                    self.known.add(delivery.message.event_id)
                    self.messages.append(delivery.message)
                    self.changed.notify_all()
            with contextlib.suppress(LaneLost):  # it comes again, if it was not acknowledged
                await lane.settle(delivery, ())

    async def until(self, condition: Callable[[Sequence[Envelope]], bool]) -> Sequence[Envelope]:
        async with asyncio.timeout(PATIENCE_SECONDS), self.changed:
            await self.changed.wait_for(lambda: condition(self.messages))
        return self.messages

    async def until_there_are(self, number: int) -> Sequence[Envelope]:
        return await self.until(lambda messages: len(messages) >= number)


@dataclass
class Running:
    """Ingest at work."""

    store: Store
    register: Register
    metrics: Metrics
    health: Health
    broker: Broker


@asynccontextmanager
async def ears(url: str, *channels: Channel) -> AsyncIterator[list[Ear]]:
    """Listen to channels, each with a subscription of its own."""
    client = open_broker(url, clock=SystemClock())
    await client.connect()
    tasks: list[asyncio.Task[None]] = []
    try:
        subscriptions = [Subscription(f"ear{next(_numbers)}", channel) for channel in channels]
        await client.declare(subscriptions)
        made = [Ear(client.consumer(each, lanes=1)) for each in subscriptions]
        for ear in made:
            await ear.consumer.start()
            tasks.append(asyncio.create_task(ear.listen()))
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()


@asynccontextmanager
async def running_ingest(url: str, folder: Path, **settings: Any) -> AsyncIterator[Running]:
    """Run the service as its process would, with the rights of its own user, and drain it at the end."""
    client = open_broker(url, clock=SystemClock())
    options: dict[str, Any] = {"broker_url": url, "store_url": f"sqlite:///{folder / 'ingest.db'}"}
    chosen = IngestSettings(**options, lanes=4, **settings)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        await client.connect()
        stack.push_async_callback(client.close)
        await client.declare([channels.INGEST])
        assembled = await stack.enter_async_context(assemble(blueprint(chosen), chosen, broker=client, clock=SystemClock()))
        register = Register(assembled.store)
        await register.upsert(reefs=[REEF], buoys=[BuoyEntry(id=IMEI, reef=REEF.id)])
        task = asyncio.create_task(assembled.service.run(stop))
        try:
            yield Running(assembled.store, register, assembled.metrics, assembled.health, client)
        finally:
            stop.set()
            assert await asyncio.wait_for(task, PATIENCE_SECONDS)


@dataclass(frozen=True)
class Stage:
    """What tests are given: a test folder's conftest cannot be imported."""

    broker: ActivemqProcess | RabbitmqProcess
    folder: Path
    parameters: str = ""

    def url(self, user: str = "operator") -> str:
        return self.broker.url(user, parameters=self.parameters)

    def ears(self, *channels: Channel) -> Any:
        return ears(self.url(), *channels)

    def ingest(self, **settings: Any) -> Any:
        return running_ingest(self.url("ingest"), self.folder, **settings)


@pytest.fixture
def stage(broker: ActivemqProcess, tmp_path: Path) -> Stage:
    return Stage(broker, tmp_path)


@pytest.fixture
def rabbitmq_stage(rabbitmq_broker: RabbitmqProcess, tmp_path: Path) -> Stage:
    return Stage(rabbitmq_broker, tmp_path, SHARDS)
