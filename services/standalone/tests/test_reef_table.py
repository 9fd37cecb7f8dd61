"""What ``reefmesh status`` and the demonstration show of a reef's heat: what it rests on, and how old it is."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reefmesh.contracts.schema import SCORES_2
from reefmesh.contracts.scores import READERS, DayScore, HeatStatus, Level, ReefScore
from reefmesh_alerts.queries import OpenEpisode
from reefmesh_standalone.commands import status
from reefmesh_standalone.commands.reef_table import ReefLine, reef_table

SAMPLE = Path(__file__).parents[3] / "tests" / "contract" / "golden" / "scores-2.json"
WIDTH = 240
DAY = date(1987, 8, 2)
NIGHTFALL = datetime(1987, 8, 2, 18, tzinfo=UTC)


def score(**changes: Any) -> ReefScore:
    """A score of a reef whose newest day is ``DAY``; ``changes`` are of that day."""
    body = json.loads(SAMPLE.read_text())
    usual = {"date": DAY.isoformat(), "level_7day_max": 1, "level": 0, "status": "ok", "day_status": "ok", "suspect_days": 0}
    body["heat"]["latest"] |= usual | changes
    body["as_of"] = NIGHTFALL.isoformat()
    found: ReefScore = READERS[SCORES_2].validate_json(json.dumps(body))
    return found


def cells(found: ReefScore, now: datetime) -> dict[str, str]:
    """The reef's line of the table, by column."""
    table = reef_table([ReefLine(name="Reef", score=found)], now=now, width=WIDTH)
    return {str(column.header): str(next(iter(column.cells))) for column in table.columns}


@pytest.mark.parametrize(
    ("days", "week", "today", "dhw"),
    [
        (0, "Bleaching Watch, today", "No Stress", "4.25"),
        (1, "Bleaching Watch, yesterday", "No Stress", "4.25"),
        (2, "Bleaching Watch, 2 days ago", "unknown", "4.25"),
        (6, "Bleaching Watch, 6 days ago", "unknown", "4.25"),
        (7, "unknown; last Bleaching Watch on 1987-08-02", "unknown", "unknown"),
        (39 * 365, "unknown; last Bleaching Watch on 1987-08-02", "unknown", "unknown"),
    ],
)
def test_field_18_level_is_shown_with_its_age_and_is_unknown_after_its_week(days: int, week: str, today: str, dhw: str) -> None:
    shown = cells(score(), NIGHTFALL + timedelta(days=days))
    assert (shown["heat, 7 days"], shown["heat today"], shown["DHW"]) == (week, today, dhw)
    assert shown["status"] == ("ok" if days < 7 else f"no day for {days:,} days")


def test_field_18_document_has_no_level_now_and_keeps_the_last_one_with_its_date() -> None:
    for days, level in ((0, Level.WATCH), (7, None)):
        found = status.document_of(score(), NIGHTFALL + timedelta(days=days))
        assert (found["heat"]["level_now"], found["heat"]["age_days"]) == (level, days)
        assert (found["heat"]["latest"]["level_7day_max"], found["heat"]["latest"]["date"]) == (1, "1987-08-02")


def test_field_18_open_episode_of_heat_is_the_last_known_state() -> None:
    episode = OpenEpisode(
        reef_id="reef",
        kind="heat",
        subject="",
        buoy_id=None,
        state="Bleaching Watch",
        severity=1,
        since=NIGHTFALL,
        changed_at=NIGHTFALL,
        alert_id="1",
        summary="",
    )
    line = ReefLine(name="Reef", score=score())
    assert status.state_of(episode, line, NIGHTFALL) == "Bleaching Watch"
    assert status.state_of(episode, line, NIGHTFALL + timedelta(days=9)) == "unknown; last Bleaching Watch on 1987-08-02"


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ({"status": HeatStatus.DAYTIME_ONLY.value, "day_status": "daytime_only"}, "daytime only"),
        ({"status": HeatStatus.WARMING_UP.value, "day_status": "daytime_only"}, "warming up, daytime only"),
        ({"status": HeatStatus.SUSPECT_SHARE.value}, "suspect share"),
        ({"day_status": "suspect_share"}, "suspect share"),
    ],
)
def test_field_01_and_02_status_says_what_day_and_dhw_rest_on(day: dict[str, str], said: str) -> None:
    assert cells(score(**day), NIGHTFALL)["status"] == said


def test_heat_of_one_reef_is_told_with_its_counts() -> None:
    latest = score(whole_days=3, filled_days=5, missing_days=0, suspect_days=2, status="daytime_only")
    assert list(status.heat_lines(latest, NIGHTFALL + timedelta(days=1))) == [
        "Heat: Bleaching Watch of 1987-08-02, yesterday, night, ok, 33% of its readings left out as suspect",
        "DHW is summed over 84 days, 76 with readings at night, 3 with their daytime standing in, 5 filled, 0 missing;"
        " 2 lost too many readings as suspect; daytime only",
    ]


def test_day_of_the_older_major_shows_what_it_said() -> None:
    unsaid = ("suspect_share", "whole_days", "filled_days", "missing_days", "suspect_days")
    day = score(**dict.fromkeys(unsaid)).heat.latest
    assert isinstance(day, DayScore)
    assert cells(score(**dict.fromkeys(unsaid)), NIGHTFALL)["nights"] == "76/84"
