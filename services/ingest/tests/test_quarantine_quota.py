"""What refused telemetry may take is bounded; each message is accounted for, and no device is refused for another's use."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reefmesh.contracts.envelope import Envelope
from reefmesh.store.connect import open_store
from reefmesh.store.migrations import MigrationSet, read_migrations
from reefmesh.store.port import Write
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.domain.decode.refusals import PARTS_LIMIT
from reefmesh_ingest.handler import IngestHandler
from reefmesh_ingest.quarantine.folded import list_folded
from reefmesh_ingest.quarantine.quota import SAMPLE_BYTES_LIMIT, Quota
from reefmesh_ingest.quarantine.removal import MESSAGES_AT_ONCE, QuarantineRemoval
from reefmesh_ingest.quarantine.storage import FRESH_SECONDS, QuarantineStorage
from reefmesh_ingest.register.entries import BuoyEntry

Make = Callable[..., bytes]
AGENT = "agent-1"


@pytest.fixture
async def ingest(new_ingest: Any, url: str) -> AsyncIterator[Any]:
    """The bounds are sums and counts of the database: each holds on both."""
    service = await new_ingest(url)
    yield service
    await service.store.close()


def with_quota(service: Any, **limits: float) -> QuarantineStorage:
    """Give the service another quota, as after a restart with other settings."""
    quota = Quota(**limits)  # type: ignore[arg-type]  # the tests' keywords are its fields
    storage = QuarantineStorage(store=service.store, clock=service.clock, quota=quota)
    service.handler = IngestHandler(store=service.store, register=service.register, clock=service.clock, storage=storage)
    service.states.clear()
    return storage


def removal_of(service: Any, **limits: float) -> QuarantineRemoval:
    quota = Quota(**limits)  # type: ignore[arg-type]  # as above
    storage = QuarantineStorage(store=service.store, clock=service.clock, quota=quota)
    return QuarantineRemoval(store=service.store, clock=service.clock, quota=quota, storage=storage)


async def entries_of(service: Any, **asked: Any) -> list[Any]:
    return list(await service.quarantine.list(limit=100_000, **asked))


async def kept_bytes(service: Any) -> int:
    """Return what the tables of quarantine hold, counted anew."""
    messages = await service.store.fetch(
        "SELECT COALESCE(SUM(LENGTH(payload) + LENGTH(headers_json)), 0) FROM quarantine_message"
    )
    entries = await service.store.fetch("SELECT COALESCE(SUM(LENGTH(example)), 0) FROM quarantine")
    return int(messages[0][0]) + int(entries[0][0])


async def test_75_mb_of_hostile_payloads_take_no_more_than_the_quota(ingest: Any) -> None:
    for number in range(300):
        receipt = await ingest.take(b"%d" % number + b"x" * 250_000, "telemetry/1", device="hoarder")
        assert receipt.outcome == "quarantined"
    quota = Quota()
    assert await kept_bytes(ingest) <= quota.device_bytes_limit + 64 * 1024
    kept = len(await entries_of(ingest))
    (folded,) = await list_folded(ingest.store)
    assert (folded.device, folded.reason, folded.scope) == ("hoarder", "not-json", "message")
    assert kept + folded.entries == 300
    books = await accounting(ingest.store)
    assert (books.messages.quarantined, books.messages_folded) == (300, folded.entries)
    assert len(ingest.entries()) == kept
    await ingest.assert_accounted()


async def test_payload_above_the_limit_is_kept_as_hash_length_and_first_bytes(ingest: Any) -> None:
    body = b"large" * 1_000_000
    await ingest.take(body, "telemetry/1", device=AGENT)
    (entry,) = await ingest.quarantine.list()
    shown = await ingest.quarantine.show(entry.quarantine_id)
    assert shown.message.is_cut
    assert shown.payload == body[:SAMPLE_BYTES_LIMIT]
    assert (shown.message.payload_bytes, shown.message.payload_sha256) == (len(body), hashlib.sha256(body).hexdigest())
    replayed = await ingest.quarantine.replay([entry.quarantine_id])
    assert (replayed.entries, replayed.messages) == (1, ())
    assert len(await ingest.quarantine.list()) == 1


async def test_headers_are_cut_too(ingest: Any) -> None:
    headers = {f"h{number}": "x" * 9_000 for number in range(30)}
    message = Envelope(
        event_id="long",
        reef_id="menjangan",
        schema_id="telemetry/1",
        produced_at=ingest.clock.now(),
        body=b"{",
        headers=headers,
    )
    await ingest.apply(message)
    assert await kept_bytes(ingest) < 8 * 1024


async def test_each_kind_of_trouble_beyond_the_quota_leaves_one_sample(ingest: Any, telemetry: Make) -> None:
    with_quota(ingest, device_entries_limit=2)
    for number in range(5):
        await ingest.take(b"not json %d" % number, "telemetry/1", device=AGENT)
    for number in range(5):
        await ingest.take(b"x" * 2_000, f"unknown/{number + 7}", device=AGENT)
    assert Counter(entry.reason for entry in await entries_of(ingest)) == {"not-json": 2, "unknown-schema": 1}
    sample = (await entries_of(ingest, reason="unknown-schema"))[0]
    assert (await ingest.quarantine.show(sample.quarantine_id)).payload == b"x" * SAMPLE_BYTES_LIMIT
    counted = {each.reason: each.entries for each in await list_folded(ingest.store, device=AGENT)}
    assert counted == {"not-json": 3, "unknown-schema": 4}
    await ingest.assert_accounted()


async def test_honest_device_whose_place_is_used_up_is_served_as_before(ingest: Any, telemetry: Make) -> None:
    """Law 13: the quota is of what quarantine keeps, never of what is accepted."""
    with_quota(ingest, device_entries_limit=1, entries_limit=3)
    for number in range(20):
        await ingest.take(b"forged %d" % number, "telemetry/1", device=AGENT)
        await ingest.take(b"forged %d" % number, "telemetry/1", device=f"invented-{number}")
    receipt = await ingest.take(telemetry([28.1, 28.2]), "telemetry/1", device=AGENT)
    assert (receipt.outcome, receipt.readings_new) == ("accepted", 2)
    await ingest.assert_accounted()


async def test_invented_names_do_not_go_over_the_quota_of_all(ingest: Any) -> None:
    with_quota(ingest, entries_limit=10)
    for number in range(50):
        await ingest.take(b"what", "telemetry/1", device=f"invented-{number}")
    assert len(await entries_of(ingest)) == 10
    assert sum(each.entries for each in await list_folded(ingest.store)) == 40
    await ingest.assert_accounted()


async def test_other_processes_use_is_known_after_its_time(ingest: Any) -> None:
    storage = with_quota(ingest, entries_limit=5)
    await ingest.take(b"one", "telemetry/1", device=AGENT)
    other = QuarantineStorage(store=ingest.store, clock=ingest.clock, quota=Quota())
    ingest.handler = IngestHandler(store=ingest.store, register=ingest.register, clock=ingest.clock, storage=other)
    for number in range(4):
        await ingest.take(b"other %d" % number, "telemetry/1", device=AGENT)
    assert (await storage.total()).entries == 1
    ingest.clock.advance(timedelta(seconds=FRESH_SECONDS + 1))
    assert (await storage.total()).entries == 5


async def test_replay_of_what_is_kept_keeps_its_place_when_the_quota_is_used_up(ingest: Any, mqtt_data: Make) -> None:
    await ingest.take(mqtt_data(29.4), "nemopi-mqtt/1", device="newcomer")
    with_quota(ingest, device_entries_limit=1)
    (entry,) = await ingest.quarantine.list()
    await ingest.quarantine.replay([entry.quarantine_id])
    await ingest.replay_published()
    assert [each.quarantine_id for each in await ingest.quarantine.list()] == [entry.quarantine_id]
    await ingest.register.upsert(buoys=[BuoyEntry(id="newcomer", reef="menjangan")])
    await ingest.quarantine.replay_for_device("newcomer")
    (receipt,) = await ingest.replay_published()
    assert receipt.outcome == "accepted"
    await ingest.assert_accounted()


async def test_old_entries_are_removed_a_few_at_a_time_and_stay_accounted(ingest: Any) -> None:
    for number in range(MESSAGES_AT_ONCE + 5):
        await ingest.take(b"old %d" % number, "telemetry/1", device=AGENT)
    ingest.clock.advance(timedelta(days=91))
    await ingest.take(b"new", "telemetry/1", device=AGENT)
    removal = removal_of(ingest)
    assert [await removal.remove_some() for _ in range(3)] == [MESSAGES_AT_ONCE, 5, 0]
    assert len(await entries_of(ingest)) == 1
    books = await accounting(ingest.store)
    assert (books.messages.quarantined, books.entries_removed, books.readings_removed) == (106, 105, 105)
    await ingest.assert_accounted()


async def test_processes_that_remove_at_the_same_time_count_each_entry_once(
    new_ingest: Any, postgresql_schema_url: str
) -> None:
    """Each process of ingest may remove; only PostgreSQL lets two of them write at once."""
    first, second = await new_ingest(postgresql_schema_url), await new_ingest(postgresql_schema_url)
    for number in range(20):
        await first.take(b"old %d" % number, "telemetry/1", device=AGENT)
    for service in (first, second):
        service.clock.advance(timedelta(days=91))
    await asyncio.gather(*(removal_of(service).remove_some() for service in (first, second)))
    books = await accounting(first.store)
    assert (books.entries_removed, books.readings_removed) == (20, 20)
    assert await entries_of(first, status=None) == []
    await first.assert_accounted()
    await first.store.close()
    await second.store.close()


async def test_replayed_entries_make_room_when_quarantine_is_full(ingest: Any, mqtt_data: Make) -> None:
    await ingest.take(mqtt_data(29.4), "nemopi-mqtt/1", device="newcomer")
    await ingest.register.upsert(buoys=[BuoyEntry(id="newcomer", reef="menjangan")])
    await ingest.quarantine.replay_for_device("newcomer")
    await ingest.replay_published()
    assert await removal_of(ingest).remove_some() == 0
    assert await removal_of(ingest, entries_limit=1).remove_some() == 1
    assert await entries_of(ingest, status=None) == []
    await ingest.assert_accounted()


async def test_discarded_entries_give_up_their_bytes_at_once_and_are_counted_as_before(ingest: Any) -> None:
    for number in range(3):
        await ingest.take(b"%d" % number + b"x" * 5000, "telemetry/1", device=AGENT)
    storage = with_quota(ingest, bytes_limit=22_000)
    await ingest.take(b"y" * 5000, "telemetry/1", device="other")
    assert len(await entries_of(ingest, device="other")) == 1
    held = [each.quarantine_id for each in await entries_of(ingest, device=AGENT)]
    await ingest.take(b"z" * 5000, "telemetry/1", device="other")
    assert len(await entries_of(ingest, device="other")) == 1, "the quota is used up"
    assert await ingest.quarantine.discard(held) == 3
    ingest.clock.advance(timedelta(seconds=FRESH_SECONDS + 1))
    assert await kept_bytes(ingest) <= (await storage.total()).stored_bytes < 7_000
    assert (await storage.total()).entries == 4
    await ingest.take(b"z" * 5000, "telemetry/1", device="other")
    whole = [await ingest.quarantine.show(each.quarantine_id) for each in await entries_of(ingest, device="other")]
    assert [each.message.is_cut for each in whole] == [False, False]
    assert [each.status for each in await entries_of(ingest, status=None, device=AGENT)] == ["discarded"] * 3
    gone = await ingest.quarantine.show(held[0])
    assert (gone.message.payload, gone.message.payload_bytes, gone.message.headers) == (b"", 5001, {})
    await ingest.assert_accounted()


async def test_message_stays_until_none_of_its_entries_is_open(ingest: Any, report_2021: Make) -> None:
    wrong = (("SEN0216", "WATER_CURRENT", "A", "0.5"), ("SEN9999", "TURBIDITY", "NTU", "1.5"))
    await ingest.take(report_2021(*wrong), "nemopi-2021/1")
    first, second = await entries_of(ingest)
    message = (await ingest.quarantine.show(first.quarantine_id)).message
    assert await ingest.quarantine.discard([first.quarantine_id]) == 1
    assert (await ingest.quarantine.show(second.quarantine_id)).message == message
    assert {each.quarantine_id: each.example for each in await entries_of(ingest, status=None)} == {
        first.quarantine_id: b"",
        second.quarantine_id: second.example,
    }
    assert await ingest.quarantine.discard([second.quarantine_id]) == 1
    assert (await ingest.quarantine.show(second.quarantine_id)).message.payload == b""
    sums = await ingest.store.fetch("SELECT SUM(stored_bytes), SUM(LENGTH(detail)) FROM quarantine")
    assert sums[0][0] == sums[0][1]
    await ingest.assert_accounted()


async def test_replay_that_was_on_its_way_brings_back_what_was_discarded_meanwhile(ingest: Any, mqtt_data: Make) -> None:
    body = mqtt_data(29.4)
    await ingest.take(body, "nemopi-mqtt/1", device="newcomer")
    (entry,) = await entries_of(ingest)
    taken = (await with_quota(ingest).total()).stored_bytes
    await ingest.quarantine.replay([entry.quarantine_id])
    assert await ingest.quarantine.discard([entry.quarantine_id]) == 1
    await ingest.replay_published()
    (again,) = await entries_of(ingest)
    message = (await ingest.quarantine.show(again.quarantine_id)).message
    assert (again.quarantine_id, message.payload, message.is_cut) == (entry.quarantine_id, body, False)
    assert abs((await with_quota(ingest).total()).stored_bytes - taken) < 200
    await ingest.register.upsert(buoys=[BuoyEntry(id="newcomer", reef="menjangan")])
    assert (await ingest.quarantine.replay_for_device("newcomer")).entries == 1
    (receipt,) = await ingest.replay_published()
    assert receipt.outcome == "accepted"


async def test_forged_replays_of_one_message_are_bounded(ingest: Any, telemetry: Make) -> None:
    with_quota(ingest, device_entries_limit=1)
    await ingest.take(b"first", "telemetry/1", device=AGENT, event_id="origin")
    for number in range(40):
        names = {f"nothing-{number}-{place}": 1.0 for place in range(20)}
        body = telemetry([28.0]).replace(b'"sea_water_temperature": 28.0', b", ".join(b'"%s": 1' % n.encode() for n in names))
        headers = {"device": AGENT, "replay-of": "origin"}
        message = Envelope(
            event_id=f"again-{number}",
            reef_id="menjangan",
            schema_id="telemetry/1",
            produced_at=ingest.clock.now(),
            body=body,
            headers=headers,
        )
        await ingest.apply(message)
    assert len(await entries_of(ingest, status=None)) <= 3 * PARTS_LIMIT
    await ingest.assert_accounted()


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)  # it is a function
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 3)), max_size=25),
    st.integers(1, 4),
    st.integers(1, 8),
)
async def test_list_and_count_agree(new_ingest: Any, sent: list[tuple[str | None, int]], own: int, total: int) -> None:
    """For all courses: per device, entries and folded counts add up to what was refused, and the books are right."""
    service = await new_ingest()
    try:
        with_quota(service, device_entries_limit=own, entries_limit=total)
        for number, (device, kind) in enumerate(sent):
            body, schema = [(b"", "telemetry/1"), (b"no", "telemetry/1"), (b"{}", "what/1"), (b"[" * 99, "telemetry/1")][kind]
            await service.take(body, schema, device=device, event_id=f"e{number}")
        kept = Counter(entry.device for entry in await entries_of(service))
        for each in await list_folded(service.store):
            kept[each.device] += each.entries
        assert kept == Counter(device for device, _ in sent)
        await service.assert_accounted()
    finally:
        await service.store.close()


@pytest.fixture
def before_quotas() -> MigrationSet:
    newest = read_migrations("ingest", "reefmesh_ingest")
    return MigrationSet(name=newest.name, migrations=newest.migrations[:1])


async def test_entries_from_before_quotas_count(before_quotas: MigrationSet, url: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ingest.db" if url == "sqlite://" else url  # it is opened twice
    store = open_store(url, migrations=(before_quotas,))
    await store.open()
    message = "INSERT INTO quarantine_message VALUES ('o', 'r', 's/1', 0, '{}', 0, ?)"
    entry = "INSERT INTO quarantine VALUES (?, 'o', 'message', 'not-json', 'detail', NULL, ?, 1, 'r', 'd', 's/1', 17, 'open')"
    await store.write([Write(message, (b"x" * 100,)), Write(entry, ("q1", b"")), Write(entry, ("q2", b"abcd"))])
    await store.close()
    store = open_store(url, migrations=(read_migrations("ingest", "reefmesh_ingest"),))
    await store.open()
    rows = await store.fetch("SELECT COUNT(*), SUM(stored_bytes), MIN(stored_us) FROM quarantine")
    await store.close()
    assert tuple(rows[0]) == (2, 6 + 6 + 4 + 102, 17)
