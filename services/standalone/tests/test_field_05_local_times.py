"""Row 5 of the field's records: nothing about a time is silently assumed, and what is stated is used."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.times import DateOrder

ReadText = Callable[..., FileRecord]
Readings = Callable[..., list[tuple[str, dict[str, float | None]]]]
Refusal = Callable[..., str]
NOON = "2024-08-15T04:00:00Z"


def table(*times: str, title: str = "time") -> str:
    return "\n".join((f'"{title}",temp_c', *(f'"{time}",28.5' for time in times))) + "\n"


def first(record: FileRecord) -> str:
    return f"{record.observed_at(0):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    "written",
    [
        "2024-08-15 12:00",
        "2024-08-15T12:00:00",
        "2024/08/15 12:00:00.250",
        "15.08.2024 12:00",
        "08/15/24 12:00:00 PM",
        "15-Aug-2024 12:00",
        "2024-08-15",
    ],
)
def test_field_05_local_times_without_an_offset_are_asked_about(written: str, refusal: Refusal) -> None:
    said = refusal(table(written))
    assert "record.csv, line 2" in said
    assert "states no offset from UTC; give --timezone" in said


def test_field_05_zone_abbreviations_are_asked_about(refusal: Refusal) -> None:
    """PDT, CST and IST stand for several zones each, and HOBOconnect writes those of somebody's phone."""
    said = refusal('"#","Date-Time (CST)","Temperature , °C"\n1,2024-08-15 12:00:00,28.5\n')
    assert "is in 'CST', which stands for several zones or none; give --timezone" in said


def test_field_05_one_line_of_many_without_an_offset_is_asked_about(refusal: Refusal) -> None:
    assert "line 3" in refusal(table("2024-08-15T12:00:00+08:00", "2024-08-15T12:10:00"))


@pytest.mark.parametrize("title", ["Date Time, GMT+08:00", "time (UTC+8)", "Date Time - GMT +08:00", "timestamp (+08:00)"])
def test_field_05_offset_in_the_name_of_the_column_is_used(title: str, read_text: ReadText) -> None:
    record = read_text(table("2024-08-15 12:00", title=title))
    assert NOON == first(record)
    assert "+8" in record.understood.times.zone or "+08:00" in record.understood.times.zone


@pytest.mark.parametrize(
    "written", ["2024-08-15T12:00:00+08:00", "2024-08-15 12:00 +0800", "2024-08-15 04:00Z", "2024-08-15 04:00 UTC"]
)
def test_field_05_offset_of_each_time_is_used(written: str, read_text: ReadText) -> None:
    record = read_text(table(written), timezone="Pacific/Auckland")
    assert NOON == first(record)
    assert "each time's own offset" == record.understood.times.zone


@pytest.mark.parametrize("stated", ["Asia/Makassar", "+08:00", "GMT+8", "site"])
def test_field_05_zone_of_the_operator_is_used(stated: str, read_text: ReadText) -> None:
    record = read_text(table("2024-08-15 12:00"), timezone=stated, longitude_degrees=115.64)
    assert NOON == first(record)


def test_field_05_site_without_a_reef_is_asked_about(refusal: Refusal) -> None:
    assert "--timezone site needs the reef" in refusal(table("2024-08-15 12:00"), timezone="site")


@pytest.mark.parametrize(
    ("stated", "said"), [("Asia/Maccasar", "is Asia/Makassar meant?"), ("+25:00", "is no time zone"), ("", "no time zone")]
)
def test_field_05_zone_that_does_not_exist_is_told(stated: str, said: str, refusal: Refusal) -> None:
    assert said in refusal(table("2024-08-15 12:00"), timezone=stated)


AMBIGUOUS = {
    "one day": ["05/06/2024 10:00"],
    "one day, hourly": [f"05/06/2024 {hour:02}:00" for hour in range(24)],
    "twelve days, daily": [f"{day:02}/03/2024 10:00" for day in range(1, 13)],
    "two digits each": ["05-06-07 10:00"],
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_field_05_dates_of_an_open_order_are_asked_about(case: str, refusal: Refusal) -> None:
    said = refusal(table(*AMBIGUOUS[case]), timezone="UTC")
    assert "say which with --date-order dmy|mdy" in said
    assert "line 2" in said


@pytest.mark.parametrize(
    ("order", "expected"), [("dmy", "2024-06-05T10:00:00Z"), ("mdy", "2024-05-06T10:00:00Z")], ids=["day first", "month first"]
)
def test_field_05_stated_order_of_dates_is_used(order: str, expected: str, read_text: ReadText) -> None:
    record = read_text(table("05/06/2024 10:00"), timezone="UTC", date_order=DateOrder(order))
    assert expected == first(record)


def test_field_05_stated_order_that_a_line_contradicts_is_told(refusal: Refusal) -> None:
    said = refusal(table("05/06/2024 10:00", "05/31/2024 10:00"), timezone="UTC", date_order=DateOrder.DMY)
    assert "line 3: there is no date 05-31-2024 (day first: --date-order)" in said


@pytest.mark.parametrize(
    ("times", "expected", "why"),
    [
        (["12/05/2024 10:00", "13/05/2024 10:00"], "2024-05-12T10:00:00Z", "day first: line 3 allows no other order"),
        (["05/12/24 10:00", "05/13/24 10:00"], "2024-05-12T10:00:00Z", "month first: line 3 allows no other order"),
        (["07/07/2024 10:00"], "2024-07-07T10:00:00Z", "every order gives the same dates"),
        (
            [f"{5 + hour // 24:02}/03/2024 {hour % 24:02}:00" for hour in range(30)],
            "2024-03-05T00:00:00Z",
            "day first: in any other order the steps between lines would be months",
        ),
        (
            [f"03/{5 + hour // 24:02}/2024 {hour % 24:02}:00" for hour in range(30)],
            "2024-03-05T00:00:00Z",
            "month first: in any other order the steps between lines would be months",
        ),
    ],
)
def test_field_05_order_of_dates_that_the_file_proves_is_used(
    times: list[str], expected: str, why: str, read_text: ReadText
) -> None:
    record = read_text(table(*times), timezone="UTC")
    assert expected == first(record)
    assert why in record.understood.times.order


def test_field_05_file_whose_dates_have_no_common_order_is_told(refusal: Refusal) -> None:
    said = refusal(table("13/05/2024 10:00", "05/14/2024 10:00"), timezone="UTC")
    assert "line 3: holds a date that does not exist or is in the future, whatever the order" in said


@pytest.mark.parametrize(
    ("written", "year"),
    [("25.12.99 10:00", 1999), ("25.12.69 10:00", None), ("25.12.70 10:00", 1970), ("31.12.24 10:00", 2024)],
)
def test_field_05_two_digit_years_are_of_the_century_that_has_been(
    written: str, year: int | None, read_text: ReadText, refusal: Refusal
) -> None:
    """69 would be 2069: no record is of the future."""
    if year is None:
        assert "in the future" in refusal(table(written), timezone="UTC")
    else:
        assert year == read_text(table(written), timezone="UTC").observed_at(0).year


def test_field_05_midnight_written_as_24_00_ends_its_day(readings: Readings) -> None:
    found = readings(table("2024-12-31 23:00", "2024-12-31 24:00", "2025-01-01 01:00"), timezone="UTC")
    assert ["2024-12-31T23:00:00Z", "2025-01-01T00:00:00Z", "2025-01-01T01:00:00Z"] == [at for at, _ in found]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("12:00:00 AM", "00:00"), ("12:30 a.m.", "00:30"), ("12:00 PM", "12:00"), ("1:05 pm", "13:05"), ("13.05.30", "13:05")],
)
def test_field_05_clocks_of_twelve_hours_and_of_dots_are_read(written: str, expected: str, read_text: ReadText) -> None:
    record = read_text(table(f"2024-12-31 {written}"), timezone="UTC")
    assert expected == f"{record.observed_at(0):%H:%M}"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2024-12-31 24:01", "no such time of day"),
        ("2024-12-31 12:60", "no such time of day"),
        ("2024-12-31 13:00 PM", "no 13 o'clock"),
        ("2024-02-30 10:00", "there is no date"),
        ("1735689600", "numbers of seconds or days are not read"),
        ("45291.5", "numbers of seconds or days are not read"),
        ("yesterday", "is no date and time"),
        ("", "every line needs one"),
        ("12 Mai 2024 10:00", "is no month in English"),
        ("2026-06-02 10:00", "is in the future"),
        ("1969-12-31 23:59", "is before 1970, and scores begin then"),
        ("0001-01-01 00:00", "there is no date"),
    ],
)
def test_field_05_time_that_is_none_is_told_with_its_line(written: str, said: str, refusal: Refusal) -> None:
    told = refusal(table(written), timezone="UTC")
    assert said in told
    assert "line 2" in told


def test_field_05_times_written_in_two_ways_are_told(refusal: Refusal) -> None:
    assert "line 3: '01/02/2024 10:00' is written in another way than '2024-01-01 10:00' above" in refusal(
        table("2024-01-01 10:00", "01/02/2024 10:00"), timezone="UTC"
    )


AUTUMN = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
AUTUMN_UTC = ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]


@pytest.mark.parametrize("downwards", [False, True], ids=["oldest first", "newest first"])
def test_field_05_hour_that_comes_twice_is_told_apart_by_the_order_of_lines(downwards: bool, read_text: ReadText) -> None:
    written = [f"2024-10-27 {clock}" for clock in AUTUMN]
    record = read_text(table(*(reversed(written) if downwards else written)), timezone="Europe/Berlin")
    assert AUTUMN_UTC == [f"{record.observed_at(place):%H:%M}" for place in range(len(record))]


def test_field_05_hour_that_comes_twice_and_is_there_once_is_asked_about(refusal: Refusal) -> None:
    said = refusal(table(*(f"2024-10-27 {clock}" for clock in ("01:30", "02:00", "02:30", "03:00"))), timezone="Europe/Berlin")
    assert "line 3: 2024-10-27 02:00:00 comes twice in Europe/Berlin" in said
    assert "--timezone, such as +01:00" in said


def test_field_05_hour_that_the_clocks_skip_is_asked_about(refusal: Refusal) -> None:
    said = refusal(table("2024-03-31 01:30", "2024-03-31 02:30"), timezone="Europe/Berlin")
    assert "line 3: 2024-03-31 02:30:00 does not exist in Europe/Berlin, the clocks skip it" in said


ZONES = ("Europe/Berlin", "America/Los_Angeles", "Australia/Lord_Howe", "Asia/Makassar", "Asia/Kolkata", "America/Sao_Paulo")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    zone=st.sampled_from(ZONES),
    day=st.dates(min_value=datetime(1990, 1, 1).date(), max_value=datetime(2026, 1, 1).date()),  # noqa: DTZ001  # days
    step=st.sampled_from((10, 15, 30, 60)),
    form=st.sampled_from(("%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M:%S %p")),
)
def test_field_05_local_times_of_a_record_over_a_month_are_its_instants(
    zone: str, day: object, step: int, form: str, read_text: ReadText
) -> None:
    """In any zone, over any change of the clocks."""
    assume(zone != "Australia/Lord_Howe" or step <= 30)  # half an hour comes twice there, and may hold one line only
    begin = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    instants = [begin + timedelta(minutes=step * number) for number in range(35 * 24 * 60 // step)]
    written = [f"{instant.astimezone(ZoneInfo(zone)):{form}}" for instant in instants]
    record = read_text(table(*written), timezone=zone)
    assert instants == [record.observed_at(place) for place in range(len(record))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    instant=st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2026, 1, 1)),  # noqa: DTZ001  # made aware below
    minutes=st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_field_05_instant_with_any_offset_is_that_instant(instant: datetime, minutes: int, read_text: ReadText) -> None:
    at = instant.replace(tzinfo=UTC)
    record = read_text(table(at.astimezone(timezone(timedelta(minutes=minutes))).isoformat()))
    assert at == record.observed_at(0)
