"""What becomes of poison: parked with its reason, its hole recorded in the reef's cursor first, replayed in order."""

from reefmesh.clock import ManualClock
from reefmesh.errors import PoisonMessage
from reefmesh.observability import table
from reefmesh_components.worker_bench import (
    INBOX,
    START,
    Collector,
    ContestedStore,
    WorkerBench,
    open_worker_bench,
    poisoned,
    running,
)


async def test_nothing_lost_and_effect_once_parking_waits_until_the_hole_is_recorded() -> None:
    """Laws 4 and 8: a message whose hole the reef's row does not know would be taken for applied, or for missing, when it is
    replayed; so after 100 refused versions parking is tried again like any attempt, not left half done."""
    store = ContestedStore(f"{INBOX}#parked", refusals=250, clock=ManualClock(START))
    async with open_worker_bench(store) as bench:
        handler = Collector(poisoned("a0"))
        await bench.send("a", "a0", "a1")
        async with running(bench.worker(handler, gap_patience_seconds=0.05)):
            await bench.received(1)
            assert [("a0", "bad-body")] == await bench.parked()
            cursor = (await bench.store.load("a")).cursor
            assert ({INBOX: 2}, {INBOX: (1,)}, {INBOX: 1}) == (cursor.applied, cursor.missing, cursor.parked)
            assert 0 == store.refusals_left
            handler.act = lambda text, attempt: None
            assert 1 == await bench.replay_parked()
            await bench.received(1)
        assert ["a1", "a0"] == await bench.state("a")
    assert {"a0": 2, "a1": 1} == handler.attempts  # the verdict is not asked for again
    assert 0 == bench.metrics.value(table.ORDER_VIOLATIONS, INBOX)


async def test_poison_is_parked_alone_and_later_messages_go_on(bench: WorkerBench) -> None:
    """Law 8, policy continue; replayed after the mend it is applied once, and its number is no longer missing."""
    mended = False

    def act(text: str, attempt: int) -> None:
        if text == "a1" and not mended:
            raise PoisonMessage("bad-body", "no")

    handler = Collector(act)
    await bench.send("a", "a0", "a1", "a2")
    async with running(bench.worker(handler)):
        await bench.received(2)
        assert await bench.parked() == [("a1", "bad-body")]
        assert (await bench.store.load("a")).cursor.missing == {INBOX: (2,)}
        mended = True
        assert await bench.replay_parked() == 1
        out = await bench.received(1)
    assert out[0].body == b"a1"
    assert await bench.state("a") == ["a0", "a2", "a1"]
    cursor = (await bench.store.load("a")).cursor
    assert (cursor.missing.get(INBOX, ()), cursor.parked, await bench.parked()) == ((), {}, [])


async def test_reef_parks_behind_its_poison_until_all_is_replayed_in_order(bench: WorkerBench) -> None:
    """Law 8, policy park: every later message of the reef joins the poison, other reefs go on, replay keeps the order."""
    mended = False

    def act(text: str, attempt: int) -> None:
        if text == "a1" and not mended:
            raise PoisonMessage("bad-body", "no")

    handler = Collector(act)
    await bench.send("a", "a0", "a1", "a2", "a3")
    await bench.send("b", "b0")
    async with running(bench.worker(handler, poison_policy="park")):
        await bench.received(2)
        await bench.until_parked(3)
        assert await bench.parked() == [("a1", "bad-body"), ("a2", "behind-parked"), ("a3", "behind-parked")]
        mended = True
        await bench.replay_parked()
        await bench.received(3)
        await bench.send("a", "a4", first_seq=5)
        await bench.received(1)
    assert await bench.state("a") == ["a0", "a1", "a2", "a3", "a4"]
    assert await bench.state("b") == ["b0"]


async def test_message_replayed_from_parking_breaks_no_order(bench: WorkerBench) -> None:
    """It comes after later ones because a person decided so: the objective "reordered = 0" is not about it."""
    handler = Collector(poisoned("a0"))
    async with running(bench.worker(handler)):
        await bench.send("a", "a0", "a1")
        await bench.received(1)
    handler.act = lambda text, attempt: None
    await bench.replay_parked()
    async with running(bench.worker(handler)):
        await bench.received(1)
    assert await bench.state("a") == ["a1", "a0"]
    assert bench.metrics.value(table.ORDER_VIOLATIONS, INBOX) == 0
