"""The candidates of ``make bench BROKER=all``: reefmesh on each engine, plain pipelines; how each is measured and checked."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from embedded import throughput
from load import Load, live_since
from mesh_under_load import Setup, mesh_under_load
from order import Order
from plain_faststream import PlainSetup, plain_faststream
from plain_tuning import SHAPES, Shape, Tuning, name_of
from processes import cpu_between, cpu_seconds
from reefmesh.contracts import services
from reefmesh.service.stop_event import is_set_within
from reefmesh_standalone.following import Follower
from sending import send
from throughput import CHANNELS, LOOK_SECONDS, REEFS, UNDER_WAY_LIMIT, Decisions, Sustained, decisions_of_alerts

WARM_UP_TURNS: Final = 4
TURNS_LIMIT: Final = 60
"""More turns would begin before the readings of today."""
DECIDING_SECONDS_LIMIT: Final = 300.0

ORDER, CONFIRMED, ONCE = "order of each reef", "confirmed, durable", "a repeat changes nothing"
SPREAD, SENDER = "a second process takes its share, in order", "who spoke is checked"
PLAIN_PROMISES: Final = (ORDER, CONFIRMED, ONCE)
MESH_PROMISES: Final = (
    *PLAIN_PROMISES,
    SPREAD,
    "a stuck reef delays itself alone",
    "retries, parking, replay",
    "who lost its reef changes nothing",
    SENDER,
    "drain without repeats",
)
EMBEDDED_PROMISES: Final = tuple(each for each in MESH_PROMISES if each not in {SPREAD, SENDER})
TITLES: Final = {"embedded": "embedded", "activemq": "ActiveMQ", "rabbitmq": "RabbitMQ"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """``seconds``: how long each is measured, roughly; how many messages that are, its warm-up tells."""

    reefs: int = REEFS
    warm_up_turns: int = WARM_UP_TURNS
    seconds: float = 30.0

    def load(self, turns: int, *, first_turn: int = 0) -> Load:
        """Return so many messages of each reef; readings that follow from load to load, the last ones of today."""
        return Load(
            reefs=self.reefs,
            messages=turns * self.reefs,
            batch=1,
            channels=CHANNELS,
            first_turn=first_turn,
            begins_at=live_since(TURNS_LIMIT + self.warm_up_turns),
        )

    def turns(self, messages_per_second: float) -> int:
        return min(TURNS_LIMIT, max(1, round(self.seconds * messages_per_second / self.reefs)))


QUICK: Final = Extent(reefs=20, warm_up_turns=1, seconds=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``on``: the broker's version, empty where there is none."""

    sustained: Sustained
    on: str = ""


Measure = Callable[[Extent], Awaitable[Outcome]]
"""Raises RuntimeError when a message was lost or came out of order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """``engine``: of reefmesh, or the broker of a plain pipeline."""

    name: str
    engine: str
    plain: bool
    promises: Sequence[str]
    measure: Measure


async def embedded(extent: Extent) -> Outcome:
    """Everything in this process, which the services of the other candidates have three of."""
    rough, _ = await throughput(extent.load(extent.warm_up_turns))
    per_second, cpu = await throughput(extent.load(extent.turns(rough)))
    return Outcome(sustained=Sustained(per_second=per_second, cpu_seconds={"mesh": cpu}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One that runs: where telemetry goes, its processes, how many messages have come to its end, and what it did wrong with
    so many turns."""

    url: str
    entry: str
    pids: Callable[[], Mapping[str, int]]
    count: Callable[[], Awaitable[int]]
    check: Callable[[int], Awaitable[Sequence[str]]]


async def sustained_by(pipeline: Pipeline, extent: Extent) -> Sustained:
    """Keep so many messages under way, and take the rate where as many come out as go in."""
    warm_up = extent.load(extent.warm_up_turns)
    turns = extent.turns((await decided(pipeline, warm_up)).per_second(warm_up.messages))
    measured_load = extent.load(turns, first_turn=extent.warm_up_turns)
    before = cpu_seconds(pipeline.pids())
    decisions = await decided(pipeline, measured_load)
    spent = cpu_between(before, cpu_seconds(pipeline.pids()))
    if found := await pipeline.check(extent.warm_up_turns + turns):
        raise RuntimeError(f"{len(found)} faults: {'; '.join(found[:5])}")
    cpu = {name: seconds / measured_load.messages for name, seconds in spent.items()}
    return Sustained(per_second=decisions.per_second(measured_load.messages), cpu_seconds=cpu)


async def decided(pipeline: Pipeline, load: Load) -> Decisions:
    """Send a load, with so many messages under way at most; return what was decided when. Raises RuntimeError: not all was."""
    decisions = Decisions(pipeline.count)
    await decisions.look()

    async def allowed() -> int:
        return await decisions.look() + UNDER_WAY_LIMIT

    await send(Order.of(load, broker_url=pipeline.url, entry=pipeline.entry), allowed=allowed)
    never = asyncio.Event()
    try:
        async with asyncio.timeout(DECIDING_SECONDS_LIMIT):
            while await decisions.look() < load.messages:
                await is_set_within(never, LOOK_SECONDS)
    except TimeoutError:
        came = await decisions.look()
        raise RuntimeError(
            f"{came} of {load.messages} messages came to the end within {DECIDING_SECONDS_LIMIT:.0f} s"
        ) from None
    return decisions


def mesh_on(broker: str) -> Measure:
    async def measure(extent: Extent) -> Outcome:
        setup = Setup(broker=broker, store="sqlite", lanes=None)
        async with mesh_under_load(extent.load(1), setup=setup) as running:

            async def check(turns: int) -> Sequence[str]:
                sent = [(message.event_id, message.reef_id) for message in extent.load(turns).envelopes()]
                return () if await Follower(running.stores, sent).look() else ("a message did not pass every service",)

            count = decisions_of_alerts(running.stores[services.ALERTS])
            pipeline = Pipeline(url=running.broker.url(), entry=running.entry, pids=running.pids, count=count, check=check)
            return Outcome(sustained=await sustained_by(pipeline, extent), on=f"{TITLES[broker]} {running.broker.version}")

    return measure


def plain_on(setup: PlainSetup) -> Measure:
    async def measure(extent: Extent) -> Outcome:
        with plain_faststream(setup) as running:

            async def check(turns: int) -> Sequence[str]:
                return running.faults(reefs=extent.reefs, turns=turns)

            async def count() -> int:
                return running.decided()

            pipeline = Pipeline(url=running.url, entry=running.entry, pids=running.pids, count=count, check=check)
            sustained = await sustained_by(pipeline, extent)
            return Outcome(sustained=sustained, on=f"{TITLES[setup.broker]} {running.broker.version}")

    return measure


def candidates(tuning: Tuning) -> list[Candidate]:
    made = [
        Candidate(
            name="reefmesh embedded (one process)",
            engine="embedded",
            plain=False,
            promises=EMBEDDED_PROMISES,
            measure=embedded,
        )
    ]
    for broker in ("activemq", "rabbitmq"):
        name = f"reefmesh on {TITLES[broker]}"
        made.append(Candidate(name=name, engine=broker, plain=False, promises=MESH_PROMISES, measure=mesh_on(broker)))
    for broker in ("rabbitmq", "activemq"):
        for words, shared in (("a commit a message", False), ("shared commits", True)):
            shape = tuning.shape_of(broker, shared_commits=shared)
            made.append(plain(f"FastStream on {TITLES[broker]}: {words}", broker, shared=shared, shape=shape))
    return made


def plain(name: str, broker: str, *, shared: bool, shape: Shape) -> Candidate:
    setup = PlainSetup(broker=broker, shared_commits=shared, shape=shape)
    return Candidate(name=name, engine=broker, plain=True, promises=PLAIN_PROMISES, measure=plain_on(setup))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeTrial:
    """A plain pipeline in one shape; ``pipeline`` is its name in the tuning."""

    pipeline: str
    shape: Shape
    candidate: Candidate


def shape_trials() -> list[ShapeTrial]:
    """Return each plain pipeline in each shape."""
    return [
        ShapeTrial(
            pipeline=(name := name_of(broker, shared_commits=shared)),
            shape=shape,
            candidate=plain(f"FastStream on {name}: {shape}", broker, shared=shared, shape=shape),
        )
        for broker in ("rabbitmq", "activemq")
        for shared in (False, True)
        for shape in SHAPES
    ]
