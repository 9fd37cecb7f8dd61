"""One run: a stage, a fleet, a plan of faults; in the end a history and what the checker says of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from reefmesh.broker.port import Broker
from reefmesh.contracts import services
from reefmesh.errors import TransientError
from reefmesh_faults.checker import check
from reefmesh_faults.final_rows import (
    open_stores,
    read_all_effects,
    read_deliveries,
    read_ledger,
    read_parked,
    read_receipts,
)
from reefmesh_faults.fleet import Fleet
from reefmesh_faults.history import History, LogStall, Purged
from reefmesh_faults.losses import losses_of
from reefmesh_faults.nemesis import Nemesis, Stage, Suffered
from reefmesh_faults.outcome import read_state, read_stored, undisturbed
from reefmesh_faults.part import Supervisor
from reefmesh_faults.plan import Kind, make_plan
from reefmesh_faults.receiver import Receiver
from reefmesh_faults.recorded_service import read_counters, read_gaps
from reefmesh_faults.recorder import Recorder
from reefmesh_faults.report import Report, measured, outputs
from reefmesh_faults.separate_stage import separate_stage
from reefmesh_faults.settling import Settling, shown
from reefmesh_faults.single_stage import single_stage
from reefmesh_faults.workload import PUBLISHERS, Workload
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.home import Home

STILL_SECONDS: Final = 120.0
"""What is missing must become less at least so often: a slow machine may take its time, a mesh that stands still may not."""

SETTLE_TIMEOUT_SECONDS: Final = 3600.0
LOOK_SECONDS: Final = 0.5


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
        self.history = History(sent=())
        self._home = home
        self._tell = tell

    async def run(self) -> Report:
        """Raises ComponentMissing when broker or database cannot be had."""
        began = time.monotonic()
        fleet = Fleet(seed=self.settings.seed, reefs=self.settings.reefs, messages_per_second=self.settings.messages_per_second)
        async with self._stage() as stage:
            self.history, suffered, facts = await self._suffer(stage, fleet)
            history = self.history
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
            did=facts.did,
            left_out=facts.left_out,
            faults_by_kind=dict(sorted(Counter(each.fault.kind for each in suffered).items())),
            delays=figures,
            findings=await asyncio.to_thread(check, history),
        )

    def _stage(self) -> AbstractAsyncContextManager["MeshStage"]:
        settings = self.settings
        if settings.engine == "embedded":
            return single_stage(self._home)
        return separate_stage(self._home, seed=settings.seed, engine=settings.engine, store=settings.store)

    async def _suffer(self, stage: "MeshStage", fleet: Fleet) -> tuple[History, Sequence[Suffered], "_Facts"]:
        settings = self.settings
        async with AsyncExitStack() as stack:
            await stage.start()
            async with open_stores(stage.place(), records_effects=stage.records_effects) as stores:
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
                stores = await stack.enter_async_context(open_stores(stage.place(), records_effects=stage.records_effects))
                settling = Settling(
                    stores=stores,
                    sent=lambda: workload.messages,
                    purged=stage.purged,
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
            effects = await read_all_effects(stores) if stage.records_effects else []
            losses = losses_of(stage.purged, effects)
            self._phase("running the same telemetry undisturbed")
            expected = await undisturbed(fleet, workload.telemetry(), losses.events)
            history = History(
                sent=workload.sent(),
                heard=recorder.heard,
                receipts=await read_receipts(stores[services.INGEST]),
                stored=await read_stored(stores),
                effects=effects,
                ledger=await read_ledger(stores[services.ALERTS]),
                deliveries=await read_deliveries(stores[services.ALERTS]),
                told=tuple(stage.receiver.told),
                parked=await read_parked(broker),
                ended_badly=stage.supervisor.ended_badly,
                unsettled=unsettled,
                purged=stage.purged,
                gaps_counted=read_gaps(stage.counters) if stage.records_effects else None,
                counts_are_whole=not any(each.fault.kind == "kill" for each in nemesis.suffered),
                log_stalls=stage.log_stalls,
                state=await read_state(stores),
                expected=expected,
            )
        facts = _Facts(
            repeated=workload.unconfirmed,
            restarts=stage.supervisor.restarts,
            counters=read_counters(stage.counters),
            did=dict(sorted(stage.did.items())),
            left_out=stage.left_out,
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
    def purged(self) -> Sequence[Purged]: ...

    @property
    def log_stalls(self) -> Sequence[LogStall]: ...

    @property
    def did(self) -> Mapping[str, int]: ...

    @property
    def left_out(self) -> Mapping[str, str]: ...

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
    did: Mapping[str, int]
    left_out: Mapping[str, str]


async def _connected(stack: AsyncExitStack, broker: Broker) -> Broker:
    stack.push_async_callback(broker.close)
    await broker.connect()
    return broker


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
