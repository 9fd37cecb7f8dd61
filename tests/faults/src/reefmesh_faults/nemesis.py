"""The plan of what goes wrong, from a seed, and the nemesis that carries it out.

A plan is a list of values: the same seed gives the same plan. What it hits is chosen among what there is at that moment, by a
number of the plan. Each fault lasts for a bounded time and is healed; faults overlap.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol, TypeVar

from reefmesh_faults.part import Part
from reefmesh_faults.tcp_proxy import TcpProxy, Weather

T = TypeVar("T")

END_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """``weight``: how often it comes, relative to the others; it lasts from ``least_seconds`` to ``most_seconds``."""

    weight: int
    least_seconds: float = 0.0
    most_seconds: float = 0.0


PROCESS_KINDS: Final[Mapping[str, Kind]] = {
    "kill": Kind(weight=14),
    "terminate": Kind(weight=8),
    "pause": Kind(weight=9, least_seconds=0.5, most_seconds=12.0),
    "clock_jump": Kind(weight=4, least_seconds=2.0, most_seconds=10.0),
}
DISK_KINDS: Final[Mapping[str, Kind]] = {"disk_full": Kind(weight=5, least_seconds=0.5, most_seconds=6.0)}
"""Of a process that keeps its journal and databases in files of its own."""

SCALE_KINDS: Final[Mapping[str, Kind]] = {"scale_out": Kind(weight=5), "scale_in": Kind(weight=5)}
LINK_KINDS: Final[Mapping[str, Kind]] = {
    "delay": Kind(weight=4, least_seconds=2.0, most_seconds=8.0),
    "cut": Kind(weight=4),
    "reset": Kind(weight=4),
    "refuse": Kind(weight=2, least_seconds=1.0, most_seconds=5.0),
    "silent_there": Kind(weight=3, least_seconds=1.0, most_seconds=9.0),
    "silent_back": Kind(weight=3, least_seconds=1.0, most_seconds=9.0),
    "silent_both": Kind(weight=3, least_seconds=1.0, most_seconds=9.0),
    "throttle": Kind(weight=3, least_seconds=2.0, most_seconds=8.0),
    "split": Kind(weight=3, least_seconds=2.0, most_seconds=8.0),
    "merge": Kind(weight=3, least_seconds=2.0, most_seconds=8.0),
}
BROKER_KINDS: Final[Mapping[str, Kind]] = {
    "broker_kill": Kind(weight=4, most_seconds=2.0),
    "broker_restart": Kind(weight=2, most_seconds=1.0),
    "broker_pause": Kind(weight=2, least_seconds=0.5, most_seconds=8.0),
    "broker_full": Kind(weight=2, least_seconds=2.0, most_seconds=5.0),
}
STORE_KINDS: Final[Mapping[str, Kind]] = {
    "store_kill": Kind(weight=4, most_seconds=2.0),
    "store_restart": Kind(weight=2),
    "store_crowded": Kind(weight=3, least_seconds=2.0, most_seconds=6.0),
    "store_reads_only": Kind(weight=3, least_seconds=1.0, most_seconds=8.0),
}
RECEIVER_KINDS: Final[Mapping[str, Kind]] = {"receiver_away": Kind(weight=2, least_seconds=1.0, most_seconds=6.0)}
ALL_KINDS: Final[Mapping[str, Kind]] = {
    **PROCESS_KINDS,
    **DISK_KINDS,
    **SCALE_KINDS,
    **LINK_KINDS,
    **BROKER_KINDS,
    **STORE_KINDS,
    **RECEIVER_KINDS,
}

DISK_BYTES_LIMIT: Final = 4 * 1024 * 1024
"""A full disk: no file of a process may grow beyond a size below this. What a file holds already may be written again."""

CLOCK_JUMP_SECONDS_LIMIT: Final = 900.0
"""Beyond an hour of quiet a day of heat counts as over, and what is right would depend on when a message came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong: ``at_seconds`` after the beginning, for ``seconds``. ``target`` and ``strength`` are from 0 to
    1: which of those that can be hit, and how hard where that can be chosen."""

    number: int
    at_seconds: float
    kind: str
    seconds: float
    target: float
    strength: float


def make_plan(*, seed: int, faults: int, spacing_seconds: float, kinds: Mapping[str, Kind]) -> list[Fault]:
    """Return so many faults, about one each ``spacing_seconds``. Every kind comes by its weight: a plan that is long enough has
    all of them, whatever the seed."""
    chance = Random(f"plan/{seed}")
    deck: list[str] = []
    plan: list[Fault] = []
    for number in range(1, faults + 1):
        if not deck:
            deck = [name for name, kind in kinds.items() for _ in range(kind.weight)]
            chance.shuffle(deck)
        name = deck.pop()
        kind = kinds[name]
        plan.append(
            Fault(
                number=number,
                at_seconds=round((number - 1 + chance.random()) * spacing_seconds, 3),
                kind=name,
                seconds=round(chance.uniform(kind.least_seconds, kind.most_seconds), 3),
                target=chance.random(),
                strength=chance.random(),
            )
        )
    return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Suffered:
    """A fault that happened: what it hit, from when until when (nanoseconds of the monotonic clock)."""

    fault: Fault
    target: str
    began_ns: int
    healed_ns: int


class Stage(Protocol):
    """The mesh that suffers. Only what its ``kinds`` need is ever asked of it; what may block does so in a thread."""

    @property
    def kinds(self) -> Mapping[str, Kind]: ...

    @property
    def parts(self) -> Sequence[Part]: ...

    @property
    def device_links(self) -> Sequence[TcpProxy]: ...

    def jump_clock(self, part: Part, seconds: float) -> None: ...

    async def scale_out(self, target: float) -> str: ...

    async def scale_in(self, target: float) -> str: ...

    async def broker_fault(self, kind: str, seconds: float) -> None: ...

    async def store_fault(self, kind: str, seconds: float) -> None: ...

    def receiver_away(self, away: bool) -> None: ...


@dataclass(slots=True)
class Nemesis:
    """Carries a plan out. ``tell`` is called when a fault begins and when it is healed."""

    stage: Stage
    tell: Callable[[str], None] = lambda _: None
    suffered: list[Suffered] = field(default_factory=list)
    under_way: dict[int, Fault] = field(default_factory=dict)

    async def run(self, plan: Iterable[Fault]) -> None:
        """Return when the last fault is healed. Raises what a fault could not cope with."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as faults:
            for fault in plan:
                await asyncio.sleep(max(0.0, began + fault.at_seconds - asyncio.get_running_loop().time()))
                faults.create_task(self._suffer(fault), name=f"fault {fault.number} {fault.kind}")

    async def _suffer(self, fault: Fault) -> None:
        self.under_way[fault.number] = fault
        began_ns = time.monotonic_ns()
        try:
            target = await self._do(fault)
        finally:
            del self.under_way[fault.number]
        done = Suffered(fault=fault, target=target, began_ns=began_ns, healed_ns=time.monotonic_ns())
        self.suffered.append(done)
        self.tell(f"{fault.number} {fault.kind} {target} {(done.healed_ns - began_ns) / 1e9:.1f} s")

    async def _do(self, fault: Fault) -> str:
        stage = self.stage
        match fault.kind:
            case "kill" | "terminate" | "pause" | "clock_jump" | "disk_full":
                return await self._do_to_a_part(fault)
            case "scale_out":
                return await stage.scale_out(fault.target)
            case "scale_in":
                return await stage.scale_in(fault.target)
            case "receiver_away":
                stage.receiver_away(True)
                await asyncio.sleep(fault.seconds)
                stage.receiver_away(False)
                return "receiver"
            case kind if kind in BROKER_KINDS:
                await stage.broker_fault(kind, fault.seconds)
                return "broker"
            case kind if kind in STORE_KINDS:
                await stage.store_fault(kind, fault.seconds)
                return "store"
            case _:
                return await self._do_to_a_link(fault)

    async def _do_to_a_part(self, fault: Fault) -> str:
        part = chosen([part for part in self.stage.parts if part.wanted], fault.target)
        async with part.lock:
            match fault.kind:
                case "kill":
                    part.killed = True
                    await asyncio.to_thread(part.process.kill)
                case "terminate":
                    await self._terminate(part)
                case "pause":
                    part.send(signal.SIGSTOP)
                    await asyncio.sleep(fault.seconds)
                    part.send(signal.SIGCONT)
                case "disk_full":
                    with part.files_no_longer_than(int(DISK_BYTES_LIMIT * fault.strength**3)):
                        await asyncio.sleep(fault.seconds)
                case _:
                    jump_seconds = (2 * fault.strength - 1) * CLOCK_JUMP_SECONDS_LIMIT
                    self.stage.jump_clock(part, jump_seconds)
                    await asyncio.sleep(fault.seconds)
                    self.stage.jump_clock(part, 0.0)
        return part.name

    async def _terminate(self, part: Part) -> None:
        part.process.ask_to_end()
        await asyncio.to_thread(part.process.wait_until_ended, END_TIMEOUT_SECONDS)

    async def _do_to_a_link(self, fault: Fault) -> str:
        links = [
            (f"{part.name} to {peer}", link) for part in self.stage.parts if part.wanted for peer, link in part.links.items()
        ]
        links += [(f"devices {number}", link) for number, link in enumerate(self.stage.device_links, start=1)]
        name, link = chosen(links, fault.target)
        match fault.kind:
            case "cut":
                link.cut()
            case "reset":
                link.reset()
            case _:
                if fault.kind == "refuse":
                    link.cut()
                link.turn(weather(fault))
                await asyncio.sleep(fault.seconds)
                link.heal()
        return name


def weather(fault: Fault) -> Weather:
    """Return what a fault of a link makes of it."""
    match fault.kind:
        case "delay":
            return Weather(delay_seconds=0.02 + 0.4 * fault.strength)
        case "refuse":
            return Weather(refuses=True)
        case "silent_there":
            return Weather(silent=frozenset({"there"}))
        case "silent_back":
            return Weather(silent=frozenset({"back"}))
        case "silent_both":
            return Weather(silent=frozenset({"there", "back"}))
        case "throttle":
            return Weather(bytes_per_second=2_000 + 30_000 * fault.strength)
        case "split":
            return Weather(splits=True)
        case "merge":
            return Weather(merges_seconds=0.01 + 0.2 * fault.strength)
        case other:
            raise ValueError(f"{other} is no fault of a link")


def chosen(among: Sequence[T], target: float) -> T:
    """Return the one that a number from 0 to 1 (excluded) names."""
    return among[int(target * len(among))]
