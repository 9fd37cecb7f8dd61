"""Records of temperature: what quality control, heat stress and their alerts say of them."""

import math
import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.scores import Level
from reefmesh_field.delivery import telemetry
from reefmesh_field.files import own_csv
from reefmesh_field.home import FieldHome, instants
from reefmesh_field.water import BEGIN, SOLAR, calm_celsius, fore_reef_celsius, lagoon_celsius, solar_hour

if TYPE_CHECKING:
    from tests.field.conftest import Said

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FLAG = "sea_water_temperature_flag"


def worst_heat(day: dict[str, str]) -> str:
    """What an exported day says of heat, in one phrase."""
    level = "no level" if day["level_7day_max"] == "" else Level(int(day["level_7day_max"])).title
    return f"DHW {float(day['dhw (degC-weeks)']):.1f}, {level}, `{day['status']}`"


def shares(readings: list[dict[str, str]], flag: str = FLAG) -> Counter[str]:
    return Counter(reading[flag] for reading in readings)


def swings(alerts: list[Alert]) -> tuple[int, int]:
    """How many alerts tell of worse, and how many of better."""
    worse = sum(each.change in {"opened", "worsened"} for each in alerts)
    return worse, len(alerts) - worse


@pytest.mark.row(1)
def test_field_01_lagoon_is_not_under_stress_and_a_buoy_that_sleeps_at_night_says_so(
    home: FieldHome, tmp_path: Path, said: "Said"
) -> None:
    hours = list(instants(BEGIN, BEGIN + 100 * DAY, HOUR))
    by_day = [at for at in hours if 9 <= solar_hour(at) <= 17]
    for reef, times in (("lagoon-a", hours), ("lagoon-b", by_day)):
        home.register(reef)
        home.done("import", own_csv(tmp_path / f"{reef}.csv", times, lagoon_celsius), "--reef", reef)
    a, b = home.days("lagoon-a")[-1], home.days("lagoon-b")[-1]
    latest = home.status("lagoon-b")["heat"]["latest"]
    alerts = home.alerts("lagoon-b", "heat")
    shown = home.done("status", "--reef", "lagoon-b").out
    nights = f"{latest['coverage_days']} days with a night, {latest['whole_days']} without"
    told = sum("daytime_only" in each.summary for each in alerts)
    said(f"A: {worst_heat(a)}. B: {worst_heat(b)}, {nights}; {told} of {len(alerts)} alerts say `daytime_only`")

    assert ("0.000000", "0", "ok") == (a["dhw (degC-weeks)"], a["level_7day_max"], a["status"])
    assert [] == home.alerts("lagoon-a", "heat")
    assert ("daytime_only", "daytime_only", 0, 84) == (
        b["status"],
        latest["day_status"],
        latest["coverage_days"],
        latest["whole_days"],
    )
    assert len(alerts) == told
    assert "daytime only" in shown
    assert all("night" in str(each.evidence["caution"]) for each in alerts)


@pytest.mark.row(2)
def test_field_02_cold_bores_are_the_signal(home: FieldHome, tmp_path: Path, said: "Said") -> None:
    times = list(instants(BEGIN, BEGIN + 95 * DAY, timedelta(minutes=10)))
    home.register("fore-reef")
    imported = home.done(
        "import", own_csv(tmp_path / "fore.csv", times, fore_reef_celsius), "--reef", "fore-reef", "--json"
    ).document
    latest = home.status("fore-reef")["heat"]["latest"]
    flags = imported["quantities"][SEA_WATER_TEMPERATURE]
    share = flags["suspect"] / len(times)
    said(
        f"SST {latest['sst_celsius']:.2f}, DHW {latest['dhw_celsius_weeks']:.1f}, `{latest['status']}`; "
        f"{share:.1%} suspect, alerts of heat stress: {len(home.alerts('fore-reef', 'heat'))}"
    )
    nights = [at for at in times if not 6 <= solar_hour(at) < 18]
    mean = statistics.fmean(map(fore_reef_celsius, nights))
    assert mean == pytest.approx(latest["sst_celsius"], abs=0.05)
    assert 0.0 == latest["dhw_celsius_weeks"]
    assert "ok" == latest["status"]
    assert {"0", "1"} >= {day["level_7day_max"] for day in home.days("fore-reef")} - {""}


@pytest.mark.row(3)
def test_field_03_one_step_of_the_sensor_is_no_rate_of_change(home: FieldHome, tmp_path: Path, said: "Said") -> None:
    times = list(instants(BEGIN, BEGIN + DAY, timedelta(minutes=1)))
    home.register("calm")
    imported = home.done("import", own_csv(tmp_path / "calm.csv", times, calm_celsius), "--reef", "calm", "--json").document
    flags = imported["quantities"][SEA_WATER_TEMPERATURE]
    steps = sum(calm_celsius(one) != calm_celsius(other) for one, other in pairwise(times))
    said(f"{flags['pass'] / len(times):.1%} of {len(times)} values pass, {flags['suspect']} are suspect")
    assert steps > len(times) / 10, "the record does not toggle"
    assert flags["pass"] >= 0.99 * len(times)


@pytest.mark.row(5)
def test_field_05_times_without_a_zone_are_asked_about(home: FieldHome, tmp_path: Path, said: "Said") -> None:
    """Clocks of 115.64 E run 8 h ahead of UTC; taken as UTC, the afternoons would be nights."""
    zone = timedelta(hours=8)
    times = list(instants(BEGIN, BEGIN + 100 * DAY, HOUR))

    def table(name: str, offset: str) -> Path:
        lines = [f"{at + zone:%Y-%m-%d %H:%M}{offset},{lagoon_celsius(at):.2f}" for at in times]
        path = tmp_path / name
        path.write_text("\n".join(["time,temp_c", *lines]) + "\n")
        return path

    home.register("stated")
    home.register("offset")
    asked = home("import", table("local.csv", ""), "--reef", "stated")
    before = home.status("stated")["as_of"]
    home.done("import", tmp_path / "local.csv", "--reef", "stated", "--timezone", "Asia/Makassar")
    home.done("import", table("offset.csv", "+08:00"), "--reef", "offset")
    last = [home.days(reef)[-1] for reef in ("stated", "offset")]
    alerts = [len(home.alerts(reef, "heat")) for reef in ("stated", "offset")]
    said(
        f"without one: exit code {asked.code}, nothing sent; with `--timezone`: {worst_heat(last[0])}, alerts: {alerts[0]}; "
        f"with +08:00: {worst_heat(last[1])}, alerts: {alerts[1]}"
    )
    assert (78, None, 1) == (asked.code, before, len(asked.err.splitlines()))
    assert "--timezone" in asked.err
    assert ["0.000000", "0.000000"] == [day["dhw (degC-weeks)"] for day in last]
    assert [0, 0] == alerts


STATION = """Name:
Amed
Polygon Middle Longitude:
115.64
Polygon Middle Latitude:
-8.33
Averaged Maximum Monthly Mean:
29.0
YYYY MM DD SST_MIN SST_MAX SST@90th_HS SSTA@90th_HS 90th_HS>0 DHW_from_90th_HS>1 BAA_7day_max
"""


@pytest.mark.row(13)
def test_field_13_missing_days_of_a_station_are_missing(home: FieldHome, tmp_path: Path, said: "Said") -> None:
    """SST 30.5 and a HotSpot of 1.5 on every other day."""
    good = "30.0 31.0 30.5 0.5 1.5 0.0 0"
    wrong = {
        20: "nan nan nan nan nan nan 0",
        40: "30.0 31.0 30.5 0.5 -999 0.0 0",
        60: "-9999 -9999 -9999 -9999 -9999 -9999 0",
    }
    days = [datetime(2020, 1, 1, tzinfo=UTC) + each * DAY for each in range(100)]
    lines = [f"{day:%Y %m %d} {wrong.get(number, good)}" for number, day in enumerate(days)]
    (tmp_path / "station.txt").write_text(STATION + "\n".join(lines) + "\n")
    home.register("station")
    imported = home.done("import", tmp_path / "station.txt", "--reef", "station", "--json").document
    found = home.days("station")
    latest = home.status("station")["heat"]["latest"]
    missing = imported["quantities"][SEA_WATER_TEMPERATURE]["missing"]
    said(f"{missing} of {len(days)} days missing and filled from their neighbours; {worst_heat(found[-1])}")
    assert 3 == missing
    assert ["filled", "filled", "filled"] == [found[number]["source"] for number in wrong]
    assert {"1.500000"} == {day["hotspot (degC)"] for day in found}
    assert 84 * 1.5 / 7 == pytest.approx(latest["dhw_celsius_weeks"], abs=1e-3)
    assert ("ok", 3) == (latest["status"], latest["filled_days"])


HOBO = (
    '"Plot Title: wall"\n"#","Date Time, GMT+08:00","Temp, °F (LGR S/N: 10000001)","Host Connected (LGR S/N: 10000001)"\n'
    "1,08/14/24 11:30:00 PM,82.4,\n2,08/15/24 12:00:00 AM,-999,\n3,08/15/24 12:00:30 AM,,Logged\n"
)
EXPORTS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "HOBOware": (HOBO.encode("cp1252"), ()),
    "ERDDAP": (b"time,sea_water_temperature\nUTC,degree_C\n2024-08-14T15:30:00Z,28.0\n2024-08-14T16:00:00Z,NaN\n", ()),
    "NDBC": (b"#YY  MM DD hh mm WTMP\n#yr  mo dy hr mn degC\n2024 08 14 15 30 28.0\n2024 08 14 16 00 999.0\n", ()),
    "semicolons": (
        "Zeit;Wassertemperatur (°C)\n14.08.2024 23:30;28,0\n15.08.2024 00:00;-999,0\n".encode("cp1252"),
        ("--timezone", "+08:00", "--column", "Zeit=time", "--column", f"Wassertemperatur={SEA_WATER_TEMPERATURE}"),
    ),
}


@pytest.mark.row(14)
def test_field_14_exports_of_programs_are_read(home: FieldHome, tmp_path: Path, said: "Said") -> None:
    """The same two readings in every file: 28.0 degC at 15:30 UTC, and a missing one."""
    understood = []
    for name, (content, options) in EXPORTS.items():
        path = tmp_path / f"{name}.txt"
        path.write_bytes(content)
        home.register(name.lower())
        home.done("import", path, "--reef", name.lower(), *options)
        understood.append(
            [(each["time (UTC)"], each["sea_water_temperature (degC)"], each[FLAG]) for each in home.readings(name.lower())]
        )
    equal = sum(each == understood[0] for each in understood)
    said(f"{equal} of {len(EXPORTS)} files give the same {len(understood[0])} readings")
    assert [[("2024-08-14T15:30:00Z", "28.0", "1"), ("2024-08-14T16:00:00Z", "", "9")]] * len(EXPORTS) == understood


@pytest.mark.row(15)
def test_field_15_known_sentinels_fail_by_themselves(home: FieldHome, tmp_path: Path, said: "Said") -> None:
    times = list(instants(BEGIN, BEGIN + 2 * DAY, timedelta(minutes=30)))
    sentinels = {times[30]: 85.0, times[60]: -127.0}

    def celsius(at: datetime) -> float:
        return sentinels.get(at, 28.5 + 0.3 * math.sin(2 * math.pi * solar_hour(at) / 24))

    home.register("probe")
    home.done("import", own_csv(tmp_path / "probe.csv", times, celsius), "--reef", "probe")
    readings = home.readings("probe")
    flags = shares(readings)
    failed = [float(each["sea_water_temperature (degC)"]) for each in readings if each[FLAG] == "4"]
    faults = len(home.alerts("probe", "sensor_fault"))
    said(f"{flags['4']} values fail ({failed[0]:g} and {failed[-1]:g}), {flags['1']} of {len(times)} pass; alerts: {faults}")
    assert [85.0, -127.0] == failed
    assert len(times) - 2 == flags["1"]
    assert 0 == faults


def test_field_15_person_excludes_a_value_and_includes_it_again(home: FieldHome, tmp_path: Path) -> None:
    """A buoy out of the water for a night: 34.0 between 28s."""
    times = list(instants(BEGIN, BEGIN + 2 * DAY, timedelta(minutes=30)))
    out = times[2:10]
    record = own_csv(tmp_path / "air.csv", times, lambda at: 34.0 if at in out else 28.5 + 0.1 * (times.index(at) % 3))
    home.register("amed")
    home.done("import", record, "--reef", "amed")
    before, day = home.readings("amed"), home.days("amed")[0]
    period = ("records-amed", "--from", out[0].isoformat(), "--to", (out[-1] + timedelta(minutes=1)).isoformat())
    home.done("exclude", *period, "--quantity", SEA_WATER_TEMPERATURE, "--reason", "out of the water")
    kept = [each for each in home.readings("amed") if each[FLAG] in {"1", "2"}]
    assert {"34.0"}.isdisjoint(each["sea_water_temperature (degC)"] for each in kept)
    assert float(home.days("amed")[0]["sst (degC)"]) == pytest.approx(28.6, abs=0.05)
    home.done("include", *period, "--quantity", SEA_WATER_TEMPERATURE)
    assert [each[FLAG] for each in before] == [each[FLAG] for each in home.readings("amed")]
    assert day == home.days("amed")[0]


def half_a_degree_above(at: datetime) -> float:
    return 29.5 + 0.3 * math.sin(2 * math.pi * solar_hour(at) / 24)


@pytest.mark.row(18)
def test_field_18_station_of_1987_has_no_level_today(home: FieldHome, tmp_path: Path, said: "Said") -> None:
    """Its last days are at half a degree above the MMM: a Bleaching Watch then."""
    begin = datetime(1987, 5, 1, tzinfo=UTC) - SOLAR
    times = list(instants(begin, begin + 100 * DAY, 3 * HOUR))
    home.register("station")
    home.done("import", own_csv(tmp_path / "1987.csv", times, half_a_degree_above), "--reef", "station")
    heat = home.status("station")["heat"]
    shown = " ".join(home.done("status").out.split())
    date = heat["latest"]["date"]
    now = "unknown" if heat["level_now"] is None else Level(heat["level_now"]).title
    said(f"today: {now}; last known: {Level(heat['latest']['level_7day_max']).title} on {date}")
    assert (None, 1) == (heat["level_now"], heat["latest"]["level_7day_max"])
    assert heat["age_days"] > 35 * 365
    assert date in shown
    assert "unknown; last " in shown


def revised_day() -> tuple[list[tuple[datetime, dict[str, float]]], list[list[tuple[datetime, dict[str, float]]]]]:
    """20 days with a HotSpot of 1.3 after 70 cool ones; then a day that makes 4.01 of their sum of 26, and two revisions of it
    by late readings: 3.99 and 4.02. The values of a day swing by a tenth around its mean, or they would be a flat line."""

    def day(number: int, hotspot: float, *, minute: int = 0) -> list[tuple[datetime, dict[str, float]]]:
        begin = BEGIN + number * DAY + timedelta(minutes=minute)
        hours = enumerate(instants(begin, begin + DAY, HOUR))
        return [(at, {SEA_WATER_TEMPERATURE: 29.0 + hotspot + 0.1 * (-1) ** hour}) for hour, at in hours]

    sums = [7 * dhw - 20 * 1.3 for dhw in (4.01, 3.99, 4.02)]
    record = [each for number in range(70) for each in day(number, -1.0)]
    record += [each for number in range(70, 90) for each in day(number, 1.3)]
    # Each revision doubles or adds a third to the readings of the day: its mean moves to the next of the sums.
    first = day(90, sums[0])
    second = day(90, 2 * sums[1] - sums[0], minute=20)
    third = day(90, 3 * sums[2] - 2 * sums[1], minute=40)
    return record, [first, second, third]


@pytest.mark.row(21)
def test_field_21_revisions_of_one_day_raise_one_alert_in_each_direction(home: FieldHome, said: "Said") -> None:
    record, revisions = revised_day()
    home.register("amed", "b1", report_interval_seconds=3600)
    sent = BEGIN + 91 * DAY + HOUR
    home.deliver([telemetry("b1", sent, record[first : first + 480]) for first in range(0, len(record), 480)])
    before = len(home.alerts("amed", "heat"))
    sums, found = [], []
    for number, readings in enumerate(revisions):
        home.deliver([telemetry("b1", sent + (number + 1) * HOUR, readings)], until=sent + (number + 1.5) * HOUR)
        latest = home.status("amed")["heat"]["latest"]
        sums.append(round(latest["dhw_celsius_weeks"], 2))
        found.append(latest["level_7day_max"])
    day = str((BEGIN + 90 * DAY + SOLAR).date())
    alerts = [each for each in home.alerts("amed", "heat")[before:] if each.evidence["date"] == day]
    worse, better = swings(alerts)
    said(f"DHW {', '.join(f'{each:.2f}' for each in sums)}; alerts up: {worse}, down: {better}")
    assert [4.01, 3.99, 4.02] == sums
    assert [3, 2, 3] == found
    assert (1, 1) >= (worse, better)
    assert worse == 1
