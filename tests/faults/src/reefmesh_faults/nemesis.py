"""The nemesis: it carries a plan of faults out on a stage."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from reefmesh_faults.part import Part
from reefmesh_faults.plan import (
    BROKER_KINDS,
    CLOCK_JUMP_SECONDS_LIMIT,
    DISK_BYTES_LIMIT,
    POOLER_KINDS,
    STORE_KINDS,
    Fault,
    Kind,
    chosen,
    weather,
)
from reefmesh_faults.tcp_proxy import TcpProxy

END_TIMEOUT_SECONDS: Final = 30.0


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

    async def pooler_fault(self, kind: str, seconds: float) -> None: ...

    async def purge(self, target: float, strength: float, seconds: float) -> str: ...

    async def stall_log(self, part: Part, seconds: float) -> None: ...

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
            case "kill" | "terminate" | "pause" | "clock_jump" | "disk_full" | "log_stall":
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
            case "purge":
                return await stage.purge(fault.target, fault.strength, fault.seconds)
            case kind if kind in STORE_KINDS:
                await stage.store_fault(kind, fault.seconds)
                return "store"
            case kind if kind in POOLER_KINDS:
                await stage.pooler_fault(kind, fault.seconds)
                return "pooler"
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
                case "log_stall":
                    await self.stage.stall_log(part, fault.seconds)
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
