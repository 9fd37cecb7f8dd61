"""Operators exclude values and include them again: nothing is deleted, nothing else is touched."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.exclusion import ExclusionRequest
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.schema import EXCLUSION_1
from reefmesh.errors import PoisonMessage
from reefmesh_ingest.exclusions import table
from reefmesh_ingest.exclusions.table import EXCLUSIONS_PER_BUOY_LIMIT, exclusions_in_force, list_exclusions, request_state
from reefmesh_ingest.register.entries import EARLIEST

Make = Callable[..., bytes]
T, PH = "sea_water_temperature", "sea_water_ph_reported_on_total_scale"
IMEI, AGENT = "865000000000001", "agent-1"
MINUTE = timedelta(minutes=1)
BEGIN = EARLIEST + timedelta(days=3000)
STEP = 30 * MINUTE


def request(action: str, first: int, until: int, **more: Any) -> ExclusionRequest:
    facts = {"buoy_id": AGENT, "reason": "cleaned"} | more
    return ExclusionRequest.model_validate(
        {"action": action, "from_at": BEGIN + first * STEP, "until_at": BEGIN + until * STEP} | facts
    )


def channels_of(rows: dict[tuple[str, int], Any], quantity: str = T) -> list[dict[str, Any]]:
    return [rows[key]["channels"][quantity] for key in sorted(rows)]


async def test_excluded_value_stays_with_its_reason_and_costs_no_neighbour(
    ingest: Any, new_ingest: Any, telemetry: Make
) -> None:
    """A wrong value that is possible in water makes suspects of its neighbours; excluded, it is as if it had not been there."""
    values = [28.0 + 0.1 * (place % 3) for place in range(60)]
    wrong = [*values[:30], 33.0, *values[31:]]
    await ingest.take(telemetry(wrong, start=BEGIN), "telemetry/1")
    assert [Flag.FAIL, Flag.SUSPECT] == [channels_of(await ingest.rows())[place]["flag"] for place in (30, 31)]
    done = await ingest.request(request("exclude", 30, 31))
    assert ("done", 1, 1) == (done.outcome, done.readings_looked_at, done.readings_changed)
    assert done.neighbours_changed > 0
    after = channels_of(await ingest.rows())
    assert {"value": 33.0, "raw": 33.0, "flag": 4, "fault": "excluded: cleaned"} == {
        name: after[30][name] for name in ("value", "raw", "flag", "fault")
    }
    without = await new_ingest()
    await without.take(telemetry([*values[:30], None, *values[31:]], start=BEGIN), "telemetry/1")
    expected = channels_of(await without.rows())
    await without.store.close()
    assert [*expected[:30], *expected[31:]] == [*after[:30], *after[31:]]
    await ingest.assert_accounted()


async def test_include_brings_back_values_flags_tests_and_faults_as_revisions(ingest: Any, telemetry: Make) -> None:
    document = json.loads(telemetry([28.1, 33.0, 28.2, None], start=BEGIN))
    document["readings"][0]["faults"] = {T: "dirty"}
    document["readings"][3]["faults"] = {T: "no answer"}
    await ingest.take(json.dumps(document).encode(), "telemetry/1")
    before = await ingest.rows()
    await ingest.request(request("exclude", 0, 9))
    excluded = channels_of(await ingest.rows())
    assert ["excluded: cleaned"] * 4 == [each["fault"] for each in excluded]
    assert [4, 4, 4, 9] == [each["flag"] for each in excluded]
    await ingest.request(request("include", 0, 9))
    assert before == await ingest.rows()
    revisions = [[reading.revision for reading in message.readings] for message in ingest.readings()]
    assert [[1] * 4, [2] * 4, [3] * 4] == revisions
    assert () == await exclusions_in_force(ingest.store, AGENT)


async def test_backlog_of_an_excluded_period_is_excluded_when_it_arrives(ingest: Any, telemetry: Make) -> None:
    await ingest.request(request("exclude", 0, 2))
    await ingest.take(telemetry([28.1, 28.2, 28.3], start=BEGIN), "telemetry/1")
    (message,) = ingest.readings()
    assert [Flag.FAIL, Flag.FAIL] == [each.channels[T].flag for each in message.readings[:2]]
    assert (Flag.FAIL, None) != (message.readings[2].channels[T].flag, message.readings[2].channels[T].fault)
    assert [1, 1, 1] == [each.revision for each in message.readings]


async def test_same_exclusion_twice_is_one_and_changes_nothing_again(ingest: Any, telemetry: Make) -> None:
    await ingest.take(telemetry([28.1, 28.2, 28.3], start=BEGIN), "telemetry/1")
    first = await ingest.request(request("exclude", 0, 2))
    outputs = len(ingest.outputs)
    again = await ingest.request(request("exclude", 0, 2))
    assert (first.exclusion_id, 2, 0) == (again.exclusion_id, first.readings_changed, again.readings_changed)
    assert outputs == len(ingest.outputs)
    assert 1 == len(await list_exclusions(ingest.store))


async def test_only_the_named_quantity_is_excluded_and_where_two_cover_a_value_both_must_end(
    ingest: Any, telemetry: Make
) -> None:
    document = json.loads(telemetry([28.1, 28.2], start=BEGIN))
    for reading in document["readings"]:
        reading["channels"][PH] = 8.1
    await ingest.take(json.dumps(document).encode(), "telemetry/1")
    await ingest.request(request("exclude", 0, 9, quantity=T))
    assert [(4, "excluded: cleaned")] * 2 == [(each["flag"], each["fault"]) for each in channels_of(await ingest.rows())]
    assert [None, None] == [each.get("fault") for each in channels_of(await ingest.rows(), PH)]
    await ingest.request(request("exclude", 1, 2, reason="on deck"))
    await ingest.request(request("include", 0, 9, quantity=T))
    assert [None, "excluded: on deck"] == [each.get("fault") for each in channels_of(await ingest.rows())]
    assert [None, "excluded: on deck"] == [each.get("fault") for each in channels_of(await ingest.rows(), PH)]


async def test_long_period_goes_through_in_bounded_parts(new_ingest: Any, telemetry: Make, url: str) -> None:
    """Each part is a unit of work of its own, and ingest sends the rest on to itself; on both databases."""
    ingest = await new_ingest(url, readings_per_part=40)
    for first in range(0, 400, 100):
        values = [28.0 + 0.1 * (place % 4) for place in range(100)]
        await ingest.take(telemetry(values, start=BEGIN + first * STEP), "telemetry/1")
    before = await ingest.rows()
    parts = [ingest.message_of(request("exclude", 10, 390))]
    sizes = []
    while parts:
        already = len(ingest.readings())
        parts += await ingest.handle(parts.pop(0))
        sizes.append(sum(len(message.readings) for message in ingest.readings()[already:]))
    state = await request_state(ingest.store, f"event-{ingest.sent}")
    assert state is not None
    assert ("done", 380, 380) == (state.outcome, state.readings_looked_at, state.readings_changed)
    assert 10 == len(sizes)  # nine of forty and one of twenty
    assert max(sizes) < 120  # forty and their neighbours
    flags = [each.get("fault") == "excluded: cleaned" for each in channels_of(await ingest.rows())]
    assert [False] * 10 + [True] * 380 + [False] * 10 == flags
    assert ("done", 380) == ((await ingest.request(request("include", 10, 390))).outcome, 380)
    assert before == await ingest.rows()
    await ingest.assert_accounted()
    await ingest.store.close()


async def test_words_of_a_device_never_exclude_a_value(ingest: Any, mqtt_data: Make) -> None:
    await ingest.take(mqtt_data(29.4, "excluded: by myself"), "nemopi-mqtt/1", device=IMEI, at=BEGIN)
    assert "device: excluded: by myself" == ingest.readings()[0].readings[0].channels[T].fault


@pytest.mark.parametrize(
    ("more", "reef", "why"),
    [
        ({"buoy_id": "stranger"}, "menjangan", "stranger is not registered"),
        ({}, "pemuteran", "agent-1 is registered at menjangan, the message came under pemuteran"),
    ],
)
async def test_request_that_cannot_be_granted_says_why_and_changes_nothing(
    ingest: Any, telemetry: Make, more: dict[str, Any], reef: str, why: str
) -> None:
    await ingest.take(telemetry([28.1], start=BEGIN), "telemetry/1")
    before = await ingest.rows()
    refused = await ingest.request(request("exclude", 0, 2, **more), reef=reef)
    assert ("refused", why) == (refused.outcome, refused.detail)
    assert before == await ingest.rows()
    assert [] == await list_exclusions(ingest.store)


async def test_exclusions_of_a_buoy_are_bounded(ingest: Any) -> None:
    first = request("exclude", 0, 1)
    await ingest.request(first)
    (known,) = await exclusions_in_force(ingest.store, AGENT)
    others = [replace(known, exclusion_id=f"{number}") for number in range(1, EXCLUSIONS_PER_BUOY_LIMIT)]
    await ingest.store.write([table.put(each, reef_id="menjangan", made_us=0) for each in others])
    refused = await ingest.request(request("exclude", 0, 5000))
    assert "refused" == refused.outcome
    assert "a longer period" in refused.detail
    assert "done" == (await ingest.request(first)).outcome
    assert EXCLUSIONS_PER_BUOY_LIMIT == len(await exclusions_in_force(ingest.store, AGENT))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"action":"exclude"}',
        request("exclude", 0, 1).model_dump_json().replace("clude", "ile").encode(),
    ],
)
async def test_request_that_cannot_be_read_is_poison(ingest: Any, body: bytes) -> None:
    message = Envelope(
        event_id="e", reef_id="menjangan", schema_id=EXCLUSION_1, produced_at=datetime.now(tz=BEGIN.tzinfo), body=body
    )
    with pytest.raises(PoisonMessage, match="bad-body"):
        await ingest.handle(message)
