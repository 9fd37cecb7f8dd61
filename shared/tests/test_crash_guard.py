"""The crash guard: a message that kills its process is found, and no message is blamed for another."""

import asyncio

from reefmesh.backoff import Backoff
from reefmesh.contracts.envelope import event_id_of
from reefmesh.errors import TransientError
from reefmesh_components.worker_bench import INBOX, Collector, WorkerBench, running


async def test_message_that_kills_its_process_is_parked_after_the_limit(bench: WorkerBench) -> None:
    """Law 8: redelivered messages are counted before they are tried; one that never comes to an end is parked."""
    message_id = event_id_of("a", "a0")
    for tries in range(1, 4):
        assert await bench.store.count_attempt(INBOX, message_id) == tries
    handler = Collector()
    await bench.send("a", "a0", "a1")
    await bench.lose_in_hand()
    async with running(bench.worker(handler, crash_limit=3)):
        await bench.received(1)
        await bench.until_parked(1)
    assert await bench.parked() == [("a0", "kills-its-process")]
    assert handler.handled == [("a", "a1")]


async def test_suspects_are_tried_one_at_a_time_while_others_flow(bench: WorkerBench) -> None:
    """Law 8: of several messages that may have killed the process only one is in hand, so its neighbours are not blamed."""
    in_hand: list[str] = []
    together: list[tuple[str, ...]] = []
    gate = asyncio.Event()

    async def act(text: str, attempt: int) -> None:
        if text.startswith("suspect"):
            in_hand.append(text)
            together.append(tuple(in_hand))
            await gate.wait()
            in_hand.remove(text)

    reefs = ("a", "b", "c")
    for reef_id in reefs:
        await bench.send(reef_id, f"suspect-{reef_id}")
        await bench.store.count_attempt(INBOX, event_id_of(reef_id, f"suspect-{reef_id}"))
    await bench.lose_in_hand(3)
    handler = Collector(act)
    await bench.send("d", "innocent-0", "innocent-1")
    async with running(bench.worker(handler, crash_limit=3)):
        await handler.until(lambda: "innocent-1" in handler.attempts)
        await handler.until(lambda: len(in_hand) == 1)
        gate.set()
        await bench.received(5)
    assert [1, 1, 1] == [len(names) for names in together]
    assert await bench.parked() == []
    tries = [await bench.store.attempts(INBOX, event_id_of(reef_id, f"suspect-{reef_id}")) for reef_id in reefs]
    assert [0, 0, 0] == tries  # forgotten with what they became


async def test_restarts_during_an_outage_do_not_make_a_message_a_killer(bench: WorkerBench) -> None:
    """Law 8: an interrupted attempt is no attempt, however often the process is stopped cleanly meanwhile."""

    def act(text: str, attempt: int) -> None:
        raise TransientError("away")

    await bench.send("a", "a0")
    for _ in range(5):
        handler = Collector(act)
        async with running(bench.worker(handler, crash_limit=2, backoff=Backoff(first_seconds=3600, max_seconds=3600))):
            await handler.until(lambda: bool(handler.attempts))  # noqa: B023  # awaited inside this turn of the loop
    async with running(bench.worker(Collector(), crash_limit=2)):
        out = await bench.received(1)
    assert out[0].body == b"a0"
    assert await bench.parked() == []
