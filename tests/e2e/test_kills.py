"""Law 3 and law 4 on one machine: kill -9 of the whole mesh at random moments changes nothing in the end."""

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

READINGS_PER_MESSAGE = 3
REEFMESH = [sys.executable, "-m", "reefmesh_standalone"]
OURS_ARE_THE_KILLS = {"REEFMESH_CRASH_LIMIT": "100"}
"""With the default, a message that five kills meet is taken for their cause and parked."""


def record(path: Path, *, days: int) -> None:
    """Years of daily temperatures with a warm season each."""
    sea = random.Random(7)
    lines = ["time,sea_water_temperature"]
    for day in range(days):
        season = 2.6 * (1.0 - abs((day % 365) - 210) / 100.0)
        temperature = 28.4 + max(-3.0, season) + sea.uniform(-0.4, 0.4)
        lines.append(f"{date(2011, 1, 1) + timedelta(days=day)}T20:00:00Z,{temperature:.2f}")
    path.write_text("\n".join(lines) + "\n")


def replay(archive: Path, home: Path, out: Path) -> list[str]:
    options = ["--format", "csv", "--reef", "old-reef", "--mmm", "29.5", "--longitude", "115"]
    files = ["--out", str(out / "scores.csv"), "--alerts", str(out / "alerts.jsonl"), "--home", str(home)]
    return [*REEFMESH, "replay", str(archive), *options, *files, "--batch", str(READINGS_PER_MESSAGE), "--json"]


@contextmanager
def mesh_up(home: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [*REEFMESH, "up", "--home", str(home), "--port", "0", "--log-level", "warning"],
            stdout=stderr,
            stderr=stderr,
            env=os.environ | OURS_ARE_THE_KILLS,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def receipts(home: Path) -> int:
    path = home / "ingest.db"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        try:
            count: int = database.execute("SELECT count(*) FROM receipts").fetchone()[0]
        except sqlite3.OperationalError:  # not migrated yet
            return 0
        return count


def await_up(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until the mesh says that it is up: from then on the journal is its own."""
    for _ in range(30_000):
        if "reefmesh is up" in log.read_text():
            return
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"the mesh did not come up: {log.read_text()}")


def await_receipts(process: "subprocess.Popen[bytes]", home: Path, number: int) -> None:
    """Wait until the mesh has so many receipts; the wait is on the process, so its death ends it."""
    for _ in range(30_000):
        if receipts(home) >= number:
            return
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the mesh ended by itself with {process.returncode}")
    pytest.fail(f"no {number} receipts within minutes, only {receipts(home)}")


def told(path: Path) -> list[dict[str, Any]]:
    """Alerts without what tells of the run and not of the reef: when they were raised."""
    alerts = [json.loads(line) for line in (path / "alerts.jsonl").read_text().splitlines()]
    return [{k: v for k, v in alert.items() if k not in ("raised_at", "data_age_seconds")} for alert in alerts]


@pytest.mark.timeout(1200)  # half a minute for 7 kills on a machine that does nothing else
@pytest.mark.parametrize(
    ("days", "kills"), [pytest.param(1200, 7, marks=pytest.mark.ci), pytest.param(3650, 22, marks=pytest.mark.faults)]
)
def test_mesh_killed_at_random_moments_of_a_replay_ends_like_an_undisturbed_one(tmp_path: Path, days: int, kills: int) -> None:
    """Laws 3 and 4: nothing lost, effect once, over kills -9; scores, ledger and accounting are identical."""
    archive = tmp_path / "archive.csv"
    record(archive, days=days)
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    for folder in (calm, rough):
        folder.mkdir()
    undisturbed = subprocess.run(replay(archive, calm / "home", calm), capture_output=True, timeout=600, check=False)
    assert undisturbed.returncode == 0, undisturbed.stderr.decode()

    home, log = rough / "home", rough / "up.log"
    chance = random.Random(20261121)
    total = -(-days // READINGS_PER_MESSAGE)
    points = sorted(chance.sample(range(1, total - 5), kills))
    with mesh_up(home, log) as first:
        await_up(first, log)
        client = subprocess.Popen(replay(archive, home, rough), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            await_receipts(first, home, points[0])
            first.kill()
            first.wait()
            for point in points[1:]:
                with mesh_up(home, log) as process:
                    await_receipts(process, home, point)
                    try:
                        process.wait(timeout=chance.uniform(0.0, 0.05))
                    except subprocess.TimeoutExpired:
                        process.kill()
            with mesh_up(home, log):
                output, errors = client.communicate(timeout=600)
        finally:
            client.kill()
            client.wait()
    assert client.returncode == 0, errors.decode() + log.read_text()

    assert json.loads(output)["readings"] == json.loads(undisturbed.stdout)["readings"] == days
    assert (rough / "scores.csv").read_bytes() == (calm / "scores.csv").read_bytes()
    assert told(rough) == told(calm) != []
    assert receipts(home) == receipts(calm / "home") == total
