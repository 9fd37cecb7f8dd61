"""Checks that every group stays with one consumer, in order, with more groups than a badly configured broker remembers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from reefmesh.broker.port import Broker, BrokerEvent, Consumer, Lane
from reefmesh.clock import Clock
from reefmesh_standalone.doctor.channel import OWN, PATIENCE_SECONDS, Unfinished, message, publish
from reefmesh_standalone.doctor.finding import Finding, fail, ok, warn

GROUPS: Final = 1500
"""The default group map of ActiveMQ forgets the owners of all but the 1,024 last used groups."""
ORDERED_GROUPS, ORDERED_MESSAGES = 20, 25
LANES: Final = 4
SETTLING_SECONDS: Final = 5.0
"""For two consumers that have just joined to share the groups."""
POLICY: Final = 'messageGroupMapFactoryType="simple"'


@dataclass
class Record:
    """Which consumer handled which messages, and in which order."""

    owners: dict[str, set[int]] = field(default_factory=dict)
    numbers: dict[str, list[int]] = field(default_factory=dict)
    in_hand: Counter[str] = field(default_factory=Counter)
    torn: set[str] = field(default_factory=set)
    handled: int = 0
    by_consumer: Counter[int] = field(default_factory=Counter)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until_handled(self, count: int) -> None:
        """Raises Unfinished."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self.changed:
                await self.changed.wait_for(lambda: self.handled >= count)
        except TimeoutError:
            raise Unfinished(f"{self.handled} of {count} messages came back within {PATIENCE_SECONDS:g} s") from None

    async def work(self, consumer: int, lane: Lane) -> None:
        while (delivery := await lane.receive()) is not None:
            group, number = delivery.message.reef_id, delivery.message.seq or 0
            self.in_hand[group] += 1
            if self.in_hand[group] > 1:
                self.torn.add(group)
            self.owners.setdefault(group, set()).add(consumer)
            self.numbers.setdefault(group, []).append(number)
            self.in_hand[group] -= 1  # at once: from the settlement on the broker may give it to anybody
            await lane.settle(delivery, [])
            self.by_consumer[consumer] += 1
            self.handled += 1
            async with self.changed:
                self.changed.notify_all()


async def examine_groups(brokers: tuple[Broker, Broker], clock: Clock, *, owned: bool, apart: bool = True) -> list[Finding]:
    """Two consumers, ``GROUPS`` groups, two rounds. ``owned``: this engine gives a group to one consumer for as long as that
    consumer stays, so if both handled a group, the broker forgot its owner in between. ``apart``: each consumer is a client of
    its own, and the two share the groups."""
    record = Record()
    async with _two_consumers(brokers, record, settle=apart):
        try:
            for round_number in (1, 2):
                await publish(brokers[0], [message(clock, f"doctor-{index}", round_number) for index in range(GROUPS)])
                await record.until_handled(GROUPS * round_number)
            ordered = [
                message(clock, f"doctor-order-{index}", number)
                for number in range(1, ORDERED_MESSAGES + 1)
                for index in range(ORDERED_GROUPS)
            ]
            await publish(brokers[0], ordered)
            await record.until_handled(2 * GROUPS + len(ordered))
        except Unfinished as unfinished:
            return [fail("groups", str(unfinished), "end any other doctor that runs, and any consumer on Consumer.doctor.>")]
    findings = [_order(record)]
    if apart:
        findings = [_spread(record), *findings]
    return [_ownership(record), *findings] if owned else findings


def _ownership(record: Record) -> Finding:
    shared = sum(len(owners) > 1 for owners in record.owners.values())
    if not shared:
        return ok("groups", f"each of {GROUPS} groups stayed with one of two consumers")
    return fail(
        "groups",
        f"{shared} of {GROUPS} groups were handled by both of two consumers: the broker forgets who owns a group",
        f'set {POLICY} on <policyEntry queue=">"> (deploy/activemq/broker.xml does), and restart the broker',
    )


def _spread(record: Record) -> Finding:
    share = min(record.by_consumer[0], record.by_consumer[1]) / max(1, record.handled)
    said = f"two consumers handled {record.by_consumer[0]} and {record.by_consumer[1]} messages"
    if share >= 0.3:
        return ok("spread", said)
    return warn(
        "spread",
        said,
        'set consumersBeforeDispatchStarts and timeBeforeDispatchStarts on <policyEntry queue=">"> and advisorySupport="true" '
        "on the broker, as deploy/activemq/broker.xml does",
    )


def _order(record: Record) -> Finding:
    disordered = [group for group, numbers in record.numbers.items() if numbers != sorted(set(numbers))]
    if disordered or record.torn:
        return fail(
            "order",
            f"the messages of {len({*disordered, *record.torn})} groups came out of order, twice, or at two lanes at once",
            "use no redelivery plugin, no message priorities and no network of brokers on these queues",
        )
    return ok("order", f"the messages of {len(record.numbers)} groups came one at a time, once, in publishing order")


@asynccontextmanager
async def _two_consumers(brokers: Sequence[Broker], record: Record, *, settle: bool) -> AsyncIterator[None]:
    handed_over = [_shed(broker) for broker in brokers]
    consumers: list[Consumer] = []
    tasks: list[asyncio.Task[None]] = []
    try:
        for number, broker in enumerate(brokers):
            consumer = broker.consumer(OWN, lanes=LANES)
            await consumer.start()
            consumers.append(consumer)
            tasks += [asyncio.create_task(record.work(number, lane)) for lane in consumer.lanes]
        if settle:
            try:
                async with asyncio.timeout(SETTLING_SECONDS):
                    for event in handed_over:
                        await event.wait()
            except TimeoutError:
                pass  # a broker without advisories: the check of the spread reports it
        yield
    finally:
        for consumer in consumers:
            await consumer.drain()
        await asyncio.gather(*tasks, return_exceptions=True)


def _shed(broker: Broker) -> asyncio.Event:
    """Return an event that is set once this client has given groups back."""
    released = asyncio.Event()

    def note(event: BrokerEvent) -> None:
        if event.name == "groups_released":
            released.set()

    broker.on_event(note)
    return released
