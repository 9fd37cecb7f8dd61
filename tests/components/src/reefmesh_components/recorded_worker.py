"""``python -m reefmesh_components.recorded_worker JSON``: a worker whose every step is recorded, for the fault suite.

What a message makes its handler do stands in its body: ``work`` (a moment), ``stuck`` (until the gate file is there),
``poison`` and ``die`` (the process is gone without a word). Every step is a line in the recording: kind, reef, number,
nanoseconds of the machine's monotonic clock, redelivered.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reefmesh.broker.connect import open_broker
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Broker, BrokerEvent, Consumer, Delivery, Lane, Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import OPERATOR, UNAUTHENTICATED, Senders
from reefmesh.errors import PoisonMessage
from reefmesh.observability.logs import configure_logging
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.service.exit import run_to_exit
from reefmesh.service.handler import Change, Output
from reefmesh.service.lifecycle import Service
from reefmesh.service.relay import OutboxRelay
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.connect import open_store
from reefmesh.store.migrations import Migration, MigrationSet
from reefmesh.store.port import Write

EFFECTS: Final = MigrationSet(
    name="effects",
    migrations=(
        Migration(
            version=1,
            name="effect",
            # no key: an effect that happens twice is two rows
            script="CREATE TABLE effect (reef_id TEXT NOT NULL, number BIGINT NOT NULL, process TEXT NOT NULL, at_ns BIGINT);",
        ),
    ),
)
INSERT: Final = "INSERT INTO effect (reef_id, number, process, at_ns) VALUES (?, ?, ?, ?)"
WORK_SECONDS: Final = 0.001
GATE_LOOK_SECONDS: Final = 0.02


SENDERS: Final = Senders(speakers=frozenset({OPERATOR, UNAUTHENTICATED}), replayers=frozenset({OPERATOR, UNAUTHENTICATED}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is told to be. ``outputs``: the channel that each message is passed on to; empty: none."""

    process: str
    broker_url: str
    store_url: str
    service: str
    channel: str
    outputs: str = ""
    lanes: int = 8
    crash_limit: int = 3
    recording: str
    gate: str = ""
    log: str = "warning"

    @property
    def subscription(self) -> Subscription:
        return Subscription(self.service, Channel(self.channel, numbered=False))


class Recording:
    """Appends whole lines: what was written is there however the process ends."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, kind: str, reef_id: str = "-", number: int = 0, *, redelivered: bool = False) -> None:
        os.write(self._file, f"{kind} {reef_id} {number} {time.monotonic_ns()} {int(redelivered)}\n".encode())


def number_of(message: Envelope) -> int:
    """Return which message of its reef it is, by the end of its id: a worker drops the ``seq`` where a channel has none."""
    return int(message.event_id.rpartition("/")[2])


class RecordedLane:
    def __init__(self, lane: Lane, recording: Recording) -> None:
        self._lane = lane
        self._recording = recording

    @property
    def index(self) -> int:
        return self._lane.index

    async def receive(self) -> Delivery | None:
        delivery = await self._lane.receive()
        if delivery is not None:
            self._note("received", delivery)
        return delivery

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        self._note("settling", delivery)
        await self._lane.settle(delivery, outputs)
        self._note("settled", delivery)

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        self._note("settling", delivery)
        await self._lane.park(delivery, reason=reason, detail=detail, attempts=attempts)
        self._note("parked", delivery)

    async def release(self, delivery: Delivery, *, again_after_seconds: float = 0.0) -> None:
        self._note("released", delivery)
        await self._lane.release(delivery, again_after_seconds=again_after_seconds)

    def _note(self, kind: str, delivery: Delivery) -> None:
        message = delivery.message
        self._recording.note(kind, message.reef_id, number_of(message), redelivered=delivery.redelivered)


class RecordedConsumer:
    def __init__(self, consumer: Consumer, recording: Recording) -> None:
        self._consumer = consumer
        self._recording = recording
        self.lanes: Sequence[Lane] = [RecordedLane(lane, recording) for lane in consumer.lanes]

    async def start(self) -> None:
        await self._consumer.start()
        self._recording.note("subscribed")

    async def isolate(self, reef_id: str) -> None:
        await self._consumer.isolate(reef_id)

    async def drain(self) -> None:
        await self._consumer.drain()
        self._recording.note("drained")

    async def close(self) -> None:
        await self._consumer.close()


class RecordedBroker:
    """Only what a worker and its relay use."""

    def __init__(self, broker: Broker, recording: Recording) -> None:
        self._broker = broker
        self._recording = recording

    def consumer(self, subscription: Subscription, *, lanes: int, quota: ParkingQuota | None = None) -> Consumer:
        return RecordedConsumer(self._broker.consumer(subscription, lanes=lanes, quota=quota), self._recording)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


@dataclass
class Handler:
    """Its state is the number of the last message: one that comes out of order finds it wrong."""

    order: Order
    recording: Recording
    disorders: list[str] = field(default_factory=list)

    async def load(self, reef_id: str, state: bytes | None) -> list[int]:
        return json.loads(state) if state else []

    def dump(self, state: list[int]) -> bytes:
        return json.dumps(state[-1:]).encode()

    async def handle(self, message: Envelope, state: list[int]) -> Change[list[int]]:
        number = number_of(message)
        if state and number <= state[-1]:
            self.recording.note("disorder", message.reef_id, number)
        match message.body:
            case b"poison":
                raise PoisonMessage("poison", "as its body says")
            case b"die":
                self.recording.note("dying", message.reef_id, number)
                os._exit(9)
            case b"stuck":
                while not Path(self.order.gate).exists():  # noqa: ASYNC110, ASYNC240 - a file is all that two processes share here
                    await asyncio.sleep(GATE_LOOK_SECONDS)
            case _:
                await asyncio.sleep(WORK_SECONDS)  # long enough in hand for another to take it, if one could
        write = Write(INSERT, (message.reef_id, number, self.order.process, time.monotonic_ns()))
        outputs = []
        if self.order.outputs:
            outputs = [
                Output(channel=Channel(self.order.outputs, numbered=True), step="on", schema_id=message.schema_id, body=b"work")
            ]
        return Change(state=[number], writes=[write], outputs=outputs)


async def work(order: Order, stop: asyncio.Event) -> None:
    recording, clock, metrics, progress = Recording(order.recording), SystemClock(), Metrics(order.service), Progress()

    def hear(event: BrokerEvent) -> None:
        recording.note(f"broker-{event.name}")

    broker = open_broker(order.broker_url, clock=clock)
    broker.on_event(hear)
    await broker.connect()
    store = open_store(order.store_url, migrations=[EFFECTS], clock=clock)
    try:
        await broker.declare([order.subscription])
        await store.open()
        recorded: Broker = RecordedBroker(broker, recording)
        worker = Worker(
            subscription=order.subscription,
            broker=recorded,
            store=store,
            handler=Handler(order, recording),
            clock=clock,
            metrics=metrics,
            progress=progress,
            senders=SENDERS,
            limits=WorkerLimits(lanes=order.lanes, crash_limit=order.crash_limit),
        )
        relay = OutboxRelay(store=store, broker=broker, metrics=metrics)
        await Service(name=order.process, workers=[worker], background=[relay.run]).run(stop)
    finally:
        await store.close()
        await broker.close()


if __name__ == "__main__":
    told = Order(**json.loads(sys.argv[1]))
    configure_logging(told.process, level=told.log)  # type: ignore[arg-type]  # the settings' literal, as text
    sys.exit(run_to_exit(lambda stop: work(told, stop)))
