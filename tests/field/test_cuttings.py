"""However telemetry is cut into messages, the same alerts come of it, at the same event times."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from reefmesh.contracts.quantities import SEA_WATER_SPEED, SEA_WATER_TEMPERATURE, VISIBILITY
from reefmesh_field.delivery import Delivery, Values, telemetry
from reefmesh_field.home import FieldHome
from reefmesh_field.water import BEGIN

REPORT_INTERVAL_SECONDS = 2 * 86_400
"""So long that no value is too old when it arrives, whatever the cut."""

Told = Sequence[tuple[str, str, str, str, str, datetime]]

CUTS = st.lists(st.integers(1, 12), min_size=1, max_size=12)
"""Sizes of messages, taken in turns."""


def cut(device: str, readings: Sequence[tuple[datetime, Values]], sizes: Sequence[int]) -> list[Delivery]:
    """Return the readings in messages of these sizes, which arrive together after the last reading."""
    turns = (len(readings) // sum(sizes) + 1) * list(sizes)
    ends = [min(each, len(readings)) for each in accumulate(turns, initial=0)]
    received_at = readings[-1][0] + timedelta(minutes=1)
    return [telemetry(device, received_at, readings[first:last]) for first, last in pairwise(ends) if first < last]


def told_of(readings: Sequence[tuple[datetime, Values]], sizes: Sequence[int]) -> tuple[Told, Told]:
    """Return what is told of the readings one a message, and cut into these sizes, in one mesh."""
    with TemporaryDirectory() as folder:
        home = FieldHome(path=Path(folder) / "home")
        for reef in ("single", "cut"):
            home.register(reef, f"{reef}-buoy", report_interval_seconds=REPORT_INTERVAL_SECONDS)
        home.deliver([*cut("single-buoy", readings, [1]), *cut("cut-buoy", readings, sizes)])
        single, other = (
            [
                (each.kind, each.subject.removeprefix(reef), each.change, each.from_state, each.to_state, each.occurred_at)
                for each in home.alerts(reef)
            ]
            for reef in ("single", "cut")
        )
        return single, other


@settings(max_examples=8, deadline=None)
@given(hotspots=st.lists(st.sampled_from([-1.0, 0.6, 1.4]), min_size=4, max_size=10), sizes=CUTS)
@example(hotspots=[-1.0, 0.6, 1.4, 1.4, -1.0], sizes=[3, 5])
def test_heat_is_told_alike_however_readings_are_cut(hotspots: Sequence[float], sizes: Sequence[int]) -> None:
    """Four readings a day; their swing keeps them from being a flat line."""
    readings = [
        (
            BEGIN + timedelta(days=day, hours=6 * quarter + 1),
            {SEA_WATER_TEMPERATURE: 29.0 + hotspot + 0.1 * (-1) ** quarter},
        )
        for day, hotspot in enumerate(hotspots)
        for quarter in range(4)
    ]
    single, other = told_of(readings, sizes)
    assert single or max(hotspots[:-1]) < 0
    assert single == other


@settings(max_examples=8, deadline=None)
@given(celsius=st.lists(st.sampled_from([28.4, 28.6, 60.0]), min_size=8, max_size=20), sizes=CUTS)
@example(celsius=[28.4, 28.6, 60.0, 60.0, 60.0, 60.0, 28.4, 28.6], sizes=[8])
def test_faults_of_sensors_are_told_alike_however_readings_are_cut(celsius: Sequence[float], sizes: Sequence[int]) -> None:
    """60 degC is no sea: it fails, and three of it in a row are a fault."""
    readings = [(BEGIN + timedelta(minutes=30 * place), {SEA_WATER_TEMPERATURE: each}) for place, each in enumerate(celsius)]
    single, other = told_of(readings, sizes)
    assert single == other


@settings(max_examples=8, deadline=None)
@given(speeds=st.lists(st.sampled_from([0.2, 0.25, 0.26, 0.4, 0.6, 1.2]), min_size=6, max_size=20), sizes=CUTS)
@example(speeds=[0.2, 0.2, 0.6, 0.6, 0.6, 0.2, 0.2, 0.2], sizes=[8])
def test_dive_verdicts_are_told_alike_however_readings_are_cut(speeds: Sequence[float], sizes: Sequence[int]) -> None:
    readings = [
        (BEGIN + timedelta(minutes=10 * place), {SEA_WATER_SPEED: each, VISIBILITY: 12.0}) for place, each in enumerate(speeds)
    ]
    single, other = told_of(readings, sizes)
    assert single == other
