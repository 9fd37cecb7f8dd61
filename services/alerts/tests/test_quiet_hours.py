"""Quiet hours and digests on wall clocks that jump."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh_alerts.recipients.hours import DailyTime, QuietSpan

BERLIN = ZoneInfo("Europe/Berlin")  # 2024: forward at 01:00Z on 31 March, back at 01:00Z on 27 October
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "Asia/Makassar", "Australia/Lord_Howe", "America/New_York")]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("begins", "ends", "now", "end"),
    [
        (22, 7, "2024-01-10T22:30", "2024-01-11T06:00"),
        (22, 7, "2024-01-10T20:59", None),
        (22, 7, "2024-01-10T21:00", "2024-01-11T06:00"),
        (22, 7, "2024-01-11T05:59", "2024-01-11T06:00"),
        (22, 7, "2024-01-11T06:00", None),
        (1, 5, "2024-01-11T00:30", "2024-01-11T04:00"),
        # The night of the jump forward is an hour shorter, that of the jump back an hour longer.
        (22, 7, "2024-03-30T22:00", "2024-03-31T05:00"),
        (22, 7, "2024-10-26T21:00", "2024-10-27T06:00"),
        # 02:30 does not exist on the night of the jump forward, and comes twice on that of the jump back.
        (22, None, "2024-03-31T00:30", "2024-03-31T01:30"),
        (22, None, "2024-10-27T00:10", "2024-10-27T00:30"),
        (22, None, "2024-10-27T01:10", "2024-10-27T01:30"),
    ],
)
def test_quiet_ends_on_the_wall_clock(begins: int, ends: int | None, now: str, end: str | None) -> None:
    span = QuietSpan(begins=time(begins), ends=time(2, 30) if ends is None else time(ends), zone=BERLIN)

    assert (None if end is None else at(end)) == span.end_after(at(now))


@given(
    now=st.datetimes(datetime(2024, 1, 1), datetime(2025, 1, 1)),  # noqa: DTZ001 - made aware below
    begins=st.times(),
    ends=st.times(),
    zone=st.sampled_from(ZONES),
)
def test_quiet_always_ends_later_and_within_a_day(now: datetime, begins: time, ends: time, zone: ZoneInfo) -> None:
    instant = now.replace(tzinfo=UTC)

    end = QuietSpan(begins=begins, ends=ends, zone=zone).end_after(instant)

    assert end is None or instant < end <= instant + timedelta(hours=25)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2024-01-10T05:59", "2024-01-10T06:00"),
        ("2024-01-10T06:00", "2024-01-11T06:00"),
        ("2024-03-30T06:00", "2024-03-31T05:00"),
        ("2024-10-26T05:00", "2024-10-27T06:00"),
    ],
)
def test_digest_goes_out_at_seven_on_the_wall(now: str, expected: str) -> None:
    assert at(expected) == DailyTime(at=time(7), zone=BERLIN).next_after(at(now))


@given(
    now=st.datetimes(datetime(2024, 1, 1), datetime(2025, 1, 1)),  # noqa: DTZ001 - made aware below
    wall=st.times(),
    zone=st.sampled_from(ZONES),
)
def test_digest_is_always_later_and_within_a_day(now: datetime, wall: time, zone: ZoneInfo) -> None:
    instant = now.replace(tzinfo=UTC)

    following = DailyTime(at=wall, zone=zone).next_after(instant)

    assert instant < following <= instant + timedelta(hours=25)
