"""What could not be understood is kept, shown, and replayed once its cause is mended; the books stay right throughout."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope
from reefmesh.contracts.quantities import NITRATE_AND_NITRITE
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.receipts import receipt_of
from reefmesh_ingest.register.entries import BuoyEntry, SensorEntry

Make = Callable[..., bytes]
SERIAL = "ABCDEF0123456789"
NEWCOMER = "newcomer"


async def test_device_that_gets_registered_has_its_telemetry_replayed(ingest: Any, telemetry: Make) -> None:
    for number in range(3):
        body = telemetry([28.1, 28.2], buoy=NEWCOMER, start=at(number))
        await ingest.take(body, "telemetry/1", reef="unregistered", event_id=f"first-{number}")
    await ingest.register.upsert(buoys=[BuoyEntry(id=NEWCOMER, reef="pemuteran")])
    replayed = await ingest.quarantine.replay_for_device(NEWCOMER)
    assert (replayed.entries, len(replayed.messages)) == (3, 3)
    assert {reef for reef, _ in replayed.messages} == {"pemuteran"}
    receipts = await ingest.replay_published()
    assert [receipt.outcome for receipt in receipts] == ["accepted"] * 3
    assert len(await ingest.rows()) == 6
    assert await ingest.quarantine.list() == []
    first = await receipt_of(ingest.store, "first-0")
    assert first is not None
    assert first.outcome == "accepted"
    books = await accounting(ingest.store)
    assert (books.messages.received, books.messages.accepted, books.replays) == (3, 3, 3)
    await ingest.assert_accounted()


def at(number: int) -> Any:
    from reefmesh_ingest.register.entries import EARLIEST

    return EARLIEST + timedelta(days=3000 + number)


async def test_replay_keeps_when_the_message_was_received(ingest: Any, mqtt_data: Make) -> None:
    await ingest.take(mqtt_data(29.4), "nemopi-mqtt/1", device=NEWCOMER, at=at(0))
    await ingest.register.upsert(buoys=[BuoyEntry(id=NEWCOMER, reef="menjangan")])
    await ingest.quarantine.replay_for_device(NEWCOMER)
    await ingest.replay_published()
    assert ingest.readings()[0].readings[0].observed_at == at(0)


async def test_replay_says_nothing_of_what_the_message_once_followed(ingest: Any, mqtt_data: Make) -> None:
    """It comes long after its time, and must not wait for anything."""
    said = {"device": NEWCOMER, "received-at": at(0).isoformat(), PRODUCER_ID: "bridge", FOLLOWS: "long-ago"}
    message = Envelope(
        event_id="linked",
        reef_id="menjangan",
        schema_id="nemopi-mqtt/1",
        produced_at=at(0),
        body=mqtt_data(29.4),
        headers=said,
    )
    await ingest.apply(message)
    await ingest.register.upsert(buoys=[BuoyEntry(id=NEWCOMER, reef="menjangan")])
    await ingest.quarantine.replay_for_device(NEWCOMER)
    (replayed,) = ingest.broker.published
    assert replayed.message.headers.keys() & {*said} == {"device", "received-at"}


async def test_replay_before_the_cause_is_mended_leaves_one_open_entry(ingest: Any, mqtt_data: Make) -> None:
    await ingest.take(mqtt_data(29.4), "nemopi-mqtt/1", device=NEWCOMER)
    (entry,) = await ingest.quarantine.list()
    for attempt in (1, 2):
        await ingest.quarantine.replay([entry.quarantine_id])
        await ingest.replay_published()
        (again,) = await ingest.quarantine.list()
        assert (again.quarantine_id, again.status, again.attempts) == (entry.quarantine_id, "open", attempt)
        await ingest.assert_accounted()


async def test_channel_is_replayed_into_its_reading_once_the_unit_is_set(ingest: Any, report_2021: Make) -> None:
    body = report_2021(("KIT0021", "WATER_TEMPERATURE", "C", "26.2"), ("SEN0xxx", "DISSOLVED_NOX", "C", "0.84"))
    await ingest.take(body, "nemopi-2021/1", event_id="first")
    sensor = SensorEntry(source="SEN0xxx", quantity=NITRATE_AND_NITRITE, unit="umol/L")
    await ingest.register.upsert(buoys=[BuoyEntry(id=SERIAL, reef="menjangan", sensor=[sensor])])
    (entry,) = await ingest.quarantine.list(reason="wrong-unit")
    await ingest.quarantine.replay([entry.quarantine_id])
    (receipt,) = await ingest.replay_published()
    assert (receipt.outcome, receipt.readings_new, receipt.channels_quarantined) == ("accepted", 1, 0)
    (reading,) = ingest.readings()[-1].readings
    assert (reading.revision, reading.channels[NITRATE_AND_NITRITE].value) == (2, 0.84)
    assert await ingest.quarantine.list() == []
    assert [each.status for each in await ingest.quarantine.list(status=None)] == ["replayed"]
    await ingest.assert_accounted()


async def test_two_replays_of_one_message_at_once_count_it_once(ingest: Any, mqtt_data: Make) -> None:
    await ingest.take(mqtt_data(29.4), "nemopi-mqtt/1", device=NEWCOMER)
    (entry,) = await ingest.quarantine.list()
    await ingest.register.upsert(buoys=[BuoyEntry(id=NEWCOMER, reef="menjangan")])
    await ingest.quarantine.replay([entry.quarantine_id])
    await ingest.quarantine.replay([entry.quarantine_id])
    first, second = await ingest.replay_published()
    assert (first.outcome, second.outcome) == ("accepted", "accepted")
    books = await accounting(ingest.store)
    assert (books.messages.received, books.messages.accepted, books.stored_readings) == (1, 1, 1)
    await ingest.assert_accounted()


async def test_entries_are_found_by_device_reef_reason_and_status(ingest: Any, mqtt_data: Make) -> None:
    await ingest.take(mqtt_data(29.4), "nemopi-mqtt/1", device=NEWCOMER)
    await ingest.take(b"{", "nemopi-mqtt/1", device="other")
    find = ingest.quarantine.list
    assert [each.reason for each in await find(device=NEWCOMER)] == ["unknown-device"]
    assert [each.device for each in await find(reason="not-json")] == ["other"]
    assert len(await find(reef_id="menjangan")) == 2
    assert await find(reef_id="pemuteran") == []
    assert len(await find(limit=1)) == 1


async def test_shown_entry_has_the_message_as_it_was_received(ingest: Any) -> None:
    await ingest.take(b"\x00\xffwhat", "nemopi-mqtt/1", device=NEWCOMER)
    (entry,) = await ingest.quarantine.list()
    shown = await ingest.quarantine.show(entry.quarantine_id)
    assert (shown.payload, shown.headers["device"]) == (b"\x00\xffwhat", NEWCOMER)
    assert await ingest.quarantine.show("nothing") is None
