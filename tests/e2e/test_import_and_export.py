"""``reefmesh import`` and ``reefmesh export`` as their users run them."""

import csv
import io
import math
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reefmesh_components.reefmesh_command import REEFMESH, ReefmeshCommand

INTERRUPTED = 130
CONFIGURATION = 78
BROKEN_PIPE = 141
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
HOBO = (
    '"Plot Title: wall"\n"#","Date Time, GMT+08:00","Temp, °F (LGR S/N: 10000001)","Host Connected (LGR S/N: 10000001)"\n'
    "1,08/14/24 11:30:00 PM,82.4,\n2,08/15/24 12:00:00 AM,-999,\n3,08/15/24 12:00:30 AM,,Logged\n"
)


def long_record(path: Path, *, readings: int) -> Path:
    lines = [f"{(BEGIN + timedelta(minutes=10 * each)).isoformat()},{28 + each % 7 / 10:.1f}" for each in range(readings)]
    path.write_text("time,sea_water_temperature\n" + "\n".join(lines) + "\n")
    return path


def lagoon(path: Path) -> Path:
    """Row 5: a hundred days of local times at 115.64 E; warm afternoons, nights without heat stress."""
    lines = []
    for hour in range(100 * 24):
        warmth = max(0.0, math.sin((hour % 24 - 8) / 12 * math.pi))
        lines.append(f"{datetime(2024, 1, 1) + timedelta(hours=hour):%Y-%m-%d %H:%M},{28.8 + 2.4 * warmth:.2f}")  # noqa: DTZ001
    path.write_text("time,temp_c\n" + "\n".join(lines) + "\n")
    return path


def test_dry_run_needs_no_home_and_shows_how_a_file_is_understood(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    (tmp_path / "wall.csv").write_text(HOBO, encoding="cp1252")
    ended = reefmesh("import", tmp_path / "wall.csv", "--dry-run")
    assert (0, "Nothing was sent.\n") == (ended.code, ended.err)
    for shown in ("degF -> degC", "HOBO logger, cp1252", "GMT+08:00 (column", "month first: line 3", "1 line of events"):
        assert shown in ended.out
    document = reefmesh.json("import", tmp_path / "wall.csv", "--dry-run")
    assert {"pass": 1, "not_evaluated": 0, "suspect": 0, "fail": 0, "missing": 1} == document["quantities"][
        "sea_water_temperature"
    ]
    assert not reefmesh.home.exists()


@pytest.mark.parametrize("columns", [80, 50])
def test_dry_run_in_a_narrow_terminal_breaks_no_word(columns: int, reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    (tmp_path / "wall.csv").write_text(HOBO)
    ended = reefmesh("import", tmp_path / "wall.csv", "--dry-run", environment={"COLUMNS": str(columns)})
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= columns
    for word in ("temperature", "understood", "10000001)", "GMT+08:00", "missing", "pass"):
        assert any(word in line for line in lines), word


def test_import_says_what_became_of_the_readings_and_twice_what_was_known(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    reefmesh.register({"amed": ["wall-1"]})
    (tmp_path / "wall.csv").write_text(HOBO)
    first = reefmesh("import", tmp_path / "wall.csv", "--buoy", "wall-1")
    assert 0 == first.code, first.err
    assert "2 readings of buoy wall-1 at amed: 2 new" in first.err
    again = reefmesh.json("import", tmp_path / "wall.csv", "--buoy", "wall-1")
    assert (2, 0, 2, 0) == (again["readings"], again["new"], again["known"], again["quarantined"])
    assert {"pass": 1, "not_evaluated": 0, "suspect": 0, "fail": 0, "missing": 1} == again["quantities"][
        "sea_water_temperature"
    ]
    (tmp_path / "wall.csv").write_text(HOBO.replace("82.4", "84.2"))
    other = reefmesh("import", tmp_path / "wall.csv", "--buoy", "wall-1")
    assert (CONFIGURATION, 1) == (other.code, len(other.err.splitlines())), other.err
    assert "line 3: sea_water_temperature is 29 at 2024-08-14T15:30:00Z, and the mesh has 28 of buoy wall-1" in other.err
    assert 1 == reefmesh.json("import", tmp_path / "wall.csv", "--buoy", "wall-1", "--keep-stored")["kept"]


def test_import_into_the_mesh_that_is_up_interrupted_then_repeated_is_complete(
    reefmesh: ReefmeshCommand, tmp_path: Path
) -> None:
    reefmesh.register({"amed": ["wall-1"]})
    readings = 30_000
    arguments = ("import", long_record(tmp_path / "long.csv", readings=readings), "--buoy", "wall-1")
    with reefmesh.up() as up:
        with reefmesh.running(*arguments) as running:
            reefmesh.await_receipts(5, running=running)
            ended = running.stop(signal.SIGINT)
        assert INTERRUPTED == ended.code, ended.err
        assert "repeat the command to complete it" in ended.err
        done = reefmesh.json(*arguments)
        assert readings == done["new"] + done["known"]
        assert 0 < done["new"] < readings
        assert 0 == up.stop().code
    books = reefmesh.json("status")["accounting"]
    assert ([], readings) == (books["discrepancies"], books["readings"]["accepted"])


def test_export_is_read_back_in_another_home_with_the_same_result(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    reefmesh.register({"amed": ["wall-1"]})
    assert 0 == reefmesh("import", long_record(tmp_path / "long.csv", readings=3000), "--buoy", "wall-1").code
    file = tmp_path / "readings.csv"
    assert 0 == reefmesh("export", "readings", "--reef", "amed", "--out", file).code
    heat = reefmesh("export", "heat", "--reef", "amed").out
    other = ReefmeshCommand(home=tmp_path / "other", environment=reefmesh.environment)
    other.register({"amed": ["wall-1"]})
    assert 0 == other("import", file, "--buoy", "wall-1").code
    assert heat == other("export", "heat").out
    written, again = (list(csv.DictReader(io.StringIO(text))) for text in (file.read_text(), other("export", "readings").out))
    for row in (*written, *again):
        del row["received_at (UTC)"], row["revision"]
    assert written == again
    assert 3000 == len(written)


def test_export_of_a_period_has_the_days_of_both_ends(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    reefmesh.register({"amed": ["wall-1"]})
    assert 0 == reefmesh("import", long_record(tmp_path / "long.csv", readings=600), "--buoy", "wall-1").code
    days = list(csv.reader(io.StringIO(reefmesh("export", "heat", "--from", "2024-01-02", "--to", "2024-01-03").out)))
    assert ["date (solar)", "2024-01-02", "2024-01-03"] == [row[0] for row in days]
    rows = list(csv.reader(io.StringIO(reefmesh("export", "readings", "--from", "2024-01-02", "--to", "2024-01-02").out)))
    assert (1 + 144, "2024-01-02T00:00:00Z", "2024-01-02T23:50:00Z") == (len(rows), rows[1][0], rows[-1][0])
    ended = reefmesh("export", "readings", "--to", "2024-01-01T08:00+08:00")
    assert 1 == len(ended.out.splitlines())


def test_export_to_a_reader_that_goes_away_ends_quietly(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    """``reefmesh export readings | head -1``."""
    reefmesh.register({"amed": ["wall-1"]})
    assert 0 == reefmesh("import", long_record(tmp_path / "long.csv", readings=4000), "--buoy", "wall-1").code
    process = subprocess.Popen(
        [*REEFMESH, "export", "readings", "--home", str(reefmesh.home)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stderr as said:
        assert process.stdout.readline().startswith(b"time (UTC)")
        process.stdout.close()
        assert b"" == said.read()
    assert BROKEN_PIPE == process.returncode


def test_export_interrupted_says_that_it_is_not_the_whole(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    """The pipe holds back the export until the signal has come."""
    reefmesh.register({"amed": ["wall-1"]})
    assert 0 == reefmesh("import", long_record(tmp_path / "long.csv", readings=6000), "--buoy", "wall-1").code
    process = subprocess.Popen(
        [*REEFMESH, "export", "readings", "--home", str(reefmesh.home)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"time (UTC)")
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate()
    assert (INTERRUPTED, b"Interrupted: the lines so far are not the whole.\n") == (process.returncode, said)
    assert 0 < len(rest.splitlines()) < 6000


def test_field_05_local_times_with_their_zone_give_no_heat_stress(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    """Taken as UTC, the warm afternoons would be the nights of 115.64 E."""
    record, scores, alerts = lagoon(tmp_path / "lagoon.csv"), tmp_path / "scores.csv", tmp_path / "alerts.jsonl"
    arguments = (
        "replay",
        record,
        "--reef",
        "amed",
        "--mmm",
        "29",
        "--longitude",
        "115.64",
        "--out",
        scores,
        "--alerts",
        alerts,
    )
    asked = reefmesh(*arguments)
    assert (CONFIGURATION, False) == (asked.code, scores.exists())
    assert "line 2: '2024-01-01 00:00' states no offset from UTC" in asked.err
    assert 0 == reefmesh(*arguments, "--timezone", "Asia/Makassar").code
    assert {"0.000000"} == {row["dhw_celsius_weeks"] for row in csv.DictReader(io.StringIO(scores.read_text()))} - {""}
    assert '"kind":"heat"' not in alerts.read_text()
