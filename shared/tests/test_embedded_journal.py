"""The embedded engine's limits and failures: a full journal, a full disk, wrong files, a window that is too small."""

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.embedded.engine import EmbeddedBroker
from reefmesh.broker.embedded.url import EmbeddedAddress
from reefmesh.broker.port import Broker, BrokerUnavailable, Delivery, Lane, LaneLost, Publication, PublishRefused
from reefmesh.clock import ManualClock, SystemClock
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import UNAUTHENTICATED
from reefmesh.errors import ConfigurationError

INBOUND = Subscription("alpha", Channel("in", numbered=False))
OUTBOUND = Subscription("beta", Channel("out", numbered=False))
PATIENCE_SECONDS = 60.0
JOURNAL_FILES = ("journal.db", "journal.db-wal", "journal.db-shm")


def message(reef_id: str, number: int, *, body: bytes = b"{}", event_id: str | None = None) -> Envelope:
    return Envelope(
        event_id=event_id or f"{reef_id}/{number}",
        reef_id=reef_id,
        schema_id="readings/1",
        produced_at=datetime(2026, 3, 1, tzinfo=UTC),
        seq=number + 1,
        body=body,
    )


def publication(
    reef_id: str, number: int, *, channel: str = "in", body: bytes = b"{}", event_id: str | None = None
) -> Publication:
    return Publication(channel=channel, message=message(reef_id, number, body=body, event_id=event_id))


@asynccontextmanager
async def opened(url: str, clock: ManualClock | None = None) -> AsyncIterator[EmbeddedBroker]:
    broker = open_broker(url, clock=clock or SystemClock())
    assert isinstance(broker, EmbeddedBroker)
    await broker.connect()
    await broker.declare([INBOUND, OUTBOUND])
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def lane_of(broker: Broker, subscription: Subscription = INBOUND) -> AsyncIterator[Lane]:
    consumer = broker.consumer(subscription, lanes=1)
    await consumer.start()
    try:
        yield consumer.lanes[0]
    finally:
        await consumer.close()


async def next_of(lane: Lane) -> Delivery:
    delivery = await asyncio.wait_for(lane.receive(), PATIENCE_SECONDS)
    assert delivery is not None
    return delivery


async def publish_on_and_on(broker: Broker, body_bytes: int, confirmed: list[int]) -> None:
    """Publish one after the other until it is refused, noting what was confirmed."""
    for number in range(len(confirmed), 5000):
        await broker.publish([publication("reef-a", number, body=b"x" * body_bytes)])
        confirmed.append(number)


async def test_lane_that_settled_goes_on_before_another_is_given_the_next_message_of_the_reef(tmp_path: Path) -> None:
    """It notes that its outputs are out; the next message of the reef would look for them in the outbox."""
    goes_on: list[str] = []

    async def settle(lane: Lane, delivery: Delivery) -> None:
        await lane.settle(delivery, [])
        goes_on.append("settled")

    async def receive(lane: Lane) -> None:
        assert await lane.receive() is not None  # not ``next_of``: its own task would come later in any case
        goes_on.append("given the next")

    async with opened(f"embedded://{tmp_path}/journal.db") as broker, lane_of(broker) as one, lane_of(broker) as other:
        await broker.publish([publication("reef-a", number) for number in range(2)])
        delivery = await next_of(one)
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(receive(other))
            tasks.create_task(settle(one, delivery))
    assert ["settled", "given the next"] == goes_on


async def test_journal_at_its_limit_publishes_refused_settlements_go_on_and_make_room(tmp_path: Path) -> None:
    """Law 11: the limit holds, the reserve lets the backlog drain, and afterwards publishing works again."""
    async with opened(f"embedded://{tmp_path}/journal.db?limit_bytes=1000000") as broker:
        confirmed: list[int] = []
        with pytest.raises(PublishRefused, match="limit is 1000000 bytes"):
            await publish_on_and_on(broker, 4000, confirmed)
        taken = len(confirmed)
        assert 150 < taken < 230
        assert (tmp_path / "journal.db").stat().st_size <= 1_000_000
        async with lane_of(broker) as lane:
            for number in range(taken):
                output = publication("reef-a", number, channel="out", body=b"y" * 3000)
                await lane.settle(await next_of(lane), [output])
        assert (tmp_path / "journal.db").stat().st_size <= 1_000_000
        async with lane_of(broker, OUTBOUND) as lane:
            for _ in range(taken):
                await lane.settle(await next_of(lane), ())
        await broker.publish([publication("reef-a", taken, body=b"x" * 4000)])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode
    if mounted != 0:
        pytest.skip("mounting a small file system needs rights that are not given here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_disk_full_publish_and_settle_refused_nothing_half_written_and_works_again_with_space(small_disk: Path) -> None:
    """Law 3: a real full disk. Nothing confirmed is lost, nothing refused is there, and no restart is needed."""
    async with opened(f"embedded://{small_disk}/journal.db") as broker:
        await broker.publish([publication("reef-a", 0)])
        async with lane_of(broker) as lane:
            held = await next_of(lane)
            confirmed = [0]
            with pytest.raises(PublishRefused, match="disk is full"):
                await publish_on_and_on(broker, 20_000, confirmed)
            taken = len(confirmed)
            assert (await broker.statistics()).subscriptions[INBOUND].waiting_messages == taken - 1
            with pytest.raises(PublishRefused, match="disk is full"):
                await lane.settle(held, [publication("reef-a", 0, channel="out", body=b"y" * 200_000)])
            assert taken > 20
            await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
            await lane.settle(held, [publication("reef-a", 0, channel="out")])
            await broker.publish([publication("reef-a", taken)])
            for number in range(1, taken + 1):
                delivery = await next_of(lane)
                assert delivery.message.seq == number + 1
                await lane.settle(delivery, ())
    async with opened(f"embedded://{small_disk}/journal.db") as broker:
        statistics = (await broker.statistics()).subscriptions
        assert (statistics[INBOUND].waiting_messages, statistics[OUTBOUND].waiting_messages) == (0, 1)


async def test_nobody_speaks_for_another_only_its_owner_may_write_to_a_new_journal(tmp_path: Path) -> None:
    """Law 12: whoever may write to the file speaks (ADR 0007), so the file and those beside it are its owner's alone."""
    async with opened(f"embedded://{tmp_path}/journal.db") as broker:
        await broker.declare([INBOUND])
        await broker.publish([publication("a", 0)])
        modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in JOURNAL_FILES}
    assert modes == dict.fromkeys(JOURNAL_FILES, 0o600)


async def test_delivery_says_that_nobody_logged_in(tmp_path: Path) -> None:
    async with opened(f"embedded://{tmp_path}/journal.db") as broker:
        await broker.declare([INBOUND])
        await broker.publish([publication("a", 0)])
        async with lane_of(broker) as lane:
            assert UNAUTHENTICATED == (await next_of(lane)).user_id


async def test_steady_state_file_does_not_grow(tmp_path: Path) -> None:
    """Settled messages leave the file; their space is used again."""
    path = tmp_path / "journal.db"
    async with opened(f"embedded://{path}") as broker, lane_of(broker) as lane:
        sizes = []
        for _round in range(6):
            for number in range(100):
                await broker.publish([publication("reef-a", number, body=b"x" * 5000, event_id=f"{_round}-{number}")])
                await lane.settle(await next_of(lane), ())
            sizes.append(path.stat().st_size + path.with_name("journal.db-wal").stat().st_size)
        with sqlite3.connect(path) as other:
            assert other.execute("SELECT (SELECT COUNT(*) FROM message), (SELECT COUNT(*) FROM waiting)").fetchone() == (0, 0)
        other.close()
    assert max(sizes) < 20 * 1024 * 1024


async def test_fanned_out_message_is_stored_once_until_the_last_subscription_settles(tmp_path: Path) -> None:
    path, second = tmp_path / "journal.db", Subscription("gamma", Channel("in", numbered=False))
    async with opened(f"embedded://{path}") as broker:
        await broker.declare([second])
        await broker.publish([publication("reef-a", 0)])
        stored = []
        for subscription in (INBOUND, second):
            async with lane_of(broker, subscription) as lane:
                delivery = await next_of(lane)
                with sqlite3.connect(path) as other:
                    stored.append(other.execute("SELECT COUNT(*) FROM message").fetchone()[0])
                await lane.settle(delivery, ())
        with sqlite3.connect(path) as other:
            stored.append(other.execute("SELECT COUNT(*) FROM message").fetchone()[0])
    assert stored == [1, 1, 0]


async def test_channel_without_subscriptions_is_counted(tmp_path: Path) -> None:
    async with opened(f"embedded://{tmp_path}/journal.db") as broker:
        await broker.publish([publication("reef-a", 0, channel="nobody"), publication("reef-a", 1)])
        assert broker.unrouted_messages == 1


async def test_same_event_id_within_five_minutes_delivered_once_and_leaves_the_journal(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    async with opened(f"embedded://{tmp_path}/journal.db", clock) as broker, lane_of(broker) as lane:
        await broker.publish([publication("reef-a", 0, event_id="same")])
        clock.advance(timedelta(minutes=5))
        await broker.publish([publication("reef-a", 1, event_id="same")])
        clock.advance(timedelta(minutes=5, microseconds=1))
        await broker.publish([publication("reef-a", 2, event_id="same")])
        numbers = []
        for _ in range(2):
            delivery = await next_of(lane)
            numbers.append((delivery.message.seq or 0) - 1)
            await lane.settle(delivery, ())
        assert numbers == [0, 2]
        await broker.publish([])
        statistics = (await broker.statistics()).subscriptions[INBOUND]
        assert (statistics.waiting_messages, statistics.in_flight_messages) == (0, 0)


async def test_oldest_age_counts_from_publishing_by_the_given_clock(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    async with opened(f"embedded://{tmp_path}/journal.db", clock) as broker:
        await broker.publish([publication("reef-a", 0)])
        clock.advance(timedelta(seconds=90))
        await broker.publish([publication("reef-a", 1)])
        assert (await broker.statistics()).subscriptions[INBOUND].oldest_age_seconds == 90
        async with lane_of(broker) as lane:
            held = await next_of(lane)
            assert (await broker.statistics()).subscriptions[INBOUND].oldest_age_seconds == 90
            await lane.settle(held, ())
            assert (await broker.statistics()).subscriptions[INBOUND].oldest_age_seconds == 0
        assert (await broker.statistics()).subscriptions[OUTBOUND].oldest_age_seconds is None


async def test_small_window_memory_stays_bounded_and_many_hot_reefs_do_not_starve_the_rest(tmp_path: Path) -> None:
    """Three stuck reefs with a backlog far above the window, in front of everybody: the others flow, memory is bounded."""
    async with opened(f"embedded://{tmp_path}/journal.db?window_slots=60") as broker:
        for stuck in range(3):
            await broker.publish([publication(f"stuck-{stuck}", number) for number in range(500)])
        await broker.publish([publication(f"reef-{number % 50}", number // 50) for number in range(500)])
        consumer = broker.consumer(INBOUND, lanes=4)
        await consumer.start()
        held = [await next_of(lane) for lane in consumer.lanes[:3]]
        assert {delivery.message.reef_id for delivery in held} == {"stuck-0", "stuck-1", "stuck-2"}
        free, seen = consumer.lanes[3], dict.fromkeys((f"reef-{index}" for index in range(50)), 0)
        for _ in range(500):
            delivery = await next_of(free)
            assert (delivery.message.seq or 0) - 1 == seen[delivery.message.reef_id]
            seen[delivery.message.reef_id] += 1
            await free.settle(delivery, ())
            assert broker.in_memory_slots(INBOUND) <= 60
        for lane, delivery in zip(consumer.lanes, held, strict=False):
            await lane.release(delivery)
        following = dict.fromkeys(("stuck-0", "stuck-1", "stuck-2"), 0)
        for _ in range(1500):
            delivery = await next_of(free)
            assert (delivery.message.seq or 0) - 1 == following[delivery.message.reef_id]
            following[delivery.message.reef_id] += 1
            await free.settle(delivery, ())
            assert broker.in_memory_slots(INBOUND) <= 60
        await consumer.drain()


async def test_body_larger_than_the_window_goes_through(tmp_path: Path) -> None:
    async with opened(f"embedded://{tmp_path}/journal.db?window_slots=10") as broker, lane_of(broker) as lane:
        await broker.publish([publication("reef-a", number, body=b"x" * 100_000) for number in range(3)])
        for number in range(3):
            delivery = await next_of(lane)
            assert delivery.message.seq == number + 1
            await lane.settle(delivery, ())


async def test_visibility_time_out_passes_settle_finds_the_lane_lost_and_the_message_comes_again(tmp_path: Path) -> None:
    async with opened(f"embedded://{tmp_path}/journal.db?visibility_timeout_seconds=1") as broker:
        await broker.publish([publication("reef-a", 0)])
        consumer = broker.consumer(INBOUND, lanes=2)
        await consumer.start()
        slow, other = consumer.lanes
        held = await next_of(slow)
        again = await next_of(other)  # waits for the time-out
        assert (again.message, again.redelivered) == (held.message, True)
        with pytest.raises(LaneLost):
            await slow.settle(held, ())
        await other.settle(again, ())
        await asyncio.wait_for(consumer.drain(), PATIENCE_SECONDS)


async def test_unwritable_message_refused_alone_others_of_its_transaction_are_written(tmp_path: Path) -> None:
    """A message that SQLite cannot take harms nobody whose message shares its transaction."""
    bad = message("reef-b", 0).model_copy(update={"seq": 2**70})
    async with opened(f"embedded://{tmp_path}/journal.db") as broker, lane_of(broker) as lane:
        results = await asyncio.gather(
            broker.publish([publication("reef-a", 0)]),
            broker.publish([publication("reef-b", 1), Publication(channel="in", message=bad)]),
            broker.publish([publication("reef-c", 0)]),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), PublishRefused, type(None)]
        arrived = []
        for _ in range(2):
            delivery = await next_of(lane)
            arrived.append(delivery.message.reef_id)
            await lane.settle(delivery, ())
        assert arrived == ["reef-a", "reef-c"]
        assert (await broker.statistics()).subscriptions[INBOUND].waiting_messages == 0


async def test_settle_cancelled_it_is_settled_all_the_same_and_the_lane_goes_on(tmp_path: Path) -> None:
    """Once asked for, a settlement happens; a cancelled caller only does not hear of it."""
    async with opened(f"embedded://{tmp_path}/journal.db") as broker, lane_of(broker) as lane:
        await broker.publish([publication("reef-a", 0), publication("reef-a", 1)])
        settling = asyncio.create_task(lane.settle(await next_of(lane), ()))
        await asyncio.sleep(0)  # one turn of the loop, so that the settlement is on its way
        settling.cancel()
        await asyncio.gather(settling, return_exceptions=True)
        await broker.publish([publication("reef-a", 2)])  # in the same transaction, or a later one
        assert (await next_of(lane)).message.seq == 2


async def test_another_program_writes_for_long_publish_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(f"embedded://{path}") as broker, lane_of(broker) as lane:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        publishing = asyncio.create_task(broker.publish([publication("reef-a", 0)]))
        for _ in range(20):
            await asyncio.sleep(0)  # turns of the loop: the publish is waiting for the lock
        assert not publishing.done()
        other.execute("COMMIT")
        other.close()
        await asyncio.wait_for(publishing, PATIENCE_SECONDS)
        assert (await next_of(lane)).message.seq == 1


async def test_parked_replayed_by_a_new_owner_it_is_counted_settled_and_the_broker_goes_on(tmp_path: Path) -> None:
    """Law 8: an owner whose journal has nothing waiting replays, as a command does that runs the mesh for it."""
    url = f"embedded://{tmp_path}/journal.db"
    async with opened(url) as broker, lane_of(broker) as lane:
        await broker.publish([publication("reef-a", 0)])
        await lane.park(await next_of(lane), reason="poison", detail="", attempts=1)
    async with opened(url) as broker, lane_of(broker) as lane:
        (entry,) = await broker.parking(INBOUND).list()
        assert 1 == await broker.parking(INBOUND).replay([entry.parking_id])
        delivery = await next_of(lane)
        await lane.settle(delivery, ())
        statistics = (await broker.statistics()).subscriptions[INBOUND]
        assert (0, 0) == (statistics.waiting_messages, statistics.in_flight_messages)
        await broker.publish([publication("reef-a", 1)])
        assert 2 == (await next_of(lane)).message.seq


async def refusal_of(url: str) -> str:
    """Return the one line that an operator reads."""
    with pytest.raises(ConfigurationError) as caught:
        async with opened(url):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_file_of_another_kind_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes\n" * 100)
    assert "is not a journal" in await refusal_of(f"embedded://{path}")
    assert path.read_text() == "these are my notes\n" * 100


async def test_database_of_another_program_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    before = path.read_bytes()
    assert "database of another program" in await refusal_of(f"embedded://{path}")
    assert path.read_bytes() == before


async def test_journal_of_a_newer_program_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(f"embedded://{path}"):
        pass
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    assert "has format 99" in await refusal_of(f"embedded://{path}")


async def test_folder_missing_and_folder_as_file_refused(tmp_path: Path) -> None:
    assert "No such file or directory" in await refusal_of(f"embedded://{tmp_path}/missing/journal.db")
    assert "cannot open the journal" in await refusal_of(f"embedded://{tmp_path}/missing/journal.db?role=publisher")
    assert "cannot open the journal" in await refusal_of(f"embedded://{tmp_path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
async def test_read_only_journal_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(f"embedded://{path}"):
        pass
    path.chmod(0o444)
    assert "cannot be written" in await refusal_of(f"embedded://{path}")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("embedded://data/journal.db", "three slashes"),
        ("embedded:///j.db?role=boss", "owner or publisher"),
        ("embedded:///j.db?limit_bytes=lots", "limit_bytes must be a whole number"),
        ("embedded:///j.db?window_slots=0", "window_slots must be a whole number"),
        ("embedded:///j.db?colour=blue", "unknown parameter 'colour'"),
        ("embedded://?role=publisher", "needs the path"),
        ("kafka://someone:secret@host", "there are embedded://"),
        ("journal.db", "there are embedded://"),
    ],
)
def test_wrong_url_one_line_that_says_what_to_write(url: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint) as caught:
        open_broker(url, clock=SystemClock())
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_url_read_in_full() -> None:
    url = "embedded:///var/lib/my%20mesh/j.db?role=publisher&limit_bytes=5&window_slots=6&visibility_timeout_seconds=7"
    path = Path("/var/lib/my mesh/j.db")
    expected = EmbeddedAddress(path=path, role="publisher", limit_bytes=5, window_slots=6, visibility_timeout_seconds=7)
    assert EmbeddedAddress.parse(url) == expected


async def test_closed_engine_every_call_says_so(tmp_path: Path) -> None:
    async with opened(f"embedded://{tmp_path}/journal.db") as broker:
        parking, consumer = broker.parking(INBOUND), broker.consumer(INBOUND, lanes=1)
    with pytest.raises(BrokerUnavailable):
        await parking.list()
    with pytest.raises(BrokerUnavailable):
        await broker.declare([INBOUND])
    with pytest.raises(BrokerUnavailable):
        await broker.consumer(INBOUND, lanes=1).start()
    await consumer.close()
