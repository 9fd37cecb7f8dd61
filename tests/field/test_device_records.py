"""Records of devices: their clocks, probes, batteries and scales, and the alerts that people get of them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import PyCO2SYS as pyco2  # type: ignore[import-untyped]  # noqa: N813 - has no types; the module's own name
import pytest

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE, SEA_WATER_SPEED, SEA_WATER_TEMPERATURE, VISIBILITY
from reefmesh_field.delivery import Delivery, Values, nemopi, nemopi_2021, telemetry
from reefmesh_field.home import FieldHome, instants
from reefmesh_field.water import BEGIN, solar_hour

if TYPE_CHECKING:
    from tests.field.conftest import Said

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
ON_THE_WAY = timedelta(seconds=20)

Readings = Sequence[tuple[datetime, Values]]


def batches(device: str, readings: Readings, size: int) -> Iterator[Delivery]:
    """Cut readings into messages that are sent after the last reading of each."""
    for first in range(0, len(readings), size):
        some = readings[first : first + size]
        yield telemetry(device, some[-1][0] + ON_THE_WAY, some)


def varied_celsius(at: datetime) -> float:
    return round(28.5 + 0.3 * math.sin(2 * math.pi * solar_hour(at) / 24), 2)


def plural(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def told(alerts: Iterable[Alert]) -> list[tuple[str, str, datetime]]:
    """What a recipient could compare: the change, its subject without the buoy, its event time."""
    return [(each.change, each.subject.rpartition("/")[2], each.occurred_at) for each in alerts]


@pytest.mark.row(4)
def test_field_04_clock_that_is_ahead_moves_all_readings_by_the_same_time(home: FieldHome, said: "Said") -> None:
    ahead = 8 * HOUR
    home.register("amed", "b1")
    times = list(instants(BEGIN, BEGIN + DAY, HALF_HOUR))
    readings = [(at + ahead, {SEA_WATER_TEMPERATURE: varied_celsius(at)}) for at in times]
    home.deliver([telemetry("b1", times[-1], readings, sent_at=times[-1] + ahead)])
    found = home.readings("amed")
    moved = [datetime.fromisoformat(each["time (UTC)"]) for each in found]
    sources = {each["time_source"] for each in found}
    right = sum(at == stored for at, stored in zip(times, moved, strict=True))
    alerts = home.alerts("amed")
    marked = ", ".join(sorted(sources))
    said(f"{right} of {len(times)} at their true time, all `{marked}`; {plural(len(alerts), 'alert')}")
    assert times == moved
    assert {"broken_clock"} == sources
    assert [] == alerts


STUCK = [(BEGIN + 20 * MINUTE * number, {SEA_WATER_TEMPERATURE: 28.3}) for number in range(144)]
CUTS = (1, 48, 144)


@pytest.mark.row(6)
def test_field_06_stuck_probe_is_told_however_its_readings_are_cut(home: FieldHome, said: "Said") -> None:
    """A second buoy of every other reef reports a newer value before each message of the first."""
    deliveries, faults = [], {}
    for cut in CUTS:
        for neighbour in (False, True):
            reef = f"cut-{cut}-{'two' if neighbour else 'one'}"
            home.register(reef, f"{reef}-a", f"{reef}-b", report_interval_seconds=1200)
            faults[reef] = (cut, neighbour)
            for message in batches(f"{reef}-a", STUCK, cut):
                if neighbour:
                    at = message.received_at - ON_THE_WAY / 2
                    deliveries.append(telemetry(f"{reef}-b", at, [(at, {SEA_WATER_TEMPERATURE: varied_celsius(at)})]))
                deliveries.append(message)
    home.deliver(deliveries)
    opened = {each: [alert for alert in told(home.alerts(each, "sensor_fault")) if alert[0] == "opened"] for each in faults}
    found = [len(each) for each in opened.values()]
    after = sorted({(at - BEGIN) / HOUR for each in opened.values() for _, _, at in each})
    hours = ", ".join(f"{each:.1f} h" for each in after) or "never"
    said(f"a `sensor_fault` in {sum(map(bool, found))} of {len(found)} ways, from {hours} on")
    assert [1] * len(found) == found
    assert 1 == len(after)
    assert 24 <= after[0] <= 26


@pytest.mark.row(7)
def test_field_07_quantity_that_stops_while_its_buoy_goes_on_is_told(home: FieldHome, said: "Said") -> None:
    home.register("amed", "b1", report_interval_seconds=1800)
    stops = BEGIN + DAY
    messages = []
    for at in instants(BEGIN, BEGIN + 3 * DAY, HALF_HOUR):
        values = {PH_TOTAL_SCALE: round(8.05 + 0.04 * math.sin(2 * math.pi * solar_hour(at) / 24), 3)}
        if at < stops:
            values[SEA_WATER_TEMPERATURE] = varied_celsius(at)
        messages.append(telemetry("b1", at + ON_THE_WAY, [(at, values)]))
    home.deliver(messages)
    alerts = home.alerts("amed")
    silences = [each for each in alerts if "silent" in each.kind and SEA_WATER_TEMPERATURE in each.subject]
    latest = home.status("amed")["heat"]["latest"]
    kinds = ", ".join(f"`{each.kind}` after {(each.occurred_at - stops) / HOUR:.1f} h" for each in silences) or "no alert"
    said(f"{kinds}; the day is `{latest['day_status']}`, DHW `{latest['status']}`")
    assert "missing" == latest["day_status"]
    assert 1 == len(silences)
    assert "opened" == silences[0].change
    assert stops < silences[0].occurred_at <= stops + 6 * HOUR


@pytest.mark.row(8)
def test_field_08_current_that_trembles_at_a_limit_raises_one_alert_at_most(home: FieldHome, said: "Said") -> None:
    home.register("amed", "b1", report_interval_seconds=300)
    times = list(instants(BEGIN, BEGIN + 5 * HOUR, 5 * MINUTE))
    messages = [
        telemetry("b1", at + ON_THE_WAY, [(at, {SEA_WATER_SPEED: 0.25 + number % 2 / 100, VISIBILITY: 12.0})])
        for number, at in enumerate(times)
    ]
    home.deliver(messages)
    alerts = home.alerts("amed", "dive")
    said(f"{plural(len(alerts), 'alert')} in {len(times)} reports")
    assert len(alerts) <= 1


def sensorless(device: str, *, first: datetime) -> list[Delivery]:
    """Three starts of a Nemo-Pi whose firmware finds no sensor; an empty table of Lua is an object."""
    return [
        nemopi(device, first + number * 2 * HOUR + after, msg_type=word, sensors={})
        for number in range(3)
        for word, after in (("detect", timedelta()), ("data", 5 * ON_THE_WAY))
    ]


def test_field_09_empty_lua_table_is_an_empty_list(home: FieldHome) -> None:
    home.register("amed", "867740030000003", report_interval_seconds=7200)
    receipts = home.deliver(sensorless("867740030000003", first=BEGIN))
    assert [] == home.quarantine()
    assert {"quarantined"}.isdisjoint(each.outcome for each in receipts)


@pytest.mark.row(9)
def test_field_09_nemo_pi_without_a_sensor_is_told(home: FieldHome, said: "Said") -> None:
    home.register("amed", "867740030000003", report_interval_seconds=7200)
    receipts = home.deliver(sensorless("867740030000003", first=BEGIN))
    refused = sum(each.outcome == "quarantined" for each in receipts)
    alerts = [each for each in home.alerts("amed") if "sensor" in each.kind]
    said(f"{refused} of {len(receipts)} messages in quarantine; {plural(len(alerts), 'alert')} about sensors")
    assert 0 == refused
    assert 1 == len(alerts)
    assert "no sensor" in alerts[0].summary


def probe(channel: str, celsius: float | None) -> dict[str, object]:
    return {"channel": channel, "value": celsius, "fault": "" if celsius is not None else "sensor not reachable"}


def logger(*channels: dict[str, object]) -> dict[str, object]:
    return {"model": "DS18B20-LOGGER", "interface": "rs485", "address": 2, "data": list(channels)}


@pytest.mark.row(10)
def test_field_10_healthy_one_of_two_probes_is_the_temperature(home: FieldHome, said: "Said") -> None:
    both, second = "867740030000003", "867740030000004"
    home.register("two", both, report_interval_seconds=7200)
    home.register("second", second, report_interval_seconds=7200)
    messages = []
    for number in range(4):
        at, celsius = BEGIN + number * 2 * HOUR, 28.6 + number % 2 / 10
        messages.append(nemopi(both, at, msg_type="data", sensors=[logger(probe("ch1", None), probe("ch2", celsius))]))
        messages.append(nemopi(second, at, msg_type="data", sensors=[logger(probe("ch2", celsius))]))
    home.deliver(messages)
    found = {reef: home.status(reef) for reef in ("two", "second")}
    values = [round(reef["latest"][SEA_WATER_TEMPERATURE]["value"], 2) for reef in found.values()]
    flags = [each["sea_water_temperature_flag"] for reef in found for each in home.readings(reef)]
    faults = sum(len(home.alerts(reef, "sensor_fault")) for reef in found)
    passed = f"{flags.count('1')} of {len(flags)} values pass"
    said(f"{' and '.join(map(str, values))} °C, {passed}, {plural(faults, 'alert')} of a fault")
    assert [28.7, 28.7] == values
    assert {"1"} == set(flags)
    assert 0 == faults
    assert [{}, {}] == [buoy["faults"] for reef in found.values() for buoy in reef["buoys"]]
    assert [] == home.quarantine()


@pytest.mark.row(11)
def test_field_11_battery_of_twelve_volts_is_judged_as_one(home: FieldHome, said: "Said") -> None:
    lead, millivolts = "867740030000003", "867740030000004"
    home.register("amed", lead, millivolts, report_interval_seconds=7200)
    volts = (12.39, 12.35, 12.38, 10.2, 9.1)
    times = [BEGIN + number * 2 * HOUR for number in range(len(volts))]
    messages = [nemopi(lead, at, msg_type="diagnosis", vbat=each) for at, each in zip(times, volts, strict=True)]
    messages += [nemopi(millivolts, at, msg_type="diagnosis", vbat=12034) for at in times]
    home.deliver(messages)
    alerts = home.alerts("amed", "buoy_battery")
    known = {buoy["facts"]["buoy_id"]: buoy["battery_volts"] for buoy in home.status("amed")["buoys"]}
    refused = sum(each["device"] == millivolts for each in home.quarantine())
    opened = [f"{each.evidence['battery_volts']:g} V" for each in alerts if each.change == "opened"]
    said(
        f"alerts at: {', '.join(opened) or 'none'}; 12034 is taken for {known.get(millivolts) or 'no'} V, "
        f"entries in quarantine: {refused}"
    )
    assert {lead} == {each.buoy_id for each in alerts}
    assert opened
    assert known[millivolts] == pytest.approx(12.034) if known.get(millivolts) is not None else refused > 0


def omega_of(ph_on_nbs_scale: float) -> float:
    """What an independent implementation says of pCO2 400, 27 degC and a salinity of 35."""
    result = pyco2.sys(
        par1=ph_on_nbs_scale, par1_type=3, par2=400.0, par2_type=4, opt_pH_scale=4, temperature=27.0, salinity=35.0
    )
    return float(result["saturation_aragonite"])


@pytest.mark.row(12)
def test_field_12_ph_of_nbs_buffers_is_converted(home: FieldHome, said: "Said") -> None:
    """Values swing a little around what the row states, or they would be flat lines."""
    home.register("amed", "100000000000000a", report_interval_seconds=7200)
    home.register("amed", "b2", report_interval_seconds=7200)
    messages = []
    for number, at in enumerate(instants(BEGIN, BEGIN + DAY + 2 * HOUR, 2 * HOUR)):
        swing = (-1) ** number
        probe_values = (
            ("KIT0021", "WATER_TEMPERATURE", "C", f"{27.0 + 0.1 * swing:.2f}"),
            ("SEN0169", "PH", "PH", f"{8.17 + 0.01 * swing:.3f}"),
        )
        messages.append(nemopi_2021("100000000000000a", at, *probe_values))
        messages.append(telemetry("b2", at, [(at, {PCO2: 400.0 + 2 * swing})]))
    home.deliver(messages)
    carbonate = home.status("amed")["carbonate"]
    omega, expected = carbonate["omega_aragonite"], omega_of(8.17)
    span = f"{carbonate['omega_low']:.2f} to {carbonate['omega_high']:.2f}"
    said(f"Omega {omega:.2f} ({span}), {carbonate['band']}; PyCO2SYS: {expected:.2f}")
    assert expected == pytest.approx(3.38, abs=0.005)
    assert expected == pytest.approx(omega, abs=0.1)
    assert carbonate["omega_low"] <= expected <= carbonate["omega_high"]


@pytest.mark.row(16)
def test_field_16_equal_trouble_is_one_entry_of_quarantine(home: FieldHome, said: "Said") -> None:
    device, reports = "100000000000000a", 48
    home.register("amed", device)
    trouble = (
        ("SEN0216", "WATER_SPEED", "A", "0.3"),
        ("SEN0169", "PH", "PH", "8.1"),
        ("SEN0161-V2", "PH", "PH", "8.2"),
    )
    messages = [
        nemopi_2021(device, at, ("KIT0021", "WATER_TEMPERATURE", "C", f"{varied_celsius(at)}"), *trouble)
        for at in instants(BEGIN, BEGIN + reports * HALF_HOUR, HALF_HOUR)
    ]
    home.deliver(messages)
    entries = home.quarantine()
    kinds = {(each["device"], each.get("quantity", each.get("channel")), each["reason"]) for each in entries}
    counted = [each for each in entries if each.get("entries") == reports]
    said(f"{len(entries)} entries for {len(kinds)} kinds of trouble in {reports} reports; {len(counted)} count all reports")
    assert len(trouble) == len(kinds)
    assert len(kinds) == len(entries)
    assert len(kinds) == len(counted)


@pytest.mark.row(17)
def test_field_17_payload_of_which_nothing_can_be_read_is_not_accepted(home: FieldHome, said: "Said") -> None:
    home.register("amed", "867740030000003")
    (receipt,) = home.deliver(
        [nemopi("867740030000003", BEGIN, msg_type="data", sensors=[logger({"channel": "ch1", "value": "warm", "fault": ""})])]
    )
    said(f"`{receipt.outcome}`, {plural(receipt.channels_quarantined, 'value')} in quarantine")
    assert "accepted" != receipt.outcome
    assert 1 == len(home.quarantine())


@pytest.mark.row(19)
def test_field_19_change_of_chemistry_inside_its_own_error_is_not_told(home: FieldHome, said: "Said") -> None:
    """Omega goes with the square of the hydrogen ion at a given pCO2: each date's pH follows from that of one state. The date
    before has 4.05, so that there is something to change."""
    targets = (4.05, 3.98, 4.02, 3.99)
    home.register("amed", "b1", report_interval_seconds=7200, pco2_accuracy_uatm=24.0)
    reference = pyco2.sys(par1=8.05, par1_type=3, par2=400.0, par2_type=4, opt_pH_scale=1, temperature=27.0, salinity=35.0)
    means = [8.05 + 0.5 * math.log10(omega / float(reference["saturation_aragonite"])) for omega in targets]
    found, messages = [], []
    for date, mean in enumerate([*means, means[-1]]):
        begin = BEGIN + date * DAY
        for number, at in enumerate(instants(begin, begin + (DAY if date < len(means) else HOUR), 2 * HOUR)):
            swing = (-1) ** number
            values = {
                SEA_WATER_TEMPERATURE: 27.0 + 0.1 * swing,
                PH_TOTAL_SCALE: mean + 0.01 * swing,
                PCO2: 400.0 + 2.0 * swing,
            }
            messages.append(telemetry("b1", at + ON_THE_WAY, [(at, values)]))
    for date in range(len(targets)):  # a date is judged when the next has begun
        before, ends = BEGIN + date * DAY + HOUR, BEGIN + (date + 1) * DAY + HOUR
        home.deliver([each for each in messages if (before if date else BEGIN) <= each.received_at < ends])
        found.append(home.status("amed")["carbonate"])
    omegas = [each["omega_aragonite"] for each in found[1:]]
    alerts = home.alerts("amed", "chemistry")
    shown = ", ".join(f"{each:.2f}" for each in omegas)
    bands = ", ".join(each["band"] for each in found[1:])
    said(f"{shown} ±{found[-1]['relative_uncertainty']:.0%}; bands {bands}; {plural(len(alerts), 'alert')}")
    assert list(targets[1:]) == [pytest.approx(each, abs=0.005) for each in omegas]
    assert ["good", "adequate", "good", "adequate"] == [each["band"] for each in found]
    assert [] == alerts


@pytest.mark.row(20)
def test_field_20_batches_are_no_silence(home: FieldHome, said: "Said") -> None:
    home.register("amed", "b1", report_interval_seconds=1800)
    readings = [(at, {SEA_WATER_TEMPERATURE: varied_celsius(at)}) for at in instants(BEGIN, BEGIN + 2 * DAY, HALF_HOUR)]
    messages = list(batches("b1", readings, 6))
    last = messages[-1].received_at
    home.deliver(messages, looks=instants(BEGIN + 10 * MINUTE, last, HALF_HOUR))
    within = home.alerts("amed", "buoy_silent")
    backwards = sum(
        one.change == "opened" and other.change == "closed" and other.occurred_at <= one.occurred_at
        for one in within
        for other in within
        if one.raised_at <= other.raised_at
    )
    home.deliver([], until=last + DAY)
    after = home.alerts("amed", "buoy_silent")
    said(
        f"{plural(len(within), 'alert')} of silence in {len(messages)} batches; "
        f"a day after the last batch: {plural(len(after) - len(within), 'alert')}"
    )
    assert [] == within
    assert 0 == backwards
    assert ["opened"] == [each.change for each in after]


def test_field_20_batches_do_not_take_the_dive_verdict_back_and_forth(home: FieldHome) -> None:
    """A fair current for two days. What status says between two batches is another matter."""
    home.register("amed", "b1", report_interval_seconds=1800)
    readings = [
        (at, {SEA_WATER_SPEED: 0.4 + number % 2 / 100, VISIBILITY: 12.0})
        for number, at in enumerate(instants(BEGIN, BEGIN + 2 * DAY, HALF_HOUR))
    ]
    messages = list(batches("b1", readings, 6))
    home.deliver(messages, looks=instants(BEGIN + 10 * MINUTE, messages[-1].received_at, HALF_HOUR))
    alerts = sorted(home.alerts("amed", "dive"), key=lambda each: each.raised_at)
    happened = [each.occurred_at for each in alerts]
    assert sorted(happened) == happened, "an alert happened before the one that was told before it"
    assert ["fair"] == [each.to_state for each in alerts]
