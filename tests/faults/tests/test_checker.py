"""The checker can see: each law has a history that breaks it, and a history without a breach is clean."""

from dataclasses import replace

import pytest

from reefmesh.contracts.channels import ALERTS, READINGS, SCORES
from reefmesh_faults.checker import FINDINGS_LIMIT, check
from reefmesh_faults.history import Delivery, Effect, Heard, History, LogStall, Outcome, Purged, Receipt, Sent, Told


def sent(number: int, *, confirmed: bool = True, reef: str = "a") -> Sent:
    return Sent(
        event_id=f"{reef}/{number}",
        reef_id=reef,
        number=number,
        readings=2,
        instants=((f"buoy-{reef}", 10 * number), (f"buoy-{reef}", 10 * number + 1)),
        attempts=1,
        confirmed_ns=number if confirmed else None,
    )


def receipt(number: int, *, outcome: str = "accepted", readings: int = 2, reef: str = "a") -> Receipt:
    return Receipt(event_id=f"{reef}/{number}", reef_id=reef, outcome=outcome, readings=readings)


def heard(seq: int, *, channel: str = READINGS.name, event_id: str | None = None, digest: str = "x") -> Heard:
    name = event_id or f"{channel}/{seq}"
    alert_id = f"alert-{seq}" if channel == ALERTS.name else None
    return Heard(channel=channel, reef_id="a", seq=seq, event_id=name, digest=digest, heard_ns=seq, alert_id=alert_id)


def effect(
    number: int, *, service: str = "ingest", process: str = "one", at: int | None = None, seq: int | None = None
) -> Effect:
    began = 100 * number if at is None else at
    return Effect(
        service=service,
        reef_id="a",
        event_id=f"a/{number}",
        seq=seq,
        process=process,
        lane=0,
        started_ns=began,
        ended_ns=began + 50,
    )


def delivery(number: int, key: str = "") -> Delivery:
    return Delivery(idempotency_key=key or f"key-{number}", alert_id=f"alert-{number}", subscription="all", status="sent")


GOOD = History(
    sent=[sent(1), sent(2), sent(3)],
    receipts=[receipt(1), receipt(2, outcome="duplicate"), receipt(3, outcome="quarantined")],
    stored=frozenset(instant for number in (1, 2, 3) for instant in sent(number).instants),
    effects=[*(effect(number) for number in (1, 2, 3)), *(effect(n, service="scoring", seq=n) for n in (1, 2, 3))],
    heard=[heard(1), heard(2), heard(2), heard(3), heard(1, channel=ALERTS.name), heard(2, channel=ALERTS.name)],
    ledger=["alert-1", "alert-2"],
    deliveries=[delivery(1), delivery(2)],
    told=[
        Told(idempotency_key="key-1", alert_ids=("alert-1",)),
        Told(idempotency_key="key-1", alert_ids=("alert-1",)),
        Told(idempotency_key="key-2", alert_ids=("alert-2",)),
    ],
    state={("scoring", "scores", "a"): "7"},
    expected=Outcome(
        channels={
            READINGS.name: {"a": [(seq, f"{READINGS}/{seq}", "x") for seq in (1, 2, 3)]},
            ALERTS.name: {"a": [(seq, f"{ALERTS}/{seq}", "x") for seq in (1, 2)]},
        },
        state={("scoring", "scores", "a"): "7"},
    ),
)


PURGED = (
    Purged(service="ingest", reef_id="a", event_id="a/2", seq=None),
    Purged(service="scoring", reef_id="a", event_id="a/2", seq=2),
)
WITHOUT_PURGED = replace(
    GOOD,
    receipts=[receipt(1), receipt(3, outcome="quarantined")],
    stored=frozenset(instant for number in (1, 3) for instant in sent(number).instants),
    effects=[effect(1), effect(3), effect(1, service="scoring", seq=1), effect(3, service="scoring", seq=3)],
    gaps_counted={"ingest": 1, "scoring": 1, "alerts": 0},
    counts_are_whole=True,
    purged=PURGED,
)
"""An operator purged a message of ingest, and one of scoring."""

STALL = LogStall(process="scoring-1", numbers=(1, 2, 5, 6), told_dropped=3, counted_dropped=3, pages_answered=True)
"""Lines 3 and 4 were dropped, and one of the service's own."""


def test_history_without_a_breach_has_no_findings() -> None:
    """Repeats under the same number, a second request under the same key and an unconfirmed message are no breach."""
    assert [] == check(GOOD)
    assert [] == check(replace(GOOD, sent=[*GOOD.sent, sent(4, confirmed=False)]))


def test_purge_that_was_told_is_no_breach_and_lets_no_more_go_missing_than_was_purged() -> None:
    assert [] == check(WITHOUT_PURGED)
    assert [] == check(replace(WITHOUT_PURGED, gaps_counted={"ingest": 0, "scoring": 0}, counts_are_whole=False))


def test_message_that_was_purged_after_its_effect_counts_as_no_loss() -> None:
    assert [] == check(replace(GOOD, purged=PURGED, gaps_counted={"ingest": 0, "scoring": 0}, counts_are_whole=True))


def test_log_that_nobody_read_for_a_while_is_no_breach_when_its_gap_is_told_and_counted() -> None:
    assert [] == check(replace(GOOD, log_stalls=[STALL, replace(STALL, counted_dropped=None)]))


WRONG: dict[str, tuple[History, str, str]] = {
    "confirmed message without a receipt": (replace(GOOD, receipts=GOOD.receipts[:2]), "nothing lost", "a/3"),
    "message with two receipts": (replace(GOOD, receipts=[*GOOD.receipts, receipt(1)]), "nothing doubled", "a/1"),
    "receipt of what was never sent": (replace(GOOD, receipts=[*GOOD.receipts, receipt(9)]), "nothing invented", "a/9"),
    "receipt of another reef": (
        replace(GOOD, receipts=[replace(receipt(1), reef_id="b"), *GOOD.receipts[1:]]),
        "nothing invented",
        "a/1",
    ),
    "outcome that is none": (replace(GOOD, receipts=[receipt(1, outcome="?"), *GOOD.receipts[1:]]), "nothing lost", "a/1"),
    "readings lost within a message": (
        replace(GOOD, receipts=[receipt(1, readings=1), *GOOD.receipts[1:]]),
        "nothing lost",
        "a/1",
    ),
    "readings made up within a message": (
        replace(GOOD, receipts=[receipt(1, readings=3), *GOOD.receipts[1:]]),
        "nothing invented",
        "a/1",
    ),
    "reading that is not on record": (
        replace(GOOD, stored=GOOD.stored - {("buoy-a", 10)}),
        "nothing lost",
        "buoy-a at 10",
    ),
    "reading on record that nobody sent": (
        replace(GOOD, stored=GOOD.stored | {("buoy-a", 99)}),
        "nothing invented",
        "buoy-a at 99",
    ),
    "hole in the numbers": (replace(GOOD, heard=[heard(1), heard(3), *GOOD.heard[4:]]), "nothing lost", f"{READINGS} of a"),
    "numbers inverted": (
        replace(GOOD, heard=[heard(2), heard(1), heard(3), *GOOD.heard[4:]]),
        "in order",
        f"{READINGS} of a",
    ),
    "message without a number": (
        replace(GOOD, heard=[*GOOD.heard, replace(heard(4), seq=None)]),
        "in order",
        f"{READINGS} of a",
    ),
    "one number with two contents": (
        replace(GOOD, heard=[*GOOD.heard, heard(3, digest="y")]),
        "nothing doubled",
        f"{READINGS} of a",
    ),
    "one message under two numbers": (
        replace(GOOD, heard=[*GOOD.heard, heard(4, event_id=f"{READINGS}/3")]),
        "nothing doubled",
        f"{READINGS} {READINGS}/3",
    ),
    "effect that happened twice": (
        replace(GOOD, effects=[*GOOD.effects, effect(3, process="two", at=900)]),
        "applied once",
        "ingest a/3",
    ),
    "two handlings at once": (
        replace(GOOD, effects=[effect(1), effect(2, process="two", at=120), effect(3), *GOOD.effects[3:]]),
        "no overlap",
        "ingest at a",
    ),
    "telemetry applied out of order": (
        replace(GOOD, effects=[effect(2, at=10), effect(1), effect(3), *GOOD.effects[3:]]),
        "in order",
        "ingest at a",
    ),
    "numbers applied out of order": (
        replace(
            GOOD,
            effects=[*GOOD.effects[:3], *(effect(n, service="scoring", seq=n, at=100 * p) for p, n in enumerate((1, 3, 2)))],
        ),
        "in order",
        "scoring at a",
    ),
    "confirmed message never applied": (
        replace(GOOD, effects=[effect(1), effect(2), *GOOD.effects[3:]]),
        "nothing lost",
        "ingest a/3",
    ),
    "applied and never sent": (replace(GOOD, effects=[*GOOD.effects, effect(7)]), "nothing invented", "ingest a/7"),
    "alert with two ledger rows": (replace(GOOD, ledger=[*GOOD.ledger, "alert-2"]), "one ledger row", "alert alert-2"),
    "alert published without a ledger row": (
        replace(GOOD, ledger=["alert-1"], deliveries=GOOD.deliveries[:1], told=GOOD.told[:1]),
        "one ledger row",
        "alert alert-2",
    ),
    "ledger row that was never published": (replace(GOOD, ledger=[*GOOD.ledger, "alert-3"]), "nothing lost", "alert alert-3"),
    "alert published twice under two names": (
        replace(GOOD, heard=[*GOOD.heard, replace(heard(3, channel=ALERTS.name), alert_id="alert-2")]),
        "nothing doubled",
        ALERTS.name,
    ),
    "alert with two keys for one subscription": (
        replace(
            GOOD,
            deliveries=[*GOOD.deliveries, delivery(2, "other")],
            told=[*GOOD.told, Told(idempotency_key="other", alert_ids=("alert-2",))],
        ),
        "one ledger row",
        "alert alert-2",
    ),
    "alert that nobody was told": (replace(GOOD, told=GOOD.told[:2]), "nothing lost", "alert alert-2"),
    "alert told under a key that no row has": (
        replace(GOOD, told=[*GOOD.told, Told(idempotency_key="key-9", alert_ids=("alert-2",))]),
        "nothing invented",
        "alert alert-2",
    ),
    "delivery of no alert": (
        replace(GOOD, deliveries=[*GOOD.deliveries, delivery(3)]),
        "nothing invented",
        "alert alert-3",
    ),
    "message parked": (replace(GOOD, parked=["a/1 of ingest: kills-its-process"]), "no poison", "parking"),
    "process that ended by a bug": (replace(GOOD, ended_badly=["ingest-1 ended with 70"]), "no bug", "process"),
    "run that does not settle": (replace(GOOD, unsettled=["1 message without a receipt"]), "settles", "end of the run"),
    "state that differs": (
        replace(GOOD, state={("scoring", "scores", "a"): "8"}),
        "applied once",
        "scoring scores a",
    ),
    "row that is missing": (replace(GOOD, state={}), "nothing lost", "scoring scores a"),
    "row that should not be": (
        replace(GOOD, state={**GOOD.state, ("alerts", "alerts", "x"): "1"}),
        "nothing invented",
        "alerts alerts x",
    ),
    "purge of ingest that nobody told": (replace(WITHOUT_PURGED, purged=PURGED[1:]), "nothing lost", "a/2"),
    "purge of scoring that nobody told": (replace(WITHOUT_PURGED, purged=PURGED[:1]), "nothing lost", "scoring at a"),
    "number that was skipped and not purged": (replace(WITHOUT_PURGED, purged=PURGED[:1]), "in order", "scoring at a"),
    "another message than was purged is missing": (
        replace(WITHOUT_PURGED, purged=[PURGED[0], replace(PURGED[1], reef_id="b")]),
        "nothing lost",
        "scoring at a",
    ),
    "last message that was never applied": (
        replace(GOOD, effects=[*GOOD.effects[:3], effect(1, service="scoring", seq=1), effect(2, service="scoring", seq=2)]),
        "nothing lost",
        "scoring at a",
    ),
    "message that comes back behind its hole": (
        replace(WITHOUT_PURGED, effects=[*WITHOUT_PURGED.effects, effect(2, service="scoring", seq=2, at=900)]),
        "in order",
        "scoring at a",
    ),
    "gap in numbers that was not counted": (
        replace(WITHOUT_PURGED, gaps_counted={"scoring": 0}),
        "gaps counted",
        "scoring",
    ),
    "gap in telemetry that was not counted": (replace(WITHOUT_PURGED, gaps_counted={"ingest": 0}), "gaps counted", "ingest"),
    "gap that was counted and is none": (
        replace(GOOD, gaps_counted={"scoring": 1}, counts_are_whole=False),
        "gaps counted",
        "scoring",
    ),
    "pages that wait for whoever reads the log": (
        replace(GOOD, log_stalls=[replace(STALL, pages_answered=False)]),
        "logs do not block",
        "scoring-1",
    ),
    "lines that were dropped and not told": (
        replace(GOOD, log_stalls=[replace(STALL, told_dropped=1, counted_dropped=1)]),
        "logs do not block",
        "scoring-1",
    ),
    "lines that were told and not counted": (
        replace(GOOD, log_stalls=[replace(STALL, counted_dropped=2)]),
        "logs do not block",
        "scoring-1",
    ),
    "lines that came twice": (
        replace(GOOD, log_stalls=[replace(STALL, numbers=(1, 2, 2, 5))]),
        "logs do not block",
        "scoring-1",
    ),
    "content that differs from an undisturbed run": (
        replace(GOOD, heard=[heard(1), heard(2), heard(3, digest="y"), *GOOD.heard[4:]]),
        "applied once",
        f"{READINGS} of a",
    ),
    "last message that an undisturbed run has": (
        replace(GOOD, heard=[heard(1), heard(2), *GOOD.heard[4:]]),
        "nothing lost",
        f"{READINGS} of a",
    ),
    "further message that an undisturbed run has not": (
        replace(GOOD, heard=[*GOOD.heard, heard(4)]),
        "nothing invented",
        f"{READINGS} of a",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_history_is_found_by_its_law(name: str) -> None:
    history, law, where = WRONG[name]
    assert (law, where) in [(finding.law, finding.where) for finding in check(history)]


def test_channel_that_an_undisturbed_run_has_not_heard_at_all_is_found() -> None:
    expected = Outcome(channels={**GOOD.expected.channels, SCORES.name: {"a": [(1, "s", "x")]}} if GOOD.expected else {})
    assert [SCORES.name + " of a"] == [
        each.where for each in check(replace(GOOD, expected=replace(expected, state=GOOD.state)))
    ]


def test_findings_of_one_law_are_bounded_and_the_rest_is_counted() -> None:
    history = History(sent=[sent(number) for number in range(1, 101)], receipts=[])
    findings = check(history)
    assert FINDINGS_LIMIT + 1 == len(findings)
    assert "80 further findings" == findings[-1].what
