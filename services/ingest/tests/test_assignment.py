"""Which sensor feeds which channel."""

import pytest

from reefmesh.contracts.quantities import NITRATE_AND_NITRITE, PH_TOTAL_SCALE, SEA_WATER_SPEED, SEA_WATER_TEMPERATURE
from reefmesh_ingest.domain.assignment import Assignment, assign
from reefmesh_ingest.domain.decode import Observation, Reason, RefusedPart, SensorSample
from reefmesh_ingest.domain.decode.refusals import RefusedParts

LOGGER = "DS18B20-LOGGER"
PH_A = SensorSample(source="SEN0169", hint="PH", unit="PH", raw=8.1)
PH_B = SensorSample(source="SEN0161-V2", hint="PH", unit="", raw=8.4)
NOX = SensorSample(source="SEN0xxx", hint="DISSOLVED_NOX", unit="C", raw=0.84)


def assigned(*samples: SensorSample, by: Assignment | None = None) -> tuple[Observation, tuple[RefusedPart, ...]]:
    refused = RefusedParts()
    observation = Observation(observed_us=0, values={}, samples=samples)
    return assign(observation, by or Assignment(), refused), refused.collected()


def probe(channel: str, raw: float | None, fault: str | None = None) -> SensorSample:
    return SensorSample(source=f"{LOGGER}/rs485/2/{channel}", hint=LOGGER, unit="", raw=raw, fault=fault)


def test_first_probe_of_a_logger_feeds_temperature_and_the_second_stays_readable() -> None:
    observation, refused = assigned(probe("ch1", 29.4), probe("ch2", 28.0))
    assert observation.values == {SEA_WATER_TEMPERATURE: 29.4}
    assert observation.status is not None
    assert observation.status.detail == {f"{LOGGER}/rs485/2/ch2": "28.0"}
    assert refused == ()


@pytest.mark.parametrize("first", [probe("ch1", None, "timeout"), probe("ch1", 85.0, "CRC"), probe("ch1", None)])
def test_field_10_healthy_second_probe_feeds_temperature_and_is_named(first: SensorSample) -> None:
    """FIELD 10: the first probe is broken, or was never there. The second one's value is the temperature, and no fault."""
    observation, refused = assigned(first, probe("ch2", 28.6))
    assert (observation.values, observation.faults) == ({SEA_WATER_TEMPERATURE: 28.6}, {})
    assert observation.status is not None
    assert observation.status.detail["sea_water_temperature of"] == f"{LOGGER}/rs485/2/ch2"
    assert f"{LOGGER}/rs485/2/ch1" in observation.status.detail
    assert refused == ()


def test_field_10_without_a_healthy_probe_the_first_ones_fault_is_told() -> None:
    observation, _ = assigned(probe("ch1", None, "timeout"), probe("ch2", None, "CRC"))
    assert (observation.values, observation.faults) == ({SEA_WATER_TEMPERATURE: None}, {SEA_WATER_TEMPERATURE: "timeout"})


def test_probe_that_the_register_ignores_is_passed_over() -> None:
    observation, _ = assigned(probe("ch1", 29.4), probe("ch2", 28.0), by=Assignment(quantities={f"{LOGGER}/rs485/2/ch1": None}))
    assert observation.values == {SEA_WATER_TEMPERATURE: 28.0}


def test_register_chooses_the_second_probe() -> None:
    by = Assignment(quantities={f"{LOGGER}/rs485/2/ch2": SEA_WATER_TEMPERATURE})
    observation, _ = assigned(probe("ch1", 29.4), probe("ch2", 28.0), by=by)
    assert observation.values == {SEA_WATER_TEMPERATURE: 28.0}


def test_two_ph_sensors_without_a_choice_are_both_refused() -> None:
    observation, refused = assigned(PH_A, PH_B)
    assert observation.values == {}
    assert [(part.name, part.reason) for part in refused] == [
        ("SEN0169", Reason.AMBIGUOUS_SENSOR),
        ("SEN0161-V2", Reason.AMBIGUOUS_SENSOR),
    ]


def test_two_ph_sensors_with_a_choice_use_the_chosen_one() -> None:
    observation, refused = assigned(PH_A, PH_B, by=Assignment(quantities={"SEN0161-V2": PH_TOTAL_SCALE}))
    assert observation.values == {PH_TOTAL_SCALE: 8.4}
    assert observation.status is not None
    assert observation.status.detail == {"SEN0169": "8.1 PH"}
    assert refused == ()


def test_nitrogen_oxides_in_degrees_are_refused_until_the_operator_sets_the_unit() -> None:
    observation, refused = assigned(NOX)
    assert observation.values == {}
    assert [part.reason for part in refused] == [Reason.WRONG_UNIT]
    by = Assignment(quantities={"SEN0xxx": NITRATE_AND_NITRITE}, units={"SEN0xxx": "umol/L"})
    observation, refused = assigned(NOX, by=by)
    assert observation.values == {NITRATE_AND_NITRITE: 0.84}
    assert refused == ()


@pytest.mark.parametrize(("unit", "factor"), [("m/s", 1.0), ("cm/s", 0.01), ("kn", 0.514444)])
def test_current_is_converted_by_its_unit(unit: str, factor: float) -> None:
    observation, _ = assigned(SensorSample(source="SEN0216", hint="WATER_CURRENT", unit=unit, raw=2.0))
    assert observation.factors == {SEA_WATER_SPEED: factor}


@pytest.mark.parametrize(
    "sample",
    [
        SensorSample(source="SEN0216", hint="WATER_CURRENT", unit="A", raw=2.0),
        SensorSample(source="SEN0257", hint="WAVE_HEIGHT", unit="kPa", raw=2.0),
        SensorSample(source="KIT0021", hint="WATER_TEMPERATURE", unit="kPa", raw=2.0),
    ],
)
def test_unit_that_cannot_be_right_refuses_the_channel(sample: SensorSample) -> None:
    observation, refused = assigned(sample)
    assert observation.values == {}
    assert [part.reason for part in refused] == [Reason.WRONG_UNIT]


def test_unknown_sensor_is_refused_and_unknown_model_is_called_so() -> None:
    _, refused = assigned(
        SensorSample(source="SEN9999", hint="MOOD", unit="", raw=1.0),
        SensorSample(source="X/rs485/1/ch1", hint="X", unit="", raw=1.0),
    )
    assert [part.reason for part in refused] == [Reason.UNKNOWN_SENSOR, Reason.UNKNOWN_MODEL]


@pytest.mark.parametrize("name", ["SEN0xxx", "DISSOLVED_NOX"])
def test_ignored_sensor_stays_readable_refuses_nothing_and_is_said_to_be_ignored(name: str) -> None:
    observation, refused = assigned(NOX, by=Assignment(quantities={name: None}))
    assert observation.values == {}
    assert observation.status is not None
    assert observation.status.detail == {"SEN0xxx": "0.84 C", f"{NITRATE_AND_NITRITE} ignored": "SEN0xxx"}
    assert observation.status.ignored_quantities == [NITRATE_AND_NITRITE]
    assert refused == ()


def test_quantity_that_another_sensor_feeds_is_not_ignored() -> None:
    """Neither of two pH probes, nor the second probe of a logger, nor where the register names one that is away now."""
    for samples, quantities in (
        ((PH_A, PH_B), {"SEN0169": None}),
        ((probe("ch1", 29.4), probe("ch2", None, "CRC")), {f"{LOGGER}/rs485/2/ch1": None}),
        ((PH_A,), {"SEN0169": None, "SEN0161-V2": PH_TOTAL_SCALE}),
    ):
        observation, _ = assigned(*samples, by=Assignment(quantities=quantities))
        assert observation.status is not None
        assert observation.status.ignored_quantities == []


def test_quantity_of_a_format_without_sensors_can_be_ignored() -> None:
    values = {PH_TOTAL_SCALE: 8.1, SEA_WATER_TEMPERATURE: 28.6, SEA_WATER_SPEED: None}
    faults = {SEA_WATER_SPEED: "CRC"}
    by = Assignment(quantities={SEA_WATER_TEMPERATURE: None, SEA_WATER_SPEED: None})
    observation = assign(Observation(observed_us=0, values=values, faults=faults), by, RefusedParts())
    assert (observation.values, observation.faults) == ({PH_TOTAL_SCALE: 8.1}, {})
    assert observation.status is not None
    assert observation.status.ignored_quantities == [SEA_WATER_TEMPERATURE, SEA_WATER_SPEED]
    assert observation.status.detail[SEA_WATER_TEMPERATURE].startswith("28.6 ")
    assert "CRC" == observation.status.detail[SEA_WATER_SPEED]


def test_registers_correction_replaces_the_devices() -> None:
    sample = SensorSample(source="KIT0021", hint="WATER_TEMPERATURE", unit="C", raw=26.0, factor=1.02)
    assert assigned(sample)[0].factors == {SEA_WATER_TEMPERATURE: 1.02}
    by = Assignment(corrections={SEA_WATER_TEMPERATURE: 1.01})
    assert assigned(sample, by=by)[0].factors == {SEA_WATER_TEMPERATURE: 1.01}


def test_second_value_for_a_channel_is_refused() -> None:
    observation, refused = assigned(PH_A, PH_A)
    assert observation.values == {PH_TOTAL_SCALE: 8.1}
    assert [part.reason for part in refused] == [Reason.REPEATED_QUANTITY]
