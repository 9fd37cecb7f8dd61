"""Hand-over: what a reef notices when a second scoring process joins, and when it is killed."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import mesh_under_load as mesh
from load import Load, live_since
from order import Order, Report
from reefmesh.contracts import channels
from reefmesh_components.service_process import ServiceProcess
from sending import sending

REEFS: Final = 500
SPREAD_SHARE: Final = 0.35
"""A newcomer that handles so much of what flows has its half of the reefs, within 30 % of the mean."""
LOOK_SECONDS: Final = 0.1
WINDOW_SECONDS: Final = 0.5
QUIET_SECONDS: Final = 6.0
"""Of one process alone, to compare with."""
PATIENCE_SECONDS: Final = 15.0
AFTERMATH_SECONDS: Final = 10.0
HANDLED: Final = "reefmesh_messages_handled_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """``spread_seconds``: from when the newcomer says that it is well until it handles its share. The longest waits are from
    the publish of a telemetry message to its score: of all messages before, and of all around the event."""

    spread_seconds: float
    longest_wait_before_seconds: float
    join_longest_wait_seconds: float
    death_longest_wait_seconds: float


async def hand_over(*, messages_per_second: float, setup: mesh.Setup) -> HandOver:
    turns = round(messages_per_second * 45 / REEFS)
    load = Load(reefs=REEFS, messages=turns * REEFS, batch=1, channels=5, begins_at=live_since(turns))
    async with mesh.mesh_under_load(load, setup=setup) as running:
        order = Order.of(
            load,
            broker_url=running.broker.url(),
            entry=running.entry,
            exit=setup.place(channels.SCORES),
            messages_per_second=messages_per_second,
        )
        (first,) = running.services.of("scoring")
        async with sending(order) as sent:
            await _until_handled(first, 2 * REEFS)
            await asyncio.sleep(QUIET_SECONDS)
            started_at = time.monotonic()
            second = await asyncio.to_thread(running.services.add, "scoring")
            joined_at = time.monotonic()
            spread_at = await _until_spread(first, second)
            await asyncio.sleep(2)  # a while of the two together
            killed_at = time.monotonic()
            second.kill()
            running.services.processes.remove(second)
            report = await sent
    return HandOver(
        spread_seconds=max(0.0, spread_at - joined_at),
        longest_wait_before_seconds=_longest_wait(report, started_at - QUIET_SECONDS, started_at - 1),
        join_longest_wait_seconds=_longest_wait(report, started_at, min(killed_at - 0.5, joined_at + AFTERMATH_SECONDS)),
        death_longest_wait_seconds=_longest_wait(report, killed_at - 0.5, killed_at + AFTERMATH_SECONDS),
    )


async def _until_handled(process: ServiceProcess, messages: int) -> None:
    async with asyncio.timeout(60):
        while await asyncio.to_thread(process.metric, HANDLED) < messages:  # noqa: ASYNC110 - another process's counter
            await asyncio.sleep(LOOK_SECONDS)


async def _until_spread(first: ServiceProcess, second: ServiceProcess) -> float:
    """Return when the newcomer handled its share of what flowed in the last half second."""
    looks: list[tuple[float, float, float]] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            old, new = [await asyncio.to_thread(process.metric, HANDLED) for process in (first, second)]
            now = time.monotonic()
            looks = [look for look in looks if now - look[0] <= WINDOW_SECONDS] + [(now, old, new)]
            of_old, of_new = old - looks[0][1], new - looks[0][2]
            if of_new and of_new >= SPREAD_SHARE * (of_old + of_new):
                return now
            await asyncio.sleep(LOOK_SECONDS)


def _longest_wait(report: Report, from_at: float, until_at: float) -> float:
    return max(seconds for at, seconds in report.effects if from_at <= at <= until_at)
