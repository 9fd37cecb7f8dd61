"""Hours and days equal what the kept readings add up to, whatever came, how often and in which order (laws 4 and 9)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SALINITY, SEA_WATER_TEMPERATURE
from reefmesh.contracts.readings import ChannelReading, Reading
from reefmesh_dashboard.domain.aggregate import from_body

if TYPE_CHECKING:
    from services.dashboard.tests.conftest import Bench, Samples

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
Sums = dict[tuple[int, str, str], tuple[int, Fraction, float | None, float | None, int]]

values = st.one_of(st.none(), st.integers(min_value=-2_000, max_value=40_000).map(lambda step: step / 1000))
flags = st.sampled_from([Flag.PASS, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL])


@st.composite
def revisions(draw: st.DrawFn) -> list[tuple[int, str, int, bool, dict[str, tuple[float | None, Flag]]]]:
    """Every revision of some readings, in order of their making: (minutes, buoy, revision, withdrawn, values with flags).

    An excluded value is a later revision with the flag fail; an included one a still later one with the flag that it had."""
    made = []
    places = draw(
        st.lists(
            st.tuples(st.one_of(st.integers(-2_000, 0), st.integers(-150, 0)), st.sampled_from(["b1", "b2"])),
            min_size=1,
            max_size=12,
            unique=True,
        )
    )
    for minutes, buoy in places:
        for revision in range(1, draw(st.integers(1, 3)) + 1):
            withdrawn = revision > 1 and draw(st.booleans())
            quantities = draw(st.sets(st.sampled_from([SEA_WATER_TEMPERATURE, SALINITY])))
            made.append(
                (minutes, buoy, revision, withdrawn, {each: (draw(values), draw(flags)) for each in sorted(quantities)})
            )
    return made


def readings_of(samples: type[Samples], made: Iterable[tuple[Any, ...]]) -> list[Reading]:
    """A withdrawn reading counts nowhere, even if it came with values."""
    readings = []
    for minutes, buoy, revision, withdrawn, channels in made:
        plain = samples.reading(minutes, buoy=buoy, revision=revision, withdrawn=withdrawn)
        judged = {
            quantity: ChannelReading(value=None, raw=None, flag=Flag.MISSING)
            if value is None
            else ChannelReading(value=value, raw=value, flag=flag)
            for quantity, (value, flag) in channels.items()
        }
        readings.append(plain.model_copy(update={"channels": judged}))
    return readings


def expected(readings: Iterable[Reading], width_us: int) -> Sums:
    """Computed from the newest revision of each reading, one value after the other, in exact numbers."""
    newest: dict[tuple[Any, str], Reading] = {}
    for reading in readings:
        it = (reading.observed_at, reading.buoy_id)
        if it not in newest or newest[it].revision < reading.revision:
            newest[it] = reading
    sums: Sums = {}
    for (at, buoy), reading in newest.items():
        for quantity, channel in reading.channels.items():
            if reading.withdrawn or channel.value is None:
                continue
            key = (int(at.timestamp() * 1_000_000) // width_us, buoy, quantity)
            count, total, lowest, highest, left_out = sums.get(key, (0, Fraction(0), None, None, 0))
            if channel.flag in (Flag.SUSPECT, Flag.FAIL):
                sums[key] = (count, total, lowest, highest, left_out + 1)
            else:
                value = channel.value
                sums[key] = (
                    count + 1,
                    total + Fraction(str(value)),
                    value if lowest is None else min(lowest, value),
                    value if highest is None else max(highest, value),
                    left_out,
                )
    return sums


async def kept(bench: Bench, table: str, unit: int) -> Sums:
    return {
        (at // unit, buoy, quantity): (
            each.count,
            Fraction(each.sum_steps, 1_000_000),
            each.lowest,
            each.highest,
            each.left_out,
        )
        for _, at, buoy, body in await bench.rows(table)
        for quantity, each in from_body(body).items()
    }


async def send(bench: Bench, readings: list[Reading], seed: int) -> None:
    """In any order, or nearly in order as live buoys do, in messages of any size, some of them twice, with restarts between."""
    chance = random.Random(seed)
    shuffled = [*readings, *chance.sample(readings, len(readings) // 2)]
    chance.shuffle(shuffled)
    if seed % 3:
        shuffled.sort(key=lambda reading: reading.observed_at + timedelta(minutes=chance.choice([0, 0, 0, 45])))
    while shuffled:
        size = chance.randint(1, 6)
        message, shuffled = shuffled[:size], shuffled[size:]
        for _ in range(chance.choice([1, 1, 2])):
            await bench.readings(*message)
        if chance.random() < 0.2:
            bench.restart()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(made=revisions(), seed=st.integers(0, 1000))
async def test_hours_and_days_are_those_of_the_kept_readings(
    made: list[tuple[Any, ...]],
    seed: int,
    benches: Callable[..., AbstractAsyncContextManager[Bench]],
    samples: type[Samples],
) -> None:
    readings = readings_of(samples, made)
    async with benches() as bench:
        await send(bench, readings, seed)
        assert expected(readings, HOUR_US) == await kept(bench, "hours", HOUR_US)
        assert expected(readings, DAY_US) == await kept(bench, "days", 1)


@pytest.mark.parametrize("seed", range(3))
async def test_hours_and_days_are_those_of_the_kept_readings_on_every_database(
    any_bench: Bench, samples: type[Samples], seed: int
) -> None:
    chance = random.Random(seed)
    made = [
        (
            minutes,
            buoy,
            revision,
            revision == 2 and chance.random() < 0.3,
            {SEA_WATER_TEMPERATURE: (chance.randint(200, 350) / 10, flag)},
        )
        for minutes in chance.sample(range(-3_000, 0), 25)
        for buoy in ("b1", "b2")
        for revision, flag in ((1, Flag.PASS), (2, Flag.FAIL), (3, Flag.PASS))[: chance.randint(1, 3)]
    ]
    readings = readings_of(samples, made)
    await send(any_bench, readings, seed)
    assert expected(readings, HOUR_US) == await kept(any_bench, "hours", HOUR_US)
    assert expected(readings, DAY_US) == await kept(any_bench, "days", 1)
