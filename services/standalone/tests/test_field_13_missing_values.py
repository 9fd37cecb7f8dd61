"""Row 13 of the field's records: what means "no value" is a missing value, and everything else that is no number is told."""

from collections.abc import Callable

import pytest

from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh_standalone.records.formats import RecordFormat

Readings = Callable[..., list[tuple[str, dict[str, float | None]]]]
Refusal = Callable[..., str]

MISSING = ["", "nan", "NaN", "NA", "n/a", "null", "-999", "-999.0", "-999.99", "-9999", "-9999.0", "-99.9", "--"]
STATION = """Name:
Amed
Polygon Middle Longitude:
115.6
Polygon Middle Latitude:
-8.3
Averaged Maximum Monthly Mean:
29.0
YYYY MM DD SST_MIN SST_MAX SST@90th_HS SSTA@90th_HS 90th_HS>0 DHW_from_90th_HS>1 BAA_7day_max
2020 01 01 28.0 29.0 28.5 0.1 0.0 0.0 0
2020 01 02 {day}
2020 01 03 28.0 29.0 28.7 0.1 1.5 0.0 0
"""


@pytest.mark.parametrize("text", MISSING)
def test_field_13_words_and_nines_for_no_value_are_missing_values(text: str, readings: Readings) -> None:
    found = readings(f"time,temp_c,salinity\n2024-01-01T00:00Z,{text},34.1\n")
    assert [("2024-01-01T00:00:00Z", {SEA_WATER_TEMPERATURE: None, "sea_water_practical_salinity": 34.1})] == found


@pytest.mark.parametrize("text", ["-999,0", "-9999,00", "NaN"])
def test_field_13_nines_with_a_decimal_comma_are_missing_values(text: str, readings: Readings) -> None:
    found = readings(f"time;temp_c\n2024-01-01T00:00Z;28,5\n2024-01-01T01:00Z;{text}\n")
    assert [28.5, None] == [channels[SEA_WATER_TEMPERATURE] for _, channels in found]


@pytest.mark.parametrize("text", ["MM", "99.0", "999.0", "9999.0"])
def test_field_13_nines_of_ndbc_are_missing_values(text: str, readings: Readings) -> None:
    found = readings(f"#YY  MM DD hh mm WTMP\n#yr  mo dy hr mn degC\n2024 01 01 00 00 {text}\n2024 01 01 01 00 28.1\n")
    assert [None, 28.1] == [channels[SEA_WATER_TEMPERATURE] for _, channels in found]


@pytest.mark.parametrize("text", ["99", "999.0"])
def test_field_13_nines_above_zero_are_values_elsewhere(text: str, readings: Readings) -> None:
    """A temperature of 99 fails quality control; it is not for a reader to say."""
    assert [float(text)] == [
        channels[SEA_WATER_TEMPERATURE] for _, channels in readings(f"time,temp_c\n2024-01-01T00:00Z,{text}\n")
    ]


def test_field_13_missing_value_in_degf_stays_missing(readings: Readings) -> None:
    """-999 degF is not -572.8 degC."""
    assert [None] == [channels[SEA_WATER_TEMPERATURE] for _, channels in readings("time,temp_f\n2024-01-01T00:00Z,-999\n")]


@pytest.mark.parametrize(
    "day",
    [
        "nan nan nan nan nan nan 0",
        "28.0 29.0 28.6 0.1 -999 0.0 0",
        "28.0 29.0 28.6 0.1 nan 0.0 0",
        "-999 -999 -999 -999 0.0 0.0 0",
        "-9999 -9999 -9999 -9999 -9999 -9999 0",
        "-99.9900 -99.9900 -99.9900 -99.9900 -99.9900 -99.9900 0",
    ],
)
def test_field_13_day_of_a_station_without_a_value_is_missing(day: str, readings: Readings) -> None:
    """Also a HotSpot of -999 beside a valid SST: whether the water was warm that day is then not known."""
    found = readings(STATION.format(day=day))
    assert [28.5, None, 30.5] == [channels[SEA_WATER_TEMPERATURE] for _, channels in found]


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("28.0 29.0 warm 0.1 0.0 0.0 0", "line 11: 'SST@90th_HS' is 'warm', which is no number"),
        ("28.0 29.0 28.5 0.1 inf 0.0 0", "line 11: '90th_HS>0' is 'inf', which is no number"),
        ("28.0 29.0 28.5 0.1 0.0", "line 11: 8 fields instead of 10"),
    ],
)
def test_field_13_day_of_a_station_that_cannot_be_read_is_told(day: str, said: str, refusal: Refusal) -> None:
    assert said in refusal(STATION.format(day=day))


@pytest.mark.parametrize(
    ("year", "said"), [("1969", "line 11: 1969-01-02 is before 1970"), ("2036", "line 11: is a day in the future")]
)
def test_field_13_day_of_a_station_that_no_score_can_have_is_told(year: str, said: str, refusal: Refusal) -> None:
    assert said in refusal(STATION.format(day="28.0 29.0 28.6 0.1 0.0 0.0 0").replace("2020 01 02", f"{year} 01 02"))


@pytest.mark.parametrize("mmm", ["nan", "-999", "warm", ""])
def test_field_13_station_without_an_mmm_is_asked_about(mmm: str, refusal: Refusal) -> None:
    said = refusal(STATION.format(day="28.0 29.0 28.6 0.1 0.0 0.0 0").replace("\n29.0\n", f"\n{mmm}\n"))
    assert "has no 'Averaged Maximum Monthly Mean' in its header; give --mmm, or set the reef's mmm_celsius" in said


def test_field_13_station_without_an_mmm_takes_that_of_its_reef(readings: Readings) -> None:
    content = STATION.format(day="28.0 29.0 28.6 0.1 0.0 0.0 0").replace("\n29.0\n", "\nnan\n")
    assert [28.5, 28.6, 31.5] == [channels[SEA_WATER_TEMPERATURE] for _, channels in readings(content, reef_mmm_celsius=30.0)]


@pytest.mark.parametrize(
    "text", ["warm", "Sensor not found", "inf", "1e400", "28.5 C", "28..5", "0x1c", "2_8", "1,234.5", "#REF!"]
)
def test_field_13_anything_else_that_is_no_number_is_told_with_its_line(text: str, refusal: Refusal) -> None:
    said = refusal(f'time,temp_c\n2024-01-01T00:00Z,28.5\n2024-01-01T01:00Z,"{text}"\n')
    assert "line 3: 'temp_c' is" in said


def test_field_13_number_that_no_sensor_gives_is_told_with_its_line(refusal: Refusal) -> None:
    assert "line 2: 'temp_c' is '1e30', which is no measurement" in refusal("time,temp_c\n2024-01-01T00:00Z,1e30\n")


def test_field_13_thousands_are_not_taken_for_decimals(refusal: Refusal) -> None:
    """1,234 among 28.5: the comma cannot be a decimal one."""
    said = refusal("time;pco2 (uatm)\n2024-01-01T00:00Z;400.5\n2024-01-01T01:00Z;1,234\n")
    assert "line 3: 'pco2 (uatm)' is '1,234', but line 2 has decimals after '.'" in said


def test_field_13_stated_format_is_the_one_that_is_read(refusal: Refusal) -> None:
    said = refusal("time,temp_c\n2024-01-01T00:00Z,28\n", file_format=RecordFormat.NOAA_STATION, mmm_celsius=29.0)
    assert "has no day lines (YYYY MM DD SST_MIN ..); is it a noaa-station file?" in said
