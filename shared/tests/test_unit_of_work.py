"""A unit of work: decided anew after each refused version, given up for a while when the refusals do not end."""

from reefmesh.clock import ManualClock
from reefmesh.observability import table
from reefmesh.service.unit_of_work import REFUSALS_LIMIT
from reefmesh_components.worker_bench import INBOX, START, Collector, ContestedStore, open_worker_bench, running


async def test_effect_once_message_of_a_contested_reef_is_applied_after_its_refusals_end() -> None:
    """Laws 4 and 5: every refused try left nothing; after so many in a row the lane waits as for any transient fault."""
    refusals = REFUSALS_LIMIT + 20
    async with open_worker_bench(ContestedStore(INBOX, refusals=refusals, clock=ManualClock(START))) as bench:
        handler = Collector()
        await bench.send("a", "a0")
        async with running(bench.worker(handler)):
            (out,) = await bench.received(1)
        row = await bench.store.load("a")
    assert (1, b"a0") == (out.seq, out.body)
    assert {"a0": refusals + 1} == handler.attempts
    assert refusals + 1 == row.version
    assert refusals == bench.metrics.value(table.FENCE_REFUSALS, INBOX)
    assert 1 == bench.metrics.value(table.RETRIES, INBOX, "ReefContested")
