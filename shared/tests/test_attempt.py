"""Attempts at a message: tried again, parked after its limits, or stopped when too much is poison."""

import pytest

from reefmesh.backoff import Backoff
from reefmesh.broker.port import Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import PoisonMessage, TransientError
from reefmesh.observability import table
from reefmesh.service.breaker import PoisonBreaker, TooMuchPoison
from reefmesh.store.database import DatabaseStore
from reefmesh.store.port import StoreUnavailable
from reefmesh_components.worker_bench import INBOX, START, Collector, WorkerBench, memory_database, open_worker_bench, running


async def test_transient_fault_holds_its_reef_and_no_other(bench: WorkerBench) -> None:
    """Law 8: retried in its lane while the reef waits; law 2: the others flow."""

    def act(text: str, attempt: int) -> None:
        if text == "a0" and attempt <= 4:
            raise TransientError("not yet")

    handler = Collector(act)
    await bench.send("a", "a0", "a1")
    await bench.send("b", "b0")
    async with running(bench.worker(handler)):
        out = await bench.received(3)
    assert [message.body for message in out if message.reef_id == "a"] == [b"a0", b"a1"]
    assert handler.attempts == {"a0": 5, "a1": 1, "b0": 1}
    assert bench.metrics.value(table.RETRIES, INBOX, "TransientError") == 4
    assert await bench.parked() == []


async def test_handler_that_always_fails_on_a_message_parks_it_after_its_attempts(bench: WorkerBench) -> None:
    """Law 8: a bug that one message meets is tried as often as is set, then parked with the bug's own words."""

    def act(text: str, attempt: int) -> None:
        if text == "a0":
            raise ZeroDivisionError("of the tests")

    handler = Collector(act)
    await bench.send("a", "a0", "a1")
    async with running(bench.worker(handler, fault_attempts_limit=3)):
        await bench.received(1)
        await bench.until_parked(1)
    assert handler.attempts == {"a0": 3, "a1": 1}
    (only,) = await bench.broker.parking(channels.SCORING).list()
    assert (only.reason, only.detail) == ("handler-fault", "ZeroDivisionError: of the tests")


async def test_parallel_messages_that_meet_a_bug_keep_a_quarter_of_the_lanes_and_the_others_have_their_tries_at_once(
    bench: WorkerBench,
) -> None:
    """Law 13: whoever finds a bug of ours must not keep all lanes with it."""

    def act(text: str, attempt: int) -> None:
        if not text.startswith("good"):
            raise ZeroDivisionError("of the tests")

    handler = Collector(act)
    for number in range(8):
        await bench.send(f"reef-{number}", f"bad-{number}")
    await bench.send("reef-8", "good")
    waits_long = Backoff(first_seconds=3600.0, max_seconds=3600.0)
    async with running(bench.worker(handler, lanes=4, fault_attempts_limit=3, backoff=waits_long)):
        await bench.received(1)
        await bench.until_parked(7)
        assert [1, *[3] * 7] == sorted(handler.attempts[f"bad-{number}"] for number in range(8))


async def test_too_much_poison_stops_the_consumer_instead_of_parking_everything(bench: WorkerBench) -> None:
    """Law 8: when most is poison of most reefs the fault is not the messages'; what was not parked stays in the queue."""

    def act(text: str, attempt: int) -> None:
        raise PoisonMessage("bad-body", text)

    for number in range(10):
        await bench.send(f"reef-{number}", f"{number}-0", f"{number}-1", f"{number}-2")
    breaker = PoisonBreaker(ratio=0.5, window=20, minimum=10)
    with pytest.raises(TooMuchPoison, match="too many messages are poison"):
        await bench.worker(Collector(act), breaker=breaker).run()
    assert 1 == bench.metrics.value(table.POISON_BREAKER_OPEN, INBOX)
    left = 30 - len(await bench.parked())
    assert left
    async with running(bench.worker(Collector())):
        assert len(await bench.received(left)) == left


async def test_poison_of_one_reef_never_stops_the_consumer(bench: WorkerBench) -> None:
    """Law 13: it is parked and counted, and the other reefs go on."""

    def act(text: str, attempt: int) -> None:
        if text.startswith("a"):
            raise PoisonMessage("bad-body", text)

    await bench.send("a", *(f"a{number}" for number in range(60)))
    breaker = PoisonBreaker(window=20, minimum=10)
    async with running(bench.worker(Collector(act), breaker=breaker)):
        await bench.until_parked(60)
        await bench.send("b", "b0")
        assert [b"b0"] == [message.body for message in await bench.received(1)]
    assert 60 == bench.metrics.value(table.POISON, INBOX, "none", "a")
    assert 0 == bench.metrics.value(table.POISON_BREAKER_OPEN, INBOX)


async def test_poison_on_telemetry_never_stops_the_consumer(bench: WorkerBench) -> None:
    """Law 13: where many may send, none of them stops the service for the others, whatever reefs they name."""

    def act(text: str, attempt: int) -> None:
        raise PoisonMessage("bad-body", text)

    messages = [
        Envelope(
            event_id=f"m{number}",
            reef_id=f"reef-{number}",
            schema_id="x/1",
            produced_at=START,
            body=b"{}",
            headers={"device": "buoy-1"},
        )
        for number in range(40)
    ]
    await bench.broker.declare([channels.INGEST])
    await bench.broker.publish([Publication(channel=channels.TELEMETRY.name, message=message) for message in messages])
    worker = bench.worker(Collector(act), subscription=channels.INGEST, breaker=PoisonBreaker(window=20, minimum=5))
    async with running(worker):
        await bench.metrics.until(table.PARKED, str(channels.INGEST), "bad-body", reaches=40)
    assert 1 == bench.metrics.value(table.POISON, str(channels.INGEST), "buoy-1", "reef-7")
    assert 0 == bench.metrics.value(table.POISON_BREAKER_OPEN, str(channels.INGEST))


class UnreadableState(Collector):
    """A handler that cannot read the state of reef a."""

    is_mended = False

    async def load(self, reef_id: str, state: bytes | None) -> list[str]:
        if reef_id == "a" and not self.is_mended:
            raise ValueError("of the tests")
        return await super().load(reef_id, state)


async def test_parallel_reef_whose_state_cannot_be_read_waits_and_the_others_flow(bench: WorkerBench) -> None:
    """Law 2: neither applying nor parking its message ends the process; mended, the message is parked with its hole."""
    handler = UnreadableState()
    await bench.send("a", "a0")
    async with running(bench.worker(handler, fault_attempts_limit=1)):
        await bench.metrics.until(table.RETRIES, INBOX, "TransientError", reaches=2)
        await bench.send("b", "b0")
        assert ["b"] == [message.reef_id for message in await bench.received(1)]
        assert [] == await bench.parked()
        handler.is_mended = True
        await bench.until_parked(1)
    assert [("a0", "handler-fault")] == await bench.parked()
    assert {INBOX: (1,)} == (await bench.store.load("a")).cursor.missing


class ForgetfulLater(DatabaseStore):
    """A store that is away the first time that tries are to be forgotten."""

    was_away = False

    async def forget_attempts(self, inbox: str, event_id: str) -> None:
        if not self.was_away:
            self.was_away = True
            raise StoreUnavailable("away")
        await super().forget_attempts(inbox, event_id)


async def test_nothing_lost_message_is_released_although_its_tries_cannot_be_forgotten() -> None:
    """Law 3: its lane goes on. Found by a schedule of the simulation, in which the store refused a write just then."""
    clock = ManualClock(START)
    store = ForgetfulLater(memory_database(clock), clock=clock)
    async with open_worker_bench(store) as bench:
        await bench.send("a", "a1", first_seq=2)
        await bench.lose_in_hand()
        async with running(bench.worker(Collector(), lanes=1, gap_patience_seconds=0.05)):
            (out,) = await bench.received(1)
    assert b"a1" == out.body
    assert store.was_away
