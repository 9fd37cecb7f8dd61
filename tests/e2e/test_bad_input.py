"""A mistake of the operator's: one line that says what to do, an exit code that is not 0, nothing half-written."""

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from reefmesh_components.reefmesh_command import Ended, ReefmeshCommand
from reefmesh_components.small_disk import small_disk

CONFIGURATION: Final = 78
UNAVAILABLE: Final = 75
USAGE: Final = 2
QUIET: Final = ("--log-level", "warning")
CSV: Final = "time,sea_water_temperature\n" + "".join(f"2024-01-{day:02}T12:00:00Z,28.{day:02}\n" for day in range(1, 31))
_DAY: Final = "28.0 29.0 28.5 0.1 0.0 0.0 0"
NOAA: Final = f"Averaged Maximum Monthly Mean:\n29.0\n2020 01 01 {_DAY}\n2020 13 01 {_DAY}\n"


def assert_one_line(ended: Ended, fragment: str, *, code: int = CONFIGURATION) -> None:
    lines = ended.err.splitlines()
    assert (code, 1, "") == (ended.code, len(lines), ended.out), ended.err
    assert lines[0].startswith("reefmesh: ")
    assert fragment in lines[0]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "good.csv").write_text(CSV)
    (folder / "binary").write_bytes(bytes(range(256)) * 10)
    (folder / "malformed.csv").write_text(CSV.replace("28.03", "warm"))
    (folder / "short.csv").write_text(CSV.replace(",28.04", ""))
    (folder / "columns.csv").write_text("time,sea_water_warmth\n2024-01-01T00:00:00Z,28\n")
    (folder / "header.csv").write_text("day;warmth\n")
    (folder / "local.csv").write_text("time,sea_water_temperature\n2024-01-01 12:00,28\n")
    (folder / "only-header.csv").write_text("time,sea_water_temperature\n")
    (folder / "station.txt").write_text(NOAA)
    (folder / "settings.toml").write_text("lanes = 8\nlains = 9\n")
    (folder / "service.toml").write_text("[ingest]\nlanes = 0\n")
    (folder / "register.toml").write_text('[[reef]]\nid = "a"\nname = "A"\nlatitude_degrees = 95\nlongitude_degrees = 1\n')
    (folder / "subscriptions.toml").write_text('[[subscription]]\nname = "me"\nwho = "me"\ntargets = ["pigeon"]\n')
    return folder


REPLAY: Final = ("--format", "csv", "--reef", "amed-wall", "--out", "{files}/scores.csv")

MISTAKES: Final = {
    "setting of the environment": (("up",), {"REEFMESH_LANES": "many"}, "REEFMESH_LANES is 'many'"),
    "setting of the environment for one service": (("up",), {"REEFMESH_SCORING_LANES": "0"}, "REEFMESH_SCORING_LANES is '0'"),
    "variable that nobody reads": (("reefs", "list"), {"REEFMESH_BROKR_URL": "x"}, "is REEFMESH_BROKER_URL meant?"),
    "unknown setting in a file": (("up", "--config", "{files}/settings.toml"), {}, "is lanes meant?"),
    "setting of a service in a file": (("up", "--config", "{files}/service.toml"), {}, "under [ingest]"),
    "settings file absent": (("status", "--config", "{files}/none.toml"), {}, "no such file"),
    "settings file binary": (("status",), {"REEFMESH_CONFIG": "{files}/binary"}, "not valid TOML"),
    "broker without an engine": (("up", "--broker", "pigeon://roof"), {}, "unknown engine 'pigeon'"),
    "broker with a typo": (("up", "--broker", "activmq"), {}, "is one like stomp+ssl://host-1:61614"),
    "engine with a typo": (("up", "--broker", "stmp://host"), {}, "is an address like stomp+ssl://"),
    "field with a typo": (("reefs", "set", "a", "mmm_celsus=29"), {}, "is mmm_celsius meant?"),
    "buoy before its reef": (
        ("buoys", "set", "b", "--reef", "a"),
        {},
        "'reefmesh reefs set' or 'reefmesh reefs load' begins one",
    ),
    "reef without its place": (
        ("reefs", "set", "a", "--mmm", "29"),
        {},
        "write name=... latitude_degrees=... longitude_degrees=...",
    ),
    "payload of nobody": (("send", "{files}/good.csv", "--format", "telemetry"), {}, "say with --buoy which buoy sent it"),
    "store of another kind": (("up", "--store", "mysql://host/db"), {}, "--store is 'mysql://host/db'; set it to a PostgreSQL"),
    "subscriptions file absent": (("up",), {"REEFMESH_SUBSCRIPTIONS_FILE": "{files}/none"}, "cannot be read"),
    "subscriptions file binary": (("up",), {"REEFMESH_SUBSCRIPTIONS_FILE": "{files}/binary"}, "not UTF-8"),
    "recipient without its target": (("up",), {"REEFMESH_SUBSCRIPTIONS_FILE": "{files}/subscriptions.toml"}, "pigeon"),
    "payload absent": (("send", "{files}/none", "--format", "telemetry", "--buoy", "a"), {}, "no such file"),
    "payload a folder": (("send", "{files}", "--format", "telemetry", "--buoy", "a"), {}, "is a directory"),
    "payload empty": (("send", "-", "--lines", "--format", "telemetry", "--buoy", "a"), {}, "nothing to send"),
    "archive absent": (("replay", "{files}/none", *REPLAY), {}, "no such file"),
    "archive binary": (("replay", "{files}/binary", *REPLAY), {}, "binary, line 1: has NUL bytes"),
    "archive with a word for a number": (
        ("replay", "{files}/malformed.csv", *REPLAY),
        {},
        "line 4: 'sea_water_temperature' is 'warm'",
    ),
    "archive with a short line": (("replay", "{files}/short.csv", *REPLAY), {}, "line 5: 1 fields instead of 2"),
    "archive with an unknown column": (("replay", "{files}/columns.csv", *REPLAY), {}, "'sea_water_warmth'"),
    "archive without a header": (("replay", "{files}/header.csv", *REPLAY), {}, "has no header with a time"),
    "archive of local times": (("replay", "{files}/local.csv", *REPLAY), {}, "line 2: '2024-01-01 12:00' states no offset"),
    "archive without readings": (("replay", "{files}/only-header.csv", *REPLAY), {}, "no readings"),
    "station file with a 13th month": (
        ("replay", "{files}/station.txt", "--format", "noaa-station", *REPLAY[2:]),
        {},
        "station.txt, line 4: month must be in 1..12",
    ),
    "record absent": (("import", "{files}/none", "--dry-run"), {}, "no such file"),
    "record of local times": (("import", "{files}/local.csv", "--dry-run"), {}, "line 2: '2024-01-01 12:00' states no offset"),
    "record of nobody": (("import", "{files}/good.csv", "--reef", "amed"), {}, "'reefmesh reefs set REEF name=..."),
    "record with half an option": (
        ("import", "{files}/good.csv", "--dry-run", "--unit", "degF"),
        {},
        "--unit 'degF' is not NAME",
    ),
    "export of a home where no mesh has run": (("export", "readings"), {}, "start one with 'reefmesh up'"),
    "export from a time without an offset": (("export", "readings", "--from", "2024-01-01T00:00"), {}, "states no offset"),
    "export to no day": (("export", "heat", "--to", "soon"), {}, "--to 'soon' is no day"),
    "reef of a name that none can have": (("replay", "{files}/good.csv", *REPLAY, "--reef", "Amed Wall!"), {}, "'Amed Wall!'"),
    "MMM of no sea": (("replay", "{files}/good.csv", *REPLAY, "--mmm", "99"), {}, "mmm_celsius is 99.0"),
    "scores into a missing folder": (("replay", "{files}/good.csv", *REPLAY, "--out", "{files}/no/s.csv"), {}, "cannot write"),
    "scores over a folder": (("replay", "{files}/good.csv", *REPLAY, "--out", "{files}"), {}, "cannot write"),
    "scores over the archive": (("replay", "{files}/good.csv", *REPLAY, "--out", "{files}/good.csv"), {}, "archive itself"),
    "alerts over the scores": (("replay", "{files}/good.csv", *REPLAY, "--alerts", "{files}/scores.csv"), {}, "two files"),
    "services to join without a broker": (("replay", "{files}/good.csv", *REPLAY, "--join"), {}, "at a --broker"),
    "register absent": (("reefs", "load", "{files}/none"), {}, "cannot be read"),
    "register binary": (("reefs", "load", "{files}/binary"), {}, "not UTF-8"),
    "register beyond the pole": (("reefs", "load", "{files}/register.toml"), {}, "register.toml, line 4"),
    "home of no name": (("up",), {"REEFMESH_HOME": ""}, "REEFMESH_HOME is '': that names no folder"),
    "home below a file": (("up", "--home", "{files}/binary/home"), {}, "give another with --home"),
    "home where nothing can be made": (("up", "--home", "/proc/reefmesh"), {}, "give another with --home"),
    "home where no mesh has run": (("status",), {}, "start one with 'reefmesh up'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_told_in_one_line_nothing_written(mistake: str, reefmesh: ReefmeshCommand, files: Path) -> None:
    assert_told_and_nothing_written(mistake, reefmesh, files)


@pytest.mark.parametrize("mistake", ["setting of the environment", "archive with a word for a number", "register binary"])
def test_mistake_is_all_that_a_process_writes(mistake: str, reefmesh_process: ReefmeshCommand, files: Path) -> None:
    """No warning of an import, no traceback beside the line: what is said of the settings, of a file, of the register."""
    assert_told_and_nothing_written(mistake, reefmesh_process, files)


def assert_told_and_nothing_written(mistake: str, reefmesh: ReefmeshCommand, files: Path) -> None:
    arguments, environment, fragment = MISTAKES[mistake]
    before = sorted(files.iterdir())
    place: Callable[[str], str] = lambda text: text.replace("{files}", str(files))  # noqa: E731  # braces of JSON stay
    filled = {name: place(value) for name, value in environment.items()}
    assert_one_line(reefmesh(*map(place, arguments), environment=filled), fragment)
    assert before == sorted(files.iterdir())
    assert [] == list(Path(reefmesh.environment["TMPDIR"]).iterdir())
    assert not reefmesh.home.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("send", "x", "--format", "pigeon", "--buoy", "a"),
        ("up", "--port", "99999"),
        ("up", "--log-level", "loud"),
        ("replay", "x"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_usage_told(arguments: tuple[str, ...], reefmesh: ReefmeshCommand) -> None:
    ended = reefmesh(*arguments)
    assert (USAGE, "") == (ended.code, ended.out)
    assert "Usage: reefmesh" in ended.err
    assert "Traceback" not in ended.err


def test_file_of_another_kind_in_place_of_a_database_told_and_left_alone(reefmesh: ReefmeshCommand) -> None:
    reefmesh.home.mkdir()
    foreign = reefmesh.home / "ingest.db"
    foreign.write_text("notes of a dive at Amed, not a database" * 100)
    content = foreign.read_bytes()
    assert_one_line(reefmesh("up", "--port", "0", *QUIET), "is no SQLite database")
    assert content == foreign.read_bytes()


def test_second_mesh_in_one_home_told_whose_it_is(reefmesh: ReefmeshCommand) -> None:
    with reefmesh.up() as first:
        assert_one_line(reefmesh("up", "--port", "0", *QUIET), f"already, as process {first.process.pid}")
        assert 0 == first.stop().code


def test_port_in_use_told(reefmesh: ReefmeshCommand) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_one_line(reefmesh("up", "--port", port, *QUIET), f"cannot listen on 127.0.0.1:{port}: the port is in use")


def test_locked_database_told_after_a_while_then_nothing_is_amiss(reefmesh_process: ReefmeshCommand, files: Path) -> None:
    """Another program that holds the file is waited for, not for ever."""
    assert 0 == reefmesh_process("reefs", "set", "amed-wall", "name=Amed", "latitude_degrees=-8", "longitude_degrees=115").code
    arguments = ("replay", files / "good.csv", *REPLAY[:4], "--out", files / "scores.csv")
    with closing(sqlite3.connect(reefmesh_process.home / "ingest.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with reefmesh_process.running("up", "--port", "0", *QUIET) as up:
            mesh = up.wait()
        replay = reefmesh_process(*arguments)
        other.execute("ROLLBACK")
    for ended in (mesh, replay):
        assert_one_line(ended, "ingest.db is locked by another process", code=UNAVAILABLE)
    assert not (files / "scores.csv").exists()
    assert 0 == reefmesh_process(*arguments).code
    assert 1 + 30 == len((files / "scores.csv").read_text().splitlines())


def test_read_only_disk_told(reefmesh_process: ReefmeshCommand, files: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", size_bytes=1 << 20, read_only=True) as disk:
        assert_one_line(reefmesh_process("up", "--home", disk), "cannot write in")
        assert_one_line(reefmesh_process("up", "--home", disk / "home"), "read-only file system")
        arguments = ("replay", files / "good.csv", *REPLAY[:4], "--out", disk / "scores.csv")
        assert_one_line(reefmesh_process(*arguments), "cannot write")
