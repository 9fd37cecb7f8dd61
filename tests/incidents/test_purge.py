"""An operator purges a queue: every reef has a hole at once, and those that have none must not notice."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from reefmesh.service.gap_waiter import LANES_PER_WAIT
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_incidents.purged_queue import LANES, PurgedQueue, percentile, purged_queue, reef_ids

Measured = Callable[[str], None]
FLOWING_SECONDS: Final = 2.0
"""Law 2: how much later than without a purge a score of a reef without a hole may be, at the 99th percentile; on a machine that
does nothing else that is how late."""
AFTER_PATIENCE_SECONDS: Final = 3.0
BUSY_FACTOR: Final = 2.0
"""What was settled behind a message that waits is delivered once more: on a busy machine that costs as much again."""
HALF: Final = 0.5
TWICE_PER_LANE: Final = 4
"""How often all windows may be given back on the way, full of what was settled: together they have a message for each lane."""


@dataclass(frozen=True, kw_only=True)
class _Purge:
    """What a purge cost, and what the same burst cost before it. ``sentence``: for the page."""

    with_hole: list[str]
    without: list[str]
    usual: "_Burst"
    purged: "_Burst"
    lost: float
    waited_for: float
    came_twice: float
    isolated: float
    went_on_meanwhile: float
    sentence: str


@pytest.mark.row(4)
@pytest.mark.timeout(600)  # a machine that is busy with other things may take its time
async def test_parallel_purge_of_one_message_of_many_reefs_holds_up_no_other_reef(
    activemq_process: ActivemqProcess, tmp_path: Path, measured: Measured
) -> None:
    """Judged by what happened, not by how long it took: this one runs on machines that do other things too."""
    purge = await _purge(activemq_process, tmp_path, holes=80, whole=40, patience_seconds=15.0)
    measured(purge.sentence)
    _assert_told_and_counted(purge)
    assert purge.waited_for <= LANES, "reefs waited for their holes one group after the other"
    assert purge.isolated >= LANES / LANES_PER_WAIT, "reefs that waited stayed in the windows of others"
    assert purge.went_on_meanwhile >= HALF, "reefs without a hole waited for those that have one"
    assert purge.came_twice <= TWICE_PER_LANE * LANES, "messages were given back again and again"


@pytest.mark.row(4)
@pytest.mark.incidents
@pytest.mark.timeout(600)  # a machine that is busy with other things may take its time
async def test_parallel_purge_of_320_reefs_costs_one_patience(
    activemq_process: ActivemqProcess, tmp_path: Path, measured: Measured
) -> None:
    purge = await _purge(activemq_process, tmp_path, holes=320, whole=100, patience_seconds=10.0)
    measured(purge.sentence)
    _assert_told_and_counted(purge)
    _assert_one_patience(purge, 10.0)


@pytest.mark.row(4)
@pytest.mark.incidents
@pytest.mark.timeout(600)  # a machine that is busy with other things may take its time
async def test_parallel_purge_of_500_messages_of_1000_reefs_costs_one_patience(
    activemq_process: ActivemqProcess, tmp_path: Path, measured: Measured
) -> None:
    purge = await _purge(activemq_process, tmp_path, holes=500, whole=500, patience_seconds=10.0)
    measured(purge.sentence)
    _assert_told_and_counted(purge)
    _assert_one_patience(purge, 10.0)


def _assert_told_and_counted(purge: _Purge) -> None:
    assert len(purge.with_hole) == purge.lost
    assert _told(purge.purged).startswith("degraded, alive True")
    assert all(each.startswith(("degraded", "ok")) for each in purge.purged.health)


def _assert_one_patience(purge: _Purge, patience_seconds: float) -> None:
    usual_late_seconds = percentile(purge.usual.steady_seconds, 99)
    limit_seconds = patience_seconds + AFTER_PATIENCE_SECONDS + max(purge.usual.burst_seconds)
    assert max(purge.purged.burst_seconds) <= limit_seconds
    assert percentile(purge.purged.steady_seconds, 99) < FLOWING_SECONDS + BUSY_FACTOR * usual_late_seconds


def _told(burst: "_Burst") -> str:
    return next(each for each in burst.health if "missing" in each)


async def _purge(activemq: ActivemqProcess, folder: Path, *, holes: int, whole: int, patience_seconds: float) -> _Purge:
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
        return _Purge(
            with_hole=with_hole,
            without=without,
            usual=usual,
            purged=purged,
            lost=mesh.scoring.metric("reefmesh_sequence_gaps_total"),
            waited_for=mesh.scoring.metric("reefmesh_gaps_accepted_total", reason="waited"),
            isolated=mesh.scoring.metric("reefmesh_broker_events_total", event="reef_isolated"),
            came_twice=mesh.scoring.metric("reefmesh_duplicates_total"),
            went_on_meanwhile=_went_on_meanwhile(mesh, with_hole, without, usual.next_number),
            sentence=(
                f"{holes} messages of {holes} reefs purged beside {whole} reefs, patience {patience_seconds:.0f} s: "
                f"the last reef went on after {max(purged.burst_seconds):.1f} s ({max(usual.burst_seconds):.1f} s without a "
                f"purge), the others' scores took {percentile(purged.steady_seconds, 99):.1f} s at p99 "
                f"({percentile(usual.steady_seconds, 99):.1f} s), health said: {_told(purged)}"
            ),
        )


def _went_on_meanwhile(mesh: PurgedQueue, with_hole: Sequence[str], without: Sequence[str], first: int) -> float:
    """Of the reefs without a hole that reported in the first half of the patience: the part whose score came before the reefs
    that wait for the whole of it went on."""
    went_on = sorted(mesh.readings.came_at_seconds(reef, 5) or 0.0 for reef in with_hole)
    began, ended = mesh.readings.sent_at_seconds[with_hole[0], 5], went_on[-LANES // LANES_PER_WAIT]
    sent = [reef for reef in without if mesh.readings.sent_at_seconds[reef, first] < began + (ended - began) * HALF]
    return sum((mesh.readings.came_at_seconds(reef, first) or ended) < ended for reef in sent) / len(sent)


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
