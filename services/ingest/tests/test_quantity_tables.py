"""Every table keyed by quantity knows every quantity: adding one to ``contracts.quantities`` fails here until it does."""

from dataclasses import fields
from typing import Final, get_args

import pytest

from reefmesh.contracts import quantities
from reefmesh.contracts.quantities import UNITS
from reefmesh_ingest.domain.assignment import BY_HINT, BY_SOURCE
from reefmesh_ingest.domain.decode.refusals import Reason
from reefmesh_ingest.domain.instants import TimeSource
from reefmesh_ingest.domain.quality.limits import DEFAULT_LIMITS, QuantityLimits
from reefmesh_ingest.domain.quality.thresholds import thresholds_of
from reefmesh_ingest.domain.reading import TIME_SOURCE_RANKS
from reefmesh_ingest.domain.units import FACTORS, factor_of
from reefmesh_ingest.register.limits import LimitsEntry

NO_KNOWN_SENSOR: Final = {
    quantities.PCO2: "no Nemo-Pi carries a CO2 probe; telemetry/1 or the register names it",
    quantities.SEA_WATER_TO_DIRECTION: "current meters in use measure speed alone",
    quantities.SALINITY: "conductivity sensors state conductivity, which is no factor away from salinity",
    quantities.VISIBILITY: "reported by agents over telemetry/1",
}
NO_OVERRIDE: Final = {"flat_line_points_limit": "it bounds memory, which is no matter of one reef"}


def test_units_have_factors_for_every_quantity() -> None:
    assert FACTORS.keys() == UNITS.keys()


@pytest.mark.parametrize("quantity", UNITS)
def test_quantitys_own_unit_is_taken_as_it_is(quantity: str) -> None:
    assert factor_of(quantity, UNITS[quantity]) == 1.0


def test_default_limits_exist_for_every_quantity() -> None:
    assert DEFAULT_LIMITS.keys() == UNITS.keys()


@pytest.mark.parametrize("quantity", UNITS)
def test_thresholds_of_every_quantity_let_its_gross_range_pass(quantity: str) -> None:
    limits = thresholds_of(DEFAULT_LIMITS[quantity])
    assert limits.fail_lowest <= limits.lowest < limits.highest <= limits.fail_highest


def test_every_quantity_has_a_known_sensor_or_a_reason_why_not() -> None:
    assigned = {*BY_SOURCE.values(), *BY_HINT.values()}
    assert assigned.isdisjoint(NO_KNOWN_SENSOR)
    assert assigned | NO_KNOWN_SENSOR.keys() == UNITS.keys()


def test_every_limit_can_be_overridden_for_a_reef_or_has_a_reason_why_not() -> None:
    of_a_reef = LimitsEntry.model_fields.keys() - {"without"}
    assert of_a_reef.isdisjoint(NO_OVERRIDE)
    assert of_a_reef | NO_OVERRIDE.keys() == {field.name for field in fields(QuantityLimits)}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence(reason: Reason) -> None:
    assert reason.sentence.endswith(".")


def test_every_time_source_has_a_rank() -> None:
    assert TIME_SOURCE_RANKS.keys() == set(get_args(TimeSource))
