"""The mesh with one of its safeguards off, by composition: what a checker that sees must find.

Nothing here is known to the product: the variants stand where the simulation puts the parts together.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import (
    Broker,
    BrokerEvent,
    BrokerStatistics,
    Consumer,
    Lane,
    Parking,
    Publication,
)
from reefmesh.contracts.channels import Subscription
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.group_commit import Batch, BatchResult
from reefmesh.store.port import Unit
from reefmesh.store.sqlite_batch import write_batch
from reefmesh_faults.simulation.broker import BrokerRules
from reefmesh_faults.simulation.database import WriteBatch


def _as_it_is(broker: Broker) -> Broker:
    return broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """How the parts are put together; as it is without arguments, the mesh is whole. ``left_out``: kinds of faults that do not
    come, so that nothing is seen but what the one safeguard is for. ``says_what_it_follows``: whether telemetry does."""

    name: str = "none"
    what: str = "the mesh as it is"
    write: WriteBatch = write_batch
    rules: BrokerRules = field(default_factory=BrokerRules)
    broker: Callable[[Broker], Broker] = _as_it_is
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    left_out: frozenset[str] = frozenset()
    says_what_it_follows: bool = True


def _forgets_inputs(connection: sqlite3.Connection, batch: Batch) -> BatchResult:
    connection.execute("DELETE FROM mesh_inbox")
    return write_batch(connection, batch)


def _forgets_numbers(connection: sqlite3.Connection, batch: Batch) -> BatchResult:
    """The row of a reef does not tell which numbered inputs were applied; they are in no inbox either."""
    return write_batch(connection, replace(batch, units=[_without_number(unit) for unit in batch.units]))


def _without_number(unit: Unit) -> Unit:
    if unit.in_inbox:
        return unit
    applied = {inbox: seq for inbox, seq in unit.cursor.applied.items() if inbox != unit.inbox}
    return replace(unit, cursor=replace(unit.cursor, applied=applied))


def _forgets_outputs(connection: sqlite3.Connection, batch: Batch) -> BatchResult:
    result = write_batch(connection, batch)
    connection.execute("DELETE FROM mesh_outbox")
    return result


def _believes_everybody(connection: sqlite3.Connection, batch: Batch) -> BatchResult:
    """Whatever version a unit was made from, it is taken for the newest."""
    rows = dict(connection.execute("SELECT reef_id, version FROM mesh_reef").fetchall())
    units = [replace(unit, expected_version=rows.get(unit.reef_id, 0)) for unit in batch.units]
    return write_batch(connection, replace(batch, units=units))


class UnsubscribesFirst:
    """A broker client whose consumers give their subscription up first and finish what is in hand afterwards."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def connect(self) -> None:
        await self._broker.connect()

    async def close(self) -> None:
        await self._broker.close()

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        await self._broker.declare(subscriptions)

    async def publish(self, publications: Sequence[Publication]) -> None:
        await self._broker.publish(publications)

    def consumer(self, subscription: Subscription, *, lanes: int, quota: ParkingQuota | None = None) -> Consumer:
        return _Hasty(self._broker.consumer(subscription, lanes=lanes, quota=quota))

    def parking(self, subscription: Subscription) -> Parking:
        return self._broker.parking(subscription)

    def on_event(self, listener: Callable[[BrokerEvent], None]) -> None:
        self._broker.on_event(listener)

    async def statistics(self) -> BrokerStatistics:
        return await self._broker.statistics()


class _Hasty:
    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    @property
    def lanes(self) -> Sequence[Lane]:
        return self._consumer.lanes

    async def start(self) -> None:
        await self._consumer.start()

    async def isolate(self, reef_id: str) -> None:
        await self._consumer.isolate(reef_id)

    async def drain(self) -> None:
        await self._consumer.close()

    async def close(self) -> None:
        await self._consumer.close()


IMPATIENT: Final = WorkerLimits(gap_patience_seconds=0.0)
STOP: Final = frozenset({"broker stop"})

WHOLE: Final = Composition()
SWITCHES: Final = (
    Composition(name="inbox", what="inputs without a number that were applied are not remembered", write=_forgets_inputs),
    Composition(name="numbers", what="numbers that were applied are not remembered", write=_forgets_numbers),
    Composition(name="outbox", what="outputs are not kept until they are out", write=_forgets_outputs),
    Composition(
        name="version fence",
        what="a unit made from an old version is written; telemetry does not say what it follows, which would heal it too",
        write=_believes_everybody,
        left_out=STOP,
        says_what_it_follows=False,
    ),
    Composition(name="drain order", what="unsubscribe first, then finish and acknowledge", broker=UnsubscribesFirst),
    Composition(
        name="links of telemetry",
        what="telemetry does not say which message it follows",
        says_what_it_follows=False,
    ),
    Composition(
        name="wait for a missing message",
        what="a message is applied although one before it has not come",
        limits=IMPATIENT,
    ),
    Composition(
        name="group map policy",
        what="the broker remembers the owner of one group; nothing waits for a missing message, which would heal it too",
        rules=BrokerRules(groups_limit=1),
        limits=IMPATIENT,
        left_out=STOP,
    ),
)
