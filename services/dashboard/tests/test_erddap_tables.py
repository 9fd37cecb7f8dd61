"""ERDDAP's tables over the read model, on every database: each form, each part of the grammar."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE, UNITS
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import BuoyHealth
from reefmesh_dashboard.exports.downloads import DownloadLimits
from reefmesh_dashboard.exports.publisher import DataPublisher

if TYPE_CHECKING:
    import httpx
    from services.dashboard.tests.conftest import Bench, Samples

COLUMNS = "time,reef_id,buoy_id,sea_water_temperature,sea_water_temperature_flag"


async def asked(
    bench: Bench, question: str, *, form: str = "csv0", dataset: str = "readings", **settings: Any
) -> httpx.Response:
    async with bench.visitor(**settings) as client:
        return await client.get(f"/erddap/tabledap/{dataset}.{form}?{quote(question, safe='=&,()~<>!')}")


async def lines(bench: Bench, question: str, **more: Any) -> list[list[str]]:
    answer = await asked(bench, question, **more)
    assert 200 == answer.status_code, answer.text
    return list(csv.reader(answer.text.splitlines()))


async def filled(bench: Bench, samples: type[Samples]) -> None:
    """Two reefs, three buoys, a reading without a value, a suspect one, a withdrawn one."""
    south = samples.reef("south-wall", name='South, "deep" Wall', latitude_degrees=-9.25)
    await bench.readings(
        samples.reading(-60, buoy="b2", t=28.5),
        samples.reading(-30, t=28.25),
        samples.reading(-30, buoy="b2", t=31.0, flag=Flag.SUSPECT),
        samples.reading(0, t=None),
        samples.reading(-15, revision=2, withdrawn=True, t=30.0),
    )
    await bench.readings(samples.reading(-45, buoy="b3", t=27.0), reef=south)


async def test_two_header_lines_then_rows_by_reef_and_time(any_bench: Bench, samples: type[Samples]) -> None:
    await filled(any_bench, samples)
    answer = await asked(any_bench, COLUMNS, form="csv")
    assert "text/csv; charset=utf-8" == answer.headers["content-type"]
    assert [
        "time,reef_id,buoy_id,sea_water_temperature,sea_water_temperature_flag",
        "UTC,,,degC,",
        "2026-11-29T11:00:00.000Z,north-wall,b2,28.5,1",
        "2026-11-29T11:30:00.000Z,north-wall,b1,28.25,1",
        "2026-11-29T11:30:00.000Z,north-wall,b2,31.0,3",
        "2026-11-29T12:00:00.000Z,north-wall,b1,NaN,9",
        "2026-11-29T11:15:00.000Z,south-wall,b3,27.0,1",
    ] == answer.text.splitlines()


async def test_every_dataset_answers_with_all_its_variables(any_bench: Bench, samples: type[Samples]) -> None:
    bench, on = any_bench, samples.START.date()
    await filled(bench, samples)
    buoys = [BuoyHealth(facts=BuoyFacts(buoy_id="b1"), last_seen_at=samples.START)]
    heat = samples.heat(samples.day(on - timedelta(days=1), None), samples.day(on, 3))
    await bench.score(samples.score(heat=heat, buoys=buoys))
    await bench.alert(samples.alert("a1", -5, evidence={"dhw_celsius_weeks": 4.5}))
    async with bench.visitor() as client:
        tables = {
            dataset: (await client.get(f"/erddap/tabledap/{dataset}.json")).json()["table"]
            for dataset in ("readings", "heat", "alerts", "buoys")
        }
    rows = {name: [dict(zip(each["columnNames"], row, strict=True)) for row in each["rows"]] for name, each in tables.items()}
    assert 9 + 6 * len(UNITS) == len(tables["readings"]["columnNames"])
    assert (5, 1.0, 28.5) == (
        len(rows["readings"]),
        rows["readings"][0]["sea_water_temperature_factor"],
        rows["readings"][0]["sea_water_temperature_raw"],
    )
    assert [("2026-11-28T00:00:00Z", None, None), ("2026-11-29T00:00:00Z", 3, 2.5)] == [
        (row["time"], row["level"], row["dhw"]) for row in rows["heat"]
    ]
    (alert,), (buoy,) = rows["alerts"], rows["buoys"]
    assert ("2026-11-29T11:55:00.000Z", "Bleaching Watch", {"dhw_celsius_weeks": 4.5}) == (
        alert["time"],
        alert["to_state"],
        json.loads(alert["evidence"]),
    )
    assert ("b1", "2026-11-29T12:00:00.000Z", 1800, SEA_WATER_TEMPERATURE) == (
        buoy["buoy_id"],
        buoy["time"],
        buoy["report_interval"],
        buoy["quantities"],
    )
    types = dict(zip(tables["heat"]["columnNames"], tables["heat"]["columnTypes"], strict=True))
    assert ("String", "double", "byte", "int") == (types["time"], types["dhw"], types["level"], types["readings"])
    assert ["UTC", None, None, "degrees_north"] == tables["heat"]["columnUnits"][:4]


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ("&time>=2026-11-29T11:30:00Z", ["b1", "b2", "b1"]),
        ("&time>2026-11-29T11:30:00Z", ["b1"]),
        ('&time>="2026-11-29T11:30:00Z"&time<2026-11-29T12:00Z', ["b1", "b2"]),
        ("&time=2026-11-29T11:15", ["b3"]),
        ("&time!=2026-11-29T11:30:00Z", ["b2", "b1", "b3"]),
        ("&time<=1795950000.0", ["b2"]),
        ("&time>=max(time)-30minutes", ["b1", "b2", "b1"]),
        ("&time<=min(time)+15minutes", ["b2", "b3"]),
        ("&time>now-75minutes", ["b1"]),
        ("&time>=2026-11", ["b2", "b1", "b2", "b1", "b3"]),
        ('&reef_id="south-wall"', ["b3"]),
        ('&reef_id!="south-wall"&buoy_id="b2"', ["b2", "b2"]),
        ('&reef_id=~"(south|east)-.*"', ["b3"]),
        ('&buoy_id=~"b[13]"', ["b1", "b1", "b3"]),
        ('&buoy_id=~"b"', []),
        ('&buoy_id=~"b\\d"&sea_water_temperature<28', ["b3"]),
        ('&reef_name="South, \\"deep\\" Wall"', ["b3"]),
        ("&latitude<-9", ["b3"]),
        ("&sea_water_temperature>28.25", ["b2", "b2"]),
        ("&sea_water_temperature>=28.25&sea_water_temperature_flag=1", ["b2", "b1"]),
        ("&sea_water_temperature=NaN", ["b1"]),
        ("&sea_water_temperature!=NaN", ["b2", "b1", "b2", "b3"]),
        ("&sea_water_temperature!=28.5", ["b1", "b2", "b1", "b3"]),
        ("&sea_water_practical_salinity=NaN&sea_water_temperature=27.0e0", ["b3"]),
        ('&sea_water_temperature_fault=""&buoy_id>"b2"', ["b3"]),
    ],
)
async def test_constraints_leave_the_rows_that_they_name(
    bench: Bench, samples: type[Samples], constraints: str, expected: list[str]
) -> None:
    await filled(bench, samples)
    if expected:
        assert expected == [row[0] for row in await lines(bench, f"buoy_id{constraints}")]
    else:
        assert 404 == (await asked(bench, f"buoy_id{constraints}")).status_code


async def test_ends_of_time_and_constraints_are_the_same_on_every_database(any_bench: Bench, samples: type[Samples]) -> None:
    await filled(any_bench, samples)
    for minutes in range(0, 70 * 60 * 24, 60 * 24):
        await any_bench.readings(samples.reading(-minutes - 5, buoy="old", t=20.0))
    ends = await lines(any_bench, "time&time>=max(time)-0days")
    first = await lines(any_bench, "time&time<=min(time)")
    within = await lines(any_bench, 'time&buoy_id="old"&time>=max(time)-10days')
    assert [["2026-11-29T12:00:00.000Z"]] == ends
    assert [["2026-09-21T11:55:00.000Z"]] == first
    assert 10 == len(within)


async def test_withdrawn_months_have_no_end(any_bench: Bench, samples: type[Samples]) -> None:
    """The newest month that was noted may have nothing that counts."""
    old = samples.reading(-60 * 24 * 40, t=25.0)
    await any_bench.readings(old)
    await any_bench.readings(samples.reading(-60 * 24 * 39, revision=2, withdrawn=True, t=25.0))
    await any_bench.readings(samples.reading(0, t=25.0))
    await any_bench.readings(samples.reading(0, revision=2, withdrawn=True, t=25.0))
    assert [["2026-10-20T12:00:00.000Z"]] == await lines(any_bench, "time&time>=max(time)")


async def test_distinct_and_order_arrange_the_rows(any_bench: Bench, samples: type[Samples]) -> None:
    bench = any_bench
    await filled(bench, samples)
    assert [["north-wall", "b1"], ["north-wall", "b2"], ["south-wall", "b3"]] == await lines(
        bench, "reef_id,buoy_id&distinct()"
    )
    temperatures = 'buoy_id,sea_water_temperature&sea_water_temperature!=NaN&orderBy("sea_water_temperature")'
    assert ["27.0", "28.25", "28.5", "31.0"] == [row[1] for row in await lines(bench, temperatures)]
    downwards = temperatures.replace("orderBy", "orderByDescending")
    assert ["31.0", "28.5", "28.25", "27.0"] == [row[1] for row in await lines(bench, downwards)]
    newest = 'buoy_id,time,sea_water_temperature&orderByMax("buoy_id,time")'
    assert [("b1", "NaN"), ("b2", "31.0"), ("b3", "27.0")] == [(row[0], row[2]) for row in await lines(bench, newest)]
    warmest = 'buoy_id,sea_water_temperature&orderByMax("buoy_id,sea_water_temperature")'
    assert [["b1", "28.25"], ["b2", "31.0"], ["b3", "27.0"]] == await lines(bench, warmest)
    coldest = 'sea_water_temperature&orderByMin("sea_water_temperature")'
    assert [["27.0"]] == await lines(bench, coldest)
    both = 'buoy_id,reef_id&distinct()&orderByDescending("buoy_id")'
    assert ["b3", "b2", "b1"] == [row[0] for row in await lines(bench, both)]


async def test_each_form_has_the_same_rows(bench: Bench, samples: type[Samples]) -> None:
    await filled(bench, samples)
    question = f'{COLUMNS}&buoy_id="b1"'
    texts = {form: (await asked(bench, question, form=form)).text for form in ("csvp", "csv0", "jsonlCSV", "jsonlKVP", "json")}
    header, *rows = texts["csvp"].splitlines()
    assert "time (UTC),reef_id,buoy_id,sea_water_temperature (degC),sea_water_temperature_flag" == header
    assert rows == texts["csv0"].splitlines()
    arrays = [json.loads(line) for line in texts["jsonlCSV"].splitlines()]
    assert [
        ["2026-11-29T11:30:00.000Z", "north-wall", "b1", 28.25, 1],
        ["2026-11-29T12:00:00.000Z", "north-wall", "b1", None, 9],
    ] == arrays
    assert [dict(zip(COLUMNS.split(","), row, strict=True)) for row in arrays] == [
        json.loads(line) for line in texts["jsonlKVP"].splitlines()
    ]
    assert arrays == json.loads(texts["json"])["table"]["rows"]


async def test_geojson_has_points_and_null_where_a_reef_has_no_place(bench: Bench, samples: type[Samples]) -> None:
    await filled(bench, samples)
    await bench.score(samples.score(reef_id="no-place"))
    answer = await asked(bench, "longitude,latitude,reef_id,buoy_id", form="geoJson", dataset="buoys")
    assert "application/geo+json" == answer.headers["content-type"]
    (feature,) = answer.json()["features"]
    assert {"type": "Feature", "geometry": None, "properties": {"reef_id": "no-place", "buoy_id": "b1"}} == feature
    answer = await asked(bench, 'time,longitude,latitude,buoy_id&buoy_id="b3"', form="geoJson")
    (feature,) = answer.json()["features"]
    assert {"type": "Point", "coordinates": [116.0, -9.25]} == feature["geometry"]
    assert {"time": "2026-11-29T11:15:00.000Z", "buoy_id": "b3"} == feature["properties"]
    assert ["UTC", None] == answer.json()["propertyUnits"]


async def test_html_escapes_names_and_says_where_it_ends(bench: Bench, samples: type[Samples]) -> None:
    hostile = samples.reef(name="<script>alert(1)</script>")
    await bench.readings(*(samples.reading(-minute / 4, t=20.0) for minute in range(400)), reef=hostile)
    await bench.readings(*(samples.reading(-100 - minute / 4, t=20.0) for minute in range(400)))
    await bench.readings(*(samples.reading(-200 - minute / 4, t=20.0) for minute in range(400)), reef=hostile)
    publisher = DataPublisher(licence="CC-BY-4.0 <https://creativecommons.example/by/4.0>")
    answer = await asked(bench, "reef_name,time", form="htmlTable", publisher=publisher)
    assert "<script>" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "CC-BY-4.0 &lt;https" in answer.text
    assert 1002 == answer.text.count("<tr>")
    assert "after 1000 rows" in answer.text


async def test_csv_has_no_formula_of_a_spreadsheet(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(samples.reading(0, t=20.0), reef=samples.reef(name='=HYPERLINK("https://example.net")'))
    assert [['\'=HYPERLINK("https://example.net")']] == await lines(bench, "reef_name")


async def test_das_and_dds_describe_the_table(bench: Bench, samples: type[Samples]) -> None:
    await filled(bench, samples)
    das = (await asked(bench, "", form="das", publisher=DataPublisher(licence='CC-BY "4.0"'))).text
    dds = (await asked(bench, "time,buoy_id,sea_water_temperature_flag&time>now-1day", form="dds")).text
    assert "    Float64 actual_range 1795950000.0, 1795953600.0;\n" in das
    assert "    Byte flag_values 1, 2, 3, 4, 9;\n" in das
    assert '    String license "CC-BY \\"4.0\\"";\n' in das
    assert (
        "Dataset {\n  Sequence {\n    Float64 time;\n    String buoy_id;\n    Byte sea_water_temperature_flag;\n  } s;\n} s;\n"
        == dds
    )


async def test_information_lists_and_search(bench: Bench, samples: type[Samples]) -> None:
    await filled(bench, samples)
    publisher = DataPublisher(institution="Save Nemo", licence="CC-BY-4.0", citation="Save Nemo (2026)")
    async with bench.visitor(publisher=publisher) as client:
        info = list(csv.DictReader((await client.get("/erddap/info/readings/index.csv")).text.splitlines()))
        listed = (await client.get("/erddap/info/index.json?page=1&itemsPerPage=1000")).json()["table"]
        table_of = (await client.get("/erddap/tabledap/index.csv")).text
        found = list(csv.DictReader((await client.get("/erddap/search/index.csv?searchFor=degree+heating")).text.splitlines()))
        phrase = await client.get('/erddap/search/index.json?page=1&itemsPerPage=10&searchFor="sea%20water"%20-heat')
        advanced = await client.get("/erddap/search/advanced.csv?searchFor=None&protocol=tabledap&standard_name=(ANY)")
        top = (await client.get("/erddap/index.csv")).text
    about = {(row["Variable Name"], row["Attribute Name"]): row["Value"] for row in info if row["Row Type"] == "attribute"}
    assert ("CC-BY-4.0", "Save Nemo (2026)", "Save Nemo") == (
        about["NC_GLOBAL", "license"],
        about["NC_GLOBAL", "citation"],
        about["NC_GLOBAL", "institution"],
    )
    assert ("degC", "1795950000.0, 1795953600.0") == (about[SEA_WATER_TEMPERATURE, "units"], about["time", "actual_range"])
    assert ["readings", "heat", "alerts", "buoys"] == [row[-1] for row in listed["rows"]]
    assert "http://dashboard.test/erddap/tabledap/readings" in table_of
    assert ["heat"] == [row["Dataset ID"] for row in found]
    assert ["readings"] == [row[-1] for row in phrase.json()["table"]["rows"]]
    assert 404 == advanced.status_code, "no dataset has the word None"
    assert "http://dashboard.test/erddap/info/index.csv" in top


@pytest.mark.parametrize("encode", [quote_plus, quote, lambda text: quote(text, safe="&=,")])
async def test_query_is_read_however_it_is_encoded(bench: Bench, samples: type[Samples], encode: Any) -> None:
    """erddapy encodes all of it, the signs between its parts included."""
    await filled(bench, samples)
    question = 'buoy_id&time>=2026-11-29T11:30:00Z&reef_name="North Wall"&distinct()'
    async with bench.visitor() as client:
        answer = await client.get(f"/erddap/tabledap/readings.csv0?{encode(question)}")
    assert "b1\nb2\n" == answer.text


async def test_sign_inside_quotes_ends_no_part(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(samples.reading(0, t=20.0), reef=samples.reef(name="Salt & Pepper"))
    assert [["b1"]] == await lines(bench, 'buoy_id&reef_name="Salt & Pepper"')


async def test_pages_follow_each_other_without_a_gap(any_bench: Bench, samples: type[Samples]) -> None:
    """More rows than a page, which ends between two buoys of one instant."""
    await any_bench.readings(samples.reading(-5000, t=1.0))
    for start in range(0, 1600, 400):
        await any_bench.readings(
            *(
                samples.reading(-minute, buoy=buoy, t=20 + minute / 1000)
                for minute in range(start, start + 200)
                for buoy in ("b1", "b2")
            ),
        )
        await any_bench.readings(*(samples.reading(-minute, buoy="b1", t=1.0) for minute in range(start + 200, start + 400)))
    found = await lines(any_bench, "time,buoy_id")
    assert 2401 == len(found) == len({tuple(row) for row in found})
    assert sorted(found) == found


async def test_answer_is_compressed_and_open_to_every_page(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(*(samples.reading(-minute, t=20.0) for minute in range(200)))
    answer = await asked(bench, "")
    assert ("gzip", "*", "nosniff") == (
        answer.headers["content-encoding"],
        answer.headers["access-control-allow-origin"],
        answer.headers["x-content-type-options"],
    )
    assert 200 == len(answer.text.splitlines())


async def test_head_reads_no_row(bench: Bench, samples: type[Samples]) -> None:
    async with bench.visitor(downloads=DownloadLimits(seconds=1e-9)) as client:
        answer = await client.head("/erddap/tabledap/readings.csv?time")
    assert (200, "text/csv; charset=utf-8", b"") == (answer.status_code, answer.headers["content-type"], answer.content)
