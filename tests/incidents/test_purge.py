"""An operator purges a queue: every reef has a hole at once, and those that have none must not notice."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_incidents.purged_queue import PurgedQueue, percentile, purged_queue, reef_ids

Measured = Callable[[str], None]
FLOWING_SECONDS: Final = 2.0
"""Law 2: how much later than without a purge a score of a reef without a hole may be, at the 99th percentile; on a machine that
does nothing else that is how late."""
AFTER_PATIENCE_SECONDS: Final = 3.0
BUSY_FACTOR: Final = 2.0
"""What was settled behind a message that waits is delivered once more: on a busy machine that costs as much again."""


@pytest.mark.row(4)
async def test_parallel_purge_of_one_message_of_many_reefs_costs_one_patience_and_no_other_reef(
    activemq_process: ActivemqProcess, tmp_path: Path, measured: Measured
) -> None:
    await _purge_and_measure(activemq_process, tmp_path, measured, holes=120, whole=40, patience_seconds=5.0)


@pytest.mark.row(4)
@pytest.mark.incidents
@pytest.mark.timeout(600)  # a machine that is busy with other things may take its time
async def test_parallel_purge_of_320_reefs_costs_one_patience(
    activemq_process: ActivemqProcess, tmp_path: Path, measured: Measured
) -> None:
    await _purge_and_measure(activemq_process, tmp_path, measured, holes=320, whole=100, patience_seconds=10.0)


@pytest.mark.row(4)
@pytest.mark.incidents
@pytest.mark.timeout(600)  # a machine that is busy with other things may take its time
async def test_parallel_purge_of_500_messages_of_1000_reefs_costs_one_patience(
    activemq_process: ActivemqProcess, tmp_path: Path, measured: Measured
) -> None:
    await _purge_and_measure(activemq_process, tmp_path, measured, holes=500, whole=500, patience_seconds=10.0)


async def _purge_and_measure(
    activemq: ActivemqProcess, folder: Path, measured: Measured, *, holes: int, whole: int, patience_seconds: float
) -> None:
    run = uuid.uuid4().hex[:6]  # the broker may still hold scores of a run before
    with_hole, without = reef_ids(f"hole-{run}", holes), reef_ids(f"whole-{run}", whole)
    async with purged_queue(activemq, folder, patience_seconds=patience_seconds) as mesh:
        await mesh.start()
        await mesh.publish([*with_hole, *without], 1)
        await mesh.readings.until([*with_hole, *without], 1)
        usual = await _burst(mesh, with_hole, 2, without, 2)
        await mesh.stop()
        await mesh.publish(with_hole, 4)
        await mesh.purge(holes)
        await mesh.start()
        purged = await _burst(mesh, with_hole, 5, without, usual.next_number)
        assert 0 == mesh.readings.came_count(with_hole, 4), "what was purged"
        assert [] == mesh.readings.faults(purged=[(reef, 4) for reef in with_hole])
        lost = mesh.scoring.metric("reefmesh_sequence_gaps_total")
    last_seconds, usual_seconds = max(purged.burst_seconds), max(usual.burst_seconds)
    late_seconds, usually_late_seconds = percentile(purged.steady_seconds, 99), percentile(usual.steady_seconds, 99)
    said = next(each for each in purged.health if "missing" in each)
    measured(
        f"{holes} messages of {holes} reefs purged beside {whole} reefs, patience {patience_seconds:.0f} s: "
        f"the last reef went on after {last_seconds:.1f} s ({usual_seconds:.1f} s without a purge), "
        f"the others' scores took {late_seconds:.1f} s at p99 ({usually_late_seconds:.1f} s), health said: {said}"
    )
    assert holes == lost
    assert last_seconds <= patience_seconds + AFTER_PATIENCE_SECONDS + usual_seconds
    assert late_seconds < FLOWING_SECONDS + BUSY_FACTOR * usually_late_seconds
    assert said.startswith("degraded, alive True")
    assert all(each.startswith(("degraded", "ok")) for each in purged.health)


@dataclass(frozen=True, kw_only=True)
class _Burst:
    """How long the scores of the burst's first readings and of the steady ones took, what health said, and what comes next."""

    burst_seconds: list[float]
    steady_seconds: list[float]
    health: Sequence[str]
    next_number: int


async def _burst(mesh: PurgedQueue, reefs: list[str], number: int, steady_reefs: list[str], steady_from: int) -> _Burst:
    """Publish two readings of every reef at once, while the steady ones go on reporting."""
    over = asyncio.Event()
    health = asyncio.create_task(mesh.look_at_health(over))
    steady = asyncio.create_task(mesh.publish_steadily(steady_reefs, first=steady_from, each_seconds=0.02, until=over))
    await mesh.publish(reefs, number)
    await mesh.publish(reefs, number + 1)
    await mesh.readings.until(reefs, number + 1)
    over.set()
    next_number = await steady
    last = {reef: max(each for name, each in mesh.readings.sent_at_seconds if name == reef) for reef in steady_reefs}
    for reef in steady_reefs:
        await mesh.readings.until([reef], last[reef])
    sent = [key for key in mesh.readings.sent_at_seconds if key[0] in last and steady_from <= key[1]]
    for reef in steady_reefs:
        if last[reef] < next_number:
            await mesh.publish([reef], next_number)
    await mesh.readings.until(steady_reefs, next_number)
    return _Burst(
        burst_seconds=[mesh.readings.seconds_on_the_way(reef, number) for reef in reefs],
        steady_seconds=[mesh.readings.seconds_on_the_way(*key) for key in sent],
        health=await health,
        next_number=next_number + 1,
    )
