"""The embedded engine as the port's ``Broker``."""

from collections.abc import Callable, Sequence

from reefmesh.broker.embedded.consumer import EmbeddedConsumer
from reefmesh.broker.embedded.parking import EmbeddedParking
from reefmesh.broker.embedded.session import JournalSession
from reefmesh.broker.embedded.url import EmbeddedAddress
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Broker, BrokerEvent, BrokerStatistics, BrokerUnavailable, Consumer, Parking, Publication
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription


class EmbeddedBroker:
    """One client. Clients made by ``another_client`` share its open journal, as processes share a broker."""

    def __init__(self, address: EmbeddedAddress, *, clock: Clock) -> None:
        self._start(JournalSession(address, clock=clock))

    def another_client(self) -> "EmbeddedBroker":
        other = EmbeddedBroker.__new__(EmbeddedBroker)
        other._start(self._session)
        return other

    def _start(self, session: JournalSession) -> None:
        self._session = session
        self._connected = False
        self._publishes = 0
        self._consumers: list[EmbeddedConsumer] = []
        self._listeners: list[Callable[[BrokerEvent], None]] = []

    @property
    def unrouted_messages(self) -> int:
        """Messages published since the start to channels without a subscription."""
        return self._session.unrouted_messages

    def in_memory_slots(self, subscription: Subscription) -> int:
        """How much of the subscription's window is in use: a slot for each message, and one for each KiB of body."""
        return self._session.in_memory_slots(subscription)

    async def connect(self) -> None:
        if self._connected:
            return
        await self._session.join(self)
        self._connected = True
        self._session.listen(self._notify)
        self._notify(BrokerEvent(name="connected", facts={"journal": str(self._session.address.path or "memory")}))

    async def close(self) -> None:
        if not self._connected:
            return
        self._connected = False
        for consumer in self._consumers:
            await consumer.close()
        self._consumers.clear()
        self._session.unlisten(self._notify)
        await self._session.leave(self)

    def abort(self) -> None:
        """Vanish without a farewell, as a killed process does, and with it all clients of this journal: for tests."""
        self._connected = False
        self._session.abort()

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        self._require_connection()
        await self._session.declare(subscriptions)

    async def publish(self, publications: Sequence[Publication]) -> None:
        self._require_connection()
        if not publications:
            return
        self._publishes += 1
        try:
            await self._session.publish(publications)
        finally:
            self._publishes -= 1

    def consumer(self, subscription: Subscription, *, lanes: int, quota: ParkingQuota | None = None) -> Consumer:
        consumer = EmbeddedConsumer(self._session, subscription, lanes, quota)
        self._consumers = [known for known in self._consumers if not known.is_closed]
        self._consumers.append(consumer)
        return consumer

    def parking(self, subscription: Subscription) -> Parking:
        return EmbeddedParking(self._session, subscription)

    def on_event(self, listener: Callable[[BrokerEvent], None]) -> None:
        self._listeners.append(listener)

    async def statistics(self) -> BrokerStatistics:
        return BrokerStatistics(
            connected=self._connected,
            last_heard_seconds=0.0 if self._connected else None,
            publishes_in_flight=self._publishes,
            reconnects=0,
            subscriptions=await self._session.statistics() if self._connected else {},
        )

    def _notify(self, event: BrokerEvent) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    def _require_connection(self) -> None:
        if not self._connected:
            raise BrokerUnavailable("the embedded broker is not connected")


def conforms(broker: EmbeddedBroker) -> Broker:
    """The type checker's proof that this is a broker of the port."""
    return broker
