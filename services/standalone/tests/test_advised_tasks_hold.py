"""The advice against a simulation: what it advises holds the latency, one task less does not."""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field, replace
from math import log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as some

from reefmesh_standalone.advising.load import Load

MESSAGES = 10_000


@dataclass(slots=True)
class Mesh:
    """Lanes that take the oldest message whose reef has none in hand. ``lanes`` may change while it runs: a lane that goes
    finishes what it holds."""

    lanes: int
    in_hand: int = 0
    busy_reefs: set[int] = field(default_factory=set)
    behind: dict[int, deque[float]] = field(default_factory=dict)
    ready: list[tuple[float, int, int]] = field(default_factory=list)
    number: int = 0

    def arrive(self, at: float, reef: int) -> None:
        if reef in self.busy_reefs:
            self.behind.setdefault(reef, deque()).append(at)
            return
        self.busy_reefs.add(reef)
        self._make_ready(at, reef)

    def take(self) -> tuple[float, int] | None:
        if self.in_hand >= self.lanes or not self.ready:
            return None
        self.in_hand += 1
        at, _, reef = heapq.heappop(self.ready)
        return at, reef

    def finish(self, reef: int) -> None:
        self.in_hand -= 1
        if self.behind.get(reef):
            self._make_ready(self.behind[reef].popleft(), reef)
        else:
            self.busy_reefs.remove(reef)

    def _make_ready(self, at: float, reef: int) -> None:
        self.number += 1
        heapq.heappush(self.ready, (at, self.number, reef))


def arrivals(load: Load, chance: random.Random, messages: int) -> list[tuple[float, int]]:
    """Bursts at random instants, of geometric size: with mean size z the variance of a count is (2 z - 1) times its mean."""
    burst = (load.burstiness + 1) / 2
    at, found = 0.0, list[tuple[float, int]]()
    while len(found) < messages:
        at += chance.expovariate(load.rate_per_second / burst)
        size = 1
        while chance.random() < 1 - 1 / burst:
            size += 1
        for _ in range(size):
            hottest = load.reefs == 1 or chance.random() < load.hottest
            found.append((at, 0 if hottest else chance.randrange(1, load.reefs)))
    return found


def p99_of(
    load: Load, lanes: int, *, seed: int, changes: tuple[tuple[float, int], ...] = (), messages: int = MESSAGES
) -> float:
    """Return what 99 % of the messages after a warm-up of a tenth take. ``changes``: from such a share of all arrivals on there
    are so many lanes."""
    chance = random.Random(seed)
    coming = deque(arrivals(load, chance, messages))
    plan = deque((int(share * len(coming)), number) for share, number in changes)
    spread = log(1 + load.variation)
    middle = log(load.mean_seconds) - spread / 2
    mesh, ends, took = Mesh(lanes), list[tuple[float, int, int, float]](), list[float]()
    arrived = 0
    while coming or ends:
        if coming and (not ends or coming[0][0] <= ends[0][0]):
            now, reef = coming.popleft()
            mesh.arrive(now, reef)
            arrived += 1
            while plan and arrived >= plan[0][0]:
                mesh.lanes = plan.popleft()[1]
        else:
            now, _, reef, since = heapq.heappop(ends)
            mesh.finish(reef)
            took.append(now - since)
        while (taken := mesh.take()) is not None:
            since, reef = taken
            heapq.heappush(ends, (now + chance.lognormvariate(middle, sqrt(spread)), mesh.number + len(took), reef, since))
    settled = sorted(took[len(took) // 10 :])
    return settled[int(0.99 * len(settled))]


@dataclass(frozen=True, slots=True)
class Case:
    load: Load
    latency_seconds: float
    lanes_a_task: int
    seed: int

    @property
    def tasks(self) -> int:
        """What is advised."""
        lanes = self.load.lanes_for(self.latency_seconds)
        assert lanes is not None
        return -(-lanes // self.lanes_a_task)

    def simulated(self, tasks: int) -> float:
        """p99 as a multiple of what is wanted."""
        return p99_of(self.load, tasks * self.lanes_a_task, seed=self.seed) / self.latency_seconds


def cases(number: int, *, burstiness: tuple[float, ...] = (1.0,)) -> list[Case]:
    """Loads of many kinds, all of which the model says can be held, by more than one task."""
    chance, found = random.Random(45), list[Case]()
    while len(found) < number:
        seconds = chance.choice((0.01, 0.05, 0.2))
        load = Load(
            rate_per_second=chance.uniform(4, 40) / seconds,
            mean_seconds=seconds,
            variation=chance.choice((0.25, 0.5, 1.0, 2.0)),
            burstiness=chance.choice(burstiness),
            reefs=chance.choice((100, 500, 2000)),
            hottest_share=chance.choice((0.0, 0.005, 0.01)),
        )
        case = Case(load, seconds * chance.choice((10, 15, 25)), chance.choice((4, 8)), seed=len(found))
        if load.lanes_for(case.latency_seconds) is not None and case.tasks > 1:
            found.append(case)
    return found


@pytest.mark.ci
@pytest.mark.parametrize(("burstiness", "number", "needless_limit"), [((1.0,), 12, 3), ((4.0, 9.0), 8, 4)])
def test_advised_tasks_hold_the_latency_and_one_task_less_does_not(
    burstiness: tuple[float, ...], number: int, needless_limit: int
) -> None:
    """A tenth above the wanted latency is the model's allowance; with bursts it is too careful: see docs/scaling.md."""
    tried = cases(number, burstiness=burstiness)
    late = [(case, held) for case in tried if (held := case.simulated(case.tasks)) > 1.1]
    needless = [(case, held) for case in tried if (held := case.simulated(case.tasks - 1)) <= 1]
    assert [] == late
    assert len(needless) <= needless_limit, needless


@pytest.mark.parametrize(("variation", "factor"), [(1.0, 6), (2.0, 8), (0.5, 4)])
def test_fewest_lanes_hold_a_tight_latency_without_much_to_spare(variation: float, factor: float) -> None:
    """Lane by lane, so that an advice which aims too low is seen."""
    load = Load(rate_per_second=200, mean_seconds=0.1, variation=variation, reefs=1000)
    lanes = load.lanes_for(factor * 0.1)
    assert lanes is not None
    assert 0.6 < p99_of(load, lanes, seed=3) / (factor * 0.1) <= 1.1


def test_tasks_that_come_and_go_hold_the_latency_while_the_advised_number_is_left() -> None:
    """One more comes and goes again; with one less for a fifth of the time the latency is lost."""
    case = next(
        each for each in cases(30) if 3 <= each.tasks <= 5 and each.load.concurrency > (each.tasks - 1) * each.lanes_a_task
    )
    lanes = case.tasks * case.lanes_a_task
    more = ((0.3, lanes + case.lanes_a_task), (0.5, lanes), (0.7, lanes + case.lanes_a_task), (0.8, lanes))
    fewer = ((0.3, lanes - case.lanes_a_task), (0.5, lanes))
    assert p99_of(case.load, lanes, seed=1, changes=more) <= 1.1 * case.latency_seconds
    assert p99_of(case.load, lanes, seed=1, changes=fewer) > case.latency_seconds


@pytest.mark.parametrize("lanes", [22, 24, 40])
@pytest.mark.parametrize("variation", [0.25, 1.0])
def test_calculated_p99_is_that_of_the_simulation(lanes: int, variation: float) -> None:
    """Within a quarter, with lanes in use for up to nine tenths of the time; the mean of two seeds."""
    load = Load(rate_per_second=200, mean_seconds=0.1, variation=variation, reefs=400, hottest_share=0.02)
    simulated = sum(p99_of(load, lanes, seed=seed) for seed in range(2)) / 2
    calculated = load.p99_seconds(lanes)
    assert calculated is not None
    assert calculated == pytest.approx(simulated, rel=0.25)


def test_hot_reef_is_held_by_no_number_of_lanes() -> None:
    """Half of 10 messages in hand at once are one reef's, which may have one."""
    load = Load(rate_per_second=100, mean_seconds=0.1, reefs=100, hottest_share=0.5)
    assert 5 == pytest.approx(load.hottest_utilisation)
    assert load.lanes_for(60) is None
    assert 20 == pytest.approx(load.capacity_per_second(100))
    assert p99_of(load, 100, seed=1) > 60


def test_lanes_beyond_the_reefs_change_nothing() -> None:
    load = Load(rate_per_second=50, mean_seconds=0.1, reefs=8)
    assert load.p99_seconds(8) == load.p99_seconds(100)
    assert p99_of(load, 8, seed=1) == p99_of(load, 100, seed=1)


@given(
    concurrency=some.floats(0.1, 200),
    seconds=some.floats(0.001, 10),
    variation=some.floats(0, 4),
    burstiness=some.floats(1, 20),
    reefs=some.integers(300, 5000),
    factor=some.floats(1, 100),
)
def test_fewest_lanes_are_those_that_hold_while_one_less_does_not(
    *, concurrency: float, seconds: float, variation: float, burstiness: float, reefs: int, factor: float
) -> None:
    load = Load(
        rate_per_second=concurrency / seconds, mean_seconds=seconds, variation=variation, burstiness=burstiness, reefs=reefs
    )
    lanes = load.lanes_for(factor * seconds)
    if lanes is None:
        assert not load.holds(reefs, factor * seconds)
        return
    assert load.holds(lanes, factor * seconds)
    assert lanes == 1 or not load.holds(lanes - 1, factor * seconds)
    slower = replace(load, rate_per_second=load.rate_per_second / 2).lanes_for(factor * seconds)
    assert slower is not None
    assert slower <= lanes
