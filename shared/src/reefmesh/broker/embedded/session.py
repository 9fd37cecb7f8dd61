"""One open journal, its backlogs in memory, and the clients of this process that share it: the embedded broker itself."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from reefmesh.broker.embedded.backlog import Backlog
from reefmesh.broker.embedded.dispatcher import Dispatcher
from reefmesh.broker.embedded.fifo import Fifo, Held
from reefmesh.broker.embedded.job import Job
from reefmesh.broker.embedded.journal import Journal
from reefmesh.broker.embedded.ownership import Ownership
from reefmesh.broker.embedded.parking_usage import usage_of
from reefmesh.broker.embedded.record import Record, check_size, microseconds
from reefmesh.broker.embedded.url import EmbeddedAddress
from reefmesh.broker.embedded.writer import Writer
from reefmesh.broker.parking_quota import ParkedAs, ParkingQuota
from reefmesh.broker.port import BrokerEvent, BrokerUnavailable, Publication, SubscriptionStatistics
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import ConfigurationError

T = TypeVar("T")


class JournalSession:
    """Opened by the first client that connects, closed by the last one that leaves; then a journal in memory is gone."""

    def __init__(self, address: EmbeddedAddress, *, clock: Clock) -> None:
        self.address = address
        self._clock = clock
        self._clients: list[object] = []
        self._listeners: list[Callable[[BrokerEvent], None]] = []
        self._opening = asyncio.Lock()
        self._ownership: Ownership | None = None
        self._journal: Journal | None = None
        self._writer: Writer | None = None
        self._dispatchers: dict[int, Dispatcher] = {}
        self._inherited_to = 0
        self._consumers: Counter[Subscription] = Counter()
        self._quotas: dict[Subscription, ParkingQuota] = {}

    # clients

    async def join(self, client: object) -> None:
        async with self._opening:
            if self._writer is None:
                await self._open()
            self._clients.append(client)

    async def leave(self, client: object) -> None:
        async with self._opening:
            if client in self._clients:
                self._clients.remove(client)
                if not self._clients:
                    await self._close()

    def abort(self) -> None:
        """Close the journal at once, for all clients: nothing that waits is written, an open transaction is undone."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abort()
        self._clients.clear()
        self._release_files()

    def listen(self, listener: Callable[[BrokerEvent], None]) -> None:
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[BrokerEvent], None]) -> None:
        self._listeners.remove(listener)

    # messages

    async def publish(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            check_size(publication.message)
        await self._working().submit(Job(publications))

    async def settle(self, dispatcher: Dispatcher, held: Held[Envelope], outputs: Sequence[Publication]) -> None:
        for publication in outputs:
            check_size(publication.message)
        await self._submit_settlement(Job(outputs, dispatcher=dispatcher, held=held))

    async def park(self, dispatcher: Dispatcher, held: Held[Envelope], action: Callable[[Journal], ParkedAs]) -> ParkedAs:
        return cast(ParkedAs, await self._submit_settlement(Job(dispatcher=dispatcher, held=held, action=action)))

    async def transact(self, action: Callable[[Journal], T]) -> T:
        """Run ``action`` in a transaction; returns its result once that is durable."""
        return cast(T, await self._working().submit(Job(action=action)))

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        await self.transact(lambda journal: journal.declare(subscriptions))

    def now_us(self) -> int:
        return microseconds(self._clock.now())

    # consumers

    async def attach(self, subscription: Subscription, lanes: int, quota: ParkingQuota | None) -> Dispatcher:
        """Return the subscription's dispatcher, which from now on serves so many more lanes. ``quota``: of its parking, which
        the statistics show."""
        if self.address.role != "owner":
            raise ConfigurationError("this process opened the journal as a publisher: open it without ?role= to consume")
        await self.declare([subscription])
        journal = self._journal
        number = journal.subscription_id(subscription) if journal is not None else None
        if number is None:
            raise BrokerUnavailable("the embedded broker is closed")
        dispatcher = self._dispatchers.get(number)
        if dispatcher is None:
            dispatcher = self._dispatchers[number] = self._dispatcher(number, subscription)
        dispatcher.lanes += lanes
        if quota is not None:
            self._quotas[subscription] = quota
        self._consumers[subscription] += 1
        self._working().wake()
        self._notify(subscription)
        return dispatcher

    def detach(self, dispatcher: Dispatcher, lanes: int) -> None:
        dispatcher.lanes -= lanes
        self._consumers[dispatcher.subscription] -= 1
        self._notify(dispatcher.subscription)

    # called by the writer

    def noticed(self, after: int) -> None:
        for dispatcher in self._dispatchers.values():
            dispatcher.backlog.notice(after=after)

    def committed(self, jobs: Iterable[Job], offers: list[tuple[Record, Envelope]]) -> None:
        journal = self._journal
        if journal is None:
            return
        touched: dict[int, Dispatcher] = {}
        for job in jobs:
            if job.dispatcher is not None and job.held is not None:
                touched[job.dispatcher.number] = job.dispatcher
                job.dispatcher.acknowledge(job.held)
                journal.waiting_messages[job.dispatcher.number] -= 1
        for record, message in offers:
            for number in journal.subscription_ids(record[1]):
                journal.count(number, 1)
                if (dispatcher := self._dispatchers.get(number)) is not None:
                    dispatcher.backlog.offer(record[0], message, record[9])
                    touched[number] = dispatcher
        for dispatcher in touched.values():
            dispatcher.dispatch()

    def read(self) -> bool:
        more = False
        for dispatcher in self._dispatchers.values():
            if self._journal is not None and dispatcher.wants_reading():
                dispatcher.backlog.read(self._journal)
                dispatcher.dispatch()
                more = more or dispatcher.wants_reading()
        return more

    def has_waiters(self) -> bool:
        return any(dispatcher.has_waiters() for dispatcher in self._dispatchers.values())

    # statistics

    async def statistics(self) -> dict[Subscription, SubscriptionStatistics]:
        return await self.transact(self._statistics)

    @property
    def unrouted_messages(self) -> int:
        """Messages published since the start to channels without a subscription."""
        return self._writer.unrouted_messages if self._writer is not None else 0

    @property
    def commits(self) -> int:
        return self._writer.commits if self._writer is not None else 0

    def in_memory_slots(self, subscription: Subscription) -> int:
        return sum(
            dispatcher.backlog.in_memory_slots
            for dispatcher in self._dispatchers.values()
            if dispatcher.subscription == subscription
        )

    def _statistics(self, journal: Journal) -> dict[Subscription, SubscriptionStatistics]:
        counts = journal.waiting_messages if self.address.role == "owner" else journal.count_waiting()
        now_us = self.now_us()
        statistics = {}
        for subscription, number in journal.subscriptions().items():
            dispatcher = self._dispatchers.get(number)
            in_flight = dispatcher.fifo.in_flight_messages if dispatcher is not None else 0
            unsettled = counts.get(number, 0)
            oldest_us = None
            if unsettled:
                oldest_us = dispatcher.fifo.oldest_us() if dispatcher is not None else None
                if oldest_us is None:
                    oldest_us = journal.oldest_published_us(number)
            quota = self._quotas.get(subscription)
            parked = None if quota is None else usage_of(journal, number, quota).total
            statistics[subscription] = SubscriptionStatistics(
                waiting_messages=max(0, unsettled - in_flight),
                in_flight_messages=in_flight,
                oldest_age_seconds=None if oldest_us is None else max(0.0, (now_us - oldest_us) / 1_000_000),
                lanes=dispatcher.lanes if dispatcher is not None else 0,
                lanes_busy=in_flight,
                parked_messages=None if parked is None else parked.messages,
                parked_bytes=None if parked is None else parked.stored_bytes,
            )
        return statistics

    # opening and closing

    async def _open(self) -> None:
        address = self.address
        owner = address.role == "owner"
        with ThreadPoolExecutor(1) as thread:  # a log left behind by a crash may take a while to recover
            loop = asyncio.get_running_loop()
            if owner and address.path is not None:
                self._ownership = await loop.run_in_executor(thread, Ownership, address.path)
            try:
                self._journal = await loop.run_in_executor(thread, lambda: Journal(address.path, owner=owner))
            except BaseException:
                self._give_up_ownership()
                raise
        self._inherited_to = self._journal.last_position
        self._writer = Writer(
            self._journal, self, clock=self._clock, limit_bytes=address.limit_bytes, polls=owner and address.path is not None
        )

    async def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.stop()
        self._release_files()

    def _release_files(self) -> None:
        for dispatcher in self._dispatchers.values():
            dispatcher.close()
        self._dispatchers.clear()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._give_up_ownership()

    def _give_up_ownership(self) -> None:
        if self._ownership is not None:
            self._ownership.release()
            self._ownership = None

    def _working(self) -> Writer:
        if self._writer is None:
            raise BrokerUnavailable("the embedded broker is closed")
        return self._writer

    async def _submit_settlement(self, job: Job) -> object:
        if job.held is not None:
            job.held.pinned = True
        try:
            return await self._working().submit(job)
        except BrokerUnavailable:
            if job.held is not None and not job.future.done():  # it was not even taken
                job.held.pinned = False
            raise

    def _dispatcher(self, number: int, subscription: Subscription) -> Dispatcher:
        writer = self._working()
        fifo: Fifo[Envelope] = Fifo(
            now=asyncio.get_running_loop().time, visibility_timeout_seconds=self.address.visibility_timeout_seconds
        )
        backlog = Backlog(
            subscription,
            fifo=fifo,
            window_slots=self.address.window_slots,
            inherited_to=self._inherited_to,
            forget=lambda entry: writer.forget(number, entry),
        )
        return Dispatcher(number, backlog, freed=writer.wake)

    def _notify(self, subscription: Subscription) -> None:
        event = BrokerEvent(
            name="consumers_changed",
            facts={"subscription": str(subscription), "consumers": self._consumers[subscription]},
        )
        self.tell(event)

    def tell(self, event: BrokerEvent) -> None:
        for listener in tuple(self._listeners):
            listener(event)
