"""The verdict of a soak: what grows is found, what only wavers is not."""

import math

import pytest

from reefmesh_faults.steady import Bounds, judge, slope_per_second

BOUNDS = Bounds(share=0.05, least=8.0)


def test_slope_of_a_line_is_its_own_whatever_its_height() -> None:
    assert 0.25 == pytest.approx(slope_per_second([(float(at), 100.0 + 0.25 * at) for at in range(50)]))


def test_series_of_one_instant_has_no_slope() -> None:
    assert 0.0 == slope_per_second([(3.0, 1.0), (3.0, 2.0)])


def test_series_that_wavers_is_flat() -> None:
    points = [(10.0 * step, 100.0 + 5 * math.sin(step)) for step in range(120)]
    assert judge("memory", "MB", points, BOUNDS).is_flat


def test_series_that_fills_up_during_its_warm_up_is_flat() -> None:
    points = [(10.0 * step, min(200.0, 100.0 + 5 * step)) for step in range(120)]
    assert judge("memory", "MB", points, BOUNDS).is_flat


def test_leak_is_found_and_told_per_hour() -> None:
    verdict = judge("memory", "MB", [(10.0 * step, 100.0 + step) for step in range(120)], BOUNDS)
    assert not verdict.is_flat
    assert 360.0 == verdict.slope_per_hour


def test_series_that_shrinks_is_flat() -> None:
    assert judge("queue", "messages", [(10.0 * step, 1000.0 - step) for step in range(120)], BOUNDS).is_flat


def test_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="3 samples say nothing"):
        judge("memory", "MB", [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)], BOUNDS)
