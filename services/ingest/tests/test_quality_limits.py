"""The documented defaults, and limits that contradict themselves."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh.contracts import quantities
from reefmesh.contracts.flags import Flag, aggregate
from reefmesh.contracts.readings import TESTS
from reefmesh_ingest.domain.quality import DEFAULT_LIMITS, QuantityLimits, distance_metres, evaluate, judge_position
from reefmesh_ingest.domain.quality.verdicts import VERDICTS, code_of

TEMPERATURE = DEFAULT_LIMITS[quantities.SEA_WATER_TEMPERATURE]


def test_defaults_exist_for_every_quantity() -> None:
    assert quantities.UNITS.keys() == DEFAULT_LIMITS.keys()


@pytest.mark.parametrize(
    ("channel", "value", "flag"),
    [
        (quantities.SEA_WATER_TEMPERATURE, -5.0, Flag.SUSPECT),
        (quantities.SEA_WATER_TEMPERATURE, -5.0001, Flag.FAIL),
        (quantities.SEA_WATER_TEMPERATURE, 17.9999, Flag.SUSPECT),
        (quantities.SEA_WATER_TEMPERATURE, 18.0, Flag.PASS),
        (quantities.SEA_WATER_TEMPERATURE, 35.0, Flag.PASS),
        (quantities.SEA_WATER_TEMPERATURE, 45.0, Flag.SUSPECT),
        (quantities.SEA_WATER_TEMPERATURE, 45.1, Flag.FAIL),
        (quantities.PH_TOTAL_SCALE, 8.6, Flag.PASS),
        (quantities.PH_TOTAL_SCALE, 8.61, Flag.SUSPECT),
        (quantities.PH_TOTAL_SCALE, 6.49, Flag.FAIL),
        (quantities.PCO2, 149.0, Flag.SUSPECT),
        (quantities.PCO2, 1500.0, Flag.PASS),
        (quantities.PCO2, 5001.0, Flag.FAIL),
        (quantities.SEA_WATER_SPEED, 2.5, Flag.PASS),
        (quantities.SEA_WATER_SPEED, 2.51, Flag.SUSPECT),
        (quantities.SEA_WATER_SPEED, 5.01, Flag.FAIL),
        (quantities.SEA_WATER_SPEED, -0.01, Flag.FAIL),
        (quantities.VISIBILITY, 80.0, Flag.PASS),
        (quantities.VISIBILITY, 80.1, Flag.FAIL),
        (quantities.VISIBILITY, -1.0, Flag.FAIL),
        (quantities.SEA_WATER_TO_DIRECTION, 360.0, Flag.PASS),
        (quantities.SEA_WATER_TO_DIRECTION, 361.0, Flag.FAIL),
        (quantities.SALINITY, 27.0, Flag.SUSPECT),
        (quantities.NITRATE_AND_NITRITE, 20.1, Flag.SUSPECT),
    ],
)
def test_default_range_of_a_channel_gives_the_documented_flag(channel: str, value: float, flag: Flag) -> None:
    assert [flag] == [verdict.flag for verdict in evaluate([(0, value)], DEFAULT_LIMITS[channel])]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fail_span": (45.0, -5.0)}, "fail_span"),
        ({"fail_span": (float("nan"), 45.0)}, "fail_span"),
        ({"suspect_span": (18.0, 46.0)}, "suspect_span"),
        ({"climatology_by_month": ((20.0, 30.0),)}, "climatology_by_month"),
        ({"climatology_by_month": ((30.0, 20.0),) * 12}, "climatology_by_month"),
        ({"spike_suspect": 0.0}, "spike_suspect"),
        ({"spike_fail": 0.00001}, "spike_fail"),
        ({"spike_suspect": 4.0}, "spike"),
        ({"rate_fail_per_hour": 1.0}, "rate"),
        ({"rate_suspect_per_hour": float("inf")}, "rate_suspect_per_hour"),
        ({"flat_line_tolerance": None}, "flat_line_tolerance"),
        ({"flat_line_tolerance": None, "flat_line_suspect_seconds": None}, "flat_line_fail_seconds"),
        ({"flat_line_fail_seconds": 3600}, "flat_line"),
        ({"flat_line_fail_seconds": 365 * 86400}, "flat_line_fail_seconds"),
        ({"neighbour_gap_seconds": 0}, "neighbour_gap_seconds"),
        ({"flat_line_points_limit": 1}, "flat_line_points_limit"),
    ],
)
def test_limits_that_contradict_themselves_are_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        replace(TEMPERATURE, **change)


@given(code=st.integers(0, 4**5 - 1))
def test_code_of_a_verdict_and_its_digits_agree(code: int) -> None:
    verdict = VERDICTS[code]
    assert len(TESTS) == len(verdict.tests)
    assert code == code_of(verdict.tests)
    assert aggregate(Flag(int(digit)) for digit in verdict.tests) is verdict.flag
    assert VERDICTS[code] is verdict


@pytest.mark.parametrize("tests", ["99999", "1111", "111111", "12340", ""])
def test_digits_that_are_no_code_are_refused(tests: str) -> None:
    with pytest.raises(ValueError, match="five digits"):
        code_of(tests)


def test_climatology_uses_the_span_of_the_month_in_utc() -> None:
    limits = QuantityLimits(fail_span=(-5.0, 45.0), climatology_by_month=((26.0, 29.0), *((27.0, 31.0),) * 10, None))
    last_of_january_us, day_us = 1_706_745_599_999_999, 86_400_000_000
    readings = [(last_of_january_us - 31 * day_us, 40.0), (last_of_january_us, 30.0), (last_of_january_us + 1, 30.0)]
    assert ["2", "3", "1"] == [verdict.tests[1] for verdict in evaluate(readings, limits)]


def test_distance_of_known_points_is_right() -> None:
    """One minute of latitude is a nautical mile (1,852 m by definition, 1,853.25 m on this sphere)."""
    assert distance_metres(0, 0, 1 / 60, 0) == pytest.approx(1853.25, abs=0.01)
    assert distance_metres(60, 10, 60, 10.001) == pytest.approx(55.6, abs=0.05)
    assert distance_metres(-8.0, 179.9999, -8.0, -179.9999) == pytest.approx(22.02, abs=0.05)
    assert distance_metres(12.5, 30.1, -12.5, -149.9) == pytest.approx(20_015_115, abs=1)


@pytest.mark.parametrize(
    ("north_metres", "drift_limit_metres", "flag"),
    [
        (0, 25, Flag.PASS),
        (24.9, 25, Flag.PASS),
        (25.1, 25, Flag.SUSPECT),
        (60, 80, Flag.PASS),
        (499.9, 25, Flag.SUSPECT),
        (500.1, 25, Flag.FAIL),
        (600, 700, Flag.PASS),
        (701, 700, Flag.FAIL),
    ],
)
def test_position_north_of_the_mooring_gets_the_flag_of_its_distance(
    north_metres: float, drift_limit_metres: float, flag: Flag
) -> None:
    mooring = (-8.1234, 115.1234)
    latitude = mooring[0] + north_metres / 111_195.08
    judged, distance = judge_position(latitude, mooring[1], mooring=mooring, suspect_metres=drift_limit_metres)
    assert flag is judged
    assert distance == pytest.approx(north_metres, abs=0.01)


def test_position_that_is_not_a_number_fails() -> None:
    assert (Flag.FAIL, None) == judge_position(float("nan"), 115.0, mooring=(-8.0, 115.0))
