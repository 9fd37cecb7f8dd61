"""The simulated processes: killed is killed, paused waits, and time costs nothing."""

import asyncio
from random import Random

import pytest

from reefmesh_faults.simulation.loop import Process, SimulationStuck, VirtualLoop


def started(loop: VirtualLoop, name: str, noted: list[str], *, seconds: float = 1.0) -> Process:
    process = Process(name)

    async def life() -> None:
        try:
            await asyncio.sleep(seconds)
            noted.append(f"{name} woke")
        finally:
            noted.append(f"{name} ended")

    loop.spawn(process, life())
    return process


@pytest.fixture
def loop() -> VirtualLoop:
    return VirtualLoop(Random(1))


def test_killed_process_runs_no_finally(loop: VirtualLoop) -> None:
    """Kill -9: what it would have done at its end does not happen."""
    noted: list[str] = []
    process = started(loop, "one", noted)

    async def world() -> None:
        await asyncio.sleep(0.5)
        loop.kill(process)
        await asyncio.sleep(10)

    loop.run_until_complete(world())
    assert noted == []
    loop.bury([process])
    loop.close()


def test_paused_process_goes_on_later(loop: VirtualLoop) -> None:
    """SIGSTOP: what became due meanwhile happens after SIGCONT."""
    noted: list[str] = []
    process = started(loop, "one", noted)

    async def world() -> list[str]:
        loop.pause(process)
        await asyncio.sleep(10)
        meanwhile = list(noted)
        loop.resume(process)
        await asyncio.sleep(1)
        return meanwhile

    assert loop.run_until_complete(world()) == []
    assert noted == ["one woke", "one ended"]
    loop.close()


def test_process_is_killed_before_the_turn_that_was_named(loop: VirtualLoop) -> None:
    noted: list[str] = []
    process = Process("one")

    async def life() -> None:
        for number in range(10):
            noted.append(str(number))
            await asyncio.sleep(0)

    process.due_at_turn, process.on_due = 3, lambda: loop.kill(process)
    loop.spawn(process, life())
    loop.run_until_complete(asyncio.sleep(1))
    assert noted == ["0", "1", "2"]
    loop.bury([process])
    loop.close()


def test_callbacks_of_one_process_keep_their_order(loop: VirtualLoop) -> None:
    """What asyncio promises holds: only between processes is the order drawn."""
    noted: list[int] = []

    async def life() -> None:
        for number in range(50):
            asyncio.get_running_loop().call_soon(noted.append, number)
        await asyncio.sleep(1)

    loop.run_until_complete(life())
    assert noted == list(range(50))
    loop.close()


def test_order_of_processes_is_the_seeds() -> None:
    def order(seed: int) -> list[str]:
        loop, noted = VirtualLoop(Random(seed)), list[str]()
        for name in ("a", "b", "c", "d", "e"):
            started(loop, name, noted)
        loop.run_until_complete(asyncio.sleep(2))
        loop.close()
        return noted

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(20)}) > 1


def test_loop_in_which_nothing_can_happen_says_so(loop: VirtualLoop) -> None:
    async def for_ever() -> None:
        await loop.create_future()

    with pytest.raises(SimulationStuck):
        loop.run_until_complete(for_ever())
    loop.bury([loop.world])
    loop.close()
