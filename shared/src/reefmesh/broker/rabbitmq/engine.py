"""The RabbitMQ engine as a broker of the port."""

from collections.abc import Callable, Sequence
from random import Random

from reefmesh.broker.devices import DeviceBroker, DeviceQueue, DeviceTopics
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.parking_stock import CopyToPark, ParkingStock
from reefmesh.broker.port import Broker, BrokerEvent, BrokerStatistics, BrokerUnavailable, Consumer, Parking, Publication
from reefmesh.broker.rabbitmq.connection import Connection, ReconnectingConnection
from reefmesh.broker.rabbitmq.consumer import RabbitMQConsumer
from reefmesh.broker.rabbitmq.device_queue import RabbitMQDeviceQueue
from reefmesh.broker.rabbitmq.device_topics import RabbitMQDeviceTopics
from reefmesh.broker.rabbitmq.isolation_watch import IsolationLimits
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.parking import RabbitMQParking
from reefmesh.broker.rabbitmq.publisher import RabbitMQPublisher
from reefmesh.broker.rabbitmq.stamp import stamped_sender
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.broker.stamping import StampingBroker
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription

BLOCKED = "the broker takes nothing that is published: its memory or its disk is short"


class RabbitMQBroker:
    """Two connections: one to consume, one to publish. When memory or disk is short the broker reads nothing more from whoever
    publishes, acknowledgements neither; so these have a connection of their own. A device queue has a third one.

    ``random`` draws the jitter of reconnecting and handing over; ``limits``: when a reef is isolated; None: the defaults.
    ``password`` is read for each login, instead of the URL's: a platform that changes a secret writes it to its file, and
    restarts nobody.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        random: Random | None = None,
        limits: IsolationLimits | None = None,
        password: Callable[[], str] | None = None,
    ) -> None:
        self._clock = clock
        self._limits = limits or IsolationLimits()
        self._random = random or Random()  # noqa: S311 - jitter, nothing secret
        self._address = address = RabbitMQAddress.parse(url)

        def connection(purpose: str) -> ReconnectingConnection:
            return ReconnectingConnection(
                address, Connection.open, purpose=purpose, on_event=self._emit, random=self._random, password=password
            )

        self._consuming, self._publishing, self._devices = connection("consume"), connection("publish"), connection("devices")
        self._publisher = RabbitMQPublisher(self._publishing)
        self._publishing.add(self._publisher)
        self._consumers: list[RabbitMQConsumer] = []
        self._listeners: list[Callable[[BrokerEvent], None]] = []
        self._closed = False

    async def connect(self) -> None:
        if self._closed:
            raise BrokerUnavailable("this client is closed")
        try:
            await self._publishing.open()
            await self._consuming.open()
        except BaseException:
            await self._publishing.close()
            raise

    async def close(self) -> None:
        self._closed = True
        for consumer in self._consumers:
            await consumer.close()
        self._consumers.clear()
        for connection in (self._devices, self._consuming, self._publishing):
            await connection.close()

    def abort(self) -> None:
        """Vanish without logging out, as a killed process does: for tests of the other clients."""
        self._closed = True
        for connection in (self._devices, self._consuming, self._publishing):
            connection.abort()

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        await self._publisher.declare(subscriptions)

    async def publish(self, publications: Sequence[Publication]) -> None:
        await self._publisher.publish(publications)

    def consumer(self, subscription: Subscription, *, lanes: int, quota: ParkingQuota | None = None) -> Consumer:
        parking = RabbitMQParking(self._publishing, subscription)

        def stock(on_counted: Callable[[CopyToPark[OutboundMessage]], None]) -> ParkingStock[OutboundMessage]:
            return ParkingStock(quota, look=parking.usage, on_counted=on_counted)

        consumer = RabbitMQConsumer(
            self._consuming,
            self._publisher,
            subscription,
            lanes=lanes,
            shards=self._address.shards,
            own_user=self._address.user,
            clock=self._clock,
            stock=stock,
            on_event=self._emit,
            random=self._random,
            limits=self._limits,
        )
        self._consumers = [known for known in self._consumers if not known.is_closed]
        self._consumers.append(consumer)
        return consumer

    def parking(self, subscription: Subscription) -> Parking:
        return RabbitMQParking(self._publishing, subscription)

    def device_queue(self) -> DeviceQueue:
        return RabbitMQDeviceQueue(self._devices, self._publisher, self._clock)

    def device_topics(self) -> DeviceTopics:
        return RabbitMQDeviceTopics(publishing=self._publishing, consuming=self._consuming)

    async def stamped_sender(self, service: str) -> str | None:
        return await stamped_sender(self._publishing.current(), service)

    def on_event(self, listener: Callable[[BrokerEvent], None]) -> None:
        self._listeners.append(listener)

    async def statistics(self) -> BrokerStatistics:
        needed = (self._consuming, self._publishing)
        connections = (*needed, self._devices)
        worst = max(needed, key=lambda each: (each.refused_seconds or 0.0, bool(each.trouble)))
        heard = [seconds for each in connections if (seconds := each.heard_seconds_ago) is not None]
        return BrokerStatistics(
            connected=all(each.is_up for each in needed),
            last_heard_seconds=max(heard) if heard else None,
            publishes_in_flight=self._publisher.in_flight,
            reconnects=sum(each.reconnects for each in connections),
            trouble=worst.trouble or (BLOCKED if self._publishing.is_up and self._publishing.current().is_blocked else ""),
            refused_seconds=worst.refused_seconds,
            subscriptions={each.subscription: each.statistics() for each in self._consumers if not each.is_closed},
        )

    def _emit(self, event: BrokerEvent) -> None:
        for listener in tuple(self._listeners):
            listener(event)


def conforms(broker: RabbitMQBroker) -> Broker:
    """The type checker's proof that this is a broker of the port."""
    return broker


def speaks_to_devices(broker: RabbitMQBroker) -> DeviceBroker:
    """The type checker's proof that devices can use this broker."""
    return broker


def states_senders(broker: RabbitMQBroker) -> StampingBroker:
    """The type checker's proof that this broker can be asked who sent a message."""
    return broker
