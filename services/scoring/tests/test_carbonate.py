"""Aragonite saturation: the check values, and an independent implementation of the CO2 system."""

import numpy as np
import PyCO2SYS  # type: ignore[import-untyped]  # it has no stubs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh_scoring.domain.carbonate import CarbonateRules, band_of, judge, omega_aragonite, relative_uncertainty

CHECK_VALUES = [
    (8.05, 400, 35, 25, 3.477408),
    (8.05, 400, 35, 28, 3.870769),
    (8.10, 350, 35, 27, 4.113671),
    (7.90, 600, 33, 29, 2.896867),
    (8.20, 280, 36, 26, 5.125592),
    (7.80, 800, 34, 30, 2.580711),
]


@pytest.mark.parametrize(("ph", "pco2", "salinity", "celsius", "omega"), CHECK_VALUES)
def test_omega_has_the_check_values(ph: float, pco2: float, salinity: float, celsius: float, omega: float) -> None:
    assert omega == pytest.approx(omega_aragonite(ph=ph, pco2_uatm=pco2, salinity=salinity, celsius=celsius), abs=5e-7)


WATERS = st.tuples(st.floats(7.4, 8.6), st.floats(100, 2000), st.floats(20, 43), st.floats(2, 35))


@settings(max_examples=6, deadline=None)
@given(waters=st.lists(WATERS, min_size=10, max_size=40))
def test_omega_equals_pyco2sys_in_its_range_of_validity(waters: list[tuple[float, float, float, float]]) -> None:
    """Constants of Lueker et al. 2000, pH on the total scale; within 1e-5 relative. A call of theirs takes as long for many."""
    ph, pco2, salinity, celsius = map(np.array, zip(*waters, strict=True))
    theirs = PyCO2SYS.sys(
        par1=ph,
        par1_type=3,
        par2=pco2,
        par2_type=4,
        salinity=salinity,
        temperature=celsius,
        opt_k_carbonic=10,
        opt_pH_scale=1,
    )
    ours = [omega_aragonite(ph=a, pco2_uatm=b, salinity=c, celsius=d) for a, b, c, d in waters]
    assert theirs["saturation_aragonite"] == pytest.approx(ours, rel=1e-5)


def test_uncertainty_of_a_hobby_probe_is_46_percent() -> None:
    assert relative_uncertainty(ph_accuracy=0.1, pco2_uatm=400, pco2_accuracy_uatm=0) == pytest.approx(0.4605, abs=1e-4)
    assert relative_uncertainty(ph_accuracy=0.0, pco2_uatm=400, pco2_accuracy_uatm=50) == 0.125


@pytest.mark.parametrize(("accuracy", "indicative"), [(0.1, True), (0.02, False)])
def test_saturation_is_indicative_above_20_percent(accuracy: float, indicative: bool) -> None:
    judged = judge(
        ph=8.05, pco2_uatm=400, salinity=35, celsius=25, ph_accuracy=accuracy, pco2_accuracy_uatm=4, rules=CarbonateRules()
    )
    assert indicative is judged.indicative
    assert judged.low < judged.omega < judged.high
    assert judged.high - judged.omega == pytest.approx(judged.omega * judged.relative_uncertainty)


def test_band_of_uncertainty_stops_at_zero() -> None:
    judged = judge(
        ph=8.05, pco2_uatm=40, salinity=35, celsius=25, ph_accuracy=0.3, pco2_accuracy_uatm=50, rules=CarbonateRules()
    )
    assert judged.low == 0.0


@pytest.mark.parametrize(
    ("omega", "band"),
    [(4.01, "good"), (4.0, "adequate"), (3.5, "adequate"), (3.49, "low"), (3.0, "low"), (2.99, "marginal")],
)
def test_band_follows_the_limits(omega: float, band: str) -> None:
    assert band == band_of(omega, CarbonateRules())


def test_band_limits_are_the_operators() -> None:
    assert band_of(3.4, CarbonateRules(good_above=3.3)) == "good"


def test_rules_refuse_an_age_beyond_the_days_at_hand() -> None:
    with pytest.raises(ValueError, match="age_days_limit"):
        CarbonateRules(age_days_limit=8)
