"""One run: a stage, a fleet, a plan of faults; in the end a history and what the checker says of it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from reefmesh.broker.port import Broker
from reefmesh.contracts import services
from reefmesh.errors import TransientError
from reefmesh.service.program import load_program
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_faults.checker import check
from reefmesh_faults.effects import EFFECTS, read_effects
from reefmesh_faults.fleet import Fleet
from reefmesh_faults.history import Delivery, Effect, History, Receipt
from reefmesh_faults.nemesis import Kind, Nemesis, Stage, Suffered, make_plan
from reefmesh_faults.outcome import read_state, read_stored, undisturbed
from reefmesh_faults.part import Supervisor
from reefmesh_faults.receiver import Receiver
from reefmesh_faults.recorded_service import read_counters
from reefmesh_faults.recorder import Recorder
from reefmesh_faults.report import Report, measured, outputs
from reefmesh_faults.separate_stage import separate_stage
from reefmesh_faults.settling import Settling, shown
from reefmesh_faults.single_stage import single_stage
from reefmesh_faults.workload import PUBLISHERS, Workload
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import Stores

STILL_SECONDS: Final = 120.0
"""What is missing must become less at least so often: a slow machine may take its time, a mesh that stands still may not."""

SETTLE_TIMEOUT_SECONDS: Final = 900.0
LOOK_SECONDS: Final = 0.5
PARKED_SHOWN_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``readings``: telemetry goes on until there are so many, also when the last fault is healed."""

    seed: int
    faults: int
    engine: str = "activemq"
    store: str = "postgresql"
    spacing_seconds: float = 4.4
    reefs: int = 40
    messages_per_second: float = 20.0
    readings: int = 0
    kinds: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a run is at, for those who watch."""

    phase: str = "starting"
    faults: int = 0
    messages: int = 0
    readings: int = 0
    line: str = ""


class Run:
    """Runs once. ``progress`` is kept up to date meanwhile; ``history`` is there after it."""

    def __init__(self, settings: Settings, home: Path, *, tell: Callable[[str], None] = lambda _: None) -> None:
        self.settings = settings
        self.progress = Progress()
        self._home = home
        self._tell = tell

    async def run(self) -> Report:
        """Raises ComponentMissing when broker or database cannot be had."""
        began = time.monotonic()
        fleet = Fleet(seed=self.settings.seed, reefs=self.settings.reefs, messages_per_second=self.settings.messages_per_second)
        async with self._stage() as stage:
            history, suffered, facts = await self._suffer(stage, fleet)
            figures = measured(history, suffered) if stage.records_at_once else None
        self._phase("checking")
        return Report(
            engine=self.settings.engine,
            store=self.settings.store,
            seed=self.settings.seed,
            faults=len(suffered),
            lasted_seconds=time.monotonic() - began,
            messages=len(history.sent),
            readings=sum(sent.readings for sent in history.sent),
            repeated=facts.repeated,
            restarts=facts.restarts,
            outputs=outputs(history),
            counters=facts.counters,
            faults_by_kind=dict(sorted(Counter(each.fault.kind for each in suffered).items())),
            delays=figures,
            findings=await asyncio.to_thread(check, history),
        )

    def _stage(self) -> AbstractAsyncContextManager["MeshStage"]:
        settings = self.settings
        if settings.engine == "embedded":
            return single_stage(self._home)
        return separate_stage(self._home, seed=settings.seed, store=settings.store)

    async def _suffer(self, stage: "MeshStage", fleet: Fleet) -> tuple[History, Sequence[Suffered], "_Facts"]:
        settings = self.settings
        async with AsyncExitStack() as stack:
            await stage.start()
            async with _open_stores(stage) as stores:
                await Register(stores[services.INGEST]).upsert(reefs=fleet.reef_entries(), buoys=fleet.buoy_entries())
            broker = stage.own_broker()
            recorder = Recorder(broker)
            if stage.records_at_once:
                await _connected(stack, broker)
                await recorder.start()
            devices = [await _connected(stack, await stage.device_broker()) for _ in range(PUBLISHERS)]
            workload = Workload(fleet, devices)
            nemesis = Nemesis(stage, self._tell)
            plan = make_plan(
                seed=settings.seed, faults=settings.faults, spacing_seconds=settings.spacing_seconds, kinds=self._kinds(stage)
            )
            self._phase("suffering")
            async with asyncio.TaskGroup() as tasks:
                supervising = tasks.create_task(stage.supervisor.run(), name="supervisor")
                publishing = tasks.create_task(workload.run(), name="workload")
                watching = tasks.create_task(self._watch(workload, nemesis), name="progress")
                await nemesis.run(plan)
                self._phase("healed: the rest of the telemetry")
                workload.finish(readings=settings.readings)
                await publishing
                self._phase("settling")
                stores = await stack.enter_async_context(_open_stores(stage))
                settling = Settling(
                    stores=stores,
                    sent=lambda: workload.messages,
                    heard=(lambda: recorder.heard) if stage.records_at_once else None,
                )
                unsettled = await _settled(settling)
                supervising.cancel()
                watching.cancel()
            self._phase("draining")
            await stage.drain()
            if not stage.records_at_once:
                await _connected(stack, broker)
                await recorder.start()
                await recorder.until_heard_all()
            await recorder.stop()
            self._phase("running the same telemetry undisturbed")
            expected = await undisturbed(fleet, workload.telemetry())
            history = History(
                sent=workload.sent(),
                heard=recorder.heard,
                receipts=await _receipts(stores[services.INGEST]),
                stored=await read_stored(stores),
                effects=await _effects(stores) if stage.records_effects else (),
                ledger=[row[0] for row in await stores[services.ALERTS].fetch("SELECT alert_id FROM alerts")],
                deliveries=await _deliveries(stores[services.ALERTS]),
                told=tuple(stage.receiver.told),
                parked=await _parked(broker),
                ended_badly=stage.supervisor.ended_badly,
                unsettled=unsettled,
                state=await read_state(stores),
                expected=expected,
            )
        facts = _Facts(
            repeated=workload.unconfirmed, restarts=stage.supervisor.restarts, counters=read_counters(stage.counters)
        )
        return history, nemesis.suffered, facts

    def _kinds(self, stage: "MeshStage") -> Mapping[str, Kind]:
        named = self.settings.kinds
        return {name: kind for name, kind in stage.kinds.items() if not named or name in named}

    async def _watch(self, workload: Workload, nemesis: Nemesis) -> None:
        while True:
            self.progress.faults = len(nemesis.suffered)
            self.progress.messages, self.progress.readings = workload.messages, workload.readings
            await asyncio.sleep(LOOK_SECONDS)

    def _phase(self, name: str) -> None:
        self.progress.phase = name
        self._tell(name)


class MeshStage(Stage, Protocol):
    """A stage as a run needs it. ``records_at_once``: recorders hear while the mesh runs, and not only after it;
    ``records_effects``: its services have recorders inside."""

    @property
    def supervisor(self) -> Supervisor: ...

    @property
    def receiver(self) -> Receiver: ...

    @property
    def counters(self) -> Path: ...

    @property
    def records_at_once(self) -> bool: ...

    @property
    def records_effects(self) -> bool: ...

    def place(self) -> Home: ...

    def own_broker(self) -> Broker: ...

    async def device_broker(self) -> Broker: ...

    async def start(self) -> None: ...

    async def drain(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What a history does not hold."""

    repeated: int
    restarts: int
    counters: Mapping[str, int]


async def _connected(stack: AsyncExitStack, broker: Broker) -> Broker:
    stack.push_async_callback(broker.close)
    await broker.connect()
    return broker


@asynccontextmanager
async def _open_stores(stage: MeshStage) -> AsyncIterator[Stores]:
    """As ``reefmesh_standalone.mesh.open_stores``, with the recorders' tables where the services have them."""
    home, more = stage.place(), (EFFECTS,) if stage.records_effects else ()
    async with AsyncExitStack() as stack:
        stores = {}
        for entry in services.SERVICES:
            store = open_store(home.store_address(entry.name), migrations=(*load_program(entry).migrations, *more))
            stack.push_async_callback(store.close)
            await store.open()
            stores[entry] = store
        yield stores


async def _settled(settling: Settling) -> list[str]:
    """Wait until nothing is missing; return what still is when that stays the same, or takes too long."""
    began = moved_at = time.monotonic()
    before: list[str] = []
    while True:
        try:
            missing = await settling.missing()
        except TransientError as error:
            missing = [f"the databases are away: {error}"]
        if not missing:
            return []
        now = time.monotonic()
        if missing != before:
            before, moved_at = missing, now
        if now - moved_at > STILL_SECONDS or now - began > SETTLE_TIMEOUT_SECONDS:
            return [shown(missing)]
        await asyncio.sleep(LOOK_SECONDS)


async def _receipts(store: Store) -> list[Receipt]:
    rows = await store.fetch("SELECT event_id, reef_id, outcome, readings_received FROM receipts")
    return [
        Receipt(event_id=event_id, reef_id=reef_id, outcome=outcome, readings=int(readings))
        for event_id, reef_id, outcome, readings in rows
    ]


async def _effects(stores: Stores) -> list[Effect]:
    effects: list[Effect] = []
    for entry, store in stores.items():
        effects += await read_effects(store, entry.name)
    return effects


async def _deliveries(store: Store) -> list[Delivery]:
    rows = await store.fetch("SELECT idempotency_key, alert_id, subscription, status FROM deliveries")
    return [
        Delivery(idempotency_key=key, alert_id=alert_id, subscription=subscription, status=status)
        for key, alert_id, subscription, status in rows
    ]


async def _parked(broker: Broker) -> list[str]:
    found = []
    for subscription in services.subscriptions_of(services.SERVICES):
        parked = await broker.parking(subscription).list(limit=PARKED_SHOWN_LIMIT)
        found += [f"{each.message.event_id} of {subscription}: {each.reason}, {each.detail}" for each in parked]
    return found
