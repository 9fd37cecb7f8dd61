"""The services, put together as their bootstraps do, on the simulated broker, database and clock."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any, Final

from reefmesh.backoff import Backoff
from reefmesh.broker.port import Broker
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import ANYBODY_WITH_THE_JOURNAL, BrokerUsers, senders_to
from reefmesh.errors import TransientError
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.service.assembly import Parts
from reefmesh.service.handler import Change, Handler
from reefmesh.service.lifecycle import Background, Service
from reefmesh.service.relay import OutboxRelay
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.database import DatabaseStore
from reefmesh.store.port import Store
from reefmesh_alerts.bootstrap import blueprint as alerts_blueprint
from reefmesh_alerts.bootstrap import make_ticker
from reefmesh_alerts.delivery.dispatcher import DeliveryDispatcher
from reefmesh_alerts.handler import AlertsHandler
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_alerts.targets.entries import TargetEntry
from reefmesh_alerts.targets.port import Notice, Sent
from reefmesh_faults.simulation.database import SharedDatabase, SimulatedDatabase
from reefmesh_faults.simulation.fleet import START
from reefmesh_faults.simulation.history import HandlingBegan, History, Told
from reefmesh_faults.simulation.loop import Process, VirtualLoop
from reefmesh_ingest.handler import IngestHandler
from reefmesh_ingest.register.table import Register
from reefmesh_scoring.bootstrap import blueprint as scoring_blueprint
from reefmesh_scoring.settings import ScoringSettings

LANES: Final = 3
SUBSCRIPTIONS: Final[Mapping[str, Subscription]] = {
    "ingest": channels.INGEST,
    "scoring": channels.SCORING,
    "alerts": channels.ALERTING,
}
NEXT: Final[Mapping[str, Subscription]] = {
    "ingest": channels.SCORING,
    "scoring": channels.ALERTING,
    "alerts": Subscription("people", channels.ALERTS),
}
RELAY_INTERVAL: Final = timedelta(seconds=4)
RELAY_OVERDUE: Final = timedelta(seconds=3)
DRAIN_TIMEOUT_SECONDS: Final = 90.0
LOOK_SECONDS: Final = 3.0
"""How often alerts looks for deadlines and for deliveries: often enough for a schedule, seldom enough for its length."""


class DriftingClock:
    """One machine's clock: virtual time and an offset that may jump."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.offset = timedelta()
        self._loop = loop

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time()) + self.offset


@lru_cache
def alerts_settings() -> AlertsSettings:
    """As if nothing was set but what a schedule needs."""
    often = {"tick_seconds": LOOK_SECONDS, "tick_grace_seconds": 5.0, "delivery_poll_seconds": LOOK_SECONDS}
    return AlertsSettings.load(environment={}, overrides={"broker_url": "embedded://", "store_url": "sqlite://", **often})


@lru_cache
def scoring_settings() -> ScoringSettings:
    return ScoringSettings.load(environment={}, overrides={"broker_url": "embedded://", "store_url": "sqlite://"})


@lru_cache
def _metrics(service: str) -> Metrics:
    """Shared by all schedules: nobody reads them here, and they take longer to make than a schedule to run."""
    return Metrics(service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a process finds when it starts. ``broker`` wraps its client, ``limits`` are its workers': places for variants that
    break a law. ``authenticates``: the engine knows who sent a message."""

    loop: VirtualLoop
    random: Random
    history: History
    databases: Mapping[str, SharedDatabase]
    broker: Callable[[Broker], Broker]
    limits: WorkerLimits
    authenticates: bool


@dataclass(slots=True, eq=False)
class MeshProcess:
    """A process of the mesh. ``kind``: which sort of process it is. ``ended`` is how it ended: clean, time-out, unavailable, or
    the error; None while it lives or when it was killed."""

    kind: str
    process: Process
    clock: DriftingClock
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ended: str | None = None

    async def run(self, work: Coroutine[Any, Any, bool]) -> None:
        """``work`` is what the process does; it returns whether it drained in time."""
        try:
            self.ended = "clean" if await work else "time-out"
        except TransientError as error:
            self.ended = f"unavailable: {error}"
        except Exception as error:  # noqa: BLE001 - how a process ends is for the laws to judge
            self.ended = f"{type(error).__name__}: {error}"


async def serve(service: str, within: MeshProcess, broker: Broker, around: Surroundings) -> bool:
    """Run a service on a connected broker until its process is to stop; as ``reefmesh.service.assembly`` does."""
    await broker.declare([SUBSCRIPTIONS[service]])
    database = SimulatedDatabase(around.databases[service], within.process, around.random)
    store = DatabaseStore(database, clock=within.clock)
    await store.open()
    try:
        return await _put_together(service, within, broker, store, around).run(within.stop)
    finally:
        await store.close()


def _put_together(service: str, within: MeshProcess, broker: Broker, store: Store, around: Surroundings) -> Service:
    metrics = _metrics(service)
    parts = Parts(store=store, broker=broker, clock=within.clock, metrics=metrics)
    handler, background = _parts(service, within, parts, around)
    subscription = SUBSCRIPTIONS[service]
    worker = Worker(
        subscription=subscription,
        broker=broker,
        store=store,
        handler=Watched(handler, around.history, within.process.name, str(subscription)),
        clock=within.clock,
        metrics=metrics,
        progress=Progress(now=around.loop.time),
        senders=senders_to(subscription, BrokerUsers()) if around.authenticates else ANYBODY_WITH_THE_JOURNAL,
        limits=replace(around.limits, lanes=LANES, backoff=Backoff(first_seconds=0.02, max_seconds=0.5)),
        random=around.random,
    )
    relay = OutboxRelay(store=store, broker=broker, interval=RELAY_INTERVAL, overdue_after=RELAY_OVERDUE, metrics=metrics)
    return Service(
        name=service, workers=[worker], background=[relay.run, *background], drain_timeout_seconds=DRAIN_TIMEOUT_SECONDS
    )


def _parts(service: str, within: MeshProcess, parts: Parts, around: Surroundings) -> tuple[Handler[Any], list[Background]]:
    match service:
        case "ingest":  # its blueprint's register counts real seconds
            register = Register(parts.store, now=around.loop.time)
            return IngestHandler(store=parts.store, register=register, clock=parts.clock, metrics=parts.metrics), []
        case "scoring":
            return scoring_blueprint(scoring_settings()).handlers[channels.SCORING](parts), []
        case _:
            settings, recipients = alerts_settings(), Recipients(None)
            ticker_handler = AlertsHandler(clock=parts.clock, recipients=recipients)
            ticker = make_ticker(settings, parts, ticker_handler, recipients)
            dispatcher = DeliveryDispatcher(
                store=parts.store,
                clock=parts.clock,
                recipients=recipients,
                metrics=parts.metrics,
                random=around.random,
                poll_seconds=settings.delivery_poll_seconds,
                opener=lambda entry: People(entry, around, within.process),
            )
            return alerts_blueprint(settings).handlers[channels.ALERTING](parts), [ticker.run, dispatcher.run]


class Watched:
    """A handler that notes when it begins."""

    def __init__(self, handler: Handler[Any], history: History, process: str, inbox: str) -> None:
        self._handler = handler
        self._history = history
        self._process = process
        self._inbox = inbox

    async def load(self, reef_id: str, state: bytes | None) -> Any:
        return await self._handler.load(reef_id, state)

    def dump(self, state: Any) -> bytes:
        return self._handler.dump(state)

    async def handle(self, message: Envelope, state: Any) -> Change[Any]:
        began = HandlingBegan(process=self._process, inbox=self._inbox, reef_id=message.reef_id, event_id=message.event_id)
        self._history.add(began)
        return await self._handler.handle(message, state)


class People:
    """A target. What it got counts, although the sending process may die before it knows."""

    def __init__(self, entry: TargetEntry, around: Surroundings, process: Process) -> None:
        self._name = entry.name
        self._around = around
        self._process = process

    async def send(self, notice: Notice, *, at: datetime) -> Sent:
        random = self._around.random
        await asyncio.sleep(random.uniform(0.001, 0.05))
        if not self._process.was_killed:
            told = Told(
                process=self._process.name,
                idempotency_key=notice.idempotency_key,
                alert_ids=tuple(alert.alert_id for alert in notice.alerts),
            )
            self._around.history.add(told)
        await asyncio.sleep(random.uniform(0.001, 0.05))
        return Sent(note=f"{self._name} {at:%H:%M}")

    async def close(self) -> None:
        """Nothing is held."""
