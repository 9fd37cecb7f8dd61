"""Row 14 of the field's records: what loggers and servers export is read, with what was understood. The files are ours."""

from collections.abc import Callable
from typing import Any

import pytest

from reefmesh.contracts.quantities import SALINITY, SEA_WATER_SPEED, SEA_WATER_TEMPERATURE, SEA_WATER_TO_DIRECTION
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.understood import unit_text

ReadText = Callable[..., FileRecord]
Readings = Callable[..., list[tuple[str, dict[str, float | None]]]]
Refusal = Callable[..., str]

HOBO = (
    '"Plot Title: wall at 5 m"\n'
    '"#","Date Time, GMT+08:00","Temp, °F (LGR S/N: 10000001, SEN S/N: 10000001, LBL: wall)","Batt, V (LGR S/N: 10000001)",'
    '"Coupler Detached (LGR S/N: 10000001)","Host Connected (LGR S/N: 10000001)","End Of File (LGR S/N: 10000001)"\n'
    "1,08/14/24 11:30:00 PM,82.4,3.1,,,\n"
    "2,08/15/24 12:00:00 AM,82.58,3.1,,,\n"
    "3,08/15/24 12:12:33 AM,,,Logged,,\n"
    "4,08/15/24 12:30:00 AM,82.76,3.1,,,\n"
    "5,08/15/24 12:41:10 AM,,3.1,,Logged,Logged\n"
)
HOBO_READ = [
    ("2024-08-14T15:30:00Z", {SEA_WATER_TEMPERATURE: 28.0}),
    ("2024-08-14T16:00:00Z", {SEA_WATER_TEMPERATURE: 28.1}),
    ("2024-08-14T16:30:00Z", {SEA_WATER_TEMPERATURE: 28.2}),
]

HOBO_FORMS = {
    "as written": HOBO,
    "end of lines of Windows": HOBO.replace("\n", "\r\n"),
    "end of lines of old Macs": HOBO.replace("\n", "\r"),
    "without its title": HOBO.partition("\n")[2],
    "tabs": HOBO.replace('",', '"\t').replace(",", "\t").replace("Time\t GMT", "Time, GMT").replace("Temp\t °F", "Temp, °F"),
    "opened and saved by a spreadsheet": HOBO.replace('wall at 5 m"', 'wall at 5 m",,,,,,'),
    "short lines": HOBO.replace(",3.1,,,\n", ",3.1\n"),
    "date and time apart": HOBO.replace('"Date Time, GMT+08:00"', '"Date","Time, GMT+08:00"').replace("/24 ", "/24,"),
    "degrees with a star": HOBO.replace("°F", "*F"),
    "degC": HOBO.replace("°F", "°C").replace("82.4,", "28.0,").replace("82.58", "28.1").replace("82.76", "28.2"),
}


@pytest.mark.parametrize("form", HOBO_FORMS)
def test_field_14_hoboware_export_is_read(form: str, readings: Readings) -> None:
    assert HOBO_READ == readings(HOBO_FORMS[form])


def test_field_14_hoboware_export_says_how_it_was_understood(read_text: ReadText) -> None:
    understood = read_text(HOBO).understood
    assert ("HOBO logger", "UTF-8", "comma", ".") == (
        understood.format,
        understood.encoding,
        understood.separator,
        understood.decimal_mark,
    )
    assert ["ignored", "time", SEA_WATER_TEMPERATURE, *["ignored"] * 4] == [use.use for use in understood.columns]
    assert "degF -> degC" == unit_text(understood.columns[2])
    assert "GMT+08:00 (column 'Date Time, GMT+08:00')" == understood.times.zone
    assert ("08/14/24 11:30:00 PM", "2024-08-14T15:30:00Z") == (understood.times.written, understood.times.meant)
    assert (3, 2) == (understood.readings, understood.events)


@pytest.mark.parametrize(
    "title",
    ["Temperature , °C", "Ch: 1 - Temperature   (°C )", "Tidbit 7 , °C", "Temperature Avg : Avg (°C)", "Temp (°C)  #10000001"],
)
def test_field_14_hoboconnect_export_is_read(title: str, readings: Readings) -> None:
    content = f'"#","Date-Time (UTC)","{title}","Light , lux","Host Connected"\n1,2024-08-15 12:00:00,28.5,900,\n'
    assert [("2024-08-15T12:00:00Z", {SEA_WATER_TEMPERATURE: 28.5})] == readings(content)


@pytest.mark.parametrize("title", ["Air Temp, °C", "Dew Point, °C", "Internal Temp (°C)"])
def test_field_14_temperature_of_something_else_is_not_the_water(title: str, refusal: Refusal) -> None:
    said = refusal(f'"#","Date Time, GMT+00:00","{title} "\n1,2024-08-15 12:00:00,28.5\n')
    assert "has no column of a known quantity" in said


ERDDAP_CSV = (
    "time,station,latitude,depth,sea_water_temperature,sea_water_speed,air_temperature,sea_water_temperature_qc_agg\n"
    "UTC,,degrees_north,m,degree_C,cm s-1,degree_C,1\n"
    "2024-01-01T00:00:00Z,one,-8.3,1.0,28.1,25.0,30.0,1\n"
    "2024-01-01T01:00:00Z,one,-8.3,1.0,NaN,26.0,30.0,9\n"
)
ERDDAP_CSVP = (
    "time (UTC),station,sea_water_temperature (degree_C),sea_water_speed (cm.s-1)\n"
    "2024-01-01T00:00:00Z,one,28.1,25.0\n"
    "2024-01-01T01:00:00Z,one,NaN,26.0\n"
)


@pytest.mark.parametrize("content", [ERDDAP_CSV, ERDDAP_CSVP], ids=["csv", "csvp"])
def test_field_14_table_of_erddap_is_read_with_its_units(content: str, readings: Readings) -> None:
    assert [
        ("2024-01-01T00:00:00Z", {SEA_WATER_TEMPERATURE: 28.1, SEA_WATER_SPEED: 0.25}),
        ("2024-01-01T01:00:00Z", {SEA_WATER_TEMPERATURE: None, SEA_WATER_SPEED: 0.26}),
    ] == readings(content)


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (ERDDAP_CSV + "2024-01-01T02:00:00Z,two,-8.3,1.0,28.1,25.0,30.0,1\n", "station"),
        (ERDDAP_CSV + "2024-01-01T02:00:00Z,one,-8.3,9.0,28.1,25.0,30.0,1\n", "depth"),
    ],
)
def test_field_14_several_stations_or_depths_are_asked_about(content: str, column: str, refusal: Refusal) -> None:
    said = refusal(content)
    assert f"line 5: '{column}' is" in said
    assert f"choose one with --where '{column}=" in said


def test_field_14_one_depth_of_several_is_read_where_it_is_named(read_text: ReadText) -> None:
    record = read_text(ERDDAP_CSV + "2024-01-01T02:00:00Z,one,-8.3,9.0,27.1,25.0,30.0,1\n", where={"depth": "9"})
    assert [27.1] == list(record.values[SEA_WATER_TEMPERATURE])
    assert 2 == record.understood.left_out


NDBC_FORMS = {
    "standard, today": "#YY  MM DD hh mm WDIR WTMP  VIS\n#yr  mo dy hr mn degT degC  nmi\n"
    "2024 01 01 01 00  99 28.2   MM\n2024 01 01 00 00  MM 28.1   MM\n",
    "standard, before 2007": "YYYY MM DD hh mm  WD  WTMP  VIS\n"
    "2024 01 01 00 00 999  28.1 99.0\n2024 01 01 01 00 999  28.2 99.0\n",
    "standard, without minutes": "YYYY MM DD hh  WD  WTMP  VIS\n2024 01 01 00 999  28.1 99.0\n2024 01 01 01 999  28.2 99.0\n",
    "ocean": "#YY  MM DD hh mm   DEPTH  OTMP   COND    PH\n#yr  mo dy hr mn       m  degC  mS/cm     -\n"
    "2024 01 01 00 00     1.0 28.10     MM  8.00\n2024 01 01 01 00     1.0 28.20     MM  8.00\n",
}


@pytest.mark.parametrize("form", NDBC_FORMS)
def test_field_14_text_of_ndbc_is_read(form: str, readings: Readings) -> None:
    assert [
        ("2024-01-01T00:00:00Z", {SEA_WATER_TEMPERATURE: 28.1}),
        ("2024-01-01T01:00:00Z", {SEA_WATER_TEMPERATURE: 28.2}),
    ] == readings(NDBC_FORMS[form])


def test_field_14_text_of_ndbc_with_years_of_two_digits_is_read(readings: Readings) -> None:
    assert [("1997-01-01T00:00:00Z", {SEA_WATER_TEMPERATURE: 28.1})] == readings(
        "YY MM DD hh  WD  WTMP\n97 01 01 00 999  28.1\n"
    )


def test_field_14_columns_of_ndbc_can_be_named(readings: Readings) -> None:
    content = "#YY  MM DD hh mm DEP01 DIR01 SPD01\n#yr  mo dy hr mn     m  degT  cm/s\n2024 01 01 00 00   2.0   210  19.0\n"
    named = {"SPD01": SEA_WATER_SPEED, "DIR01": SEA_WATER_TO_DIRECTION}
    assert [("2024-01-01T00:00:00Z", {SEA_WATER_SPEED: 0.19, SEA_WATER_TO_DIRECTION: 210.0})] == readings(
        content, columns=named
    )


EUROPEAN = (
    "Temperaturmessung Wand\n\nDate;Time;Temperature (°C);Salinity\n31.12.2024;23:50;28,5;34,1\n01.01.2025;00:00;28,25;NaN\n"
)
EUROPEAN_READ = [
    ("2024-12-31T15:50:00Z", {SEA_WATER_TEMPERATURE: 28.5, SALINITY: 34.1}),
    ("2024-12-31T16:00:00Z", {SEA_WATER_TEMPERATURE: 28.25, SALINITY: None}),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize(
    "content",
    [
        EUROPEAN,
        EUROPEAN.replace(";", "\t"),
        EUROPEAN.replace(";", "|"),
        EUROPEAN.replace(",", ".").replace(";", ","),
        EUROPEAN + "\x1a",
    ],
    ids=["semicolons", "tabs", "bars", "commas", "end of DOS"],
)
def test_field_14_separators_decimal_commas_and_encodings_are_read(encoding: str, content: str, readings: Readings) -> None:
    assert EUROPEAN_READ == readings(content, encoding=encoding, timezone="+08:00")


UNITS = {
    ("temp (F)", "82.4"): (SEA_WATER_TEMPERATURE, 28.0),
    ("temp [K]", "301.15"): (SEA_WATER_TEMPERATURE, 28.0),
    ("Water_Temperature_degC", "28"): (SEA_WATER_TEMPERATURE, 28.0),
    ("sst (degrees_Celsius)", "28"): (SEA_WATER_TEMPERATURE, 28.0),
    ("current_speed (kn)", "1"): (SEA_WATER_SPEED, 0.514444),
    ("current_speed (m s-1)", "1"): (SEA_WATER_SPEED, 1.0),
    ("sal (PSS-78)", "34"): (SALINITY, 34.0),
    ("salinity", "34"): (SALINITY, 34.0),
}


@pytest.mark.parametrize(("title", "written"), UNITS)
def test_field_14_unit_in_the_name_of_a_column_is_converted(title: str, written: str, readings: Readings) -> None:
    quantity, value = UNITS[title, written]
    assert [{quantity: value}] == [channels for _, channels in readings(f"time,{title}\n2024-01-01T00:00Z,{written}\n")]


def test_field_14_unit_of_the_operator_goes_before_the_column(readings: Readings) -> None:
    """A logger's export that somebody converted by hand."""
    found = readings("time,temp (F)\n2024-01-01T00:00Z,28.5\n", units={"temp (F)": "degC"})
    assert [{SEA_WATER_TEMPERATURE: 28.5}] == [channels for _, channels in found]


ASKED: dict[str, tuple[str, dict[str, Any], str]] = {
    "temperature without a unit": (
        "time,temp\n2024-01-01T00:00Z,28\n",
        {},
        "states no unit for sea_water_temperature; give --unit",
    ),
    "unit that cannot be right": (
        "time,temp (mV)\n2024-01-01T00:00Z,28\n",
        {},
        "'mV' cannot be a unit of sea_water_temperature",
    ),
    "pH of no scale": (
        "time,pH\n2024-01-01T00:00Z,8.1\n",
        {},
        "a pH of an unstated scale; give --column 'pH'=sea_water_ph_reported",
    ),
    "pH named ph": ("time,pH\n2024-01-01T00:00Z,8.1\n", {"columns": {"pH": "ph"}}, "on which scale is that pH?"),
    "unknown column": ("time,temp_c,foo\n2024-01-01T00:00Z,28,1\n", {}, "unknown column 'foo'"),
    "two columns of one quantity": ("time,temp_c,sst (degC)\n2024-01-01T00:00Z,28,28\n", {}, "both hold sea_water_temperature"),
    "no quantity": ("time,depth\n2024-01-01T00:00Z,1\n", {}, "has no column of a known quantity among 'time', 'depth'"),
    "no time": ("day,temp_c\n2024-01-01T00:00Z,28\n", {}, "has no header with a time"),
    "no header": ("2024-01-01T00:00Z,28\n2024-01-01T01:00Z,28\n", {}, "has no header with a time"),
    "column that is not there": (
        "time,temp_c\n2024-01-01T00:00Z,28\n",
        {"columns": {"t": "time"}},
        "--column 't' is no column",
    ),
    "quantity that does not exist": (
        "time,x\n2024-01-01T00:00Z,28\n",
        {"columns": {"x": "sea_water_temprature"}},
        "is sea_water_temperature meant?",
    ),
    "unit of a column that is not there": (
        "time,temp_c\n2024-01-01T00:00Z,28\n",
        {"units": {"y": "degC"}},
        "--unit 'y' is no column",
    ),
    "where without a column": ("time,temp_c\n2024-01-01T00:00Z,28\n", {"where": {"z": "1"}}, "--where 'z' is no column"),
    "where without a line": (
        "time,temp_c,depth\n2024-01-01T00:00Z,28,1\n",
        {"where": {"depth": "2"}},
        "has no line that --where describes",
    ),
    "fields missing": ("time,temp_c\n2024-01-01T00:00Z\n", {}, "line 2: 1 fields instead of 2"),
    "fields too many": ("time,temp_c\n2024-01-01T00:00Z,28,5\n", {}, "line 2: 3 fields instead of 2"),
    "quote that does not end": ('time,temp_c\n2024-01-01T00:00Z,"28\n', {}, "line 2: unexpected end of data"),
    "two values of an instant": (
        "time,temp_c\n2024-01-01T00:00Z,28\n2024-01-01T01:00Z,28\n2024-01-01T08:00+08:00,29\n",
        {},
        "lines 2 and 4 give sea_water_temperature 28 and 29 for 2024-01-01T00:00:00Z",
    ),
}


@pytest.mark.parametrize("case", ASKED)
def test_field_14_what_is_not_clear_is_asked_in_one_line(case: str, refusal: Refusal) -> None:
    content, options, said = ASKED[case]
    assert said in refusal(content, **options)


def test_field_14_column_of_unknown_meaning_can_be_named_or_left(readings: Readings) -> None:
    content = "time,a=b,foo\n2024-01-01T00:00Z,28,1\n"
    found = readings(content, columns={"a=b": SEA_WATER_TEMPERATURE, "foo": "ignored"}, units={SEA_WATER_TEMPERATURE: "degC"})
    assert [("2024-01-01T00:00:00Z", {SEA_WATER_TEMPERATURE: 28.0})] == found


def test_field_14_time_column_can_be_named(readings: Readings) -> None:
    content = "Messzeit;Wert\n2024-01-01T00:00Z;28,5\n"
    found = readings(content, columns={"messzeit": "time", "wert": SEA_WATER_TEMPERATURE}, units={"wert": "degC"})
    assert [("2024-01-01T00:00:00Z", {SEA_WATER_TEMPERATURE: 28.5})] == found


def test_field_14_one_of_two_columns_can_be_named(readings: Readings) -> None:
    found = readings("time,temp_c,sst (degC)\n2024-01-01T00:00Z,28,29\n", columns={"temp_c": SEA_WATER_TEMPERATURE})
    assert [{SEA_WATER_TEMPERATURE: 28.0}] == [channels for _, channels in found]


def test_field_14_repeated_lines_are_one_reading_and_counted(read_text: ReadText) -> None:
    record = read_text("time,temp_c\n2024-01-01T01:00Z,28\n2024-01-01T00:00Z,27\n2024-01-01T01:00Z,28\n")
    assert ([27.0, 28.0], 1) == (list(record.values[SEA_WATER_TEMPERATURE]), record.understood.repeated)
