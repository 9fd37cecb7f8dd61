"""Law 3 on a full disk: what was confirmed is kept, what was not is refused in one line, and it goes on after room is made."""

import json
from pathlib import Path

from reefmesh_components.reefmesh_command import ReefmeshCommand
from reefmesh_components.small_disk import fill, make_room, small_disk

UNAVAILABLE = 75
CONFIGURATION = 78


def report(day: int) -> bytes:
    reading = {"observed_at": f"2026-01-{day:02}T20:00:00Z", "channels": {"sea_water_temperature": 28.5}}
    head = {"schema": "telemetry/1", "buoy_id": "agent-1", "seq": day, "sent_at": f"2026-01-{day:02}T20:01:00Z"}
    return json.dumps({**head, "readings": [{**reading, "position": None, "faults": {}}]}).encode()


def test_mesh_on_a_full_disk_refuses_then_goes_on_and_has_lost_nothing(reefmesh_process: ReefmeshCommand) -> None:
    send = ("send", "-", "--format", "telemetry", "--buoy", "agent-1")
    with small_disk(reefmesh_process.home, size_bytes=12 << 20) as disk:
        reefmesh_process.register({"amed-wall": ["agent-1"]})
        with reefmesh_process.up() as up:
            assert 0 == reefmesh_process(*send, stdin=report(1)).code
            fill(disk)
            refused = [reefmesh_process(*send, stdin=report(day)) for day in (2, 3)]
            for ended in refused:
                assert (UNAVAILABLE, "") == (ended.code, ended.out), ended.err
                assert 1 == len(ended.err.splitlines())
                assert "full" in ended.err
            make_room(disk)
            assert 0 == reefmesh_process(*send, stdin=report(4)).code
            drained = up.stop()
        assert 0 == drained.code, drained.err
        books = reefmesh_process.json("status")["accounting"]
    assert [] == books["discrepancies"]
    assert 2 == books["messages"]["received"] == books["messages"]["accepted"]


def test_replay_onto_a_full_disk_told_no_file_left(reefmesh_process: ReefmeshCommand, tmp_path: Path) -> None:
    archive = tmp_path / "archive.csv"
    archive.write_text("time,sea_water_temperature\n2024-01-01T12:00:00Z,28.1\n2024-01-02T12:00:00Z,28.2\n")
    arguments = ("replay", archive, "--format", "csv", "--reef", "amed-wall", "--mmm", "29")
    with small_disk(tmp_path / "disk", size_bytes=64 << 10) as disk:
        fill(disk)
        before = list(disk.iterdir())
        ended = reefmesh_process(*arguments, "--out", disk / "scores.csv", "--alerts", tmp_path / "alerts.jsonl")
        assert (CONFIGURATION, "") == (ended.code, ended.out)
        assert "no space left on device" in ended.err.splitlines()[-1]
        assert before == list(disk.iterdir())
        assert not (tmp_path / "alerts.jsonl").exists()
        ended = reefmesh_process(*arguments, "--out", tmp_path / "scores.csv", "--home", disk / "home")
        assert ended.code in (UNAVAILABLE, CONFIGURATION), ended.err
        assert 1 == len(ended.err.splitlines())
        assert "free some space" in ended.err
    assert not (tmp_path / "scores.csv").exists()


def test_home_made_on_a_full_disk_told(reefmesh_process: ReefmeshCommand) -> None:
    with small_disk(reefmesh_process.home, size_bytes=64 << 10) as disk:
        fill(disk)
        ended = reefmesh_process("up", "--port", "0")
    assert ended.code in (UNAVAILABLE, CONFIGURATION)
    assert "free some space" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
