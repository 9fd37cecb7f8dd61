"""One schedule: a fleet, processes, faults drawn from a seed, rest, silence, rest, and the judgement."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, ClassVar, Final

from reefmesh.store.database import DatabaseStore
from reefmesh_faults.simulation.database import SharedDatabase, SimulatedDatabase
from reefmesh_faults.simulation.devices import Devices
from reefmesh_faults.simulation.fleet import BUOYS, REEFS, SILENCE, START
from reefmesh_faults.simulation.history import (
    DrainBegan,
    Event,
    FaultInjected,
    HandlingBegan,
    History,
    MessageReturned,
    ProcessEnded,
    ProcessStarted,
    UnitWritten,
)
from reefmesh_faults.simulation.laws import LEDGER_ROWS, AtRest, Violation, judge
from reefmesh_faults.simulation.loop import Process, VirtualLoop
from reefmesh_faults.simulation.reference import Reference, content_of, reference_of
from reefmesh_faults.simulation.service import SUBSCRIPTIONS, DriftingClock, MeshProcess, Surroundings
from reefmesh_faults.simulation.switches import Composition
from reefmesh_ingest.register.table import Register

FLEETS: Final = 64
"""So many different fleets: what must become of each is worked out once."""
FAULTS_SECONDS: Final = 1.0
FAULTS_MAX: Final = 6
SILENT_FAULTS_SECONDS: Final = 4.0
SILENT_FAULTS_MAX: Final = 2
"""While everybody is silent, and the deadlines that pass are looked at."""
WITHIN_TURNS: Final = 60
REST_LIMIT_SECONDS: Final = 200.0
LOOK_EVERY_SECONDS: Final = 0.25
TURNS_LIMIT: Final = 400_000
LEASE_PATIENCE_SECONDS: Final = 8.0
LEASE: Final = timedelta(seconds=70)
SELECT_LEASED: Final = "SELECT COUNT(*) FROM deliveries WHERE status = 'pending' AND lease_token <> ''"

INBOXES: Final = frozenset(map(str, SUBSCRIPTIONS.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one schedule was, and which laws it broke. ``faults``: by kind; ``redeliveries``: what the broker took back
    unacknowledged; ``handled_again``: handlings that were cut short or found done already."""

    seed: int
    violations: tuple[Violation, ...]
    trace: tuple[str, ...]
    history: tuple[Event, ...]
    reference: Reference
    at_rest: AtRest
    faults: dict[str, int]
    messages: int
    units: int
    redeliveries: int
    handled_again: int
    turns: int
    virtual_seconds: float


class World(ABC):
    """What all schedules have in common. A subclass says which kinds of processes there are, on which broker."""

    faults: ClassVar[Mapping[str, int]]
    """Kind -> how likely."""

    processes: ClassVar[Mapping[str, int]]
    """Kind of process -> how many."""

    authenticates: ClassVar[bool] = False
    """Whether the broker knows who sent a message."""

    def __init__(self, loop: VirtualLoop, seed: int, composition: Composition) -> None:
        self._loop = loop
        self._seed = seed
        self._random = Random(f"world {seed}")
        self._history = History(loop.time)
        self._reference = reference_of(seed % FLEETS)
        self._databases = {name: SharedDatabase(name, self._history, write=composition.write) for name in SUBSCRIPTIONS}
        self._around = Surroundings(
            loop=loop,
            random=Random(f"processes {seed}"),
            history=self._history,
            databases=self._databases,
            broker=composition.broker,
            limits=composition.limits,
            authenticates=self.authenticates,
        )
        self._kinds = {kind: weight for kind, weight in self.faults.items() if kind not in composition.left_out}
        self._devices = Devices(
            self._reference.fleet.telemetry,
            self._history,
            self._around.random,
            says_what_it_follows=composition.says_what_it_follows,
        )
        self._living: dict[str, list[MeshProcess]] = {kind: [] for kind in self.processes}
        self._all: list[Process] = []
        self._started: Counter[str] = Counter()
        self._wanted = dict(self.processes)
        self._jump = timedelta()
        self._jump = timedelta()
        self._jump_at = 0.0
        self._stopping = False
        self._suffered: Counter[str] = Counter()

    def bury(self) -> None:
        self._loop.bury([*self._all, self._loop.world])
        for database in self._databases.values():
            database.close()

    async def run(self) -> Outcome:
        await self._register()
        await self._prepare()
        for kind, number in self.processes.items():
            for _ in range(number):
                self._later(self._random.uniform(0.0, 0.1), partial(self._start, kind))
        await self._attack(["kill", *self._draw(self._random.randint(1, FAULTS_MAX - 1))], FAULTS_SECONDS)
        unsettled = await self._rest()
        if not unsettled:
            self._jump += SILENCE
            self._set_clocks()
            await self._attack(self._draw(self._random.randint(0, SILENT_FAULTS_MAX)), SILENT_FAULTS_SECONDS)
            unsettled = await self._rest()
        if not unsettled:
            unsettled = await self._stop_all()
        return self._outcome(unsettled)

    # what a subclass says

    async def _prepare(self) -> None:  # noqa: B027 - nothing, unless a world says more
        """Before any process starts."""

    @abstractmethod
    def _work(self, born: MeshProcess) -> Coroutine[Any, Any, bool]:
        """What a process does, to its end; returns whether it drained in time."""

    @abstractmethod
    def _released(self, born: MeshProcess) -> None:
        """What the kernel takes back of a process that is gone."""

    def _frozen(self, born: MeshProcess) -> None:  # noqa: B027 - nothing, unless a world says more
        """What else befalls a process that is frozen."""

    def _befall_otherwise(self, kind: str, service: str, victim: MeshProcess | None) -> None:  # noqa: B027 - nothing, unless a world says more
        """A fault that not every world has."""

    @abstractmethod
    def _unsettled_messages(self, service: str) -> int:
        """How many messages a service has still to work off."""

    def _note_queues(self) -> None:  # noqa: B027 - nothing, unless a world says more
        """Add to the history what got which place in which queue, if it is not there yet."""

    # the processes

    def _start(self, kind: str) -> None:
        if self._stopping or len(self._living[kind]) >= self._wanted[kind]:
            return
        self._started[kind] += 1
        process = Process(f"{kind}-{self._started[kind]}")
        clock = DriftingClock(self._loop)
        clock.offset = self._jump
        born = MeshProcess(kind=kind, process=process, clock=clock)
        process.on_kill = lambda: self._gone(born)
        self._all.append(process)
        self._living[kind].append(born)
        self._history.add(ProcessStarted(process=process.name))
        task = self._loop.spawn(process, born.run(self._work(born)))
        task.add_done_callback(lambda _: self._ended(born), context=self._loop.context_of(self._loop.world))

    def _ended(self, born: MeshProcess) -> None:
        if born.process.was_killed:
            return
        self._history.add(ProcessEnded(process=born.process.name, how=born.ended or "cancelled"))
        self._gone(born)

    def _gone(self, born: MeshProcess) -> None:
        """It was killed or has ended: somebody starts another in its place."""
        if born in self._living[born.kind]:
            self._living[born.kind].remove(born)
        self._released(born)
        self._later(self._random.uniform(0.02, 0.6), lambda: self._start(born.kind))

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._loop.call_later(seconds, action, context=self._loop.context_of(self._loop.world))

    # the faults

    def _draw(self, faults: int) -> list[str]:
        return self._random.choices(list(self._kinds), weights=list(self._kinds.values()), k=faults)

    async def _attack(self, kinds: Sequence[str], seconds: float) -> None:
        """Faults at instants that are drawn; what was to come before some turn, and did not, comes at the end."""
        random = self._random
        instants = sorted((random.uniform(0.0, seconds), kind) for kind in kinds)
        began = self._loop.time()
        for instant, kind in instants:
            await asyncio.sleep(max(0.0, began + instant - self._loop.time()))
            self._inject(kind)
        await asyncio.sleep(max(0.0, began + seconds - self._loop.time()))
        for process in self._all:
            if process.due_at_turn is not None:
                process.due_at_turn = None
                process.on_due()

    def _inject(self, kind: str) -> None:
        random = self._random
        service = random.choice(list(SUBSCRIPTIONS))
        victims = [each for each in self._living[random.choice(list(self.processes))] if not each.stop.is_set()]
        victim = random.choice(victims) if victims else None
        match kind:
            case "store refuses":
                self._note(kind, service)
                self._databases[service].refuses = random.randint(1, 3)
            case "store loses an answer":
                self._note(kind, service)
                self._databases[service].loses_answers = 1
            case "kill" | "SIGTERM" | "freeze" | "clock jump":
                if victim is not None:
                    self._befall(kind, victim)
            case _:
                self._befall_otherwise(kind, service, victim)

    def _note(self, kind: str, process: str) -> None:
        self._suffered[kind] += 1
        self._history.add(FaultInjected(process=process, kind=kind))

    def _befall(self, kind: str, victim: MeshProcess) -> None:
        random, process = self._random, victim.process
        match kind:
            case "kill":
                self._soon(process, kind, lambda: self._loop.kill(process))
            case "SIGTERM":
                self._soon(process, kind, lambda: self._terminate(victim))
            case "freeze":
                self._note(kind, process.name)
                self._loop.pause(process)
                self._later(random.uniform(0.05, 1.2), lambda: self._loop.resume(process))
                self._frozen(victim)
            case _:
                self._note(kind, process.name)
                victim.clock.offset += timedelta(seconds=random.uniform(-20.0, 20.0))

    def _soon(self, process: Process, kind: str, action: Callable[[], None]) -> None:
        """Before one of its next turns, whichever that is: so nearly always in the middle of something."""

        def act() -> None:
            self._note(kind, process.name)
            action()

        process.due_at_turn = process.turns + self._random.randint(1, WITHIN_TURNS)
        process.on_due = act

    def _terminate(self, victim: MeshProcess) -> None:
        self._history.add(DrainBegan(process=victim.process.name))
        victim.stop.set()

    # rest

    def _set_clocks(self) -> None:
        for living in self._living.values():
            for each in living:
                each.clock.offset = self._jump

    async def _rest(self) -> list[str]:
        """Wait until nothing has anything to do; returns what has."""
        until = self._loop.time() + REST_LIMIT_SECONDS
        while unsettled := self._unsettled():
            if self._loop.time() > until or self._loop.turns > TURNS_LIMIT:
                return unsettled
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            self._expire_leases()
        return []

    def _expire_leases(self) -> None:
        """A delivery whose teller died is taken up when its lease has run out: that much later it is then."""
        if self._loop.time() - self._jump_at > LEASE_PATIENCE_SECONDS and self._count("alerts", SELECT_LEASED):
            self._jump_at = self._loop.time()
            self._jump += LEASE
            self._set_clocks()

    def _unsettled(self) -> list[str]:
        waiting = [] if self._devices.are_done else ["the devices have not sent everything"]
        waiting += [f"{kind} is starting" for kind, living in self._living.items() if len(living) < self._wanted[kind]]
        for service in self._databases:
            if messages := self._unsettled_messages(service):
                waiting.append(f"{messages} messages for {service}")
            if rows := self._count(service, "SELECT COUNT(*) FROM mesh_outbox"):
                waiting.append(f"{rows} rows in the outbox of {service}")
        if rows := self._count("alerts", "SELECT COUNT(*) FROM deliveries WHERE status = 'pending'"):
            waiting.append(f"{rows} deliveries")
        now_us = int((START + self._jump).timestamp() * 1_000_000)
        if rows := self._count("alerts", f"SELECT COUNT(*) FROM deadlines WHERE next_deadline_us <= {now_us}"):  # noqa: S608
            waiting.append(f"{rows} deadlines that have passed")
        return waiting

    def _count(self, service: str, sql: str) -> int:
        return int(str(self._databases[service].rows(sql)[0][0]))

    async def _stop_all(self) -> list[str]:
        """SIGTERM to everybody: with nothing to do, everybody leaves in peace."""
        self._stopping = True
        for living in self._living.values():
            for each in living:
                self._terminate(each)
        until = self._loop.time() + REST_LIMIT_SECONDS
        while left := [each.process.name for living in self._living.values() for each in living]:
            if self._loop.time() > until or self._loop.turns > TURNS_LIMIT:
                return [f"{name} does not stop" for name in left]
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        return []

    # the judgement

    async def _register(self) -> None:
        """The operators' part: reefs and buoys are known before anything is sent."""
        database = SimulatedDatabase(self._databases["ingest"], self._loop.world, self._around.random)
        store = DatabaseStore(database, clock=DriftingClock(self._loop))
        await store.open()
        await Register(store, now=self._loop.time).upsert(reefs=REEFS, buoys=BUOYS)
        await store.close()

    def _outcome(self, unsettled: list[str]) -> Outcome:
        self._note_queues()
        at_rest = AtRest(
            content=content_of(self._databases),
            deliveries=self._databases["alerts"].rows(LEDGER_ROWS),
            unsettled=unsettled,
            faults=self._loop.faults,
        )
        events = self._history.events
        units = [event for event in events if isinstance(event, UnitWritten)]
        handlings = sum(isinstance(event, HandlingBegan) for event in events)
        return Outcome(
            seed=self._seed,
            violations=tuple(judge(events, self._reference, at_rest)),
            trace=tuple(self._history.lines()),
            history=tuple(events),
            reference=self._reference,
            at_rest=at_rest,
            faults=dict(self._suffered),
            messages=self._reference.fleet.messages,
            units=len(units),
            redeliveries=sum(isinstance(event, MessageReturned) for event in events),
            handled_again=handlings - sum(unit.inbox in INBOXES for unit in units),
            turns=self._loop.turns,
            virtual_seconds=self._loop.time(),
        )
