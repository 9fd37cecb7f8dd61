"""``reefmesh exclude`` and ``reefmesh include`` as their users run them."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reefmesh_components.reefmesh_command import ReefmeshCommand

CONFIGURATION = 78
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
T = "sea_water_temperature"


def record(path: Path, *, days: int, wrong_at: int) -> Path:
    """Readings every half hour; one of them, possible in water, is wrong."""
    values = [f"{28 + each % 7 / 10:.1f}" for each in range(48 * days)]
    values[wrong_at] = "34.9"
    lines = [f"{(BEGIN + timedelta(minutes=30 * at)).isoformat()},{value}" for at, value in enumerate(values)]
    path.write_text(f"time,{T}\n" + "\n".join(lines) + "\n")
    return path


def exported(reefmesh: ReefmeshCommand) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(reefmesh("export", "readings").out)))
    for row in rows:
        del row["revision"]
    return rows


def column(rows: list[dict[str, str]], kind: str) -> str:
    return next(name for name in rows[0] if name.startswith(T) and kind in name)


def test_exclude_and_include_without_a_mesh_that_is_up(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    """Readings, flags and heat follow the exclusion, and are as before once it is taken back."""
    reefmesh.register({"amed": ["wall-1"]})
    assert 0 == reefmesh("import", record(tmp_path / "wall.csv", days=4, wrong_at=60), "--buoy", "wall-1").code
    readings, heat = exported(reefmesh), reefmesh("export", "heat").out
    evening = ("--from", "2024-01-03T20:00+08:00", "--to", "2024-01-04T00:00+08:00")
    done = reefmesh.json("exclude", "wall-1", *evening, "--reason", "on deck")
    assert (8, 8, True) == (done["readings_in_period"], done["readings_changed"], done["scored"])
    fault, flag, value = (column(readings, kind) for kind in ("fault", "flag", "raw"))
    first = 48 * 2 + 24
    excluded = exported(reefmesh)
    assert [("excluded: on deck", "4")] * 8 == [(row[fault], row[flag]) for row in excluded[first : first + 8]]
    assert [row[value] for row in readings] == [row[value] for row in excluded]
    assert heat != reefmesh("export", "heat").out
    assert 0 == reefmesh("include", done["exclusion_id"]).code
    assert (readings, heat) == (exported(reefmesh), reefmesh("export", "heat").out)


def test_exclude_in_the_mesh_that_is_up_reaches_what_arrives_later(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    reefmesh.register({"amed": ["wall-1"]})
    with reefmesh.up() as up:
        ended = reefmesh("exclude", "wall-1", "--from", "2024-01-01", "--to", "2024-01-01", "--reason", "cleaned")
        assert 0 == ended.code, ended.err
        assert "0 of 0 readings in the period excluded" in ended.err
        assert 0 == reefmesh("import", record(tmp_path / "wall.csv", days=2, wrong_at=60), "--buoy", "wall-1").code
        assert 0 == up.stop().code
    rows = exported(reefmesh)
    faults = [row[column(rows, "fault")] for row in rows]
    assert ["excluded: cleaned"] * 48 + [""] * 48 == faults


def test_mistakes_are_one_line_and_nothing_is_sent(reefmesh: ReefmeshCommand) -> None:
    reefmesh.register({"amed": ["wall-1"]})
    period = ("--from", "2024-01-01", "--to", "2024-01-02")
    for arguments, why in (
        (("exclude",), "name the buoy"),
        (("exclude", "wall-1", *period, "--reason", " "), "say why these values do not count"),
        (("exclude", "wall-9", *period, "--reason", "x"), "wall-9 is not registered"),
        (("exclude", "wall-1", *period, "--quantity", "heat", "--reason", "x"), "is none of"),
        (("include", "wall-1"), "nothing of wall-1 is excluded"),
    ):
        ended = reefmesh(*arguments)
        assert (CONFIGURATION, 1) == (ended.code, len(ended.err.splitlines())), ended.err
        assert why in ended.err
    assert [] == reefmesh.json("exclude", "--list")


def test_include_names_one_of_several_by_its_period(reefmesh: ReefmeshCommand) -> None:
    reefmesh.register({"amed": ["wall-1"]})
    with reefmesh.up() as up:
        for day in ("2024-01-01", "2024-01-02"):
            assert 0 == reefmesh("exclude", "wall-1", "--from", day, "--to", day, "--reason", "cleaned").code
        ended = reefmesh("include", "wall-1")
        assert CONFIGURATION == ended.code
        assert "more than one exclusion of wall-1 is meant" in ended.err
        assert 0 == reefmesh("include", "wall-1", "--from", "2024-01-02", "--to", "2024-01-02").code
        assert ["2024-01-01T00:00:00Z"] == [each["from_at"] for each in reefmesh.json("exclude", "--list")]
        assert 0 == up.stop().code
