"""Law 9 at the handler: what stands in the end is a function of the set of messages, not of their order or number."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reefmesh.contracts.exclusion import ExclusionRequest
from reefmesh_ingest.register.entries import EARLIEST

IMEI, SERIAL, AGENT = "865000000000001", "ABCDEF0123456789", "agent-1"
BASE = EARLIEST + timedelta(days=8000)
STEP = timedelta(minutes=30)
T, PH, V = "sea_water_temperature", "sea_water_ph_reported_on_total_scale", "sea_water_speed"
CLOCK_AT_1970 = BASE - EARLIEST.replace(year=1970)


@dataclass(frozen=True)
class Sent:
    """One message as the broker received it."""

    schema: str
    device: str
    at: datetime
    body: bytes


def agent_batches(random: Random, count: int) -> list[Sent]:
    """Overlapping batches with some channels each: live ones, backlog, gaps, spikes, faults, conflicts, a broken clock."""
    batches = []
    for seq in range(count):
        first = random.randrange(0, 120)
        offset = CLOCK_AT_1970 if random.random() < 0.15 else timedelta()
        readings = []
        for place in range(first, first + random.randrange(1, 12)):
            water = Random(place)
            channels: dict[str, float | None] = {
                T: 28.0 if place % 50 < 25 else round(28 + water.choice([0, 0.1, 0.2, 4.0]), 1),
                PH: round(8.1 + water.random() / 10, 2),
                V: 0.2,
            }
            told = {name: value for name, value in channels.items() if random.random() < 0.7}
            if random.random() < 0.05:
                told[T] = 30.5
            faults = {T: "dirty"} if random.random() < 0.05 else {}
            if faults and random.random() < 0.5:
                told[T] = None
            at = BASE + place * STEP - offset
            readings.append({"observed_at": at.isoformat(), "channels": told, "faults": faults})
        received = BASE + timedelta(days=4, seconds=seq * 7 + random.randrange(7))
        frame = {"schema": "telemetry/1", "buoy_id": AGENT, "seq": seq, "sent_at": (received - offset).isoformat()}
        batches.append(Sent("telemetry/1", AGENT, received, json.dumps(frame | {"readings": readings}).encode()))
    return batches


def logger_reports(random: Random, count: int) -> list[Sent]:
    """Reports without times: equal payloads close together (copies) and half an hour apart (not copies)."""
    reports, at = [], BASE
    for _ in range(count):
        at += random.choice([timedelta(seconds=5), timedelta(seconds=40), STEP, STEP, 3 * STEP])
        if random.random() < 0.3:
            document: dict[str, Any] = {"msg_type": "diagnosis", "vbat": 3.9, "lat_lon": {"lat": -8.1, "lon": 114.5}}
        else:
            channel = {"channel": "ch1", "value": random.choice([29.4, 29.5, None]), "fault": ""}
            sensor = {"model": "DS18B20-LOGGER", "interface": "rs485", "address": 2, "data": [channel]}
            document = {"msg_type": "data", "sensors": [sensor]}
        reports.append(Sent("nemopi-mqtt/1", IMEI, at, json.dumps(document).encode()))
    return reports


def old_reports(random: Random, count: int) -> list[Sent]:
    reports = []
    for place in range(count):
        at = BASE + place * STEP
        sensor = {"correction_value": "1.02", "details": {"name": "W", "unit": "C"}, "serial_number": "KIT0021", "name": "W"}
        value = random.choice(["28.1", "28.2", 28, "Sensor not found"])
        measurement = {"sensor": sensor, "value": value, "error_text": "", "datetime": at.isoformat()}
        document = {"serial_number": SERIAL, "battery_level": "50", "measurements": [measurement]}
        reports.append(Sent("nemopi-2021/1", SERIAL, at + timedelta(seconds=9), json.dumps(document).encode()))
    return reports


def fleet(random: Random) -> list[Sent]:
    sent = agent_batches(random, random.randrange(0, 14)) + logger_reports(random, random.randrange(0, 12))
    return sent + old_reports(random, random.randrange(0, 6))


async def outcome(new_ingest: Callable[..., Any], messages: list[Sent], *, restart_every: int = 0) -> dict[Any, Any]:
    service = await new_ingest()
    try:
        for number, each in enumerate(messages, start=1):
            await service.take(each.body, each.schema, device=each.device, at=each.at)
            if restart_every and number % restart_every == 0:
                service.forget()
        await service.assert_accounted()
        published = published_state(service)
        rows: dict[Any, Any] = await service.rows()
        # What was published last of each reading is what stands.
        assert {key: each["channels"] for key, each in rows.items()} == {key: published[key] for key in rows}
        return rows
    finally:
        await service.store.close()


def published_state(service: Any) -> dict[tuple[str, int], Any]:
    newest: dict[tuple[str, int], tuple[int, Any]] = {}
    for output in service.outputs:
        if output.channel.name == "reef.readings":
            for reading in json.loads(output.body)["readings"]:
                observed = datetime.fromisoformat(reading["observed_at"])
                key = (reading["buoy_id"], round((observed - EARLIEST.replace(year=1970)) / timedelta(microseconds=1)))
                assert key not in newest or newest[key][0] < reading["revision"]
                newest[key] = (reading["revision"], reading["channels"])
    return {key: channels for key, (_, channels) in newest.items()}


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_order_repetition_and_restarts_change_nothing(new_ingest: Callable[..., Any], seed: int) -> None:
    random = Random(seed)
    messages = fleet(random)
    shuffled = messages + random.choices(messages, k=len(messages) // 3) if messages else []
    random.shuffle(shuffled)

    async def both() -> tuple[Any, Any]:
        in_order = await outcome(new_ingest, sorted(messages, key=lambda each: each.at))
        return in_order, await outcome(new_ingest, shuffled, restart_every=random.randrange(0, 4))

    in_order, otherwise = asyncio.run(both())
    assert otherwise == in_order


@given(st.integers(0, 2**32))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_copies_received_later_change_nothing(new_ingest: Callable[..., Any], seed: int) -> None:
    random = Random(seed)
    messages = [each for each in fleet(random) if each.schema != "nemopi-mqtt/1"]
    copies = (
        [
            Sent(each.schema, each.device, each.at + random.random() * timedelta(days=30), each.body)
            for each in random.choices(messages, k=5)
            if messages
        ]
        if messages
        else []
    )
    mixed = messages + copies
    random.shuffle(mixed)

    async def both() -> tuple[Any, Any]:
        return await outcome(new_ingest, messages), await outcome(new_ingest, mixed)

    clean, with_copies = asyncio.run(both())
    assert with_copies == clean


@pytest.mark.parametrize("gap_seconds", [1, 59])
def test_copies_of_a_report_without_time_change_nothing(new_ingest: Callable[..., Any], gap_seconds: int) -> None:
    document = {"msg_type": "diagnosis", "vbat": 3.9}
    first = Sent("nemopi-mqtt/1", IMEI, BASE, json.dumps(document).encode())
    copy = Sent(first.schema, first.device, BASE + timedelta(seconds=gap_seconds), first.body)

    async def all_three() -> list[Any]:
        return [await outcome(new_ingest, each) for each in ([first], [first, copy], [copy, first])]

    alone, after, before = asyncio.run(all_three())
    assert alone == after == before


def test_copy_at_the_very_instant_of_another_report_leaves_that_one_as_if_alone(new_ingest: Callable[..., Any]) -> None:
    channel = {"channel": "ch1", "value": 29.4, "fault": ""}
    sensor = {"model": "DS18B20-LOGGER", "interface": "rs485", "address": 2, "data": [channel]}
    data = json.dumps({"msg_type": "data", "sensors": [sensor]}).encode()
    at = BASE + timedelta(seconds=4)
    first, copy = Sent("nemopi-mqtt/1", IMEI, BASE, data), Sent("nemopi-mqtt/1", IMEI, at, data)
    other = Sent("nemopi-mqtt/1", IMEI, at, json.dumps({"msg_type": "diagnosis", "vbat": 3.9}).encode())

    async def all_three() -> list[Any]:
        return [await outcome(new_ingest, each) for each in ([first, other], [copy, other, first], [other, copy, first])]

    alone, before, between = asyncio.run(all_three())
    assert alone == before == between


def requests(random: Random, count: int) -> list[ExclusionRequest]:
    """What operators ask one after the other: exclusions that overlap or repeat, and some of them taken back."""
    made: list[ExclusionRequest] = []
    for _ in range(count):
        if made and random.random() < 0.4:
            made.append(random.choice(made).model_copy(update={"action": random.choice(["include", "exclude"])}))
            continue
        first = BASE + random.randrange(0, 130) * STEP
        made.append(
            ExclusionRequest(
                action="exclude",
                buoy_id=random.choice([AGENT, AGENT, IMEI, SERIAL]),
                from_at=first,
                until_at=first + random.choice([timedelta(seconds=1), 3 * STEP, 40 * STEP]),
                quantity=random.choice([None, T, PH]),
                reason=random.choice(["cleaned", "out of the water"]),
            )
        )
    return made


async def outcome_amid(
    new_ingest: Callable[..., Any], messages: list[Sent], asked: list[ExclusionRequest], random: Random
) -> dict[Any, Any]:
    """Handle requests in their order, telemetry and the parts of the requests anywhere between, in parts of three readings."""
    service = await new_ingest(readings_per_part=3)
    try:
        waiting: list[Any] = [*messages]
        ahead = list(asked)
        while waiting or ahead:
            if ahead and random.random() < 0.1 + (not waiting):
                waiting += await service.handle(service.message_of(ahead.pop(0)))
                continue
            each = waiting.pop(random.randrange(len(waiting))) if waiting else None
            if isinstance(each, Sent):
                await service.take(each.body, each.schema, device=each.device, at=each.at)
            elif each is not None:
                waiting += await service.handle(each)
            if random.random() < 0.2:
                service.forget()
        await service.assert_accounted()
        published = published_state(service)
        rows: dict[Any, Any] = await service.rows()
        assert {key: each["channels"] for key, each in rows.items()} == {key: published[key] for key in rows}
        return rows
    finally:
        await service.store.close()


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_exclusions_before_amid_and_after_the_telemetry_are_the_same(new_ingest: Callable[..., Any], seed: int) -> None:
    """Law 9: what is excluded depends on the exclusions in force in the end; taken back, they leave no trace but revisions."""
    random = Random(seed)
    messages = fleet(random)
    asked = requests(random, random.randrange(1, 6))

    async def all_four() -> tuple[Any, Any, Any, Any]:
        service = await new_ingest()
        for each in messages:
            await service.take(each.body, each.schema, device=each.device, at=each.at)
        alone = await service.rows()
        for request in asked:
            assert (await service.request(request)).outcome == "done"
        excluded = await service.rows()
        for request in asked:
            await service.request(request.model_copy(update={"action": "include"}))
        included = await service.rows()
        await service.store.close()
        return alone, included, excluded, await outcome_amid(new_ingest, messages, asked, random)

    alone, included, excluded, amid = asyncio.run(all_four())
    assert included == alone
    assert amid == excluded
