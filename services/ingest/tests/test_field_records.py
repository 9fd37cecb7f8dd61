"""Cases of real records: sensors, batteries, and what of a report cannot be read."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import PyCO2SYS  # type: ignore[import-untyped]  # it has no stubs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh.contracts.quantities import (
    NITRATE_AND_NITRITE,
    PH_TOTAL_SCALE,
    SALINITY,
    SEA_WATER_SPEED,
    SEA_WATER_TEMPERATURE,
)
from reefmesh.contracts.register import PhScale
from reefmesh.errors import ConfigurationError
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.domain.battery import guessed_kind, volts_of
from reefmesh_ingest.domain.ph import SCALE_UNCERTAINTIES, Seawater, total_scale
from reefmesh_ingest.handler import IngestHandler
from reefmesh_ingest.quarantine.quota import Quota
from reefmesh_ingest.quarantine.rows import QuarantineRow
from reefmesh_ingest.quarantine.storage import QuarantineStorage
from reefmesh_ingest.register.entries import BuoyEntry, CalibrationEntry, ReefEntry, SensorEntry

Make = Callable[..., bytes]
IMEI = "865000000000001"
SERIAL = "ABCDEF0123456789"
AGENT = "agent-1"


def buoy(id_: str, **fields: Any) -> BuoyEntry:
    return BuoyEntry(id=id_, reef="menjangan", **fields)


def diagnosis(vbat: Any, **more: Any) -> bytes:
    return json.dumps({"msg_type": "diagnosis", "vbat": vbat} | more).encode()


def newest(ingest: Any, quantity: str) -> Any:
    """The value of a quantity in the newest message of readings."""
    return ingest.readings()[-1].readings[-1].channels[quantity]


def low_volts(ingest: Any) -> Any:
    return ingest.readings()[-1].buoys[0].battery_low_volts


# pH scales


def omega(ph: float, scale: int, *, pco2: float = 400, salinity: float = 35, celsius: float = 27) -> float:
    named = {"par1": ph, "par1_type": 3, "par2": pco2, "par2_type": 4, "salinity": salinity, "temperature": celsius}
    return float(PyCO2SYS.sys(**named, opt_k_carbonic=10, opt_pH_scale=scale)["saturation_aragonite"])


async def test_field_12_hobby_probe_of_nbs_buffers_has_the_omega_of_pyco2sys(ingest: Any, report_2021: Make) -> None:
    """8.17 in NBS buffers at 27 degC, S 35 and 400 uatm is an Omega of 3.38; read as the total scale it is 6.49."""
    await ingest.take(
        report_2021(("KIT0021", "WATER_TEMPERATURE", "C", "27.0"), ("SEN0169", "PH", "PH", "8.17")), "nemopi-2021/1"
    )
    ph = newest(ingest, PH_TOTAL_SCALE)
    assert (8.17, pytest.approx(8.17 * ph.factor)) == (ph.raw, ph.value)
    assert omega(8.17, 4) == pytest.approx(3.38, abs=0.01)
    assert omega(ph.value, 1) == pytest.approx(omega(8.17, 4), rel=1e-4)
    assert omega(8.17, 1) == pytest.approx(6.49, abs=0.01)


async def test_field_12_uncertainty_of_the_scale_travels_with_the_buoy(ingest: Any, report_2021: Make) -> None:
    """Also in the messages that hold no pH, and after a restart: else every diagnosis would take it back."""
    await ingest.take(report_2021(("SEN0169", "PH", "PH", "8.17")), "nemopi-2021/1")
    with_ph = ingest.readings()[-1].buoys[0].ph_accuracy
    ingest.forget()
    later = ingest.clock.now() + timedelta(hours=1)
    ingest.clock.advance(timedelta(hours=1))
    await ingest.take(report_2021(("KIT0021", "WATER_TEMPERATURE", "C", "27.0"), at=later), "nemopi-2021/1", at=later)
    assert (0.1**2 + 0.05**2) ** 0.5 == pytest.approx(with_ph, abs=1e-4)
    assert with_ph == ingest.readings()[-1].buoys[0].ph_accuracy


@settings(max_examples=60, deadline=None)
@given(
    ph=st.floats(7.2, 8.8),
    scale=st.sampled_from([("seawater", 2), ("free", 3), ("nbs", 4)]),
    salinity=st.floats(5, 43),
    celsius=st.floats(0, 38),
)
def test_field_12_every_scale_is_converted_as_pyco2sys_converts_it(
    ph: float, scale: tuple[PhScale, int], salinity: float, celsius: float
) -> None:
    name, option = scale
    theirs = PyCO2SYS.sys(par1=ph, par1_type=3, salinity=salinity, temperature=celsius, opt_pH_scale=option)["pH_total"]
    assert float(theirs) == pytest.approx(total_scale(ph, name, Seawater(celsius=celsius, salinity=salinity)), abs=1e-6)


def test_field_12_unknown_temperature_is_within_the_stated_uncertainty() -> None:
    assumed, warm = (total_scale(8.17, "nbs", Seawater(celsius=celsius)) for celsius in (27.0, 34.0))
    assert abs(assumed - warm) < SCALE_UNCERTAINTIES["nbs"] / 2


@pytest.mark.parametrize("impossible", ["85", "-127"])
async def test_field_12_broken_thermometer_does_not_convert_the_ph(ingest: Any, report_2021: Make, impossible: str) -> None:
    await ingest.take(report_2021(("SEN0169", "PH", "PH", "8.17")), "nemopi-2021/1")
    alone = newest(ingest, PH_TOTAL_SCALE).value
    await ingest.register.upsert(buoys=[buoy("B2")])
    body = report_2021(("KIT0021", "WATER_TEMPERATURE", "C", impossible), ("SEN0169", "PH", "PH", "8.17"), serial="B2")
    await ingest.take(body, "nemopi-2021/1")
    assert alone == newest(ingest, PH_TOTAL_SCALE).value


async def test_field_12_scale_in_the_register_goes_before_that_of_the_model(ingest: Any, report_2021: Make) -> None:
    probe = SensorEntry(source="SEN0169", quantity=PH_TOTAL_SCALE, scale="total")
    await ingest.register.upsert(buoys=[buoy(SERIAL, sensor=[probe])])
    await ingest.take(report_2021(("SEN0169", "PH", "PH", "8.17")), "nemopi-2021/1")
    assert (8.17, 1.0) == (newest(ingest, PH_TOTAL_SCALE).value, newest(ingest, PH_TOTAL_SCALE).factor)
    assert ingest.readings()[-1].buoys[0].ph_accuracy == 0.1
    assert ingest.readings()[-1].sensors[SERIAL][PH_TOTAL_SCALE].scale == "total"


async def test_field_12_agent_that_names_quantities_states_the_scale_of_its_probe(ingest: Any, telemetry: Make) -> None:
    probe = SensorEntry(source=PH_TOTAL_SCALE, quantity=PH_TOTAL_SCALE, scale="nbs")
    await ingest.register.upsert(buoys=[buoy(AGENT, sensor=[probe])])
    document = json.loads(telemetry([27.0]))
    document["readings"][0]["channels"] |= {PH_TOTAL_SCALE: 8.17, SALINITY: 35.0}
    await ingest.take(json.dumps(document).encode(), "telemetry/1")
    assert total_scale(8.17, "nbs", Seawater()) == pytest.approx(newest(ingest, PH_TOTAL_SCALE).value, abs=1e-9)


async def test_field_12_two_reports_of_one_ph_give_the_same_in_either_order(
    new_ingest: Callable[..., Any], telemetry: Make
) -> None:
    """One of them measured the temperature with it, the other did not."""
    probe = SensorEntry(source=PH_TOTAL_SCALE, quantity=PH_TOTAL_SCALE, scale="nbs")
    document = json.loads(telemetry([33.0]))
    document["readings"][0]["channels"][PH_TOTAL_SCALE] = 8.17
    alone = json.loads(json.dumps(document))
    del alone["readings"][0]["channels"][SEA_WATER_TEMPERATURE]
    rows = []
    for bodies in permutations([document, alone]):
        ingest = await new_ingest()
        await ingest.register.upsert(buoys=[buoy(AGENT, sensor=[probe])])
        for body in bodies:
            await ingest.take(json.dumps(body).encode(), "telemetry/1")
        rows.append(await ingest.rows())
        await ingest.store.close()
    assert rows[0] == rows[1]


# Units and calibrations


@pytest.mark.parametrize(("unit", "raw", "celsius"), [("F", "82.4", 28.0), ("degF", "82.4", 28.0), ("K", "301.15", 28.0)])
async def test_field_12_unit_with_another_zero_is_converted(
    ingest: Any, report_2021: Make, unit: str, raw: str, celsius: float
) -> None:
    await ingest.take(report_2021(("KIT0021", "WATER_TEMPERATURE", unit, raw)), "nemopi-2021/1")
    value = newest(ingest, SEA_WATER_TEMPERATURE)
    assert (float(raw), pytest.approx(celsius)) == (value.raw, value.value)
    assert value.value == pytest.approx(value.raw * value.factor, abs=1e-9)


async def test_field_12_zero_of_a_unit_with_another_zero_is_refused_alone(ingest: Any, report_2021: Make) -> None:
    receipt = await ingest.take(report_2021(("KIT0021", "WATER_TEMPERATURE", "F", "0")), "nemopi-2021/1")
    assert ("quarantined", 1) == (receipt.outcome, receipt.channels_quarantined)
    assert [entry.reason for entry in await ingest.quarantine.list()] == ["number-out-of-range"]


async def test_field_12_millivolts_of_a_ph_probe_need_its_calibration(ingest: Any, report_2021: Make) -> None:
    measured = (("KIT0021", "WATER_TEMPERATURE", "C", "25.0"), ("SEN0169", "PH", "mV", "-68.0"))
    await ingest.take(report_2021(*measured), "nemopi-2021/1", event_id="first")
    (entry,) = await ingest.quarantine.list()
    assert ("wrong-unit", True) == (entry.reason, "state the probe's calibration" in entry.detail)
    calibration = CalibrationEntry(zero_millivolts=3.0, slope_millivolts_per_ph=-58.0)
    probe = SensorEntry(source="SEN0169", quantity=PH_TOTAL_SCALE, calibration=calibration)
    await ingest.register.upsert(buoys=[buoy(SERIAL, sensor=[probe])])
    await ingest.quarantine.replay([entry.quarantine_id])
    await ingest.replay_published()
    ph = newest(ingest, PH_TOTAL_SCALE)
    by_hand = total_scale(7 + 71.0 / 58.0, "nbs", Seawater(celsius=25.0))
    assert (-68.0, pytest.approx(by_hand, abs=1e-9)) == (ph.raw, ph.value)
    assert (0.1**2 + 0.05**2 + 0.05**2) ** 0.5 == pytest.approx(ingest.readings()[-1].buoys[0].ph_accuracy, abs=1e-4)
    await ingest.assert_accounted()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"quantity": PH_TOTAL_SCALE, "unit": "mV"}, "needs a calibration"),
        ({"quantity": SEA_WATER_SPEED, "scale": "nbs"}, "are of a pH probe"),
        ({"quantity": SEA_WATER_TEMPERATURE, "unit": "uM"}, "cannot be right"),
        ({"quantity": PH_TOTAL_SCALE, "scale": "pH"}, "'total', 'nbs', 'seawater' or 'free'"),
        ({"quantity": SEA_WATER_TEMPERATURE, "resolution": 0}, "greater than or equal to 0.0001"),
    ],
)
def test_field_12_impossible_fields_of_a_sensor_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SensorEntry(source="SEN0169", **fields)


# Resolution


async def test_field_03_stated_resolution_replaces_the_guessed_step(ingest: Any, telemetry: Make) -> None:
    """0.2 degC a minute, which a probe of 0.25 degC steps shows in calm water: suspect by the guessed step, not by its own."""
    toggling, minute = [28.0, 28.25] * 4, timedelta(minutes=1)
    await ingest.take(telemetry(toggling, step=minute), "telemetry/1")
    assert 3 in {reading.channels[SEA_WATER_TEMPERATURE].flag for reading in ingest.readings()[-1].readings}
    coarse = SensorEntry(source="any", quantity=SEA_WATER_TEMPERATURE, resolution=0.25, depth_metres=2.5)
    await ingest.register.upsert(buoys=[buoy("calm", sensor=[coarse])])
    await ingest.take(telemetry(toggling, step=minute, buoy="calm"), "telemetry/1")
    body = ingest.readings()[-1]
    assert {1} == {reading.channels[SEA_WATER_TEMPERATURE].flag for reading in body.readings}
    stated = body.sensors["calm"][SEA_WATER_TEMPERATURE]
    assert (0.25, 2.5) == (stated.resolution, stated.depth_metres)


def test_field_03_tolerance_that_a_reef_states_goes_before_the_resolution() -> None:
    own = {SEA_WATER_TEMPERATURE: {"flat_line_tolerance": 0.3}}
    place = {"name": "R", "latitude_degrees": 0, "longitude_degrees": 0}
    coarse = buoy("b", sensor=[SensorEntry(source="any", quantity=SEA_WATER_TEMPERATURE, resolution=0.25)])
    for limits, tolerance in (({}, 0.375), (own, 0.3)):
        reef = ReefEntry.model_validate({"id": "menjangan", **place, "limits": limits})
        assert tolerance == coarse.limits_over(reef, reef.limits_in_force())[SEA_WATER_TEMPERATURE].flat_line_tolerance


def test_field_03_buoys_that_state_nothing_share_the_limits_of_their_reef(ingest: Any) -> None:
    reef = ingest.register.reef("menjangan")
    assert reef.limits is ingest.register.buoy(AGENT).entry.limits_over(reef.entry, reef.limits)


# Probes


async def test_field_10_probe_that_feeds_the_temperature_is_shown_of_the_buoy(ingest: Any) -> None:
    def report(*values: tuple[str, float | None]) -> bytes:
        probes = [{"channel": channel, "value": value, "fault": ""} for channel, value in values]
        logger = {"type": "rs485", "addr": 2, "model": "DS18B20-LOGGER", "data": probes}
        return json.dumps({"msg_type": "data", "sensors": [logger]}).encode()

    assert await ingest.register.temperature_probe(IMEI) is None
    fed = []
    for hours, first in ((3, 28.0), (2, None), (1, 28.2)):
        at = ingest.clock.now() - timedelta(hours=hours)
        await ingest.take(report(("ch1", first), ("ch2", 28.6)), "nemopi-mqtt/1", device=IMEI, at=at)
        await ingest.take(diagnosis(12.3), "nemopi-mqtt/1", device=IMEI, at=at + timedelta(minutes=5))
        fed.append(await ingest.register.temperature_probe(IMEI))
    assert [None, None] == [fed[0], fed[2]]
    assert str(fed[1]).endswith("/ch2")
    shown = ingest.register.buoy(IMEI).entry.shown(await ingest.register.learned(IMEI), temperature_probe=fed[1])
    assert fed[1] == shown["in_force"]["temperature_probe"]


# Batteries


async def test_field_11_battery_of_12_volts_is_guessed_and_has_its_own_limit(ingest: Any) -> None:
    """12.39, then 10.2 and 9.1: the limit that travels is that of a 12 V battery, so both are low."""
    for number, volts in enumerate((12.39, 10.2, 9.1)):
        at = ingest.clock.now() + timedelta(hours=number)
        await ingest.take(diagnosis(volts), "nemopi-mqtt/1", device=IMEI, at=at)
        assert low_volts(ingest) == 11.8
    learned = await ingest.register.learned(IMEI)
    shown = ingest.register.buoy(IMEI).entry.shown(learned)["in_force"]
    assert ("lead_12v", True, 11.8) == (shown["battery"], shown["battery_is_guessed"], shown["battery_low_volts"])


@pytest.mark.parametrize(
    ("reported", "volts"),
    [(12034, 12.034), ("3987", 3.987), (12.034, 12.034), (0, 0.0), (120, None), (999999, None), (-3.9, None), ("n/a", None)],
)
async def test_field_11_millivolts_are_volts_or_quarantined_and_never_12034_volts(
    ingest: Any, reported: Any, volts: float | None
) -> None:
    await ingest.take(diagnosis(reported, lua_mem={"used": 1}), "nemopi-mqtt/1", device=IMEI)
    status = ingest.readings()[-1].readings[0].status
    assert (volts, volts is None) == (status.battery_volts, bool(await ingest.quarantine.list()))
    await ingest.assert_accounted()


async def test_field_11_percentage_that_is_none_is_quarantined(ingest: Any, report_2021: Make) -> None:
    await ingest.take(report_2021(("KIT0021", "WATER_TEMPERATURE", "C", "27"), battery_level="3987"), "nemopi-2021/1")
    assert ingest.readings()[-1].readings[0].status.battery_percent is None
    assert ["battery_level"] == [entry.channel for entry in await ingest.quarantine.list()]


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({}, 11.8),
        ({"battery": "lithium_4s"}, 14.0),
        ({"battery": "lithium_4s", "battery_low_volts": 13.1}, 13.1),
        ({"battery_low_volts": 3.5}, 3.5),
        ({"battery_low_volts": None}, None),
    ],
)
async def test_field_11_what_the_operator_states_wins(ingest: Any, fields: dict[str, Any], limit: float | None) -> None:
    await ingest.register.upsert(buoys=[buoy(IMEI, **fields)])
    await ingest.take(diagnosis(12.39), "nemopi-mqtt/1", device=IMEI)
    assert limit == low_volts(ingest)


async def test_field_11_guess_does_not_depend_on_the_order_of_arrival(new_ingest: Callable[..., Any]) -> None:
    """The earliest five by their instants decide, also when they come last, and after restarts."""
    volts = [3.9, 12.5, 12.4, 12.3, 12.2, 3.7, 3.8]
    found = set()
    for order in ([0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [5, 0, 6, 4, 1, 3, 2]):
        ingest = await new_ingest()
        for place in order:
            at = ingest.clock.now() - timedelta(hours=10 - place)
            await ingest.take(diagnosis(volts[place]), "nemopi-mqtt/1", device=IMEI, at=at)
            ingest.forget()
        found.add((low_volts(ingest), await ingest.register.learned(IMEI)))
        await ingest.store.close()
    assert len(found) == 1
    assert {11.8} == {limit for limit, _ in found}


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        ([3.9], "lithium_1s"),
        ([12.39, 10.2, 9.1], "lead_12v"),
        ([16.4], "lithium_4s"),
        ([25.1], "lead_24v"),
        ([7.9], "lithium_2s"),
        ([6.3], "lead_6v"),
        ([48.0], None),
        ([0.0], None),
        ([], None),
        ([12.4, 0.0, 12.5], "lead_12v"),
    ],
)
def test_field_11_kind_of_battery_is_guessed_by_the_median(first: list[float], kind: str | None) -> None:
    assert kind == guessed_kind(first)


def test_field_11_no_number_becomes_more_volts_than_a_battery_has() -> None:
    assert all((volts := volts_of(number)) is None or volts <= 60 for number in range(-10, 200_000, 7))


# What of a report cannot be read


def data(*sensors: tuple[str, Any]) -> bytes:
    listed = [
        {"model": model, "interface": "rs485", "address": place, "data": [{"channel": "ch1", "value": value, "fault": ""}]}
        for place, (model, value) in enumerate(sensors)
    ]
    return json.dumps({"msg_type": "data", "sensors": listed}).encode()


async def test_field_17_payload_whose_only_sensor_cannot_be_read_is_not_accepted(ingest: Any) -> None:
    receipt = await ingest.take(data(("UNKNOWN-X", 1.5)), "nemopi-mqtt/1", device=IMEI)
    assert ("quarantined", 1, 0, 1) == (
        receipt.outcome,
        receipt.readings_received,
        receipt.readings_new,
        receipt.readings_quarantined,
    )
    (entry,) = await ingest.quarantine.list()
    assert ("reading", "unknown-model", "UNKNOWN-X/rs485/0/ch1") == (entry.scope, entry.reason, entry.channel)
    assert ({}, []) == (await ingest.rows(), ingest.readings())
    books = await accounting(ingest.store)
    assert (1, 0, 1) == (books.messages.received, books.messages.accepted, books.messages.quarantined)
    await ingest.assert_accounted()


async def test_field_17_such_a_payload_is_accepted_once_its_sensor_is_registered(ingest: Any) -> None:
    await ingest.take(data(("UNKNOWN-X", 28.5)), "nemopi-mqtt/1", device=IMEI, event_id="first")
    (entry,) = await ingest.quarantine.list()
    probe = SensorEntry(source="UNKNOWN-X/rs485/0/ch1", quantity=SEA_WATER_TEMPERATURE)
    await ingest.register.upsert(buoys=[buoy(IMEI, sensor=[probe])])
    await ingest.quarantine.replay([entry.quarantine_id])
    (receipt,) = await ingest.replay_published()
    assert ("accepted", 28.5) == (receipt.outcome, newest(ingest, SEA_WATER_TEMPERATURE).value)
    await ingest.assert_accounted()


async def test_field_17_status_of_such_a_report_is_used_and_the_report_is_not_accepted(ingest: Any, report_2021: Make) -> None:
    receipt = await ingest.take(report_2021(("SEN0216", "WATER_CURRENT", "A", "0.5")), "nemopi-2021/1")
    assert ("quarantined", 1, 1) == (receipt.outcome, receipt.readings_new, receipt.channels_quarantined)
    assert ingest.readings()[-1].readings[0].status.battery_percent == 52.85
    await ingest.assert_accounted()


async def test_field_17_readings_of_a_batch_with_nothing_left_are_refused_and_the_others_used(
    ingest: Any, telemetry: Make
) -> None:
    document = json.loads(telemetry([28.1, 28.2, 28.3]))
    for place in (0, 2):
        document["readings"][place]["channels"] = {"sea_water_temprature": 28.0}
    receipt = await ingest.take(json.dumps(document).encode(), "telemetry/1")
    assert ("accepted", 3, 1, 2) == (
        receipt.outcome,
        receipt.readings_received,
        receipt.readings_new,
        receipt.readings_quarantined,
    )
    assert [("reading", 2)] == [(entry.scope, entry.readings) for entry in await ingest.quarantine.list()]
    await ingest.assert_accounted()


@pytest.mark.parametrize(
    "body",
    [
        data(("DS18B20-LOGGER", None)),
        json.dumps({"msg_type": "data", "sensors": {}}).encode(),
        diagnosis(3.9, lat_lon={"lat": 91, "lon": 0}),
        diagnosis("n/a", lat_lon={"lat": -8.1, "lon": 114.5}),
    ],
)
async def test_field_17_report_without_values_that_lost_none_is_accepted(ingest: Any, body: bytes) -> None:
    """A probe that answers with its fault was read; a position without a lock is no sensor."""
    assert (await ingest.take(body, "nemopi-mqtt/1", device=IMEI)).outcome == "accepted"
    await ingest.assert_accounted()


async def test_field_17_copy_of_such_a_report_counts_the_same_in_either_order(new_ingest: Callable[..., Any]) -> None:
    """One sensor's value is kept as text beside the reading, the other's cannot be read: used for its status alone."""
    body = data(("BESIDE", 1.0), ("UNKNOWN-X", 1.5))
    tallies = []
    for seconds in ((0, 20), (20, 0)):
        ingest = await new_ingest()
        beside = SensorEntry(source="BESIDE/rs485/0/ch1", quantity="ignored")
        await ingest.register.upsert(buoys=[buoy(IMEI, sensor=[beside])])
        for second in seconds:
            await ingest.take(body, "nemopi-mqtt/1", device=IMEI, at=ingest.clock.now() + timedelta(seconds=second))
        books = await accounting(ingest.store)
        tallies.append((books.messages, books.readings))
        await ingest.store.close()
    assert (1, 1) == (tallies[0][0].quarantined, tallies[0][0].duplicates)
    assert tallies[0] == tallies[1]


# Conditions of a reef


async def test_reef_that_states_nothing_new_is_published_as_readings_1(ingest: Any, telemetry: Make) -> None:
    await ingest.take(telemetry([28.1]), "telemetry/1")
    assert ["readings/1"] == [output.schema_id for output in ingest.outputs]


async def test_reef_that_states_its_conditions_is_published_as_readings_2(ingest: Any, telemetry: Make) -> None:
    stated = {"time_zone": "Asia/Makassar", "dive_limits": {"current_good_knots": 0.3}, "chemistry_bands": {"low_from": 2.8}}
    reef = ingest.register.reef("menjangan").entry.model_dump() | stated
    await ingest.register.upsert(reefs=[ReefEntry.model_validate(reef)])
    await ingest.take(telemetry([28.1]), "telemetry/1")
    assert ["readings/2"] == [output.schema_id for output in ingest.outputs]
    conditions = ingest.readings()[-1].conditions
    assert ("Asia/Makassar", 0.3, 1.0, 2.8) == (
        conditions.time_zone,
        conditions.dive_limits.current_good_knots,
        conditions.dive_limits.current_fair_knots,
        conditions.chemistry_bands.low_from,
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"time_zone": "Asia/Makasar"}, "is Asia/Makassar meant?"),
        ({"time_zone": "+08:00"}, "no time zone of IANA's"),
        ({"time_zone": "../../etc/passwd"}, "no time zone of IANA's"),
        (
            {"dive_limits": {"current_good_knots": 1.5}},
            "current_good_knots, 1.5, is above the default of current_fair_knots, 1; state current_fair_knots, too",
        ),
        (
            {"dive_limits": {"current_good_knots": 3}},
            "is above the default of current_experienced_knots, 2; state current_fair_knots and current_experienced_knots, too",
        ),
        (
            {"dive_limits": {"current_experienced_knots": 0.4, "current_fair_knots": 0.3}},
            "the default of current_good_knots, 0.5, is above current_fair_knots, 0.3; the default of current_good_knots, 0.5,"
            " is above current_experienced_knots, 0.4; state current_good_knots, too",
        ),
        (
            {"dive_limits": {"current_good_knots": 0.4, "current_fair_knots": 0.3}},
            "must rise in the order current_good_knots, current_fair_knots, current_experienced_knots: current_good_knots, 0.4,"
            " is above current_fair_knots, 0.3$",
        ),
        ({"dive_limits": {"visibility_poor_metres": 6}}, "state visibility_fair_metres, too"),
        ({"dive_limits": {"current_good": 0.3}}, "there is no such field"),
        ({"chemistry_bands": {"low_from": 3.9}}, "must fall in the order good_above, adequate_from, low_from: the default of"),
    ],
)
def test_impossible_conditions_are_refused_with_one_line(fields: dict[str, Any], said: str) -> None:
    from reefmesh_ingest.register.file import parse_register

    place = 'id = "r"\nname = "R"\nlatitude_degrees = 0\nlongitude_degrees = 0\n'
    text = f"[[reef]]\n{place}" + "".join(
        f"{name} = {json.dumps(value).replace(': ', ' = ')}\n" for name, value in fields.items()
    )
    with pytest.raises(ConfigurationError, match=said.replace("?", r"\?")) as raised:
        parse_register(text, name="register.toml")
    assert "\n" not in str(raised.value)


async def test_unit_of_micromoles_is_that_of_nitrate(ingest: Any, report_2021: Make) -> None:
    await ingest.take(report_2021(("SEN0xxx", "DISSOLVED_NOX", "uM", "0.84")), "nemopi-2021/1")
    assert newest(ingest, NITRATE_AND_NITRITE).value == 0.84


# Quarantine, folded

WRONG = (
    ("SEN0216", "WATER_CURRENT", "A", "0.5"),
    ("SEN0169", "PH", "PH", "8.1"),
    ("SEN0161-V2", "PH", "", "8.4"),
    ("SEN0xxx", "DISSOLVED_NOX", "C", "0.84"),
    ("SEN9999", "TURBIDITY", "NTU", "1.5"),
)


async def entries_of(ingest: Any, rows: Sequence[QuarantineRow]) -> list[str]:
    """The ids of all open entries of these rows."""
    of_rows = await ingest.quarantine.entries_of_rows([row.row_id for row in rows])
    return [entry_id for ids in of_rows.values() for entry_id in ids]


async def a_day_of_wrong_reports(ingest: Any, report_2021: Make, *, reports: int = 48) -> None:
    for number in range(reports):
        at = ingest.clock.now() - timedelta(minutes=30 * (reports - number))
        body = report_2021(("KIT0021", "WATER_TEMPERATURE", "C", "27.0"), *WRONG, at=at)
        await ingest.take(body, "nemopi-2021/1", at=at)


@pytest.fixture
async def of_url(new_ingest: Callable[..., Any], url: str) -> Any:
    """Windows and sums are the database's: on both."""
    service = await new_ingest(url)
    yield service
    await service.store.close()


async def test_field_16_day_of_the_same_five_wrong_channels_is_five_rows(of_url: Any, report_2021: Make) -> None:
    await a_day_of_wrong_reports(of_url, report_2021)
    await of_url.take(b"{", "nemopi-mqtt/1", device="other")
    rows = await of_url.quarantine.rows()
    assert ("other", "message", "not-json", 1) == (rows[0].device, rows[0].scope, rows[0].reason, rows[0].entries)
    assert b"{" == rows[0].example
    assert {(SERIAL, source, 48, 48, 0) for source, *_ in WRONG} == {
        (row.device, row.channel, row.entries, row.readings, row.cut) for row in rows[1:]
    }
    span = timedelta(minutes=30 * 47) // timedelta(microseconds=1)
    assert {span} == {row.last_us - row.first_us for row in rows[1:]}
    current = next(row for row in rows if row.channel == "SEN0216")
    assert ("wrong-unit", "A") == (current.reason, json.loads(current.example)["unit"])
    newest_entry = await of_url.quarantine.show(current.newest_id)
    assert current.last_us == newest_entry.entry.received_us
    assert [current.row_id] == [
        row.row_id for row in await of_url.quarantine.rows(reason="wrong-unit") if row.channel == "SEN0216"
    ]
    assert [] == await of_url.quarantine.rows(device="nobody")
    assert len(await of_url.quarantine.rows(limit=2)) == 2


async def test_field_16_row_is_replayed_with_all_its_entries(of_url: Any, report_2021: Make) -> None:
    await a_day_of_wrong_reports(of_url, report_2021, reports=6)
    nox = SensorEntry(source="SEN0xxx", quantity=NITRATE_AND_NITRITE, unit="umol/L")
    await of_url.register.upsert(buoys=[buoy(SERIAL, sensor=[nox])])
    (row,) = [row for row in await of_url.quarantine.rows() if row.channel == "SEN0xxx"]
    replayed = await of_url.quarantine.replay(await entries_of(of_url, [row]))
    assert (6, 6) == (replayed.entries, len(replayed.messages))
    await of_url.replay_published()
    rows = await of_url.quarantine.rows()
    assert (4, {6}) == (len(rows), {each.entries for each in rows})
    assert {0.84} == {json_["channels"][NITRATE_AND_NITRITE]["value"] for json_ in (await of_url.rows()).values()}
    await of_url.assert_accounted()


async def test_field_16_discarded_row_is_gone_and_the_accounting_exact(of_url: Any, report_2021: Make) -> None:
    """Also of whole messages and readings, and when a replay of a neighbour brings the same trouble again."""
    await a_day_of_wrong_reports(of_url, report_2021, reports=3)
    await of_url.take(b"{", "nemopi-mqtt/1", device="other")
    await of_url.take(data(("UNKNOWN-X", 1.5)), "nemopi-mqtt/1", device=IMEI)
    gone = [row for row in await of_url.quarantine.rows() if row.channel in ("SEN0216", None) or row.scope == "reading"]
    assert 5 == await of_url.quarantine.discard(discarded := await entries_of(of_url, gone))
    await of_url.assert_accounted()
    left = await of_url.quarantine.rows()
    assert {"SEN0169", "SEN0161-V2", "SEN0xxx", "SEN9999"} == {row.channel for row in left}
    await of_url.quarantine.replay(await entries_of(of_url, [row for row in left if row.channel == "SEN9999"]))
    await of_url.replay_published()
    assert {row.row_id for row in left} == {row.row_id for row in await of_url.quarantine.rows()}
    assert ["discarded"] * 5 == [each.status for each in await of_url.quarantine.list(status="discarded")]
    assert ([], 0) == (await entries_of(of_url, gone), await of_url.quarantine.discard(discarded))
    books = await accounting(of_url.store)
    assert (2, 12) == (books.readings.quarantined, books.quarantine_entries_open)
    await of_url.assert_accounted()


async def test_field_16_what_the_quota_only_counted_is_a_row_that_says_so(of_url: Any) -> None:
    quota = Quota(device_entries_limit=2)
    storage = QuarantineStorage(store=of_url.store, clock=of_url.clock, quota=quota)
    of_url.handler = IngestHandler(store=of_url.store, register=of_url.register, clock=of_url.clock, storage=storage)
    for number in range(5):
        await of_url.take(b"{%d" % number, "nemopi-mqtt/1", device="other")
    rows = await of_url.quarantine.rows(reason="not-json")
    assert [(0, 3), (2, 0)] == sorted((row.entries, row.counted) for row in rows)
    assert 2 == await of_url.quarantine.discard(await entries_of(of_url, rows))
    assert [3] == [row.counted for row in await of_url.quarantine.rows()]
    await of_url.assert_accounted()
