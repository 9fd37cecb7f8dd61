"""``reefmesh replay`` of NOAA's Florida Keys station gives NOAA's own columns, over the whole mesh, for 30 years."""

import csv
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

STATION = Path(__file__).parents[3] / "shared" / "data" / "noaa_crw_florida_keys_1985_2014.txt"
FIRST_VALID_DHW = date(1985, 3, 25)
FIRST_VALID_LEVEL = date(1985, 3, 31)

needs_station = pytest.mark.skipif(
    not STATION.exists(), reason=f"NOAA's station file is not at {STATION}: put it there to run this test"
)


def published() -> dict[date, tuple[float, float, int]]:
    """HotSpot, DHW and 7-day maximum of NOAA, by date."""
    days = {}
    for line in STATION.read_text().splitlines():
        fields = line.split()
        if len(fields) == 10 and fields[0].isdecimal():
            day = date(int(fields[0]), int(fields[1]), int(fields[2]))
            days[day] = (float(fields[7]), float(fields[8]), int(fields[9]))
    return days


@needs_station
def test_noaa_station_replayed_gives_the_published_columns(tmp_path: Path) -> None:
    """Science: HotSpot within 1e-4, DHW within 1e-3, 7-day maximum exactly, every day from the first valid date."""
    out, alerts = tmp_path / "scores.csv", tmp_path / "alerts.jsonl"
    command = [sys.executable, "-m", "reefmesh_standalone", "replay", str(STATION), "--format", "noaa-station"]
    done = subprocess.run(
        [*command, "--reef", "florida-keys", "--out", str(out), "--alerts", str(alerts), "--json"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout)
    assert (summary["readings"], summary["duplicates"], summary["quarantined"]) == (10957, 0, 0)

    expected = published()
    with out.open() as file:
        rows = {date.fromisoformat(row["date"]): row for row in csv.DictReader(file)}
    assert list(rows) == sorted(expected)
    for day, (hotspot, dhw, level) in expected.items():
        row = rows[day]
        assert len(row["dhw_celsius_weeks"].partition(".")[2]) >= 4
        if day >= FIRST_VALID_DHW:
            assert max(float(row["hotspot_celsius"]), 0.0) == pytest.approx(hotspot, abs=1e-4), day
            assert float(row["dhw_celsius_weeks"]) == pytest.approx(dhw, abs=1e-3), day
            assert row["status"] == "ok"
        if day >= FIRST_VALID_LEVEL:
            assert min(int(row["level_7day_max"]), 4) == level, day

    told = [json.loads(line) for line in alerts.read_text().splitlines()]
    heat = [alert for alert in told if alert["kind"] == "heat"]
    assert heat
    assert len({alert["alert_id"] for alert in told}) == len(told) == summary["alerts"]
