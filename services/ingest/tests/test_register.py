"""The operators' register: its file, its one-line errors, its table."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from reefmesh.errors import ConfigurationError
from reefmesh.store.port import Row, Store, Value
from reefmesh_ingest.domain.quality import DEFAULT_LIMITS
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.file import parse_register, read_register
from reefmesh_ingest.register.table import Register

EXAMPLE = Path(__file__).parents[1] / "register.example.toml"
REEF = '[[reef]]\nid = "r1"\nname = "R"\nlatitude_degrees = 1\nlongitude_degrees = 2\n'
SENSOR = '[[buoy]]\nid = "b"\nreef = "r1"\n[[buoy.sensor]]\nsource = "X"\n'


def test_documented_example_is_a_register() -> None:
    register = read_register(EXAMPLE)
    assert len(register.reef) == 2
    assert len(register.buoy) == 3
    limits = register.reef[0].limits_in_force()["sea_water_temperature"]
    assert limits.suspect_span == (20.0, 33.0)
    assert limits.spike_fail == DEFAULT_LIMITS["sea_water_temperature"].spike_fail
    assert limits.flat_line_tolerance is None
    assert register.reef[0].facts().mmm_source == "adjusted"
    assert register.reef[0].facts().mmm_celsius == 29.45


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (REEF + "latitude = 3\n", 6, "latitude"),
        (REEF.replace("latitude_degrees = 1", "latitude_degrees = 91"), 4, "latitude_degrees"),
        (REEF + '[[buoy]]\nid = "b"\nreef = "r1"\n\n[[buoy]]\nid = "c d"\nreef = "r1"\n', 11, "buoy.1.id"),
        (REEF + '[[buoy]]\nid = "b"\n', 6, "buoy.0.reef: is missing"),
        (REEF + '[[buoy]]\nid = "b"\nreef = "r1"\n[[buoy.sensor]]\nsource = "X"\nquantity = "mood"\n', 9, "mood is not one of"),
        (REEF + SENSOR + 'quantity = "ignored"\nchannel = "sea_water_temperature"\n', 9, "state quantity alone"),
        (REEF + SENSOR, 9, "buoy.0.sensor.0.quantity: is missing"),
        (REEF + '[reef.limits.sea_water_temperature]\nsuspect_span = [5, "x"]\n', 7, "suspect_span"),
        (REEF + "[reef.limits.sea_water_temperature]\nsuspect_span = [-50, 99]\n", 1, "suspect"),
        (REEF + "[reef.limits.mood]\nspike_fail = 1\n", 1, "mood is not one of"),
        (REEF + REEF, 7, "r1 is there twice"),
        (REEF + '[[buoy]]\nid = "b"\nreef = "r1"\n[[buoy]]\nid = "c"\nreef = "r1"\naliases = ["b"]\n', 10, "b is there twice"),
    ],
)
def test_mistake_in_a_file_is_one_line_with_its_place(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_register(text, name="reefs.toml")
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith("reefs.toml, line ")
    assert words in message
    assert int(message.split()[2].rstrip(":")) in range(line, line + 2) or line == 1


def test_old_key_of_a_sensor_is_read_with_one_warning_that_names_the_file() -> None:
    twice = SENSOR + 'channel = "ignored"\n[[buoy.sensor]]\nsource = "Y"\nchannel = "sea_water_temperature"\n'
    with structlog.testing.capture_logs() as logs:
        register = parse_register(REEF + twice, name="reefs.toml")
    assert [sensor.quantity for sensor in register.buoy[0].sensor] == ["ignored", "sea_water_temperature"]
    (warning,) = logs
    assert (warning["log_level"], warning["file"], warning["write"]) == ("warning", "reefs.toml", "quantity")


def test_new_key_of_a_sensor_is_read_without_a_warning() -> None:
    with structlog.testing.capture_logs() as logs:
        parse_register(REEF + SENSOR + 'quantity = "ignored"\n', name="reefs.toml")
    assert logs == []


def test_shown_entry_has_both_keys_of_a_sensor_and_can_be_set_again() -> None:
    entry = parse_register(REEF + SENSOR + 'quantity = "sea_water_temperature"\n', name="reefs.toml").buoy[0]
    shown = entry.shown()
    assert shown["sensor"][0]["quantity"] == shown["sensor"][0]["channel"] == "sea_water_temperature"
    assert BuoyEntry.model_validate(shown) == entry


async def test_table_keeps_the_old_key_so_that_an_older_service_reads_it(ingest: Any) -> None:
    entry = parse_register(REEF + SENSOR + 'quantity = "ignored"\n', name="reefs.toml").buoy[0]
    await ingest.register.upsert(buoys=[entry.model_copy(update={"reef": "menjangan"})])
    ((text,),) = await ingest.store.fetch("SELECT entry_json FROM register_buoy WHERE buoy_id = 'b'")
    assert json.loads(text)["sensor"] == [{"source": "X", "channel": "ignored"}]
    known = ingest.register.buoy("b")
    assert known.entry.sensor == entry.sensor


def test_text_that_is_no_toml_names_its_line() -> None:
    with pytest.raises(ConfigurationError, match="line 2"):
        parse_register("[[reef]]\nid = \n", name="x")


@pytest.mark.parametrize("make", ["missing", "folder", "binary"])
def test_file_that_cannot_be_read_is_one_line(tmp_path: Path, make: str) -> None:
    path = tmp_path / "reefs.toml"
    if make == "folder":
        path.mkdir()
    elif make == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError) as raised:
        read_register(path)
    assert "\n" not in str(raised.value)


async def test_change_is_seen_by_another_process_at_its_next_refresh(ingest: Any) -> None:
    other = Register(ingest.store)
    assert await other.refresh()
    assert not await other.refresh()
    await ingest.register.upsert(buoys=[BuoyEntry(id="new", reef="menjangan", aliases=["n2"])])
    assert other.buoy("n2") is None
    assert await other.refresh()
    found = other.buoy("n2")
    assert found is not None
    assert found.entry.id == "new"
    assert await ingest.register.remove_buoy("new")
    await other.refresh()
    assert other.buoy("new") is None
    assert other.buoy("n2") is None


async def test_unchanged_entries_are_the_same_objects_after_a_refresh(ingest: Any) -> None:
    before = ingest.register.buoy("agent-1")
    await ingest.register.upsert(buoys=[BuoyEntry(id="new", reef="menjangan")])
    assert ingest.register.buoy("agent-1") is before


async def test_buoy_of_no_reef_and_name_of_another_buoy_are_refused(ingest: Any) -> None:
    with pytest.raises(ConfigurationError, match="nowhere is not registered"):
        await ingest.register.upsert(buoys=[BuoyEntry(id="x", reef="nowhere")])
    with pytest.raises(ConfigurationError, match="agent-1 is a name of buoy"):
        await ingest.register.upsert(buoys=[BuoyEntry(id="x", reef="menjangan", aliases=["agent-1"])])
    assert ingest.register.buoy("x") is None


async def test_reef_with_buoys_is_not_removed(ingest: Any) -> None:
    with pytest.raises(ConfigurationError, match="remove or move them first"):
        await ingest.register.remove_reef("menjangan")
    assert await ingest.register.remove_reef("pemuteran")
    assert not await ingest.register.remove_reef("pemuteran")


async def test_entries_survive_the_table_as_they_were(ingest: Any) -> None:
    register = read_register(EXAMPLE)
    await ingest.register.remove_buoy("865000000000001")
    await ingest.register.upsert(reefs=register.reef, buoys=register.buoy)
    fresh = Register(ingest.store)
    await fresh.refresh()
    reefs = {each.entry.id: each.entry for each in fresh.reefs()}
    assert [reefs[each.id] for each in register.reef] == register.reef
    known = {each.entry.id: each.entry for each in fresh.buoys()}
    assert [known[each.id] for each in register.buoy] == register.buoy


def test_reef_without_a_climatology_says_unknown() -> None:
    facts = ReefEntry(id="r", name="R", latitude_degrees=0, longitude_degrees=0).facts()
    assert (facts.mmm_celsius, facts.mmm_source) == (None, "unknown")


class Counting:
    """A store that counts the rows it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.rows = 0

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        rows = await self._store.fetch(sql, parameters)
        self.rows += len(rows)
        return rows


async def test_lanes_that_start_together_read_the_register_once(ingest: Any) -> None:
    """Each for itself they would take the memory of so many registers."""
    reefs = [ReefEntry(id=f"r{n}", name="R", latitude_degrees=1, longitude_degrees=2) for n in range(20)]
    await Register(ingest.store).upsert(reefs=reefs)
    known = len(await ingest.store.fetch("SELECT 1 FROM register_reef UNION ALL SELECT 1 FROM register_buoy"))
    counting = Counting(ingest.store)
    register = Register(counting)  # type: ignore[arg-type]  # of a store, looking asks for rows alone

    changed = await asyncio.gather(*(register.refresh() for _ in range(8)))

    assert sum(changed) == 1
    assert counting.rows == known + 8  # and its version, each time
