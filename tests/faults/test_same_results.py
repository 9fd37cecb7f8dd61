"""The engine changes nothing of what the mesh computes: replay and demonstration on processes give what one process gives."""

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reefmesh_components.either_broker import ACTIVEMQ, RABBITMQ, EitherBroker
from reefmesh_components.mesh_processes import MeshProcesses

STATION = Path(__file__).parents[3] / "shared" / "data" / "noaa_crw_florida_keys_1985_2014.txt"
RUN_SPECIFIC = ("raised_at", "data_age_seconds")
COMMAND_SECONDS = 280
"""On a machine that does other things too."""


def replayed(home: Path, *where: str) -> tuple[bytes, list[dict[str, Any]]]:
    """Return scores as written and alerts without what tells of the run."""
    home.mkdir(exist_ok=True)
    scores, alerts = home / "scores.csv", home / "alerts.jsonl"
    options = ["--format", "noaa-station", "--reef", "florida-keys", "--out", str(scores), "--alerts", str(alerts)]
    command = [sys.executable, "-m", "reefmesh_standalone", "replay", str(STATION), *options, "--home", str(home), *where]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in alerts.read_text().splitlines()]
    return scores.read_bytes(), [{name: alert[name] for name in alert if name not in RUN_SPECIFIC} for alert in told]


@pytest.mark.skipif(not STATION.exists(), reason=f"NOAA's station file is not at {STATION}: put it there to run this test")
@pytest.mark.timeout(900)
def test_noaa_replay_on_a_broker_with_services_as_processes_gives_the_same(broker: EitherBroker, tmp_path: Path) -> None:
    embedded = replayed(tmp_path / "embedded")
    home = tmp_path / "mesh"
    with MeshProcesses(home, broker_url_of=broker.url) as mesh:
        mesh.start(scoring=2)
        on_broker = replayed(home, "--broker", broker.url(), "--join")
        assert set(mesh.drain().values()) == {0}
    assert embedded[0] == on_broker[0]
    assert embedded[1] == on_broker[1] != []


@pytest.mark.timeout(900)
def test_import_on_a_broker_with_services_as_processes_gives_the_same_and_knows_it_again(
    broker: EitherBroker, tmp_path: Path
) -> None:
    record = tmp_path / "record.csv"
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    lines = [f"{(begin + timedelta(minutes=30 * place)).isoformat()},{28 + place % 7 / 10:.1f}" for place in range(3000)]
    record.write_text("time,sea_water_temperature\n" + "\n".join(lines) + "\n")
    embedded = imported(record, tmp_path / "embedded")
    home = tmp_path / "mesh"
    with MeshProcesses(home, broker_url_of=broker.url) as mesh:
        mesh.start(scoring=2)
        on_broker = imported(record, home, "--broker", broker.url())
        again = json.loads(command(home, "import", str(record), "--reef", "amed", "--json", "--broker", broker.url()))
        assert set(mesh.drain().values()) == {0}
    assert (0, 3000) == (again["new"], again["known"])
    assert 3000 == len(embedded)
    assert embedded == on_broker


def imported(record: Path, home: Path, *where: str) -> list[dict[str, str]]:
    """Return the readings as they are exported, without what tells of the run."""
    place = ("--name", "Amed", "--latitude", "-8.3", "--longitude", "115.6", "--mmm", "29")
    command(home, "reefs", "set", "amed", *place)
    done = json.loads(command(home, "import", str(record), "--reef", "amed", "--json", *where))
    assert (3000, 0, 0) == (done["new"], done["known"], done["quarantined"])
    rows = list(csv.DictReader(io.StringIO(command(home, "export", "readings", "--reef", "amed"))))
    for row in rows:
        del row["received_at (UTC)"], row["revision"]
    return rows


def command(home: Path, *arguments: str) -> str:
    """Run ``reefmesh`` on a home; return what it printed."""
    whole = [sys.executable, "-m", "reefmesh_standalone", *arguments, "--home", str(home)]
    done = subprocess.run(whole, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", [ACTIVEMQ, pytest.param(RABBITMQ, marks=pytest.mark.rabbitmq)])
def test_demonstration_on_a_broker_accounts_for_every_message_and_alerts_as_embedded(kind: str) -> None:
    options = ["--until", f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}", "--json"]
    here = demonstrated([sys.executable, "-m", "reefmesh_standalone", "demo", *options])
    there = demonstrated([sys.executable, "-m", "reefmesh_components.local_mesh", "demo", "--broker", kind, *options])
    assert here["accounting"] == there["accounting"]
    assert 0 == there["accounting"]["unexplained"]
    assert alerts(here) == alerts(there) != []


def demonstrated(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def alerts(document: dict[str, Any]) -> list[dict[str, Any]]:
    told = [{name: alert[name] for name in alert if name not in RUN_SPECIFIC} for alert in document["alerts"]]
    return sorted(told, key=lambda alert: (alert["reef_id"], alert["kind"], json.dumps(alert, sort_keys=True)))
