"""The gateway as a process between a real Mosquitto and a real broker, each of which is killed.

What was confirmed to a device is at the inner broker, once in effect and in the device's order. Mosquitto itself confirms
before it has written to its disk: what a kill of it loses is counted, and stated in docs/gateway.md.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiomqtt
import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh_components import requirement
from reefmesh_components.activemq import local_activemq
from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.mosquitto import MosquittoProcess
from reefmesh_components.nemo_pi import nemo_pi
from reefmesh_components.service_process import ServiceProcess

pytestmark = [pytest.mark.faults, pytest.mark.timeout(280)]
FLEET: Final = tuple(f"86774003000000{number}" for number in range(1, 7))
PATIENCE_SECONDS: Final = 120.0
PAUSE_SECONDS: Final = 0.12
"""Between two reports of a device: its limit is ten a second."""
SAVED_AFTER_SECONDS: Final = 2.5
"""Mosquitto looks once a second whether a second has passed since it saved."""


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    """Tests may kill and start it; they leave it running."""
    try:
        with local_activemq() as process:
            yield process
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@dataclass
class Device:
    """Sends numbered reports, each until it was confirmed, as one that keeps what it could not send."""

    imei: str
    mosquitto: MosquittoProcess
    tls: Any
    confirmed: list[int] = field(default_factory=list)
    confirmed_at: dict[int, float] = field(default_factory=dict)

    async def send(self, stop: asyncio.Event) -> None:
        number = len(self.confirmed)
        while not stop.is_set():
            try:
                async with nemo_pi(self.mosquitto, self.imei, tls=self.tls, confirm_timeout_seconds=5) as device:
                    while not stop.is_set():
                        at = f"2026-03-01T08:{number // 60 % 60:02}:{number % 60:02}Z"
                        reading = {"observed_at": at, "channels": {"sea_water_temperature": 29.4}}
                        report = {"schema": "telemetry/1", "buoy_id": self.imei, "seq": number, "sent_at": at}
                        await device.publish(json.dumps({**report, "readings": [reading]}).encode(), kind="telemetry-1")
                        self.confirmed.append(number)
                        self.confirmed_at[number] = time.monotonic()
                        number += 1
                        await is_set(stop, PAUSE_SECONDS)
            except aiomqtt.MqttError:
                await is_set(stop, 0.1)


@dataclass
class Arrivals:
    """What came to the inner broker, as ingest would see it: a repeat of an event id has no effect."""

    numbers: dict[str, list[int]] = field(default_factory=dict)
    event_ids: set[str] = field(default_factory=set)
    repeats: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self, ingest: Broker) -> None:
        consumer = ingest.consumer(channels.INGEST, lanes=1)
        await consumer.start()
        while (delivery := await consumer.lanes[0].receive()) is not None:
            message = delivery.message
            async with self.changed:
                if message.event_id in self.event_ids:
                    self.repeats += 1
                else:
                    self.event_ids.add(message.event_id)
                    self.numbers.setdefault(message.headers["device"], []).append(json.loads(message.body)["seq"])
                self.changed.notify_all()
            await consumer.lanes[0].settle(delivery, ())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self.changed:
            await self.changed.wait_for(condition)

    def of(self, device: Device) -> list[int]:
        return self.numbers.get(device.imei, [])


@dataclass
class Field:
    """A fleet that sends, and all that it sends through."""

    devices: list[Device]
    gateway: ServiceProcess
    mosquitto: MosquittoProcess
    broker: BrokerProcess
    arrivals: Arrivals
    stop: asyncio.Event

    async def until_further(self, number: int) -> None:
        """Wait until each device was confirmed so many reports more."""
        wanted = [len(each.confirmed) + number for each in self.devices]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any(len(each.confirmed) < least for each, least in zip(self.devices, wanted, strict=True)):
                await is_set(self.stop, 0.05)

    async def end(self) -> None:
        """Let the devices end, and what they were confirmed arrive; for as long as it is not all there, wait."""
        self.stop.set()
        await self.arrivals.until(lambda: all(set(each.confirmed) <= set(self.arrivals.of(each)) for each in self.devices))


@asynccontextmanager
async def sending(
    provisioned: Any, mosquitto: MosquittoProcess, broker: BrokerProcess, folder: Path, fleet: Sequence[str]
) -> AsyncIterator[Field]:
    settings = {f"REEFMESH_GATEWAY_{name.upper()}": value for name, value in provisioned.settings(mosquitto).items()}
    gateway = ServiceProcess(
        "gateway",
        name="gateway",
        broker_url=broker.url("gateway"),
        store_url=provisioned.store_url,
        folder=folder,
        environment={**settings, "REEFMESH_GATEWAY_PUBLISH_TIMEOUT_SECONDS": "3"},
    )
    async with AsyncExitStack() as stack:
        ingest = open_broker(broker.url("ingest"), clock=SystemClock())
        await ingest.connect()
        stack.push_async_callback(ingest.close)
        await ingest.declare((channels.INGEST,))
        gateway.start()
        stack.callback(gateway.kill)
        await asyncio.to_thread(gateway.wait_until_healthy)
        arrivals, stop = Arrivals(), asyncio.Event()
        reading = asyncio.create_task(arrivals.read(ingest))
        devices = [Device(imei, mosquitto, provisioned.tls(imei)) for imei in fleet]
        async with asyncio.TaskGroup() as tasks:
            for device in devices:
                tasks.create_task(device.send(stop))
            try:
                yield Field(devices, gateway, mosquitto, broker, arrivals, stop)
            finally:
                stop.set()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_what_was_confirmed_to_devices_survives_kills_of_the_gateway_and_of_the_inner_broker(
    provisioned: Any, mosquitto: MosquittoProcess, broker: BrokerProcess, tmp_path: Path, record_property: Any
) -> None:
    """Laws 1, 3 and 4 over MQTT: nothing that was confirmed is missing, all of it once in effect, in each device's order."""
    async with sending(provisioned, mosquitto, broker, tmp_path, FLEET[:3]) as at_sea:
        for _ in range(3):
            await at_sea.until_further(15)
            await asyncio.to_thread(at_sea.gateway.kill)
            await at_sea.until_further(5)  # nobody takes them: they wait at Mosquitto
            at_sea.gateway.start()
            await asyncio.to_thread(at_sea.gateway.wait_until_healthy)
        await at_sea.until_further(15)
        await asyncio.to_thread(broker.kill)
        await at_sea.until_further(5)
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(at_sea.gateway.wait_until_healthy)
        await at_sea.until_further(15)
        await at_sea.end()
        for device in at_sea.devices:
            arrived = at_sea.arrivals.of(device)
            assert set(device.confirmed) <= set(arrived)
            assert sorted(set(arrived)) == arrived, "each once, in the order in which it was sent"
        record_property("confirmed", sum(len(each.confirmed) for each in at_sea.devices))
        record_property("repeats", at_sea.arrivals.repeats)


async def test_kill_of_mosquitto_loses_no_more_than_what_came_since_it_saved_and_was_not_taken(
    provisioned: Any, mosquitto: MosquittoProcess, broker: BrokerProcess, tmp_path: Path, record_property: Any
) -> None:
    """Mosquitto confirms first and saves once a second: so old is what it may lose, with a gateway that is away."""
    async with sending(provisioned, mosquitto, broker, tmp_path, FLEET[3:]) as at_sea:
        await at_sea.until_further(20)
        await asyncio.to_thread(at_sea.gateway.kill)
        await at_sea.until_further(100)
        killed_at = time.monotonic()
        await asyncio.to_thread(mosquitto.kill)
        await asyncio.to_thread(mosquitto.start)
        at_sea.gateway.start()
        await asyncio.to_thread(at_sea.gateway.wait_until_healthy)
        await at_sea.until_further(20)
        at_sea.stop.set()
        await at_sea.arrivals.until(lambda: all(each.confirmed[-1] in at_sea.arrivals.of(each) for each in at_sea.devices))
        missing = [(each, number) for each in at_sea.devices for number in set(each.confirmed) - set(at_sea.arrivals.of(each))]
        ages = [killed_at - device.confirmed_at[number] for device, number in missing]
        record_property("confirmed", sum(len(each.confirmed) for each in at_sea.devices))
        record_property("missing", len(missing))
        record_property("oldest_missing_seconds", round(max(ages, default=0.0), 3))
        assert max(ages, default=0.0) < SAVED_AFTER_SECONDS


async def is_set(event: asyncio.Event, seconds: float) -> None:
    """Wait so long, less when the event is set."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
