"""Records of the kind that reefs really send, through the whole mesh: the same words wherever their heat is told."""

import csv
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reefmesh_components.reefmesh_command import ReefmeshCommand

LONGITUDE_DEGREES = 115.64
SOLAR = timedelta(hours=LONGITUDE_DEGREES / 15)
BEGIN = datetime(1987, 5, 1, tzinfo=UTC)
DAYS = 95


def lagoon(path: Path, *, solar_hours: range) -> Path:
    """Shallow water of 28.8 degC by night and 31.2 degC at noon, hourly."""
    lines = ["time,sea_water_temperature"]
    for day in range(DAYS):
        for hour in solar_hours:
            celsius = 28.8 + 2.4 * max(0.0, math.sin(math.pi * (hour - 6) / 12))
            lines.append(f"{(BEGIN + timedelta(days=day, hours=hour) - SOLAR).isoformat()},{celsius:.2f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("solar_hours", "status", "nights"), [(range(24), "ok", 84), (range(9, 18), "daytime_only", 0)], ids=["all-day", "by-day"]
)
def test_field_01_and_18_lagoon_says_the_same_in_csv_summary_alerts_and_status(
    reefmesh: ReefmeshCommand, tmp_path: Path, solar_hours: range, status: str, nights: int
) -> None:
    archive = lagoon(tmp_path / "lagoon.csv", solar_hours=solar_hours)
    out, told = tmp_path / "scores.csv", tmp_path / "alerts.jsonl"
    facts = ("--format", "csv", "--reef", "lagoon", "--mmm", "29.0", "--longitude", str(LONGITUDE_DEGREES))
    done = reefmesh("replay", archive, *facts, "--out", out, "--alerts", told)
    assert done.code == 0, done.err

    last = list(csv.DictReader(out.read_text().splitlines()))[-1]
    assert (last["status"], last["day_status"], int(last["coverage_days"])) == (status, status, nights)
    assert int(last["whole_days"]) == 84 - nights
    alerts = [json.loads(line) for line in told.read_text().splitlines()]
    heat = [alert for alert in alerts if alert["kind"] == "heat"]
    if status == "ok":
        assert (float(last["dhw_celsius_weeks"]), last["level_7day_max"], heat) == (0.0, "0", [])
    else:
        assert f"({status})" in done.err
        assert {alert["evidence"]["day_status"] for alert in heat} == {status}
        assert [alert["summary"] for alert in heat if status not in alert["summary"]] == []
        assert heat[-1]["evidence"]["whole_days"] + heat[-1]["evidence"]["missing_days"] > 0

    (reef,) = reefmesh("status", "--json").document["reefs"]
    latest = reef["heat"]["latest"]
    assert (latest["status"], latest["coverage_days"], latest["date"]) == (status, nights, last["date"])
    assert reef["heat"]["level_now"] is None, "a station last heard in 1987 has no level today"
    shown = " ".join(reefmesh("status", environment={"COLUMNS": "240"}).out.split())
    assert f"on {last['date']}" in shown
    assert "unknown; last " in shown
