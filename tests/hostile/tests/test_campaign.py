"""What a run of random mischief says of itself."""

from collections import Counter
from typing import Any

from reefmesh_hostile.__main__ import EXIT_FOUND, exit_code
from reefmesh_hostile.act import Finding
from reefmesh_hostile.campaign import Breach, Tally, wait_seconds
from reefmesh_hostile.checker import Whereabouts
from reefmesh_hostile.report import document


def tally(**more: Any) -> Tally:
    return Tally(**{"wanted": 3, "acts": Counter(frame=2, flood=1), **more})


def test_only_a_whole_run_without_a_finding_ends_with_0() -> None:
    found = Breach(findings=[Finding(kind="forged", text="a score")], suspects=[])
    codes = [exit_code(tally()), exit_code(tally(wanted=4)), exit_code(tally(breaches=[found]))]
    assert [0, EXIT_FOUND, EXIT_FOUND] == codes


def test_share_of_waits_is_what_so_many_did_not_exceed() -> None:
    waits = [0.1] * 995 + [9.0] * 5
    assert (0.1, 9.0) == (wait_seconds(waits, 0.99), wait_seconds(waits, 0.999))
    assert (0.0, 2.0) == (wait_seconds([], 0.5), wait_seconds([2.0], 0.5))


def test_reports_of_the_attackers_own_reef_are_told_apart() -> None:
    figures = document(tally(waits_seconds=[1.0], own_waits_seconds=[40.0]), seed=7)
    assert (1.0, 40.0) == (figures["honest"]["longest"], figures["honest_of_the_attackers_reef"]["longest"])


def test_peaks_are_the_most_that_was_held() -> None:
    held = tally()
    for size_bytes in (5, 9, 7):
        held.note_peaks({"memory of ingest-1": size_bytes})
    assert {"memory of ingest-1": 9} == held.peaks


def test_finding_tells_what_is_nowhere_from_what_still_waits() -> None:
    missing = Whereabouts(nowhere=["m1x"], waiting=["m2x", "m3x"])
    assert "of 9 messages 1 are nowhere, 2 still wait in a queue: m1x, m2x, m3x" == missing.finding(9).text
