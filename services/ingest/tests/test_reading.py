"""How reports of one instant become one reading, and how a reading is written."""

import json

from hypothesis import given
from hypothesis import strategies as st

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.readings import DeviceStatus, Reading
from reefmesh_ingest.domain.quality import MISSING
from reefmesh_ingest.domain.quality.verdicts import VERDICTS, code_of
from reefmesh_ingest.domain.reading import CONFLICT, Content, Place, StoredReading, content_of, joined, without
from reefmesh_ingest.domain.reading_json import excluded_text, instant_text, reading_from, reading_text

NAMES = ("sea_water_temperature", "sea_water_speed")
numbers = st.sampled_from([27.0, 28.5, 29.0])
words = st.none() | st.sampled_from(["dirty", "loose"])
contents = st.builds(lambda raw, fault: content_of(raw, 1.0, fault), st.none() | numbers, words)
places = st.builds(lambda lat: Place(lat, 115.0, Flag.PASS, 3.5), st.sampled_from([-8.1, -8.2]))
statuses = st.builds(
    DeviceStatus,
    report=st.sampled_from(["data", "connect"]),
    firmware=words,
    battery_volts=st.none() | numbers,
    detail=st.dictionaries(st.sampled_from("ab"), st.sampled_from("xyz")),
)
readings = st.builds(
    StoredReading,
    observed_us=st.just(1_700_000_000_000_000),
    received_us=st.just(1_700_000_001_000_000),
    time_source=st.sampled_from(["device", "received", "broken_clock"]),
    revision=st.just(0),
    withdrawn=st.just(False),
    origin=st.just("e"),
    contents=st.dictionaries(st.sampled_from(NAMES), contents),
    verdicts=st.just({}),
    place=st.none() | places,
    status=st.none() | statuses,
    excluded=st.just({}),
)


@given(readings, readings)
def test_joining_does_not_care_which_came_first(one: StoredReading, other: StoredReading) -> None:
    assert joined(one, other) == joined(other, one)


@given(readings, readings, readings)
def test_joining_does_not_care_how_reports_are_grouped(one: StoredReading, other: StoredReading, third: StoredReading) -> None:
    assert joined(joined(one, other), third) == joined(one, joined(other, third))


@given(readings, readings)
def test_joining_what_is_there_already_changes_nothing(one: StoredReading, other: StoredReading) -> None:
    both = joined(one, other)
    assert joined(both, one) is both
    assert joined(both, other) is both


def reading(**contents_of: Content) -> StoredReading:
    return StoredReading(0, 0, "device", 1, False, "e", dict(contents_of), {}, None, None)


def test_two_values_for_one_instant_are_shown_and_not_trusted() -> None:
    warm = reading(sea_water_temperature=content_of(29.0, 1.0, None))
    both = joined(warm, reading(sea_water_temperature=content_of(28.0, 1.0, None)))
    assert both.contents["sea_water_temperature"] == Content(28.0, 28.0, 1.0, CONFLICT)
    both.verdicts["sea_water_temperature"] = VERDICTS[code_of("11111")]
    wire = Reading.model_validate_json(reading_text("b", both, instant_text(0)))
    assert wire.channels["sea_water_temperature"].flag is Flag.SUSPECT


def test_value_beats_a_missing_one() -> None:
    missing = reading(sea_water_temperature=content_of(None, 1.0, "unreachable"))
    there = reading(sea_water_temperature=content_of(29.0, 1.0, None))
    assert joined(missing, there).contents == there.contents


def test_withdrawing_all_that_was_reported_leaves_only_missing_values() -> None:
    there = reading(sea_water_temperature=content_of(29.0, 1.0, None))
    gone = without(there, there)
    assert gone.withdrawn
    assert gone.contents["sea_water_temperature"].raw is None


def test_withdrawing_one_report_keeps_what_another_said() -> None:
    one = reading(sea_water_temperature=content_of(29.0, 1.0, None))
    both = joined(one, reading(sea_water_speed=content_of(0.2, 1.0, None)))
    left = without(both, one)
    assert not left.withdrawn
    assert left.contents == {"sea_water_speed": Content(0.2, 0.2)}, "as if it had come alone"


def test_withdrawing_one_report_keeps_the_fault_that_another_reported() -> None:
    """A dead probe is something said: the reading was, although it holds no value."""
    one = reading(sea_water_temperature=content_of(29.0, 1.0, None))
    both = joined(one, reading(sea_water_speed=content_of(None, 1.0, "not reachable")))
    left = without(both, one)
    assert not left.withdrawn
    assert left.contents == {"sea_water_speed": Content(None, None, 1.0, "not reachable")}


@given(readings, st.integers(1, 9), st.booleans(), st.text())
def test_written_reading_is_read_back_the_same_and_keeps_the_contract(
    one: StoredReading, revision: int, withdrawn: bool, fault: str
) -> None:
    verdict = VERDICTS[code_of("12341")]
    named = {name: each._replace(fault=fault) for name, each in one.contents.items()}
    verdicts = {name: MISSING if each.raw is None else verdict for name, each in named.items()}
    one = one._replace(revision=revision, withdrawn=withdrawn, contents=named, verdicts=verdicts)
    text = reading_text("buoy-1", one, instant_text(one.received_us))
    facts = {name: getattr(one, name) for name in ("observed_us", "received_us", "revision", "withdrawn", "origin")}
    assert reading_from(text, **facts, excluded=None) == one
    excluded = one._replace(excluded=dict.fromkeys(named, "cleaned"))
    hidden = reading_text("buoy-1", excluded, instant_text(one.received_us))
    assert reading_from(hidden, **facts, excluded=excluded_text(excluded)) == excluded
    said = Reading.model_validate_json(hidden).channels
    assert {name: channel.fault for name, channel in said.items()} == dict.fromkeys(named, "excluded: cleaned")
    assert {channel.flag for channel in said.values()} <= {Flag.FAIL, Flag.MISSING}
    assert {name: channel.raw for name, channel in said.items()} == {name: each.raw for name, each in named.items()}
    wire = Reading.model_validate_json(text)
    assert (wire.buoy_id, wire.revision, wire.time_source) == ("buoy-1", revision, one.time_source)
    assert wire.withdrawn == one.withdrawn
    assert {name: channel.fault for name, channel in wire.channels.items()} == dict.fromkeys(named, fault)
    assert json.loads(text)["observed_at"] == "2023-11-14T22:13:20Z"


@given(st.floats(-1e9, 1e9), st.floats(0.01, 100))
def test_corrected_value_stays_the_product(raw: float, factor: float) -> None:
    content = content_of(raw, factor, None)
    assert content.value is not None
    assert abs(content.value - raw * factor) <= 1e-9 + 1e-12 * abs(raw * factor)
