"""Records on their way into a whole mesh in this process, and out again."""

import asyncio
import csv
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import PCO2, SALINITY, SEA_WATER_TEMPERATURE
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh.errors import ConfigurationError
from reefmesh_ingest.domain.reading import StoredReading, flag_of
from reefmesh_ingest.register.entries import BuoyEntry, MooringEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.exporting.readings_csv import line_of
from reefmesh_standalone.exporting.stored import PAGE_READINGS, Choice, quantities_in, stored_readings
from reefmesh_standalone.following import Follower
from reefmesh_standalone.home import Home
from reefmesh_standalone.importing.destination import destination_of, refuse_too_early
from reefmesh_standalone.importing.flags import expected_flags, stored_flags
from reefmesh_standalone.importing.known import Compared, compare
from reefmesh_standalone.importing.sending import SentRecord, send_places
from reefmesh_standalone.records.formats import read_record
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.own_columns import cell_of, text_of, titles_of
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import MeshSession, mesh_session

ReadText = Callable[..., FileRecord]

REEF = ReefEntry(id="amed", name="Amed", latitude_degrees=-8.33, longitude_degrees=115.64, mmm_celsius=29.0)
BUOY = BuoyEntry(
    id="b1",
    reef="amed",
    mooring=MooringEntry(latitude_degrees=-8.33, longitude_degrees=115.64),
    corrections={PCO2: 1.25},
)
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def mesh(path: Path, *, buoys: Sequence[BuoyEntry] = (BUOY,)) -> AsyncIterator[MeshSession]:
    async with mesh_session(Home(path=path), clock=SystemClock()) as session:
        await Register(session.stores[services.INGEST]).upsert(reefs=[REEF], buoys=buoys)
        yield session


async def import_into(session: MeshSession, record: FileRecord, *, buoy_id: str | None = "b1") -> tuple[Compared, SentRecord]:
    register = Register(session.stores[services.INGEST])
    await register.refresh()
    destination = destination_of(register, buoy_id=buoy_id, reef_id="amed")
    compared = await compare(session.stores[services.INGEST], destination.buoy.id, record)
    sent = await send_places(session, record, compared.to_send, destination, stop=asyncio.Event(), report=lambda _: None)
    return compared, sent


def hourly(first: int, last: int, *, offset: float = 0.0) -> str:
    lines = [f"{(BEGIN + timedelta(hours=hour)).isoformat()},{28 + hour % 10 / 10 + offset:.1f}" for hour in range(first, last)]
    return "\n".join(("time,temp_c", *lines)) + "\n"


async def stored(session: MeshSession, buoy_id: str = "b1") -> list[StoredReading]:
    choice = Choice(buoy_id=buoy_id)
    return [each.reading async for each in stored_readings(session.stores[services.INGEST], choice)]


async def test_record_imported_twice_and_overlapping_has_no_doubles_and_says_what_was_known(
    tmp_path: Path, read_text: ReadText
) -> None:
    async with mesh(tmp_path / "home") as session:
        counts = []
        for first, last in ((0, 30), (0, 30), (20, 50)):
            compared, sent = await import_into(session, read_text(hourly(first, last)))
            counts.append((sent.readings, compared.known, sent.known, sent.quarantined))
        assert [(30, 0, 0, 0), (0, 30, 0, 0), (20, 10, 0, 0)] == counts
        readings = await stored(session)
        assert [BEGIN + timedelta(hours=hour) for hour in range(50)] == [
            datetime.fromtimestamp(each.observed_us / 1e6, UTC) for each in readings
        ]
        assert {1, 2} >= {each.revision for each in readings}  # 2: the spike test of the newest was completed later


async def test_interrupted_import_repeated_completes_it(tmp_path: Path, read_text: ReadText) -> None:
    """The first half arrived, unseen by the second import: what ingest says of it counts as known."""
    record = read_text(hourly(0, 40))
    async with mesh(tmp_path / "home") as session:
        register = Register(session.stores[services.INGEST])
        await register.refresh()
        destination = destination_of(register, buoy_id="b1", reef_id=None)
        unseen = await compare(session.stores[services.INGEST], "b1", record)
        stop = asyncio.Event()
        await send_places(session, record, range(20), destination, stop=stop, report=lambda _: None)
        sent = await send_places(session, record, unseen.to_send, destination, stop=stop, report=lambda _: None)
        assert (20, 20) == (sent.readings, sent.known)
        assert 40 == len(await stored(session))


async def test_import_told_to_stop_says_that_it_is_not_complete(tmp_path: Path, read_text: ReadText) -> None:
    stop = asyncio.Event()
    stop.set()
    async with mesh(tmp_path / "home") as session:
        register = Register(session.stores[services.INGEST])
        await register.refresh()
        destination = destination_of(register, buoy_id="b1", reef_id=None)
        sent = await send_places(session, read_text(hourly(0, 9)), range(9), destination, stop=stop, report=lambda _: None)
    assert not sent.complete


async def test_record_with_other_values_than_the_mesh_is_not_sent_there(tmp_path: Path, read_text: ReadText) -> None:
    """Two values of one instant would make both suspect."""
    async with mesh(tmp_path / "home") as session:
        await import_into(session, read_text(hourly(0, 10)))
        compared, sent = await import_into(session, read_text(hourly(5, 15, offset=0.5)))
        assert (5, 5, 0) == (sent.readings, compared.differing, compared.known)
        assert compared.first is not None
        assert (0, SEA_WATER_TEMPERATURE, 28.5) == (compared.first.place, compared.first.quantity, compared.first.stored)
        assert {Flag.PASS} == {Flag(each.verdicts[SEA_WATER_TEMPERATURE].flag) for each in await stored(session)}


async def test_record_that_completes_stored_readings_is_joined_with_them(tmp_path: Path, read_text: ReadText) -> None:
    async with mesh(tmp_path / "home") as session:
        await import_into(session, read_text(hourly(0, 5)))
        other = read_text(hourly(0, 5).replace("temp_c", "salinity").replace(",28", ",34"))
        compared, sent = await import_into(session, other)
        assert (5, 0) == (sent.readings, compared.known)
        assert {frozenset({SEA_WATER_TEMPERATURE, SALINITY})} == {frozenset(each.contents) for each in await stored(session)}


async def test_record_of_a_reef_gets_a_buoy_that_stands_for_it(tmp_path: Path, read_text: ReadText) -> None:
    """Its clock is believed from 1900 on, its report interval is the record's."""
    record = read_text(hourly(0, 5).replace("2024-", "1985-"))
    async with mesh(tmp_path / "home", buoys=()) as session:
        _, sent = await import_into(session, record, buoy_id=None)
        register = Register(session.stores[services.INGEST])
        await register.refresh()
        known = register.buoy("records-amed")
        assert known is not None
        assert (3600, 1900) == (known.entry.report_interval_seconds, known.entry.earliest_observed_at.year)
        assert {"device"} == {each.time_source for each in await stored(session, "records-amed")}
        assert 5 == sent.readings


@pytest.mark.parametrize(
    ("buoy_id", "reef_id", "said"),
    [
        (None, None, "say whose record this is with --buoy or --reef"),
        ("b2", None, "buoy 'b2' is not registered"),
        (None, "pemuteran", "reef 'pemuteran' is not registered; 'reefmesh reefs set"),
        ("b1", "pemuteran", "buoy b1 is registered at reef amed, not at 'pemuteran'"),
        ("b3", None, "is registered as not deployed"),
    ],
)
async def test_record_of_nobody_known_is_asked_about(
    buoy_id: str | None, reef_id: str | None, said: str, tmp_path: Path
) -> None:
    async with mesh(tmp_path / "home", buoys=(BUOY, BuoyEntry(id="b3", reef="amed", deployed=False))) as session:
        register = Register(session.stores[services.INGEST])
        await register.refresh()
        with pytest.raises(ConfigurationError, match=said):
            destination_of(register, buoy_id=buoy_id, reef_id=reef_id)


def test_record_from_before_the_times_of_its_buoy_is_asked_about(read_text: ReadText) -> None:
    """Ingest would date it by its arrival."""
    with pytest.raises(
        ConfigurationError, match="line 2: 1985-01-01T00:00:00Z is before 2000-01-01, where the times of buoy b1"
    ):
        refuse_too_early(Path("record.csv"), read_text(hourly(0, 5).replace("2024-", "1985-")), BUOY)


async def test_dry_run_says_what_quality_control_then_says(tmp_path: Path, read_text: ReadText) -> None:
    """Of a record with a spike, a jump, missing values and values outside the range, in a home without others."""
    sea = random.Random(5)
    values = [f"{28 + sea.uniform(-0.2, 0.2):.2f}" for _ in range(300)]
    values[40], values[80], values[81], values[120], values[200:230] = "33.9", "nan", "-999", "85.0", ["28.00"] * 30
    lines = [f"{(BEGIN + timedelta(hours=hour)).isoformat()},{value},{1000 + hour}" for hour, value in enumerate(values)]
    record = read_text("\n".join(("time,temp_c,pco2 (uatm)", *lines)) + "\n")
    expected = expected_flags(record, REEF.limits_in_force(), BUOY.corrections)
    async with mesh(tmp_path / "home") as session:
        await import_into(session, record)
        assert expected == await stored_flags(session.stores[services.INGEST], "b1", record)
    temperature = expected[SEA_WATER_TEMPERATURE]
    assert (2, 300) == (temperature[Flag.MISSING], sum(temperature.values()))
    assert min(temperature[flag] for flag in (Flag.PASS, Flag.SUSPECT, Flag.FAIL)) > 0


async def written(session: MeshSession, path: Path, choice: Choice) -> int:
    """Export the readings of a home; return how many."""
    store = session.stores[services.INGEST]
    quantities = await quantities_in(store, choice)
    count = 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(titles_of(quantities))
        async for each in stored_readings(store, choice):
            writer.writerow(line_of(each, quantities))
            count += 1
    return count


def content_of(readings: Sequence[StoredReading]) -> list[object]:
    """What is the same after export and import: values, flags, tests, faults, positions."""
    return [
        (
            each.observed_us,
            {
                name: (
                    content.raw,
                    content.value,
                    content.fault,
                    int(flag_of(content, each.verdicts[name])),
                    each.verdicts[name].tests,
                )
                for name, content in sorted(each.contents.items())
            },
            each.place,
        )
        for each in readings
    ]


VALUES = st.one_of(st.none(), st.floats(min_value=-50, max_value=5000, allow_nan=False), st.integers(-5, 40).map(float))
FAULTS = st.sampled_from(
    ["", "no answer", "=2+3", "'quoted", '-1 "x",y;z', "two reports gave different values for this instant"]
)
READING = st.fixed_dictionaries(
    {
        "minutes": st.integers(min_value=0, max_value=600),
        "seconds": st.sampled_from([0.0, 0.25, 59.999999]),
        "values": st.dictionaries(st.sampled_from([SEA_WATER_TEMPERATURE, PCO2, SALINITY]), VALUES, min_size=1),
        "fault": FAULTS,
        "position": st.one_of(st.none(), st.tuples(st.floats(-90, 90), st.floats(-180, 180))),
    }
)


EACH_KIND: list[dict[str, Any]] = [
    {"minutes": 0, "seconds": 0.25, "values": {PCO2: 400.1, SALINITY: None}, "fault": "=2+3", "position": (-8.33, 115.64)},
    {"minutes": 10, "seconds": 0.0, "values": {SEA_WATER_TEMPERATURE: 28.1}, "fault": "", "position": None},
    {"minutes": 10, "seconds": 0.0, "values": {SEA_WATER_TEMPERATURE: 28.2}, "fault": "", "position": None},
    {"minutes": 20, "seconds": 0.0, "values": {SEA_WATER_TEMPERATURE: 85.0}, "fault": "'no', answer", "position": None},
]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(reported=st.lists(READING, min_size=1, max_size=40))
@example(reported=EACH_KIND)
async def test_import_of_what_export_wrote_gives_the_same_readings(reported: list[dict[str, Any]]) -> None:
    """In a new home with the same register: values raw and corrected, missing values, flags, tests, faults, positions."""
    with TemporaryDirectory() as folder:
        there = Path(folder)
        async with mesh(there / "one") as session:
            await _report(session, reported)
            readings = await stored(session)
            assert len(readings) == await written(session, there / "readings.csv", Choice())
        options = ReadingOptions(now=SystemClock().now(), corrected=tuple(BUOY.corrections))
        record = read_record(there / "readings.csv", options)
        async with mesh(there / "two") as session:
            _, sent = await import_into(session, record)
            assert (len(readings), 0) == (sent.readings, sent.quarantined)
            assert content_of(readings) == content_of(await stored(session))


async def _report(session: MeshSession, reported: Sequence[dict[str, Any]]) -> None:
    """Send each reading as telemetry of its own, so that instants meet and join."""
    now = SystemClock().now()
    messages = []
    for seq, each in enumerate(reported, start=1):
        at = BEGIN + timedelta(minutes=each["minutes"], seconds=each["seconds"])
        reading: dict[str, object] = {"observed_at": at.isoformat(), "channels": each["values"]}
        if each["fault"]:
            reading["faults"] = {min(each["values"]): each["fault"]}
        if each["position"] is not None:
            reading["position"] = dict(zip(("lat", "lon"), each["position"], strict=True))
        body = {"schema": TELEMETRY_1, "buoy_id": "b1", "seq": seq, "sent_at": now.isoformat(), "readings": [reading]}
        messages.append(
            Envelope(
                event_id=str(uuid4()),
                reef_id="amed",
                schema_id=TELEMETRY_1,
                produced_at=now,
                body=json.dumps(body).encode(),
                headers={"device": "b1", "received-at": now.isoformat()},
            )
        )
    follower = Follower(session.stores, [(message.event_id, "amed") for message in messages])
    await send_all(session.broker, messages, report=lambda _: None, stop=asyncio.Event())
    await follower.until_done(lambda _: None, stop=asyncio.Event(), ended=session.ended)
    assert {"accepted", "duplicate"} >= {receipt.outcome for receipt in follower.receipts.values()}


def test_words_of_a_device_are_no_formula_of_a_spreadsheet() -> None:
    for words in ("=2+3", "+1", "-1", "@x", "'=2", "no answer", ""):
        cell = cell_of(words)
        assert not cell.startswith(("=", "+", "-", "@"))
        assert words == text_of(cell)


async def test_export_of_more_than_a_page_has_every_reading_once(tmp_path: Path, read_text: ReadText) -> None:
    count = 2 * PAGE_READINGS + 1
    lines = [f"{(BEGIN + timedelta(minutes=number)).isoformat()},34" for number in range(count)]
    async with mesh(tmp_path / "home") as session:
        await import_into(session, read_text("\n".join(("time,salinity", *lines)) + "\n"))
        assert count == await written(session, tmp_path / "all.csv", Choice(reef_id="amed"))
        first = Choice(first_us=(1704067200 + 60) * 1_000_000, end_us=(1704067200 + 180) * 1_000_000)
        assert 2 == await written(session, tmp_path / "some.csv", first)
        assert 0 == await written(session, tmp_path / "none.csv", Choice(reef_id="pemuteran"))
    with (tmp_path / "all.csv").open() as file:
        times = [row["time (UTC)"] for row in csv.DictReader(file)]
    assert sorted(set(times)) == times
    assert count == len(times)
