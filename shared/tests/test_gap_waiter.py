"""A message before which one is missing waits for it, for a bounded time."""

import pytest

from reefmesh.backoff import Backoff
from reefmesh.broker.port import Publication
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability import table
from reefmesh.service.gap_check import gap_check
from reefmesh.service.gap_waiter import CROWD_PATIENCE_SECONDS, EarlierMissing, GapWaiter
from reefmesh_components.worker_bench import (
    INBOX,
    START,
    Collector,
    WorkerBench,
    elsewhere,
    left_elsewhere,
    poisoned,
    running,
    telemetry,
)


async def test_sequence_gap_is_counted_and_what_was_missing_is_applied_when_it_comes(bench: WorkerBench) -> None:
    """A skipped number is remembered as missing: a late message is no duplicate."""
    await bench.send("a", "a0")
    await bench.send("a", "a2", first_seq=3)
    await bench.send("a", "a1", first_seq=2)
    handler = Collector()
    async with running(bench.worker(handler, gap_patience_seconds=0.0)):
        await bench.received(3)
    assert await bench.state("a") == ["a0", "a2", "a1"]
    assert bench.metrics.value(table.SEQUENCE_GAPS, INBOX) == 1
    assert bench.metrics.value(table.ORDER_VIOLATIONS, INBOX) == 1


async def test_order_message_before_which_one_is_missing_waits_until_that_was_applied_elsewhere(bench: WorkerBench) -> None:
    """Law 1: a broker that is shutting down may dispatch a message while the one before it is in another process's hands."""
    handler = Collector()
    await bench.send("a", "a0")
    await bench.send("a", "a2", first_seq=3)
    async with elsewhere(bench) as other, running(bench.worker(handler)):
        await bench.metrics.until(table.RETRIES, INBOX, "EarlierMissing", reaches=3)
        assert [("a", "a0")] == handler.handled
        await other.send("a", "a1", first_seq=2)
        async with running(other.worker(Collector())):
            await other.received(1)
        await handler.until(lambda: "a2" in handler.attempts)
    assert ["a0", "a1", "a2"] == await bench.state("a")
    assert 0 == bench.metrics.value(table.SEQUENCE_GAPS, INBOX)


async def test_nothing_lost_numbers_that_devices_give_their_telemetry_are_ignored(bench: WorkerBench) -> None:
    """Law 3: two devices of a reef that both count from 1, one of which starts again: none is a duplicate or too early."""
    await bench.broker.declare([channels.INGEST])
    numbers = {"x1": 1, "y1": 1, "x2": 2, "y7": 7, "x1-again": 1}
    messages = [
        Envelope(event_id=f"a/{text}", reef_id="a", schema_id="x/1", produced_at=START, body=text.encode(), seq=seq)
        for text, seq in numbers.items()
    ]
    await bench.broker.publish([Publication(channel=channels.TELEMETRY.name, message=message) for message in messages])
    async with running(bench.worker(Collector(poisoned("x2")), subscription=channels.INGEST)):
        await bench.received(4)
    assert ["x1", "y1", "y7", "x1-again"] == await bench.state("a")
    cursor = (await bench.store.load("a")).cursor
    assert ({}, {}) == (cursor.applied, cursor.missing)
    counted = (table.DUPLICATES, table.SEQUENCE_GAPS, table.ORDER_VIOLATIONS)
    assert [0, 0, 0] == [bench.metrics.value(row, str(channels.INGEST)) for row in counted]
    assert all([await bench.store.is_applied("a", str(channels.INGEST), f"a/{text}") for text in ("x1", "y7", "x1-again")])


async def test_order_telemetry_waits_until_what_it_follows_was_applied_elsewhere(bench: WorkerBench) -> None:
    """Law 1: as above, for raw telemetry: many senders publish it, so it has no numbers of its reef."""
    handler = Collector()
    await bench.broker.publish([telemetry("t0"), telemetry("t2", follows="a/t1")])
    async with elsewhere(bench) as other, running(bench.worker(handler)):
        await bench.metrics.until(table.RETRIES, INBOX, "EarlierMissing", reaches=3)
        assert [("a", "t0")] == handler.handled
        await other.broker.publish([telemetry("t1", follows="a/t0")])
        async with running(other.worker(Collector())):
            await other.received(1)
        await handler.until(lambda: "t2" in handler.attempts)
    assert ["t0", "t1", "t2"] == await bench.state("a")


async def test_repeat_of_what_a_message_follows_does_not_make_it_wait(bench: WorkerBench) -> None:
    """After a restart, a sender names other predecessors for the same messages; the inbox knows those."""
    await bench.broker.publish([telemetry("t0"), telemetry("t1", follows="a/t0"), telemetry("t2", follows="a/t1")])
    async with running(bench.worker(Collector())):
        await bench.received(3)
        await bench.broker.publish([telemetry("t3", follows="a/t1", producer_id="again")])
        await bench.received(1)
    assert ["t0", "t1", "t2", "t3"] == await bench.state("a")
    assert 0 == bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")


async def test_message_that_follows_nothing_known_waits_once_and_its_reef_then_no_more_for_a_while(bench: WorkerBench) -> None:
    """Wrong links, or hostile ones, delay their own reef for a bounded time."""
    await bench.broker.publish([telemetry("t0", follows="a/never")])
    async with running(bench.worker(Collector(), gap_patience_seconds=0.05)):
        await bench.received(1)
        waited = bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")
        assert waited > 0
        await bench.broker.publish([telemetry("t1", follows="a/nowhere")])
        await bench.received(1)
    assert waited == bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")
    assert 2 == bench.metrics.value(table.SEQUENCE_GAPS, INBOX)
    assert [1, 1] == [bench.metrics.value(table.GAPS_ACCEPTED, INBOX, why) for why in ("waited", "rests")]
    assert ["t0", "t1"] == await bench.state("a")


async def test_gap_that_another_process_closes_meanwhile_is_not_counted(bench: WorkerBench) -> None:
    """Figures are of what was committed: the missing message was applied between the decision and the commit."""
    handler = Collector()

    async def close_the_gap() -> None:
        await bench.store.commit(left_elsewhere("a0"))

    handler.act = lambda text, attempt: close_the_gap() if attempt == 1 else None
    await bench.send("a", "a1", first_seq=2)
    async with running(bench.worker(handler, gap_patience_seconds=0.0)):
        out = await bench.received(2)
    assert [(1, b"a0"), (2, b"a1")] == [(message.seq, message.body) for message in out]
    assert ["a0", "a1"] == await bench.state("a")
    assert 1 == bench.metrics.value(table.FENCE_REFUSALS, INBOX)
    assert 0 == bench.metrics.value(table.SEQUENCE_GAPS, INBOX)


def ahead(reef_id: str, event: int = 0) -> Envelope:
    return Envelope(event_id=f"{reef_id}/{event}", reef_id=reef_id, schema_id="x/1", produced_at=START, body=b"")


def accepted(
    waiter: GapWaiter, reef_id: str, now_seconds: float, *, is_claim: bool = False, event: int = 0, user_id: str = "publisher"
) -> str:
    message = ahead(reef_id, event)
    try:
        return waiter.accept(message, 1, is_claim=is_claim, now_seconds=now_seconds, user_id=user_id)
    except EarlierMissing:
        return "waits"


@pytest.mark.parametrize(("lanes", "long"), [(1, 1), (7, 1), (8, 2), (64, 16)])
def test_parallel_a_quarter_of_the_lanes_waits_long_and_the_others_are_free_again_in_a_moment(lanes: int, long: int) -> None:
    """Law 2: an operator purges a queue, and all reefs have holes at once. Those that wait beyond a quarter do so together."""
    waiter = GapWaiter(patience_seconds=60.0, lanes=lanes)
    reefs = [f"r{number}" for number in range(100)]
    assert ["waits"] * lanes + ["crowded"] * (100 - lanes) == [accepted(waiter, reef_id, 0.0) for reef_id in reefs]
    late = [accepted(waiter, reef_id, CROWD_PATIENCE_SECONDS) for reef_id in reefs[:lanes]]
    assert ["waits"] * long + ["waited"] * (lanes - long) == late


def test_parallel_crowds_that_come_one_after_the_other_do_not_wait() -> None:
    """Law 2: whoever keeps claiming gaps of other reefs keeps all lanes busy for a tenth of the time at most."""
    waiter = GapWaiter(patience_seconds=60.0, lanes=8)
    at_seconds = [0.0, 0.0, 0.0, 1.0, 2.0, 19.9, 20.0]
    outcomes = [accepted(waiter, f"r{number}", at) for number, at in enumerate(at_seconds)]
    assert ["waits", "waits", "waits", "waits", "crowded", "crowded", "waits"] == outcomes


def test_reef_that_is_applied_frees_its_place() -> None:
    waiter = GapWaiter(patience_seconds=60.0, lanes=1)
    assert ["waits", "crowded"] == [accepted(waiter, reef_id, 0.0) for reef_id in ("a", "b")]
    waiter.applied(ahead("a", 0))
    assert "waits" == accepted(waiter, "b", 1.0)


def test_other_messages_of_the_reef_do_not_lengthen_the_wait_of_a_claim() -> None:
    """Law 13: a claim may come in any group, beside the reef's own messages; if each of those ended its wait, it would never be
    over, and nor would be that of the group."""
    waiter = GapWaiter(patience_seconds=60.0, lanes=4)
    assert "waits" == accepted(waiter, "a", 0.0, is_claim=True)
    waiter.applied(ahead("a", 1))
    assert "waited" == accepted(waiter, "a", 5.0, is_claim=True)


def test_patience_of_each_reef_runs_from_when_its_gap_was_first_seen() -> None:
    """Reefs that begin to wait together go on together, however often and late each is redelivered."""
    waiter = GapWaiter(patience_seconds=60.0, lanes=64)
    reefs = [f"r{number}" for number in range(16)]
    assert ["waits"] * 16 == [accepted(waiter, reef_id, 0.0) for reef_id in reefs]
    assert "waits" == accepted(waiter, "r3", 59.9)
    assert ["waited"] * 16 == [accepted(waiter, reef_id, 60.0) for reef_id in reefs]
    assert "rests" == accepted(waiter, "r3", 61.0, event=1)
    assert "waits" == accepted(waiter, "r3", 601.0, event=2)


def test_reefs_that_another_process_has_got_free_their_places_after_their_patience() -> None:
    waiter = GapWaiter(patience_seconds=60.0, lanes=1)
    assert ["waits", "crowded", "waits"] == [
        accepted(waiter, reef_id, at_seconds) for reef_id, at_seconds in [("gone", 0.0), ("b", 59.0), ("c", 60.0)]
    ]


def test_gap_that_only_a_sender_of_telemetry_claims_is_waited_for_briefly() -> None:
    waiter = GapWaiter(patience_seconds=60.0, lanes=64)
    assert ["waits", "waits", "waited"] == [accepted(waiter, "r", at, is_claim=True) for at in (0.0, 4.9, 5.0)]
    assert "rests" == accepted(waiter, "r", 49.0, is_claim=True, event=1)


def test_user_whose_claim_was_in_vain_does_not_wait_again_in_the_name_of_other_reefs() -> None:
    """Law 13: ten claims of ten reefs in the group of another would delay that reef by 5 s each."""
    waiter = GapWaiter(patience_seconds=60.0, lanes=64)
    assert ["waits", "waited"] == [accepted(waiter, "r0", at, is_claim=True) for at in (0.0, 5.0)]
    assert ["rests"] * 9 == [accepted(waiter, f"r{number}", 5.0, is_claim=True) for number in range(1, 10)]
    assert "waits" == accepted(waiter, "r1", 5.0, is_claim=True, user_id="ingest"), "another user's claim"
    assert "waits" == accepted(waiter, "r2", 5.0), "a gap in the numbers"
    assert "waits" == accepted(waiter, "r3", 50.0, is_claim=True)


def test_gap_in_the_numbers_is_over_with_any_message_of_its_reef() -> None:
    """The missing one was applied here; the one that waited may have gone to another process, and the reef must not rest."""
    waiter = GapWaiter(patience_seconds=60.0, lanes=1)
    assert "waits" == accepted(waiter, "r", 0.0, event=2)
    waiter.applied(ahead("r", 1))
    assert "waits" == accepted(waiter, "b", 1.0), "its place is free"


def test_gaps_of_a_purge_cost_one_patience_together() -> None:
    """Law 2: 320 reefs with a hole waited one group after the other, and the last of them for many patiences."""
    waiter = GapWaiter(patience_seconds=10.0, lanes=8)
    assert ["waits"] * 8 + ["crowded"] * 4 == [accepted(waiter, f"r{number}", 0.0) for number in range(12)]
    assert "waited" == accepted(waiter, "r0", 10.0)
    assert ["purged"] * 20 == [accepted(waiter, f"s{number}", 10.0 + number / 2) for number in range(20)]
    assert "waits" == accepted(waiter, "t", 20.0), "what comes after a second patience is no gap of that purge"


def test_few_gaps_that_were_waited_for_in_vain_make_no_other_accepted() -> None:
    """Law 1: reefs whose numbers are wrong must not make a broker's inversion of another reef pass."""
    waiter = GapWaiter(patience_seconds=10.0, lanes=8)
    assert ["waits"] * 2 == [accepted(waiter, reef_id, 0.0) for reef_id in ("a", "b")]
    assert ["waited"] * 2 == [accepted(waiter, reef_id, 10.0) for reef_id in ("a", "b")]
    assert "waits" == accepted(waiter, "c", 10.0)


def test_crowd_that_waited_in_vain_is_no_proof_of_a_purge() -> None:
    """Law 1: two seconds say nothing of what a broker still owes."""
    waiter = GapWaiter(patience_seconds=10.0, lanes=8)
    assert ["waits"] * 3 == [accepted(waiter, reef_id, 0.0) for reef_id in ("a", "b", "c")]
    assert "waited" == accepted(waiter, "c", CROWD_PATIENCE_SECONDS)
    waiter.applied(ahead("a"))
    assert "waits" == accepted(waiter, "d", CROWD_PATIENCE_SECONDS)


def test_claims_in_whatever_number_make_no_gap_in_the_numbers_accepted() -> None:
    """Law 13: claims are in the hands of senders, the mesh's own numbers are not."""
    waiter = GapWaiter(patience_seconds=4.0, lanes=8)
    for number in range(20):
        accepted(waiter, f"r{number}", 0.0, is_claim=True, user_id=f"u{number}")
    assert "waited" == accepted(waiter, "r0", 4.0, is_claim=True, user_id="u0")
    assert "waits" == accepted(waiter, "true", 4.0)


def test_waits_say_how_many_reefs_wait_since_when_and_until_when() -> None:
    waiter = GapWaiter(patience_seconds=10.0, lanes=8)
    accepted(waiter, "claimed", 0.0, is_claim=True)
    accepted(waiter, "a", 1.0)
    seen = waiter.waits(2.0)
    assert (1, 1.0, 11.0, 0) == (seen.reefs, seen.since_seconds, seen.until_seconds, seen.accepted)
    accepted(waiter, "b", 2.0)
    accepted(waiter, "a", 11.0)
    seen = waiter.waits(11.0)
    assert (0, 1, 11.0) == (seen.reefs, seen.accepted, seen.accepted_since_seconds), "b was in the crowd"
    seen = waiter.waits(21.5)
    assert (0, 0) == (seen.reefs, seen.accepted)


async def test_parallel_message_that_waits_for_a_missing_one_holds_no_lane(bench: WorkerBench) -> None:
    """Law 2: the only lane works for other reefs meanwhile."""
    await bench.send("a", "a1", first_seq=2)
    slow = Backoff(first_seconds=3600.0, max_seconds=3600.0)
    async with running(bench.worker(Collector(), lanes=1, backoff=slow)):
        await bench.metrics.until(table.RETRIES, INBOX, "EarlierMissing", reaches=1)
        await bench.send("b", "b0", "b1")
        assert [b"b0", b"b1"] == [message.body for message in await bench.received(2)]
    assert [] == await bench.state("a")


async def test_message_that_waits_comes_again_when_its_patience_ends_and_not_a_backoff_later(bench: WorkerBench) -> None:
    """Law 2: until it comes, its place may go to another reef, which waits anew although this one has waited in vain."""
    await bench.send("a", "a1", first_seq=2)
    slow = Backoff(first_seconds=3600.0, max_seconds=3600.0)
    async with running(bench.worker(Collector(), backoff=slow, gap_patience_seconds=0.05)):
        await bench.received(1)
    assert ["a1"] == await bench.state("a")


async def test_health_says_which_reefs_wait_for_what_is_missing(bench: WorkerBench) -> None:
    await bench.send("a", "a1", first_seq=2)
    worker = bench.worker(Collector())
    check = gap_check([worker], bench.clock)
    assert "ok" == (await check()).status
    async with running(worker):
        await bench.metrics.until(table.RETRIES, INBOX, "EarlierMissing", reaches=1)
        said = await check()
    assert "degraded" == said.status
    assert said.reason.startswith("1 reef waits for messages that are missing, since ")
    assert {"reefs_waiting": 1, "gaps_accepted": 0} == said.facts


async def test_health_says_that_reefs_went_on_without_what_is_missing(bench: WorkerBench) -> None:
    await bench.send("a", "a1", first_seq=2)
    worker = bench.worker(Collector(), lanes=1)  # one reef may wait, and b is one too many
    async with running(worker):
        await bench.metrics.until(table.RETRIES, INBOX, "EarlierMissing", reaches=1)
        await bench.send("b", "b1", first_seq=2)
        await bench.received(1)
        said = await gap_check([worker], bench.clock)()
    assert "degraded" == said.status
    assert "; 1 gap was accepted since " in said.reason
    assert {"reefs_waiting": 1, "gaps_accepted": 1} == said.facts
