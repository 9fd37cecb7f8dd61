"""Law 6 as a user meets it: Ctrl-C drains, says what is kept, leaves nothing behind, and what was begun can be gone on with."""

import json
import re
import signal
import urllib.request
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from reefmesh_components.reefmesh_command import ReefmeshCommand

INTERRUPTED = 130
MESSAGES = 600


def reports() -> bytes:
    """Live reports of one buoy: one reading a message, a lane's whole work."""
    lines = []
    for number in range(MESSAGES):
        at = f"2026-02-{1 + number // 100:02}T{number // 11 % 24:02}:{number % 60:02}:00Z"
        reading = {"observed_at": at, "position": None, "channels": {"sea_water_temperature": 28.5}, "faults": {}}
        head = {"schema": "telemetry/1", "buoy_id": "agent-1", "seq": number + 1, "sent_at": at}
        lines.append(json.dumps({**head, "readings": [reading]}))
    return "\n".join(lines).encode()


def archive(path: Path) -> Path:
    lines = [f"{date(1990, 1, 1) + timedelta(days=n)}T12:00:00Z,{28 + n % 30 / 10}" for n in range(2300)]
    path.write_text("time,sea_water_temperature\n" + "\n".join(lines) + "\n")
    return path


def metric(said: str, name: str) -> float:
    found = re.search(r"(http://\S+)/metrics", said)
    assert found is not None
    with urllib.request.urlopen(found[1] + "/metrics", timeout=10) as page:  # noqa: S310  # our own process's page
        text = page.read().decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + "{"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_mesh_stopped_under_load_drains_and_nothing_comes_twice(number: signal.Signals, reefmesh: ReefmeshCommand) -> None:
    reefmesh.register({"amed": ["agent-1"]})
    payloads = reefmesh.home.parent / "reports.jsonl"
    payloads.write_bytes(reports())
    send = ("send", payloads, "--lines", "--format", "telemetry", "--buoy", "agent-1")
    with reefmesh.up() as first, reefmesh.running(*send) as sender:
        # The sender waits for outcomes; the mesh is stopped while most of them are still to come.
        reefmesh.await_receipts(30, running=first)
        drained = first.stop(number)
        assert 0 == drained.code, drained.err
        assert "time-out" not in drained.err
        with reefmesh.running("up", "--port", "0", "--log-level", "warning") as second:
            said = second.await_line("reefmesh is up")
            ended = sender.wait()
            assert 0 == metric(said, "reefmesh_duplicates_total")
            assert 0 == second.stop(number).code
    assert 0 == ended.code, ended.err
    books = reefmesh.json("status")["accounting"]
    assert [] == books["discrepancies"]
    assert MESSAGES == books["messages"]["received"]


def test_demo_interrupted_says_so_and_leaves_nothing_behind(reefmesh: ReefmeshCommand) -> None:
    with replace(reefmesh, name_home=False).running("demo") as demo:
        demo.await_line("Lovina")
        ended = demo.stop(signal.SIGINT)
    assert INTERRUPTED == ended.code, ended.err
    assert "Interrupted" in ended.err
    assert "Traceback" not in ended.err
    assert [] == list(Path(reefmesh.environment["TMPDIR"]).iterdir())


def test_replay_interrupted_then_repeated_ends_like_an_undisturbed_one(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    arguments = ("replay", archive(tmp_path / "archive.csv"), "--format", "csv", "--reef", "old", "--mmm", "29", "--batch", "5")
    assert 0 == reefmesh(*arguments, "--out", tmp_path / "calm.csv", "--home", tmp_path / "calm").code
    with reefmesh.running(*arguments, "--out", tmp_path / "scores.csv") as replay:
        reefmesh.await_receipts(20, running=replay)
        ended = replay.stop(signal.SIGINT)
    assert INTERRUPTED == ended.code, ended.err
    assert "repeat the command to go on" in ended.err
    assert not (tmp_path / "scores.csv").exists()
    assert 0 == reefmesh(*arguments, "--out", tmp_path / "scores.csv").code
    assert (tmp_path / "calm.csv").read_bytes() == (tmp_path / "scores.csv").read_bytes()
    books = reefmesh.json("status")["accounting"]
    assert ([], 0) == (books["discrepancies"], books["messages"]["duplicates"])
