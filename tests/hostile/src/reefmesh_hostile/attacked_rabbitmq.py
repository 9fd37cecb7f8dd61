"""RabbitMQ with the shipped configuration and definitions, as a stage attacks it."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pamqp.commands import Exchange, Queue

from reefmesh.broker.port import BrokerUnavailable
from reefmesh.broker.rabbitmq.engine import RabbitMQBroker
from reefmesh.broker.rabbitmq.topology import Topology, parking_queue
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.services import SERVICES as ENTRIES
from reefmesh.contracts.services import subscriptions_of
from reefmesh_components.activemq_process import password_of
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.rabbitmq import COMMAND, COMPONENT
from reefmesh_components.rabbitmq_distribution import RabbitmqMissing, rabbitmq_distribution
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_components.requirement import ComponentMissing
from reefmesh_hostile.amqp_wire import AmqpMessage, AmqpRefused
from reefmesh_hostile.attacked_broker import Engine, Held, Waiting
from reefmesh_hostile.attacker import Attacker
from reefmesh_hostile.reefs import ATTACKER_DEVICE, VICTIM_DEVICE
from reefmesh_hostile.wire_cut import WireCut

SHARDS: Final = 4
"""Of each subscription: reefs of the attacker's and honest ones share them."""
BROKER_PARAMETERS: Final = f"heartbeat_ms=3000&connect_timeout_ms=6000&confirm_timeout_ms=9000&shards={SHARDS}"
DEVICES: Final = "".join(f"{imei} {password_of(imei)}\n" for imei in (ATTACKER_DEVICE, VICTIM_DEVICE))
WAL_BYTES: Final = 32 * 1024 * 1024
SETTINGS: Final = f"raft.wal_max_size_bytes = {WAL_BYTES}"
"""The log that all quorum queues share is begun anew after 512 MB by default: no growth could be seen beside it."""
STORE_GROWTH_BYTES_LIMIT: Final = 160 * 1024 * 1024
"""Two such logs, and segments of queues beside them: a segment goes when all of its 4,096 messages are settled."""
STORE_BYTES_LEFT_LIMIT: Final = 1024 * 1024 * 1024
DEVICE_QUEUE: Final = "reef.telemetry.mqtt"
SUBSCRIPTIONS: Final = subscriptions_of(ENTRIES)
PARKED_LIMIT: Final = 10_000
"""As many as a parking shows."""
WAITING_PAGE: Final = "/metrics/detailed?family=queue_coarse_metrics"
WAITING_OF: Final = re.compile(
    r'^rabbitmq_detailed_queue_messages\{[^}]*queue="(?P<queue>[^"]+)"[^}]*\} (?P<count>\d+)', re.MULTILINE
)


class AttackedRabbitmq:
    """Started when it is made.

    Raises:
        ComponentMissing: there is no RabbitMQ here.
    """

    engine: Engine = "rabbitmq"
    store_growth_bytes_limit = STORE_GROWTH_BYTES_LIMIT

    def __init__(self, folder: Path) -> None:
        try:
            found = rabbitmq_distribution()
        except RabbitmqMissing as missing:
            raise ComponentMissing(COMPONENT, why=str(missing), command=COMMAND) from missing
        place = folder / "broker"
        place.mkdir()
        self.process = RabbitmqProcess(
            distribution=found,
            folder=place,
            certificate=make_server_certificate(place),
            settings=SETTINGS,
            devices=DEVICES,
        )
        self.process.start()

    def url(self, user: str) -> str:
        return self.process.url(user, parameters=BROKER_PARAMETERS)

    def attacker(self, user: str) -> Attacker:
        return Attacker(ports=self.process.ports, user=user)

    def device(self, imei: str) -> Attacker:
        return self.attacker(imei)

    def command(self, imei: str, body: bytes) -> None:
        message = AmqpMessage(exchange="reef.devices", routing_key=f"buoys.{imei}.c2d.cmd", body=body)
        with self.attacker("operator").amqp() as connection:
            connection.publish_all([message])

    def purge(self) -> bool:
        """Queues and exchanges of services go as they are: each makes its own anew, and refuses to mend half of them."""
        with self.attacker("operator").amqp() as connection:
            for name in (queue for each in SUBSCRIPTIONS for queue in queues_of(each)):
                with contextlib.suppress(AmqpRefused):  # no service has made it yet
                    connection.call(Queue.Delete(queue=name))
            for name in (exchange for each in SUBSCRIPTIONS for exchange in exchanges_of(each)):
                connection.call(Exchange.Delete(exchange=name))  # done, too, where there is none
            connection.call(Queue.Purge(queue=DEVICE_QUEUE))
            declared = connection.call(Queue.Declare(queue=DEVICE_QUEUE, passive=True))
        return isinstance(declared, Queue.DeclareOk) and declared.message_count == 0

    def forget(self) -> None:
        self.process.kill()
        shutil.rmtree(self.process.folder / "data", ignore_errors=True)
        self.process.start()

    def parked(self, service: str) -> Sequence[Held]:
        try:
            return asyncio.run(self._parked(next(each for each in SUBSCRIPTIONS if each.service == service)))
        except BrokerUnavailable as unavailable:
            raise WireCut(str(unavailable)) from unavailable

    async def _parked(self, subscription: Subscription) -> Sequence[Held]:
        broker = RabbitMQBroker(self.url("operator"), clock=SystemClock())
        await broker.connect()
        try:
            shown = await broker.parking(subscription).list(limit=PARKED_LIMIT)
        finally:
            await broker.close()
        return [
            Held(event_id=f"{each.message.event_id} {each.message.headers.get('event-id', '')}", body=each.message.body)
            for each in shown
        ]

    def waiting(self) -> Waiting:
        """The broker shows nobody what lies in a queue of which one consumer at a time gets messages; it counts them, some
        seconds late."""
        wanted = {
            DEVICE_QUEUE,
            *(queue for each in SUBSCRIPTIONS for queue in queues_of(each) if queue != parking_queue(each)),
        }
        try:
            page = self.process.metrics(WAITING_PAGE)
        except OSError as error:
            raise WireCut(str(error)) from error
        return Waiting(unseen=sum(int(each["count"]) for each in WAITING_OF.finditer(page) if each["queue"] in wanted))

    def store_bytes(self) -> int:
        size = 0
        for file in (self.process.folder / "data").rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # the broker takes files away meanwhile
                size += file.stat().st_size
        return size

    def is_nearly_full(self) -> bool:
        return self.store_bytes() > STORE_BYTES_LEFT_LIMIT

    def close(self) -> None:
        self.process.close()


def exchanges_of(subscription: Subscription) -> Sequence[str]:
    """Return those that belong to the subscription, and not to its channel."""
    return [exchange.name for exchange in Topology.of(subscription, shards=SHARDS).exchanges[1:]]


def queues_of(subscription: Subscription) -> Sequence[str]:
    return [queue.name for queue in Topology.of(subscription, shards=SHARDS).queues]
