"""The stores against a model of a dozen lines: any sequence of calls gives the same answers and the same rows."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reefmesh.broker.port import Publication
from reefmesh.store.connect import open_store
from reefmesh.store.port import AlreadyApplied, CommitResult, Committed, Stale, Store, Unit

MakeUnit = Callable[..., Unit]


@dataclass
class Model:
    """What the port's docstrings say, in memory."""

    versions: dict[str, int] = field(default_factory=dict)
    applied: set[tuple[str, str, str]] = field(default_factory=set)
    outbox: dict[tuple[str, str], Sequence[Publication]] = field(default_factory=dict)
    tries: dict[tuple[str, str], int] = field(default_factory=dict)

    def commit(self, unit: Unit) -> CommitResult:
        if unit.tried:
            self.tries.pop((unit.inbox, unit.event_id), None)
        version = self.versions.get(unit.reef_id, 0)
        if (unit.reef_id, unit.inbox, unit.event_id) in self.applied:
            return AlreadyApplied()
        if version != unit.expected_version:
            return Stale(version)
        self.versions[unit.reef_id] = version + 1
        if unit.in_inbox:
            self.applied.add((unit.reef_id, unit.inbox, unit.event_id))
        self.outbox.pop((unit.reef_id, unit.event_id), None)  # inserted last: the outbox is in the order of commits
        self.outbox[unit.reef_id, unit.event_id] = tuple(unit.outputs)
        return Committed(version + 1)

    def unsent(self, reef_id: str) -> tuple[tuple[str, Publication], ...]:
        return tuple((cause, each) for (reef, cause), outputs in self.outbox.items() if reef == reef_id for each in outputs)

    def count_attempt(self, inbox: str, event_id: str) -> int:
        self.tries[inbox, event_id] = self.tries.get((inbox, event_id), 0) + 1
        return self.tries[inbox, event_id]


reefs = st.sampled_from(["a", "b", "c"])
numbers = st.integers(1, 5)
lags = st.sampled_from([0, 0, 0, 0, 1, -1])
calls = st.one_of(
    st.tuples(st.just("commit"), reefs, numbers, lags, st.integers(0, 2)),
    st.tuples(
        st.just("together"), st.lists(st.tuples(reefs, numbers, lags, st.integers(0, 2)), max_size=5, unique_by=lambda c: c[0])
    ),
    st.tuples(st.just("sent"), reefs, numbers),
    st.tuples(st.just("try"), reefs, numbers),
    st.tuples(st.just("pending"), reefs, numbers),
    st.tuples(st.just("load"), reefs),
)


@pytest.fixture(params=["sqlite://", "postgresql"])
def running(request: pytest.FixtureRequest) -> Iterator[tuple[asyncio.Runner, Store]]:
    """One store for all examples: each example uses reefs of its own."""
    url = request.getfixturevalue("postgresql_schema_url") if request.param == "postgresql" else request.param
    with asyncio.Runner() as runner:
        store = open_store(url, migrations=())
        runner.run(store.open())
        yield runner, store
        runner.run(store.close())


fresh = count()
REMEMBERED_BY_CURSOR = 5
"""This input of each reef has no row in the inbox; it always has the same output."""
UNTRIED = 4


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(script=st.lists(calls, max_size=25))
def test_store_answers_as_the_model(
    running: tuple[asyncio.Runner, Store], unit: MakeUnit, script: list[tuple[object, ...]]
) -> None:
    runner, store = running
    prefix = f"reef-{next(fresh)}"
    runner.run(_play(store, Model(), unit, prefix, script))


async def _play(store: Store, model: Model, make: MakeUnit, prefix: str, script: list[tuple[object, ...]]) -> None:
    def unit(reef: str, number: int, lag: int, outputs: int) -> Unit:
        reef_id = f"{prefix}-{reef}"
        expected = model.versions.get(reef_id, 0) - lag
        numbered = number == REMEMBERED_BY_CURSOR
        return make(
            reef_id,
            number,
            expected_version=expected,
            outputs=1 if numbered else outputs,
            writes=[],
            in_inbox=not numbered,
            tried=number != UNTRIED,
        )

    for call in script:
        match call:
            case ("commit", str(reef), int(number), int(lag), int(outputs)):
                one = unit(reef, number, lag, outputs)
                assert await store.commit(one) == model.commit(one)
            case ("together", list(parts)):
                several = [unit(*part) for part in parts]
                expected = [model.commit(each) for each in several]
                assert await asyncio.gather(*(store.commit(each) for each in several)) == expected
            case ("sent", str(reef), int(number)):
                one = unit(reef, number, 0, 0)
                model.outbox.pop((one.reef_id, one.event_id), None)
                await store.outputs_sent([one.event_id])
            case ("try", str(reef), int(number)):
                one = unit(reef, number, 0, 0)
                assert await store.count_attempt(one.inbox, one.event_id) == model.count_attempt(one.inbox, one.event_id)
            case ("pending", str(reef), int(number)):
                one = unit(reef, number, 0, 0)
                assert await store.unsent_outputs(one.reef_id) == model.unsent(one.reef_id)
            case ("load", str(reef)):
                row = await store.load(f"{prefix}-{reef}")
                assert row.version == model.versions.get(row.reef_id, 0)
            case _:
                raise AssertionError(call)
