"""Whatever is wrong with a question: a status 4xx in ERDDAP's form, which names the part and what is allowed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reefmesh.observability import table
from reefmesh.store.port import StoreUnavailable
from reefmesh_dashboard.erddap.failure import ErddapFailure
from reefmesh_dashboard.erddap.question import decoded, read_question
from reefmesh_dashboard.exports.catalogue import DATASETS
from reefmesh_dashboard.exports.dataset import TimeRange
from reefmesh_dashboard.exports.downloads import DownloadLimits

if TYPE_CHECKING:
    import httpx
    from services.dashboard.tests.conftest import Bench, Samples

ERROR = re.compile(r'Error \{\n    code=(\d{3});\n    message=(".*");\n\}\n')


def failed(answer: httpx.Response) -> tuple[int, str]:
    """Return the code and the message of ERDDAP's form."""
    found = ERROR.fullmatch(answer.text)
    assert found is not None, answer.text
    assert "text/plain; charset=utf-8" == answer.headers["content-type"]
    assert answer.status_code == int(found[1])
    return answer.status_code, json.loads(found[2])


async def get(bench: Bench, path: str, **settings: Any) -> httpx.Response:
    async with bench.visitor(**settings) as client:
        return await client.get(f"/erddap/{path}")


@pytest.mark.parametrize(
    ("question", "named", "allowed"),
    [
        ("tim", "variable='tim'", "time, reef_id"),
        ("time,time", "variable='time'", "each variable once"),
        ("time,", "variable=''", "time, reef_id"),
        ('reef_id="north"', "variable='reef_id=", "time, reef_id"),
        ("time&depth>3", "variable='depth'", "time, reef_id"),
        ("time&reef_id", "'reef_id'", "distinct()"),
        ("time&reef_id=north", "'reef_id=north'", "double quotes"),
        ('time&reef_id="north', "'reef_id=\"north'", "double quotes"),
        ('time&reef_id=~"("', "'reef_id=~\"(\"'", "RE2"),
        (f'time&reef_id=~"{"a" * 201}"', "'reef_id=~\"aaa", "at most 200 characters"),
        ('time&sea_water_temperature=~"2.*"', "'sea_water_temperature=~", "= != < <= > >="),
        ('time&time=~"2026.*"', "'time=~", "= != < <= > >="),
        ("time&sea_water_temperature>warm", "'sea_water_temperature>warm'", "a finite number"),
        ("time&sea_water_temperature>1e999", "'sea_water_temperature>1e999'", "a finite number"),
        ("time&sea_water_temperature>", "'sea_water_temperature>'", "a finite number"),
        ("time&time>yesterday", "'time>yesterday'", "an instant like"),
        ("time&time>2026-13-01", "'time>2026-13-01'", "an instant like"),
        ("time&time>2026-11-29T08:00:00+08:00", "'time>2026-11-29T08:00:00 08:00'", "%2B"),
        ("time&time>now-7fortnights", "'time>now-7fortnights'", "days"),
        ("time&time>now-999999999years", "'time>now-999999999years'", "an instant like"),
        ("time&time>1e300", "'time>1e300'", ""),
        ("time&time>max(latitude)", "'time>max(latitude)'", "max(time)"),
        ("time&distinct(time)", "'distinct(time)'", "orderBy"),
        ('time&orderByMean("time")', "'orderByMean(", "orderByMax"),
        ("time&orderBy(time)", "'orderBy(time)'", "in double quotes"),
        ('time&orderBy("latitude")', "'orderBy(\"latitude\")'", "of time"),
        ('time&orderBy("time")&orderByMax("time")', "'orderByMax", "one orderBy"),
        ("time" + "&time>1" * 70, "query", "at most 60"),
        ("time&reef_id=" + "x" * 9000, "9013", "at most 8000"),
        ("time&%FF", "query", "UTF-8"),
    ],
)
async def test_wrong_part_is_named_with_what_is_allowed(bench: Bench, question: str, named: str, allowed: str) -> None:
    encoded = question if "+08:00" in question or "%FF" in question else quote(question, safe="=&,()~<>!")
    code, message = failed(await get(bench, f"tabledap/readings.csv?{encoded}"))
    if "1e300" in question:
        assert (404, "Not Found: Your query produced no matching results. (nRows = 0)") == (code, message)
        return
    assert code in (400, 414)
    assert named in message
    assert allowed in message


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("tabledap/nothing.csv", 404, "'nothing'. Allowed: readings, heat, alerts, buoys"),
        ("tabledap/readings", 400, "fileType=''"),
        ("tabledap/readings.dods", 400, ".csv, .csvp"),
        ("tabledap/readings.csv.gz", 400, "fileType='.csv.gz'"),
        ("tabledap/readings.geoJson?time", 400, "longitude, latitude"),
        ("info/nothing/index.csv", 404, "Allowed: readings, heat, alerts, buoys"),
        ("info/index.xml", 404, "Allowed: .csv, .json"),
        ("search/index.csv?searchfor=x", 400, "searchFor"),
        ("search/index.csv?searchFor=x&page=0", 400, "page='0'"),
        ("search/index.csv?searchFor=x&page=%C2%B2", 400, "a whole number from 1 on"),
        ("search/index.csv?searchFor=%22open", 400, 'phrases in "double quotes"'),
        ("search/index.csv?searchFor=salmon", 404, "Check the spelling"),
        ("griddap/index.csv", 404, "tabledap/ID.csv"),
        ("tabledap/readings.csv", 404, "nRows = 0"),
    ],
)
async def test_wrong_address_says_what_there_is(bench: Bench, path: str, code: int, says: str) -> None:
    status, message = failed(await get(bench, path))
    assert code == status
    assert says in message


async def test_other_methods_are_refused_in_the_same_form(bench: Bench) -> None:
    async with bench.visitor() as client:
        assert 405 == failed(await client.post("/erddap/tabledap/readings.csv"))[0]


async def test_too_many_requests_are_refused_in_the_same_form(bench: Bench) -> None:
    async with bench.visitor(requests_limit=1) as client:
        await client.get("/erddap/index.csv")
        answer = await client.get("/erddap/index.csv")
    assert 429 == failed(answer)[0]
    assert 0 < int(answer.headers["retry-after"]) <= 300


async def test_database_that_is_away_is_said_in_the_same_form(bench: Bench) -> None:
    class Away:
        async def fetch(self, sql: str, parameters: object = ()) -> list[Any]:
            raise StoreUnavailable("postgresql://secret@host is away")

    bench.store = Away()  # type: ignore[assignment]  # the part of it that is used
    for path in ("tabledap/readings.csv", "info/readings/index.csv", "tabledap/readings.das"):
        answer = await get(bench, path)
        assert 503 == failed(answer)[0]
        assert "secret" not in answer.text
        assert "5" == answer.headers["retry-after"]


async def test_download_that_takes_too_long_is_refused(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(samples.reading(0, t=20.0))
    answer = await get(bench, "tabledap/readings.csv", downloads=DownloadLimits(seconds=1e-9))
    code, message = failed(answer)
    assert 408 == code
    assert "Ask for fewer variables" in message
    assert 0 == bench.downloads.under_way
    assert 1 == bench.metrics.value(table.DOWNLOADS_REFUSED, "time")


async def test_large_temporary_file_is_refused_and_how_to_ask_for_less_is_said(bench: Bench, samples: type[Samples]) -> None:
    reef = samples.reef(name="Wall" * 50)
    for start in range(0, 3200, 400):
        await bench.readings(*(samples.reading(-minute, t=20.0) for minute in range(start, start + 400)), reef=reef)
    limits = DownloadLimits(seconds=300, megabytes=1)
    async with bench.visitor(downloads=limits) as client:
        refused = await client.get("/erddap/tabledap/readings.csv?&distinct()")
        small = await client.get("/erddap/tabledap/readings.csv?reef_id&distinct()")
        streamed = await client.get("/erddap/tabledap/readings.csv0")
    code, message = failed(refused)
    assert 413 == code
    assert "1000000 bytes" in message
    assert "fewer reefs" in message
    assert (200, 3200) == (streamed.status_code, len(streamed.text.splitlines()))
    assert 'reef_id\n""\nnorth-wall\n' == small.text
    assert 0 == bench.downloads.under_way
    assert 1 == bench.metrics.value(table.DOWNLOADS_REFUSED, "size")


async def test_downloads_at_once_are_limited(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(samples.reading(0, t=20.0))
    async with bench.visitor(downloads=DownloadLimits(at_once=1)) as client:
        with bench.downloads.slot():
            refused = await client.get("/erddap/tabledap/readings.csv")
        answered = [await client.get("/erddap/tabledap/readings.csv") for _ in range(2)]
    assert 503 == failed(refused)[0]
    assert "5" == refused.headers["retry-after"]
    assert 1 == bench.metrics.value(table.DOWNLOADS_REFUSED, "all")
    assert [200, 200] == [each.status_code for each in answered]
    assert 0 == bench.downloads.under_way


NAMES = [name for dataset in DATASETS.values() for name in dataset.by_name]
VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(['"x"', "NaN", "2026-11-29", "now-7days", "max(time)-1day", "1e5", '"(a|b)*"', "-0.0", "1700000000"]),
)
PARTS = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "=~", "==", ""]), VALUES).map("".join),
    st.sampled_from(["distinct()", 'orderBy("time")', 'orderByMax("reef_id,time")', "orderBy()", "foo()", "&", '"', "\\"]),
    st.text(max_size=20),
)


@given(dataset=st.sampled_from(list(DATASETS)), parts=st.lists(PARTS, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_any_question_is_read_or_refused_by_name(samples: type[Samples], dataset: str, parts: list[str]) -> None:
    """Nothing else is raised, and what is read can be asked of any row."""
    text = "&".join(parts)
    refused: ErddapFailure | None = None
    try:
        question = read_question(
            decoded(quote(text).encode()), DATASETS[dataset], now=samples.START, time_range=TimeRange(0, 1_000)
        )
    except ErddapFailure as failure:
        refused = failure
    if refused is not None:
        assert 400 <= refused.status < 500
        assert "Allowed: " in refused.detail or "are allowed" in refused.detail
        assert refused.detail.isascii()
        return
    for constraint in question.choice.constraints:
        for cell in (None, "text" if constraint.variable.is_text else 7):
            assert constraint.holds(cell) in (True, False)
    period = question.choice.period
    assert 0 <= period.first
    assert period.end <= 253_402_300_800_000
