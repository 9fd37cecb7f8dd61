"""Health is progress: idle is healthy, work that does not move is not, and what restarts cannot mend is not death."""

import asyncio

import pytest
import structlog

from reefmesh.observability.health import Check, Health
from reefmesh.observability.progress import Progress

SUBSCRIPTION = "scoring@reef.readings"


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def progress(time: Time) -> Progress:
    return Progress(stall_after_seconds=60, now=time)


@pytest.fixture
def health(progress: Progress, time: Time) -> Health:
    return Health("scoring", progress, now=time)


async def test_idle_service_stays_healthy_however_long(health: Health, time: Time) -> None:
    time.seconds += 1_000_000
    report = await health.report()
    assert (report.status, report.alive, report.reasons) == ("ok", True, [])


async def test_first_message_after_a_long_idle_time_is_no_stall(health: Health, progress: Progress, time: Time) -> None:
    time.seconds += 1_000_000
    progress.received(SUBSCRIPTION, 0, reef_id="atoll", event_id="e1")
    assert (await health.report()).status == "ok"


async def test_held_message_that_never_finishes_is_failing_and_not_alive(
    health: Health, progress: Progress, time: Time
) -> None:
    progress.received(SUBSCRIPTION, 0, reef_id="atoll", event_id="e1")
    time.seconds += 61
    report = await health.report()
    assert (report.status, report.alive) == ("failing", False)
    assert "1 in flight" in report.reasons[0]
    assert "nothing was finished for 61 s" in report.reasons[0]


async def test_one_stuck_lane_beside_moving_ones_is_degraded_only(health: Health, progress: Progress, time: Time) -> None:
    progress.received(SUBSCRIPTION, 0, reef_id="atoll", event_id="e1")
    for number in range(10):
        time.seconds += 10
        progress.received(SUBSCRIPTION, 1, reef_id="bank", event_id=f"b{number}")
        progress.finished(SUBSCRIPTION, 1)
    report = await health.report()
    assert (report.status, report.alive) == ("degraded", True)
    assert "lane 0" in report.reasons[0]
    assert "atoll" in report.reasons[0]


async def test_lane_that_waits_to_try_again_is_failing_but_alive(health: Health, progress: Progress, time: Time) -> None:
    progress.received(SUBSCRIPTION, 0, reef_id="atoll", event_id="e1")
    progress.retrying(SUBSCRIPTION, 0, "database is locked")
    time.seconds += 61
    report = await health.report()
    assert (report.status, report.alive) == ("failing", True)
    assert "database is locked" in report.reasons[0]


async def test_finished_message_heals_the_report(health: Health, progress: Progress, time: Time) -> None:
    progress.received(SUBSCRIPTION, 0, reef_id="atoll", event_id="e1")
    time.seconds += 61
    assert (await health.report()).status == "failing"
    progress.finished(SUBSCRIPTION, 0)
    assert (await health.report()).status == "ok"


async def test_failing_store_means_not_ready_but_alive(progress: Progress, time: Time) -> None:
    health = Health("scoring", progress, now=time)

    async def refuses() -> Check:
        raise ConnectionRefusedError("connection refused")

    health.add("store", refuses)
    report = await health.report()
    assert (report.status, report.alive, report.reasons) == ("failing", True, ["store: connection refused"])


async def test_stuck_lane_is_logged_once_with_the_stacks_of_all_tasks(health: Health, progress: Progress, time: Time) -> None:
    never = asyncio.Event()

    async def waits_for_godot() -> None:
        await never.wait()

    task = asyncio.create_task(waits_for_godot(), name="lane-0")
    progress.received(SUBSCRIPTION, 0, reef_id="atoll", event_id="e1")
    time.seconds += 61
    with structlog.testing.capture_logs() as logs:
        await health.report()  # lets the task start
        assert (health.log_stuck_lanes(), health.log_stuck_lanes()) == (1, 0)
    stuck, stacks = logs
    assert (stuck["event"], stuck["reef_id"], stuck["lane"]) == ("lane stuck", "atoll", 0)
    assert "waits_for_godot" in stacks["stacks"]["lane-0"]
    task.cancel()


def test_progress_counts_what_lanes_hold(progress: Progress) -> None:
    progress.received(SUBSCRIPTION, 0, reef_id="atoll", event_id="e1")
    progress.received(SUBSCRIPTION, 1, reef_id="bank", event_id="e2")
    progress.released(SUBSCRIPTION, 1)
    seen = progress.statistics()
    assert (seen.received, seen.finished, len(seen.held), progress.busy_lanes(SUBSCRIPTION)) == (2, 0, 1, 1)


async def test_watch_logs_each_change_of_health_once(progress: Progress, time: Time) -> None:
    health = Health("scoring", progress, now=time)
    seen = asyncio.Semaphore(0)
    answers: list[Check] = [Check(name="disk", status=status) for status in ("ok", "degraded", "degraded", "ok")]

    async def disk() -> Check:
        seen.release()
        return answers.pop(0) if answers else Check(name="disk", status="ok")

    health.add("disk", disk)
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(health.watch(interval_seconds=0))
        for _ in range(6):
            await seen.acquire()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [(line["event"], line["was"], line["status"]) for line in logs] == [
        ("health changed", "ok", "degraded"),
        ("health changed", "degraded", "ok"),
    ]


async def test_check_that_needs_a_restart_ends_the_life_of_the_service(progress: Progress, time: Time) -> None:
    health = Health("ingest", progress, now=time)
    checks = [Check(name="store", status="failing", reason="refused")]

    async def login() -> Check:
        return checks[-1]

    health.add("login", login)
    assert (await health.report()).alive
    checks.append(Check(name="store", status="failing", reason="refused", needs_restart=True))
    assert not (await health.report()).alive
