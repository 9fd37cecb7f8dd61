"""The spool: nothing is sent twice or lost, the oldest go first, and a clock that is set later mends earlier stamps."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reefmesh_buoy.health import health_of
from reefmesh_buoy.measurement import Measurement, instant_of
from reefmesh_buoy.report import READINGS_LIMIT, SealedReport
from reefmesh_buoy.spool import NEWEST_READINGS, UNSET_PATIENCE_US, Spool

Make = Callable[..., Spool]
Measure = Callable[[float], Measurement]
Values = Callable[[bytes], Sequence[float]]


def in_hand(spool: Spool, clock: Any) -> SealedReport:
    report = spool.report_in_hand(clock.read())
    assert report is not None
    return report


def instants_of(report: SealedReport) -> list[str]:
    return [each["observed_at"] for each in json.loads(report.body)["readings"]]


def test_report_in_hand_is_the_same_after_a_crash(make_spool: Make, measure: Measure, clock: Any) -> None:
    spool = make_spool()
    spool.put([measure(28.1)], clock.read())
    sealed = in_hand(spool, clock)
    spool.put([measure(28.2)], clock.read())
    clock.pass_seconds(60)
    assert in_hand(make_spool(), clock) == sealed


def test_confirmed_readings_are_gone_and_the_next_report_follows(
    make_spool: Make, measure: Measure, values_of: Values, clock: Any
) -> None:
    spool = make_spool()
    spool.put([measure(28.1)], clock.read())
    first = in_hand(spool, clock)
    spool.put([measure(28.2)], clock.read())
    spool.confirmed(first, clock.read())
    second = in_hand(spool, clock)
    assert (values_of(second.body), second.follows, second.seq) == ([28.2], first.event_id, first.seq + 1)
    spool.confirmed(second, clock.read())
    assert spool.report_in_hand(clock.read()) is None


def test_every_second_report_of_a_backlog_has_the_newest_and_all_go_once(
    make_spool: Make, measure: Measure, values_of: Values, clock: Any
) -> None:
    spool = make_spool()
    sent: list[list[float]] = []
    spool.put([measure(n) for n in range(1500)], clock.read())
    while (report := spool.report_in_hand(clock.read())) is not None:
        sent.append(list(values_of(report.body)))
        spool.confirmed(report, clock.read())
    assert sent[0] == list(range(READINGS_LIMIT))
    assert sent[1] == list(range(1500 - NEWEST_READINGS, 1500))
    assert sorted(value for values in sent for value in values) == list(range(1500))


def test_full_spool_loses_the_oldest_and_counts_them(make_spool: Make, measure: Measure, values_of: Values, clock: Any) -> None:
    spool = make_spool(readings_limit=10)
    for n in range(13):
        spool.put([measure(n)], clock.read())
    assert list(values_of(in_hand(spool, clock).body)) == list(range(3, 13))
    assert (health_of(spool, clock.read())["dropped_readings"], health_of(spool, clock.read())["waiting_readings"]) == (3, 10)


def test_full_disk_loses_the_oldest_and_counts_them(make_spool: Make, measure: Measure, clock: Any) -> None:
    spool = make_spool(bytes_limit=400_000)
    for n in range(0, 8000, 100):
        spool.put([measure(each) for each in range(n, n + 100)], clock.read())
    health = health_of(spool, clock.read())
    assert health["dropped_readings"] > 0
    assert health["waiting_readings"] + health["dropped_readings"] == 8000
    while (report := spool.report_in_hand(clock.read())) is not None:
        spool.confirmed(report, clock.read())
    ended = health_of(spool, clock.read())
    assert ended["confirmed_readings"] + ended["dropped_readings"] == 8000
    assert ended["confirmed_readings"] > 500


def test_clock_that_is_set_later_mends_what_was_stamped_before(make_spool: Make, measure: Measure, clock: Any) -> None:
    set_at = clock.now
    clock.now = replace(set_at, wall_us=0, since_boot_us=10_000_000, is_set=False)
    spool = make_spool()
    spool.put([measure(28.1)], clock.read())
    assert spool.report_in_hand(clock.read()) is None
    clock.now = replace(set_at, since_boot_us=70_000_000)
    assert instants_of(in_hand(spool, clock)) == [instant_of(set_at.wall_us - 60_000_000)]
    assert health_of(spool, clock.read())["unmended_readings"] == 0


def test_unset_clock_is_waited_for_only_so_long(make_spool: Make, measure: Measure, clock: Any) -> None:
    clock.now = replace(clock.now, wall_us=5, since_boot_us=10, is_set=False)
    spool = make_spool()
    spool.put([measure(28.1)], clock.read())
    clock.pass_seconds(UNSET_PATIENCE_US / 1e6)
    report = in_hand(spool, clock)
    assert (instants_of(report), report.clock) == ([instant_of(5)], "unset")
    assert health_of(spool, clock.read())["unmended_readings"] == 1


def test_boot_before_a_power_cut_is_mended_by_its_own_clock(make_spool: Make, measure: Measure, clock: Any) -> None:
    first_boot = clock.now
    spool = make_spool()
    clock.now = replace(first_boot, wall_us=0, since_boot_us=10_000_000, is_set=False)
    spool.put([measure(28.1)], clock.read())
    spool.note_clock(replace(first_boot, since_boot_us=40_000_000))
    clock.now = replace(first_boot, boot_id="boot-2", wall_us=first_boot.wall_us + 10**12, since_boot_us=1)
    assert instants_of(in_hand(make_spool(), clock)) == [instant_of(first_boot.wall_us - 30_000_000)]


def test_readings_of_one_instant_stay_apart(make_spool: Make, measure: Measure, clock: Any) -> None:
    spool = make_spool()
    for n in range(5):
        spool.put([measure(n)], clock.read())
    assert len(set(instants_of(in_hand(spool, clock)))) == 5


def test_refused_report_is_kept_as_a_sample_and_the_next_one_goes(
    make_spool: Make, measure: Measure, values_of: Values, clock: Any, tmp_path: Path
) -> None:
    spool = make_spool()
    spool.put([measure(28.1)], clock.read())
    refused = in_hand(spool, clock)
    spool.put([measure(28.2)], clock.read())
    spool.refused(refused, "422 unknown", clock.read())
    assert list(values_of(in_hand(spool, clock).body)) == [28.2]
    health = health_of(spool, clock.read())
    assert (health["refused_readings"], health["last_refusal"]) == (1, "422 unknown")
    rows = sqlite3.connect(tmp_path / "spool.db").execute("SELECT body FROM refused").fetchall()
    assert rows == [(refused.body,)]


def test_another_spool_never_repeats_an_event_id(tmp_path: Path, measure: Measure, clock: Any) -> None:
    reports = []
    for name in ("a.db", "b.db"):
        spool = Spool(tmp_path / name, device="agent-1", readings_limit=1000)
        spool.put([measure(28.1)], clock.read())
        reports.append(in_hand(spool, clock))
        spool.close()
    assert reports[0].seq == reports[1].seq
    assert reports[0].event_id != reports[1].event_id


def test_spool_in_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unable to open"):
        Spool(tmp_path / "no" / "spool.db", device="agent-1", readings_limit=1000)
