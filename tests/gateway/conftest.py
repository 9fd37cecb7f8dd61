"""Devices with certificates of an operator's own authority, a real Mosquitto for them, and a gateway and ingest behind it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Consumer
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Blueprint, assemble
from reefmesh.settings import ServiceSettings
from reefmesh_components import requirement
from reefmesh_components.command_in_process import CommandInProcess
from reefmesh_components.mosquitto import MosquittoProcess, device_tls, local_mosquitto
from reefmesh_components.ports import HOST
from reefmesh_components.reefmesh_command import ReefmeshCommand
from reefmesh_gateway import bootstrap as gateway
from reefmesh_gateway.settings import GatewaySettings
from reefmesh_ingest import bootstrap as ingest
from reefmesh_ingest.settings import IngestSettings

REEF: Final = ("menjangan", "--name", "Menjangan", "--latitude", "-8.1", "--longitude", "114.5")
FLEET: Final = tuple(f"86774003000000{number}" for number in range(1, 7))
PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Provisioned:
    """What an operator has after the commands of docs/nemo-pi.md: an authority, and devices with their files."""

    reefmesh: CommandInProcess

    @property
    def authority(self) -> Path:
        return self.reefmesh.home / "authority"

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.reefmesh.home / 'gateway.db'}"

    async def run(self, *arguments: str | Path) -> Any:
        """Run ``reefmesh`` beside the test, as a process; return what ``--json`` printed."""
        beside = ReefmeshCommand(home=self.reefmesh.home)
        return good(await asyncio.to_thread(beside, *arguments, "--json")).document

    def files(self, imei: str) -> tuple[Path, Path]:
        """The certificate and the key of a device."""
        folder = self.authority / "devices" / imei
        return folder / f"{imei}.pem", folder / f"{imei}.key"

    def tls(self, imei: str) -> ssl.SSLContext:
        return device_tls(self.authority / "ca.pem", *self.files(imei))

    def settings(self, broker: MosquittoProcess) -> dict[str, Any]:
        """The settings of the gateway's MQTT door, by their names without a prefix."""
        folder = self.authority / "gateway"
        return {
            "mqtt_url": f"mqtts://{HOST}:{broker.port}",
            "mqtt_ca_file": str(folder / "ca.pem"),
            "mqtt_certificate_file": str(folder / "gateway.pem"),
            "mqtt_key_file": str(folder / "gateway.key"),
        }


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Provisioned:
    """With six devices, FLEET; the keys are of the kind that is made fast."""
    reefmesh = CommandInProcess(home=tmp_path_factory.mktemp("operator") / "home")
    good(reefmesh("reefs", "set", *REEF))
    good(reefmesh("devices", "authority", "--server", HOST, "--server", "localhost"))
    for imei in FLEET:
        good(reefmesh("buoys", "set", imei, "reef=menjangan", "report_interval_seconds=1"))
        good(reefmesh("devices", "enroll", imei, "--certificate", "--key", "ec", "--broker-host", HOST))
    return Provisioned(reefmesh)


@pytest.fixture
def mosquitto(provisioned: Provisioned) -> Iterator[MosquittoProcess]:
    """A broker of the test's own, which it may stop, kill and start."""
    try:
        with local_mosquitto(provisioned.authority / "broker") as process:
            yield process
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@dataclass
class Ear:
    """What a channel carried, in its order."""

    consumer: Consumer
    messages: list[Envelope] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        lane = self.consumer.lanes[0]
        while (delivery := await lane.receive()) is not None:
            async with self.changed:
                self.messages.append(delivery.message)
                self.changed.notify_all()
            await lane.settle(delivery, ())

    async def until(self, condition: Callable[[Sequence[Envelope]], bool]) -> Sequence[Envelope]:
        async with asyncio.timeout(PATIENCE_SECONDS), self.changed:
            await self.changed.wait_for(lambda: condition(self.messages))
        return self.messages

    async def until_there_are(self, number: int) -> Sequence[Envelope]:
        return await self.until(lambda messages: len(messages) >= number)


@dataclass
class Mesh:
    """A gateway and ingest at work, each as its process would run it, on one embedded broker."""

    stack: AsyncExitStack
    broker: Any
    provisioned: Provisioned
    mosquitto: MosquittoProcess
    readings: Ear
    quarantined: Ear

    async def start_gateway(self, **more: Any) -> "RunningGateway":
        given: Any = {"broker_url": "embedded://", "store_url": self.provisioned.store_url, **more}
        settings = GatewaySettings(**given, **self.provisioned.settings(self.mosquitto))
        running = RunningGateway(self, gateway.blueprint(settings), settings)
        await running.start()
        return running


class RunningGateway:
    def __init__(self, mesh: Mesh, blueprint: Blueprint, settings: ServiceSettings) -> None:
        self._mesh, self._blueprint, self._settings = mesh, blueprint, settings
        self._stack = AsyncExitStack()
        self._stop = asyncio.Event()
        self.metrics: Metrics
        self.health: Any

    async def start(self) -> None:
        """Return when it is connected to the MQTT broker."""
        assembled = await self._stack.enter_async_context(
            assemble(self._blueprint, self._settings, broker=self._mesh.broker, clock=SystemClock())
        )
        self.metrics, self.health = assembled.metrics, assembled.health
        self._task = asyncio.create_task(assembled.service.run(self._stop))
        self._mesh.stack.push_async_callback(self.stop)
        await self.until_it_says("active", connected=True)

    async def until_it_says(self, role: str, *, connected: bool) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                check = (await self.health.report()).as_json()["checks"]["mqtt door"]
                if check["role"] == role and (check["status"] == "ok") == connected:
                    return

    async def stop(self) -> None:
        """Drain it. Idempotent."""
        self._stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(self._task, PATIENCE_SECONDS)
        await self._stack.aclose()


@asynccontextmanager
async def running_mesh(provisioned: Provisioned, mosquitto: MosquittoProcess) -> AsyncIterator[Mesh]:
    async with AsyncExitStack() as stack:
        broker = open_broker("embedded://", clock=SystemClock())
        await broker.connect()
        stack.push_async_callback(broker.close)
        await broker.declare([channels.INGEST])
        store_url = f"sqlite:///{provisioned.reefmesh.home / 'ingest.db'}"
        chosen: Any = {"broker_url": "embedded://", "store_url": store_url, "mqtt_bridge": False}
        settings = IngestSettings(**chosen)
        assembled = await stack.enter_async_context(
            assemble(ingest.blueprint(settings), settings, broker=broker, clock=SystemClock())
        )
        heard = [await listening(stack, broker, each) for each in (channels.READINGS, channels.QUARANTINE)]
        stop = asyncio.Event()
        task = asyncio.create_task(assembled.service.run(stop))

        async def end() -> None:
            stop.set()
            await asyncio.wait_for(task, PATIENCE_SECONDS)

        stack.push_async_callback(end)
        yield Mesh(stack, broker, provisioned, mosquitto, *heard)


async def listening(stack: AsyncExitStack, broker: Any, channel: Channel) -> Ear:
    subscription = Subscription("ear", channel)
    await broker.declare([subscription])
    ear = Ear(broker.consumer(subscription, lanes=1))
    await ear.consumer.start()
    task = asyncio.create_task(ear.listen())

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ear.consumer.close()

    stack.push_async_callback(end)
    return ear


@pytest.fixture
async def mesh(provisioned: Provisioned, mosquitto: MosquittoProcess) -> AsyncIterator[Mesh]:
    async with running_mesh(provisioned, mosquitto) as mesh:
        yield mesh


def good(ended: Any) -> Any:
    assert 0 == ended.code, ended.err
    return ended
