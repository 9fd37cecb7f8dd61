"""The ActiveMQ engine as a broker of the port."""

from collections.abc import Callable, Sequence
from random import Random

from reefmesh.broker.activemq.consumer import ActiveMQConsumer
from reefmesh.broker.activemq.device_queue import ActiveMQDeviceQueue
from reefmesh.broker.activemq.device_topics import ActiveMQDeviceTopics
from reefmesh.broker.activemq.isolation_watch import IsolationLimits
from reefmesh.broker.activemq.parking import ActiveMQParking
from reefmesh.broker.activemq.publisher import ActiveMQPublisher
from reefmesh.broker.activemq.session import ReconnectingSession, Session
from reefmesh.broker.activemq.session_killers import SessionKillers
from reefmesh.broker.activemq.shared_transactions import SharedTransactions
from reefmesh.broker.activemq.stamp import stamped_sender
from reefmesh.broker.activemq.transaction import ReceiptPolicy
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.devices import DeviceBroker, DeviceQueue, DeviceTopics
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Broker, BrokerEvent, BrokerStatistics, BrokerUnavailable, Consumer, Parking, Publication
from reefmesh.broker.stamping import StampingBroker
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription


class ActiveMQBroker:
    """Two connections: one to consume (its acknowledgements and the outputs that go with them), one to publish. A device queue
    has a third one, so that a message of a device that costs it its connection costs the lanes nothing, and the other way.

    ``random`` draws the jitter of reconnecting and handing over; a simulation passes its own, so that a run can be repeated.
    ``limits``: when a stuck or hot reef is isolated; None: the defaults. ``password`` is read for each login, instead of the
    URL's: a platform that changes a secret writes it to its file, and restarts nobody.
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
        address = ActiveMQAddress.parse(url)
        self._subscriptions_limit = address.subscriptions

        def session(purpose: str) -> ReconnectingSession:
            return ReconnectingSession(
                address, Session.open, purpose=purpose, on_event=self._emit, random=self._random, password=password
            )

        self._consuming, self._publishing, self._devices = session("consume"), session("publish"), session("devices")
        self._publisher = ActiveMQPublisher(self._publishing)
        self._publishing.add(self._publisher)
        self._consumers: list[ActiveMQConsumer] = []
        self._receipts = ReceiptPolicy()
        self._killers = SessionKillers()
        self._transactions: tuple[Session, SharedTransactions] | None = None
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
        for session in (self._devices, self._consuming, self._publishing):
            await session.close()

    def abort(self) -> None:
        """Vanish without logging out, as a killed process does: for tests of the other clients."""
        self._closed = True
        for session in (self._devices, self._consuming, self._publishing):
            session.abort()

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        await self._publisher.declare(subscriptions)

    async def publish(self, publications: Sequence[Publication]) -> None:
        await self._publisher.publish(publications)

    def consumer(self, subscription: Subscription, *, lanes: int, quota: ParkingQuota | None = None) -> Consumer:
        consumer = ActiveMQConsumer(
            self._consuming,
            subscription,
            lanes=lanes,
            clock=self._clock,
            transactions=self._transactions_of,
            killers=self._killers,
            parking=ActiveMQParking(self._publishing, subscription),
            quota=quota,
            on_event=self._emit,
            random=self._random,
            limits=self._limits,
            subscriptions_limit=self._subscriptions_limit,
        )
        self._consumers = [known for known in self._consumers if not known.is_closed]
        self._consumers.append(consumer)
        return consumer

    def parking(self, subscription: Subscription) -> Parking:
        return ActiveMQParking(self._publishing, subscription)

    def device_queue(self) -> DeviceQueue:
        return ActiveMQDeviceQueue(self._devices, self._receipts)

    def device_topics(self) -> DeviceTopics:
        return ActiveMQDeviceTopics(publishing=self._publishing, consuming=self._consuming)

    async def stamped_sender(self, service: str) -> str | None:
        return await stamped_sender(self._publishing.current(), service)

    def on_event(self, listener: Callable[[BrokerEvent], None]) -> None:
        self._listeners.append(listener)

    async def statistics(self) -> BrokerStatistics:
        needed = (self._consuming, self._publishing)
        sessions = (*needed, self._devices)
        worst = max(needed, key=lambda each: (each.refused_seconds or 0.0, bool(each.trouble)))
        heard = [seconds for each in sessions if (seconds := each.heard_seconds_ago) is not None]
        return BrokerStatistics(
            connected=all(each.is_up for each in needed),
            last_heard_seconds=max(heard) if heard else None,
            publishes_in_flight=self._publisher.in_flight,
            reconnects=sum(each.reconnects for each in sessions),
            trouble=worst.trouble,
            refused_seconds=worst.refused_seconds,
            subscriptions={each.subscription: each.statistics() for each in self._consumers if not each.is_closed},
        )

    def _transactions_of(self, session: Session) -> SharedTransactions:
        """The lanes of all consumers share the session's transactions."""
        if self._transactions is None or self._transactions[0] is not session:
            self._transactions = (session, SharedTransactions(session, self._receipts))
        return self._transactions[1]

    def _emit(self, event: BrokerEvent) -> None:
        for listener in tuple(self._listeners):
            listener(event)


def conforms(broker: ActiveMQBroker) -> Broker:
    """The type checker's proof that this is a broker of the port."""
    return broker


def speaks_to_devices(broker: ActiveMQBroker) -> DeviceBroker:
    """The type checker's proof that devices can use this broker."""
    return broker


def states_senders(broker: ActiveMQBroker) -> StampingBroker:
    """The type checker's proof that this broker can be asked who sent a message."""
    return broker
