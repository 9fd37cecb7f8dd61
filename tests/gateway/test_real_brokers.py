"""The gateway as a process on a real broker that is killed: what a device was told is safe is there, and nothing else is told.

And on ActiveMQ and RabbitMQ it logs in as itself, with no rights but those that it needs.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.senders import BrokerUsers, senders_to
from reefmesh.store.connect import open_store
from reefmesh_components import requirement
from reefmesh_components.activemq import local_activemq
from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.ports import HOST, free_port
from reefmesh_components.rabbitmq import local_rabbitmq
from reefmesh_components.service_process import ServiceProcess
from reefmesh_gateway.bootstrap import MIGRATIONS
from reefmesh_gateway.identities.device import EnrolledDevice
from reefmesh_gateway.identities.enrolment import Enrolment

pytestmark = pytest.mark.timeout(240)  # the first of them starts the broker
DEVICE = EnrolledDevice(device="agent-1", reef_id="menjangan", names=frozenset({"agent-1"}), report_interval_seconds=1)
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module", params=["activemq", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def broker(request: pytest.FixtureRequest) -> Iterator[BrokerProcess]:
    """Tests may kill and start it; they leave it running."""
    try:
        with (local_activemq if request.param == "activemq" else local_rabbitmq)() as process:
            yield process
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@dataclass
class Sender:
    """A device that remembers what it was told."""

    url: str
    token: str
    client: httpx.AsyncClient
    confirmed: dict[int, str]
    sent: int = 0

    async def send(self, seq: int) -> int:
        """Send one report; return the status of the answer, 0 where there was none."""
        at = "2026-03-01T08:00:01Z"
        reading = {"observed_at": at, "channels": {"sea_water_temperature": 29.4}}
        report = {"schema": "telemetry/1", "buoy_id": "agent-1", "seq": seq, "sent_at": at, "readings": [reading]}
        headers = {"authorization": f"Bearer {self.token}", "idempotency-key": f"report-{seq}"}
        try:
            answer = await self.client.post(self.url, json=report, headers=headers)
        except httpx.TransportError:
            return 0
        if answer.status_code == 202:
            self.confirmed[seq] = answer.json()["reports"][0]["event_id"]
        return answer.status_code

    async def send_all(self, number: int) -> list[int]:
        """Send so many further reports side by side."""
        first, self.sent = self.sent, self.sent + number
        return list(await asyncio.gather(*(self.send(seq) for seq in range(first, self.sent))))

    async def send_again(self) -> list[int]:
        """Send each report that was not confirmed, one by one, as a device does."""
        return [await self.send(seq) for seq in range(self.sent) if seq not in self.confirmed]


@pytest.fixture
async def ingest(broker: BrokerProcess) -> AsyncIterator[Broker]:
    """Ingest's own client: the gateway makes no queue, and may not."""
    client = open_broker(broker.url("ingest", parameters=_parameters(broker)), clock=SystemClock())
    await client.connect()
    await client.declare((channels.INGEST,))
    yield client
    await client.close()


@asynccontextmanager
async def running_gateway(broker: BrokerProcess, folder: Path) -> AsyncIterator[tuple[ServiceProcess, Sender]]:
    store = open_store(f"sqlite:///{folder / 'gateway.db'}", migrations=MIGRATIONS)
    await store.open()
    token = await Enrolment(store).enroll(DEVICE, now=datetime.now(UTC))
    await store.close()
    port = free_port()
    process = ServiceProcess(
        "gateway",
        name="gateway",
        broker_url=broker.url("gateway", parameters=_parameters(broker)),
        store_url=f"sqlite:///{folder / 'gateway.db'}",
        folder=folder,
        environment={"REEFMESH_GATEWAY_DOOR_PORT": str(port), "REEFMESH_GATEWAY_PUBLISH_TIMEOUT_SECONDS": "3"},
    )
    process.start()
    try:
        await asyncio.to_thread(process.wait_until_healthy)
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
            yield process, Sender(f"http://{HOST}:{port}/v1/telemetry", token.text, client, {})
    finally:
        await asyncio.to_thread(process.kill)


def _parameters(broker: BrokerProcess) -> str:
    return "shards=2" if broker.url().startswith("amqp") else ""


async def arrived(ingest: Broker, wanted: set[str]) -> dict[str, tuple[str | None, int]]:
    """Return event id -> (user that sent it, number of the report), of all that came until all that are wanted were there."""
    believed = senders_to(channels.INGEST, BrokerUsers())
    consumer, found = ingest.consumer(channels.INGEST, lanes=1), dict[str, tuple[str | None, int]]()
    await consumer.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not wanted <= found.keys():
            delivery = await consumer.lanes[0].receive()
            assert delivery is not None
            assert believed.speaks(delivery.user_id, delivery.message)
            found[delivery.message.event_id] = (delivery.user_id, json.loads(delivery.message.body)["seq"])
            await consumer.lanes[0].settle(delivery, ())
    await consumer.close()
    return found


async def test_what_was_confirmed_to_a_device_survives_kills_of_broker_and_gateway(
    broker: BrokerProcess, ingest: Broker, tmp_path: Path
) -> None:
    """Law 3, at the door: a broker that is gone is 503, a repeat has the same event id, and no confirmed report is missing."""
    async with running_gateway(broker, tmp_path) as (gateway, sender):
        assert [202] * 20 == await sender.send_all(20)

        sending = asyncio.create_task(sender.send_all(20))
        await asyncio.to_thread(broker.kill)
        assert {202, 503} >= set(await sending)
        assert [503] == await sender.send_all(1)
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(gateway.wait_until_healthy)
        assert {202} >= set(await sender.send_again())

        sending = asyncio.create_task(sender.send_all(20))
        await asyncio.to_thread(gateway.kill)
        assert {202, 0} >= set(await sending)
        gateway.start()
        await asyncio.to_thread(gateway.wait_until_healthy)
        assert {202} >= set(await sender.send_again())

        found = await arrived(ingest, set(sender.confirmed.values()))
        assert {"gateway"} == {user for user, _ in found.values()}
        assert set(range(61)) == sender.confirmed.keys()
        assert sorted(sender.confirmed.values()) == sorted(found)
