"""One message in; readings, receipts and quarantine entries out."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.flags import Flag
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.receipts import receipts_of
from reefmesh_ingest.register.entries import EARLIEST, BuoyEntry, SensorEntry

Make = Callable[..., bytes]
T = "sea_water_temperature"
IMEI, SERIAL, AGENT = "865000000000001", "ABCDEF0123456789", "agent-1"
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 3600, 86400))


async def test_batch_becomes_readings_oldest_first_with_the_registers_facts(ingest: Any, telemetry: Make) -> None:
    receipt = await ingest.take(telemetry([28.1, 28.2, 28.3]), "telemetry/1", device=AGENT)
    assert (receipt.outcome, receipt.readings_received, receipt.readings_new) == ("accepted", 3, 3)
    (message,) = ingest.readings()
    assert message.reef.mmm_celsius == 29.3
    assert [buoy.buoy_id for buoy in message.buoys] == [AGENT]
    assert [reading.channels[T].value for reading in message.readings] == [28.1, 28.2, 28.3]
    assert [reading.revision for reading in message.readings] == [1, 1, 1]
    assert message.readings == sorted(message.readings, key=lambda reading: reading.observed_at)
    await ingest.assert_accounted()


async def test_next_reading_completes_the_spike_test_of_the_one_before(ingest: Any, telemetry: Make) -> None:
    times = {"start": ingest_start() - DAY}
    await ingest.take(telemetry([28.0, 28.1, 33.0], **times), "telemetry/1")
    await ingest.take(telemetry([28.1], start=times["start"] + 1.5 * HOUR), "telemetry/1")
    revised, newest = ingest.readings()[-1].readings
    assert (revised.channels[T].value, revised.revision, revised.channels[T].flag) == (33.0, 2, Flag.FAIL)
    assert (newest.channels[T].value, newest.revision) == (28.1, 1)


def ingest_start() -> Any:
    return EARLIEST + 3000 * DAY


async def test_same_batch_twice_is_counted_as_duplicates(ingest: Any, telemetry: Make) -> None:
    await ingest.take(telemetry([28.1, 28.2]), "telemetry/1")
    before = await ingest.rows()
    receipt = await ingest.take(telemetry([28.1, 28.2]), "telemetry/1")
    assert (receipt.outcome, receipt.readings_duplicate) == ("duplicate", 2)
    assert await ingest.rows() == before
    assert len(ingest.readings()) == 1
    await ingest.assert_accounted()


async def test_channels_that_come_later_are_merged_as_a_revision(ingest: Any, telemetry: Make) -> None:
    await ingest.take(telemetry([28.1]), "telemetry/1")
    document = json.loads(telemetry([28.1]))
    document["readings"][0]["channels"] = {"sea_water_speed": 0.2}
    receipt = await ingest.take(json.dumps(document).encode(), "telemetry/1")
    assert receipt.readings_merged == 1
    (reading,) = ingest.readings()[-1].readings
    assert (reading.revision, set(reading.channels)) == (2, {T, "sea_water_speed"})
    await ingest.assert_accounted()


async def test_late_reading_is_judged_among_its_neighbours_and_revises_them(ingest: Any, telemetry: Make) -> None:
    start = ingest_start()
    values = [28.0 + 0.01 * (place % 7) for place in range(1000)]
    values[100] = 31.0
    late = values.copy()
    whole = await ingest.take(telemetry(values[:100], start=start), "telemetry/1")
    assert whole.outcome == "accepted"
    for first in range(102, 1000, 200):
        await ingest.take(telemetry(values[first : first + 200], start=start + first * 30 * MINUTE), "telemetry/1")
    ingest.forget()
    await ingest.take(telemetry(late[100:102], start=start + 100 * 30 * MINUTE), "telemetry/1")
    (message,) = ingest.readings()[-1:]
    found = {reading.channels[T].value: reading.channels[T] for reading in message.readings}
    assert found[31.0].flag is Flag.SUSPECT
    assert {reading.revision for reading in message.readings} > {1}
    await ingest.assert_accounted()


async def test_dead_probe_is_a_missing_channel_with_its_fault(ingest: Any, mqtt_data: Make) -> None:
    await ingest.take(mqtt_data(None, "probe unreachable"), "nemopi-mqtt/1", device=IMEI)
    channel = ingest.readings()[0].readings[0].channels[T]
    assert (channel.flag, channel.value, channel.raw, channel.fault) == (Flag.MISSING, None, None, "probe unreachable")


async def test_message_without_time_is_observed_when_received(ingest: Any, mqtt_data: Make) -> None:
    await ingest.take(mqtt_data(29.4), "nemopi-mqtt/1", device=IMEI, at=ingest_start())
    (reading,) = ingest.readings()[0].readings
    assert (reading.observed_at, reading.time_source) == (ingest_start(), "received")


async def test_copy_within_a_minute_is_a_duplicate_and_a_later_equal_report_is_not(ingest: Any, mqtt_data: Make) -> None:
    start, body = ingest_start(), mqtt_data(29.4)
    outcomes = [
        (await ingest.take(body, "nemopi-mqtt/1", device=IMEI, at=start + after)).outcome
        for after in (timedelta(), 2 * SECOND, MINUTE, 30 * MINUTE)
    ]
    assert outcomes == ["accepted", "duplicate", "duplicate", "accepted"]
    await ingest.assert_accounted()


async def test_earlier_copy_that_comes_later_withdraws_the_first(ingest: Any, mqtt_data: Make) -> None:
    start, body = ingest_start(), mqtt_data(29.4)
    await ingest.take(body, "nemopi-mqtt/1", device=IMEI, at=start + 5 * SECOND, event_id="later")
    await ingest.take(body, "nemopi-mqtt/1", device=IMEI, at=start, event_id="earlier")
    standing, withdrawn = ingest.readings()[-1].readings
    assert (standing.observed_at, standing.channels[T].value) == (start, 29.4)
    assert (withdrawn.revision, withdrawn.withdrawn, withdrawn.channels[T].flag) == (2, True, Flag.MISSING)
    assert not standing.withdrawn
    assert len(await ingest.rows()) == 1
    receipts = await receipts_of(ingest.store, ["later", "earlier", "never sent"])
    assert {name: each.outcome for name, each in receipts.items()} == {"later": "duplicate", "earlier": "accepted"}
    await ingest.assert_accounted()


async def test_broken_clock_is_replaced_and_said_so(ingest: Any, telemetry: Make) -> None:
    start = EARLIEST.replace(year=1970)
    body = telemetry([28.1, 28.2], start=start, sent_at=start + HOUR)
    await ingest.take(body, "telemetry/1", at=ingest_start())
    readings = ingest.readings()[0].readings
    assert [reading.observed_at for reading in readings] == [ingest_start() - HOUR, ingest_start() - 30 * MINUTE]
    assert {reading.time_source for reading in readings} == {"broken_clock"}


async def test_copy_of_a_broken_clocks_batch_is_a_duplicate_however_late(ingest: Any, telemetry: Make) -> None:
    start = EARLIEST.replace(year=1970)
    body = telemetry([28.1, 28.2], start=start, sent_at=start + HOUR)
    await ingest.take(body, "telemetry/1", at=ingest_start() + 9 * DAY)
    first = await ingest.take(body, "telemetry/1", at=ingest_start())
    again = await ingest.take(body, "telemetry/1", at=ingest_start() + 20 * DAY)
    assert (first.outcome, again.outcome) == ("accepted", "duplicate")
    assert {instant for _, instant in await ingest.rows()} == {
        int((ingest_start() - age).timestamp() * 1e6) for age in (HOUR, 30 * MINUTE)
    }
    await ingest.assert_accounted()


async def test_corrected_channel_keeps_raw_value_and_factor(ingest: Any, report_2021: Make) -> None:
    body = report_2021(("KIT0021", "WATER_TEMPERATURE", "C", "26.22", "1.02"))
    await ingest.take(body, "nemopi-2021/1", device=SERIAL)
    channel = ingest.readings()[0].readings[0].channels[T]
    assert (channel.raw, channel.factor, channel.value) == (26.22, 1.02, 26.7444)


async def test_wrong_unit_is_quarantined_alone_with_its_value(ingest: Any, report_2021: Make) -> None:
    body = report_2021(("KIT0021", "WATER_TEMPERATURE", "C", "26.22"), ("SEN0xxx", "DISSOLVED_NOX", "C", "0.84"))
    receipt = await ingest.take(body, "nemopi-2021/1", device=SERIAL)
    assert (receipt.outcome, receipt.channels_quarantined) == ("accepted", 1)
    (entry,) = ingest.entries()
    assert (entry.scope, entry.reason, entry.channel) == ("channel", "wrong-unit", "SEN0xxx")
    assert json.loads(entry.payload)["value"] == 0.84
    assert "register" in entry.detail
    await ingest.assert_accounted()


async def test_drift_from_the_mooring_is_measured_and_flagged(ingest: Any, telemetry: Make) -> None:
    document = json.loads(telemetry([28.1]))
    document["readings"][0]["position"] = {"lat": -8.101, "lon": 114.5}
    await ingest.take(json.dumps(document).encode(), "telemetry/1")
    position = ingest.readings()[0].readings[0].position
    assert position.flag is Flag.SUSPECT
    assert position.drift_metres == pytest.approx(111.2, abs=0.1)


@pytest.mark.parametrize(
    ("device", "reef", "reason"),
    [
        ("nobody", "menjangan", "unknown-device"),
        (None, "menjangan", "no-device"),
        (IMEI, "pemuteran", "wrong-reef"),
    ],
)
async def test_message_of_no_buoy_here_is_quarantined_whole(
    ingest: Any, mqtt_data: Make, device: str | None, reef: str, reason: str
) -> None:
    receipt = await ingest.take(mqtt_data(29.4), "nemopi-mqtt/1", device=device, reef=reef)
    assert (receipt.outcome, receipt.reason) == ("quarantined", reason)
    (entry,) = ingest.entries()
    assert (entry.scope, entry.reason, entry.payload) == ("message", reason, mqtt_data(29.4))
    assert ingest.readings() == []
    await ingest.assert_accounted()


async def test_body_that_names_another_device_than_the_transport_is_quarantined(ingest: Any, telemetry: Make) -> None:
    receipt = await ingest.take(telemetry([28.1]), "telemetry/1", device=IMEI)
    assert receipt.reason == "device-mismatch"


async def test_alias_of_the_transport_is_the_same_buoy(ingest: Any, telemetry: Make) -> None:
    await ingest.register.upsert(buoys=[BuoyEntry(id=AGENT, reef="menjangan", aliases=["sim-42"])])
    receipt = await ingest.take(telemetry([28.1]), "telemetry/1", device="sim-42")
    assert (receipt.outcome, receipt.buoy_id) == ("accepted", AGENT)


async def test_buoy_on_the_bench_is_quarantined(ingest: Any, telemetry: Make) -> None:
    await ingest.register.upsert(buoys=[BuoyEntry(id=AGENT, reef="menjangan", deployed=False)])
    receipt = await ingest.take(telemetry([28.1] * 4), "telemetry/1")
    assert (receipt.reason, receipt.readings_quarantined) == ("not-deployed", 4)
    await ingest.assert_accounted()


async def test_change_of_the_register_is_seen_by_a_running_service(ingest: Any, report_2021: Make) -> None:
    body = report_2021(("SEN0169", "PH", "PH", "8.1"), ("SEN0161-V2", "PH", "", "8.4"))
    await ingest.take(body, "nemopi-2021/1")
    sensors = [SensorEntry(source="SEN0161-V2", quantity="sea_water_ph_reported_on_total_scale")]
    await ingest.register.upsert(buoys=[BuoyEntry(id=SERIAL, reef="menjangan", sensor=sensors)])
    receipt = await ingest.take(body, "nemopi-2021/1")
    assert receipt.readings_merged == 1
    assert ingest.readings()[-1].readings[0].channels["sea_water_ph_reported_on_total_scale"].raw == 8.4


async def test_reefs_own_limits_judge_its_readings(ingest: Any, telemetry: Make) -> None:
    from reefmesh_ingest.register.entries import ReefEntry
    from reefmesh_ingest.register.limits import LimitsEntry

    limits = {T: LimitsEntry(suspect_span=(18.0, 28.0))}
    reef = ReefEntry(id="menjangan", name="M", latitude_degrees=-8, longitude_degrees=114, limits=limits)
    await ingest.register.upsert(reefs=[reef])
    await ingest.take(telemetry([28.1]), "telemetry/1")
    assert ingest.readings()[0].readings[0].channels[T].flag is Flag.SUSPECT


async def test_decoders_fault_is_quarantined_and_not_raised(
    ingest: Any, mqtt_data: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reefmesh_ingest.domain.decode import DECODERS

    def broken(_: bytes) -> Any:
        raise ZeroDivisionError("of a decoder")

    monkeypatch.setitem(DECODERS, "nemopi-mqtt/1", broken)
    receipt = await ingest.take(mqtt_data(29.4), "nemopi-mqtt/1", device=IMEI)
    assert (receipt.outcome, receipt.reason) == ("quarantined", "decoder-fault")
    assert "ZeroDivisionError" in ingest.entries()[0].detail
    await ingest.assert_accounted()


async def test_ten_megabytes_are_accounted_for_and_not_sent_on(ingest: Any) -> None:
    payload = b"x" * 10_000_000
    receipt = await ingest.take(payload, "telemetry/1", device=AGENT)
    assert (receipt.reason, receipt.payload_bytes) == ("too-large", len(payload))
    (entry,) = ingest.entries()
    assert (entry.payload, entry.payload_bytes) == (None, len(payload))
    shown = await ingest.quarantine.show(entry.quarantine_id)
    assert (shown.payload, shown.message.payload_bytes) == (payload[:1024], len(payload))


async def test_missing_or_unreadable_reception_stamp_falls_back_to_the_envelope(ingest: Any, mqtt_data: Make) -> None:
    for number, stamp in enumerate(["", "yesterday", "2024-01-01T00:00:00", "9999-99-99"]):
        at = ingest_start() + number * HOUR
        headers = {"device": IMEI} | ({"received-at": stamp} if stamp else {})
        message = Envelope(
            event_id=f"stamp-{number}",
            reef_id="menjangan",
            schema_id="nemopi-mqtt/1",
            produced_at=at,
            body=mqtt_data(28.0 + number),
            headers=headers,
        )
        await ingest.apply(message)
        assert ingest.readings()[-1].readings[-1].observed_at == at


async def test_big_batches_are_split_to_the_limits_of_a_message(ingest: Any, telemetry: Make) -> None:
    document = json.loads(telemetry([28.1] * 500, start=ingest_start()))
    for reading in document["readings"]:
        reading["faults"] = {T: "x" * 350}
    await ingest.take(json.dumps(document).encode(), "telemetry/1", at=ingest_start() + 40 * DAY)
    sizes = [len(output.body) for output in ingest.outputs]
    assert len(sizes) > 1
    assert max(sizes) <= 210_000
    assert sum(len(message.readings) for message in ingest.readings()) == 500


async def test_redelivery_after_the_inbox_forgot_changes_nothing(ingest: Any, telemetry: Make) -> None:
    await ingest.take(telemetry([28.1, 28.2]), "telemetry/1", event_id="same")
    before, books = await ingest.rows(), await accounting(ingest.store)
    await ingest.take(telemetry([28.1, 28.2]), "telemetry/1", event_id="same")
    assert await ingest.rows() == before
    assert await accounting(ingest.store) == books


async def test_restart_in_between_changes_no_verdict(new_ingest: Any, telemetry: Make) -> None:
    outcomes = []
    for restarts in (False, True):
        service = await new_ingest()
        for place in range(60):
            if restarts:
                service.forget()
            value = 28.0 if place < 50 else 28.0 + place % 3
            await service.take(telemetry([value], start=ingest_start() + place * 30 * MINUTE), "telemetry/1")
        outcomes.append(await service.rows())
        await service.store.close()
    assert outcomes[0] == outcomes[1]
