"""Rates, latencies and costs: of the mesh on a real broker, and of the plain pipeline under the same load."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import mesh_under_load as mesh
import plain_pipeline as plain
from figures import percentile
from load import Load, live_since
from order import Order, Report
from processes import cpu_between, cpu_seconds
from reefmesh.contracts import channels, services
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store
from reefmesh_standalone.following import Follower
from sending import send

REEFS: Final = 500
CHANNELS: Final = 5
RATE_TO_HOLD: Final = 556.0
"""A million buoys, one report every 30 minutes each."""
SELDOM: Final = 10
"""Every so many messages of a reef one raises an alert, where not every one does."""
SELDOM_LONGER: Final = 3
"""So many times as long, because a tenth of the messages tells."""
HOPELESS_SECONDS: Final = 2.0
"""A median above this is a backlog that grows: rates above the one to hold say nothing more then."""
WARM_UP_TURNS: Final = 24

SATURATED_SECONDS_LIMIT: Final = 60.0
STEP_PATIENCE_SECONDS: Final = 20.0
FOLLOWING_SECONDS_LIMIT: Final = 600.0
LOOK_SECONDS: Final = 0.5
"""Between two looks into the services' tables; each costs 15 ms of CPU, and the end is known this late at most."""
UNDER_WAY_LIMIT: Final = 2000
"""Messages between their publish and the last decision about them, where as much comes in as goes out."""
STEADY: Final = (0.1, 0.9)
"""Between these parts of the decisions the rate is taken: before, the mesh fills, and afterwards it runs empty."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """``cpu_seconds`` of each process for one unit (a message, or a reading)."""

    per_second: float
    cpu_seconds: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Latencies at one offered rate, in seconds."""

    offered_per_second: float
    p50: float
    p99: float
    p999: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """A pipeline of which every message ends in one alert. ``seldom``: at the rate to hold, every tenth message."""

    steps: Sequence[Step]
    sustained: Sustained
    seldom: Step | None = None


@dataclass(slots=True)
class _Turns:
    """Hands out consecutive parts of one long load, so that each reef's readings go on from part to part."""

    url: str
    entry: str
    exit: str
    grouped: bool
    begins_at: datetime
    done: int = field(default=0)

    def order(
        self,
        turns: int,
        messages_per_second: float | None,
        *,
        patience_seconds: float,
        alert_every: int = 1,
        watched: bool = True,
    ) -> Order:
        first, self.done = self.done, self.done + turns
        load = Load(
            reefs=REEFS,
            messages=turns * REEFS,
            batch=1,
            channels=CHANNELS,
            first_turn=first,
            begins_at=self.begins_at,
            alert_every=alert_every,
        )
        return Order.of(
            load,
            broker_url=self.url,
            entry=self.entry,
            exit=self.exit if watched else None,
            grouped=self.grouped,
            messages_per_second=messages_per_second,
            patience_seconds=patience_seconds,
        )


async def backlog(load: Load, *, warm_up_turns: int, setup: mesh.Setup) -> Sustained:
    """Return how fast the mesh works off a backlog that comes at once and changes nothing that people are told.

    From the first publish until the last decision of alerts, which is read from the services' tables; after
    ``warm_up_turns`` messages of each reef that are not counted (the broker compiles its own code then).
    """
    warm_up = replace(load, messages=warm_up_turns * load.reefs)
    measured = replace(load, first_turn=warm_up_turns)
    async with mesh.mesh_under_load(load, setup=setup) as running:
        await follow(warm_up, running)
        before = cpu_seconds(running.pids())
        began_at = (await follow(measured, running)).began_at
        seconds = time.monotonic() - began_at
        spent = cpu_between(before, cpu_seconds(running.pids()))
    return Sustained(per_second=load.readings / seconds, cpu_seconds={name: cpu / load.readings for name, cpu in spent.items()})


def decisions_of_alerts(store: Store) -> Callable[[], Awaitable[int]]:
    """Return what asks how many messages alerts has decided about."""

    async def count() -> int:
        ((units,),) = await store.fetch("SELECT COALESCE(SUM(version), 0) FROM mesh_reef")  # one more for each decision
        return int(units)

    return count


class Decisions:
    """How many messages the last stage has decided about since the first look, at each look; ``count`` asks it."""

    def __init__(self, count: Callable[[], Awaitable[int]]) -> None:
        self._count = count
        self._before: int | None = None
        self._looks: list[tuple[float, int]] = []

    async def look(self) -> int:
        units = await self._count()
        self._before = units if self._before is None else self._before
        self._looks.append((time.monotonic(), units - self._before))
        return self._looks[-1][1]

    def per_second(self, messages: int) -> float:
        """Return the rate between the parts ``STEADY`` of so many."""
        full, emptying = (part * messages for part in STEADY)
        began, first = next(look for look in reversed(self._looks) if look[1] <= full)
        ended, last = next(look for look in self._looks if look[1] >= emptying)
        return (last - first) / (ended - began)


async def steady(load: Load, *, warm_up_turns: int, setup: mesh.Setup) -> Sustained:
    """Return what the mesh sustains of the everyday load, which changes nothing that people are told, while messages come in
    as fast as they are decided about; CPU is that of all messages after the warm-up, the rate that of the steady part."""
    warm_up = replace(load, messages=warm_up_turns * load.reefs)
    measured = replace(load, first_turn=warm_up_turns)
    async with mesh.mesh_under_load(load, setup=setup) as running:
        await _follow_steadily(warm_up, running)
        before = cpu_seconds(running.pids())
        decisions = await _follow_steadily(measured, running)
        spent = cpu_between(before, cpu_seconds(running.pids()))
    cpu = {name: seconds / load.messages for name, seconds in spent.items()}
    return Sustained(per_second=decisions.per_second(load.messages), cpu_seconds=cpu)


async def _follow_steadily(load: Load, running: mesh.MeshUnderLoad) -> Decisions:
    """Send a load, with so many messages under way at most, and wait until every service is done with it."""
    decisions = Decisions(decisions_of_alerts(running.stores[services.ALERTS]))
    await decisions.look()

    async def allowed() -> int:
        return await decisions.look() + UNDER_WAY_LIMIT

    await send(Order.of(load, broker_url=running.broker.url(), entry=running.entry), allowed=allowed)
    never = asyncio.Event()
    async with asyncio.timeout(FOLLOWING_SECONDS_LIMIT):
        while await decisions.look() < load.messages:
            await is_set_within(never, LOOK_SECONDS)
        follower = Follower(running.stores, [(message.event_id, message.reef_id) for message in load.envelopes()])
        await follower.until_done(lambda _: None, stop=never, look_every_seconds=LOOK_SECONDS)
    return decisions


async def follow(load: Load, running: mesh.MeshUnderLoad) -> Report:
    """Send a load and wait until every service is done with it."""
    follower = Follower(running.stores, [(message.event_id, message.reef_id) for message in load.envelopes()])
    report = await send(Order.of(load, broker_url=running.broker.url(), entry=running.entry))
    async with asyncio.timeout(FOLLOWING_SECONDS_LIMIT):
        await follower.until_done(lambda _: None, stop=asyncio.Event(), look_every_seconds=LOOK_SECONDS)
    return report


async def alerting_mesh(
    rates: Sequence[float], *, seconds: float, saturated_turns: int, setup: mesh.Setup, tell: Tell
) -> Alerting:
    load = Load(reefs=REEFS, messages=REEFS, batch=1, channels=CHANNELS)
    async with mesh.mesh_under_load(load, setup=setup) as running:
        turns = _Turns(
            running.broker.url(),
            running.entry,
            setup.place(channels.ALERTS),
            True,
            _begins_at(rates, seconds, saturated_turns),
        )
        return await _measure(
            turns, running.pids, rates, seconds=seconds, saturated_turns=saturated_turns, tell=tell, seldom_too=True
        )


async def alerting_plain(rates: Sequence[float], *, seconds: float, saturated_turns: int, tell: Tell) -> Alerting:
    with plain.plain_pipeline(heap=mesh.HEAP) as running:
        turns = _Turns(
            running.broker.url(plain.USER), plain.ENTRY, plain.EXIT, False, _begins_at(rates, seconds, saturated_turns)
        )
        return await _measure(turns, running.pids, rates, seconds=seconds, saturated_turns=saturated_turns, tell=tell)


async def _measure(
    turns: _Turns,
    pids: Callable[[], dict[str, int]],
    rates: Sequence[float],
    *,
    seconds: float,
    saturated_turns: int,
    tell: Tell,
    seldom_too: bool = False,
) -> Alerting:
    await send(turns.order(WARM_UP_TURNS, None, patience_seconds=SATURATED_SECONDS_LIMIT))
    before = cpu_seconds(pids())
    report = await send(turns.order(saturated_turns, None, patience_seconds=SATURATED_SECONDS_LIMIT))
    spent = cpu_between(before, cpu_seconds(pids()))
    spent["load"] = report.cpu_seconds
    count = len(report.effects)
    sustained = Sustained(per_second=report.effects_per_second, cpu_seconds={name: cpu / count for name, cpu in spent.items()})
    tell(f"sustained {sustained.per_second:,.0f} messages/s")
    seldom = await _seldom(turns, seconds=seconds, tell=tell) if seldom_too else None
    steps: list[Step] = []
    for rate in rates:
        order = turns.order(_turns_of(rate, seconds), rate, patience_seconds=seconds + STEP_PATIENCE_SECONDS)
        report = await send(order)
        if not report.is_complete:
            tell(f"{rate:,.0f} messages/s: more than it can, a backlog grows")
            break
        steps.append(_step(rate, report))
        tell(f"{rate:,.0f} messages/s: p50 {steps[-1].p50 * 1e3:,.0f} ms, p99 {steps[-1].p99 * 1e3:,.0f} ms")
        if steps[-1].p50 > HOPELESS_SECONDS and rate >= RATE_TO_HOLD:
            break
    return Alerting(steps=steps, sustained=sustained, seldom=seldom)


async def _seldom(turns: _Turns, *, seconds: float, tell: Tell) -> Step | None:
    """Return the latencies at the rate to hold when every tenth message is an alert; None when not all were heard."""
    patience_seconds = seconds + STEP_PATIENCE_SECONDS
    await _change_to(SELDOM, turns, patience_seconds=patience_seconds)
    turns_wanted = SELDOM_LONGER * _turns_of(RATE_TO_HOLD, seconds)
    report = await send(
        turns.order(turns_wanted, RATE_TO_HOLD, patience_seconds=SELDOM_LONGER * patience_seconds, alert_every=SELDOM)
    )
    await _change_to(1, turns, patience_seconds=patience_seconds)
    if not report.is_complete:
        tell(f"{RATE_TO_HOLD:,.0f} messages/s, every tenth an alert: more than it can, a backlog grows")
        return None
    step = _step(RATE_TO_HOLD, report)
    tell(f"{RATE_TO_HOLD:,.0f} messages/s, every tenth an alert: p50 {step.p50 * 1e3:,.0f} ms, p99 {step.p99 * 1e3:,.0f} ms")
    return step


async def _change_to(alert_every: int, turns: _Turns, *, patience_seconds: float) -> None:
    """Go from one pattern of changes to another, which may change anything or nothing; return when that is through."""
    await send(turns.order(1, None, patience_seconds=patience_seconds, alert_every=alert_every, watched=False))
    await send(turns.order(1, None, patience_seconds=patience_seconds, alert_every=alert_every))


def _step(rate: float, report: Report) -> Step:
    p50, p99, p999 = (percentile(report.latencies, share) for share in (0.5, 0.99, 0.999))
    return Step(offered_per_second=rate, p50=p50, p99=p99, p999=p999)


def _turns_of(rate: float, seconds: float) -> int:
    return max(1, round(rate * seconds / REEFS))


def _begins_at(rates: Sequence[float], seconds: float, saturated_turns: int) -> datetime:
    seldom = 4 + SELDOM_LONGER * _turns_of(RATE_TO_HOLD, seconds)
    turns = WARM_UP_TURNS + saturated_turns + sum(_turns_of(rate, seconds) for rate in rates) + seldom
    return live_since(turns)
