"""A device that looks for its sensors and finds none."""

from collections.abc import Callable
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from reefmesh.contracts.readings import NO_SENSOR_FOUND, DeviceStatus, Reading
from reefmesh.contracts.scores import ReefScore

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

MakeReading = Callable[..., Reading]
WITHOUT = DeviceStatus(report="data", detail={**NO_SENSOR_FOUND})


def fault_of(score: ReefScore) -> tuple[str | None, float | None]:
    """The text of the fault, and the day since when it stands."""
    (buoy,) = score.buoys
    assert buoy.sensors is not None
    health = buoy.sensors.get("sensors")
    since = None if health is None or health.failing_since is None else health.failing_since.hour / 24
    return buoy.faults.get("sensors"), since


async def test_second_report_without_a_sensor_in_a_row_is_a_fault_of_all_sensors(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    (before,) = await mesh.send(make_reading(0.0, t=28.0))
    (once,) = await mesh.send(make_reading(0.25, status=WITHOUT))
    (twice,) = await mesh.send(make_reading(0.5, status=WITHOUT), reload=True)
    assert [(None, None), (None, None), ("no sensor found", 0.5)] == [fault_of(each) for each in (before, once, twice)]
    assert {"sea_water_temperature"} == set(twice.latest)


async def test_sensor_that_is_found_between_two_such_reports_is_no_fault(mesh: "Mesh", make_reading: MakeReading) -> None:
    (score,) = await mesh.send(make_reading(0.0, status=WITHOUT), make_reading(0.25, t=28.0), make_reading(0.5, status=WITHOUT))
    assert (None, None) == fault_of(score)


async def test_fault_ends_with_the_second_report_of_a_sensor(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(make_reading(0.0, status=WITHOUT), make_reading(0.25, status=WITHOUT))
    (first,) = await mesh.send(make_reading(0.5, t=28.0))
    (second,) = await mesh.send(make_reading(0.75, t=28.1))
    assert [("no sensor found", 0.25), (None, None)] == [fault_of(first), fault_of(second)]
    assert [("sensors", 6, 18)] == [(run.quantity, run.since.hour, run.ended_at.hour) for run in second.failed_runs]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_fault_does_not_depend_on_the_order_of_arrival(
    mesh: "Mesh", make_reading: MakeReading, order: tuple[int, ...]
) -> None:
    readings = [make_reading(0.0, t=28.0), make_reading(0.25, status=WITHOUT), make_reading(0.5, status=WITHOUT)]
    for place in order:
        (score,) = await mesh.send(readings[place])
    assert ("no sensor found", 0.5) == fault_of(score)
