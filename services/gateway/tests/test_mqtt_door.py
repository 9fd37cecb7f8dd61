"""The MQTT door: what is acknowledged to the MQTT broker is safe, and nobody sends as another or holds anybody up."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from reefmesh.broker.port import BrokerUnavailable
from reefmesh.observability import table
from reefmesh_gateway.domain.mqtt_message import MqttMessage
from reefmesh_gateway.mqtt.held import REPORTS_LIMIT
from reefmesh_gateway.mqtt.lease import TAKE_OVER_SECONDS
from reefmesh_gateway.mqtt.receipts import SAME_WITHIN

IMEI, OTHER = "867740030000003", "867740030000004"
Message = Callable[..., MqttMessage]
ALLOWED = 30
"""Reports of a device in five minutes, at an interval of half an hour."""


async def test_message_arrives_as_it_was_sent_with_its_device_and_the_time_of_reception(
    mqtt_stage: Any, device_message: Message
) -> None:
    body = b'{"msg_type": "diagnosis",  "vbat": 3.9}'
    mqtt_stage.session.deliver(device_message(1, body), device_message(2, kind="telemetry-1", imei=OTHER))
    await mqtt_stage.session.acknowledged_all(1, 2)
    first, second = await mqtt_stage.arrived()
    assert (body, "nemopi-mqtt/1", "menjangan") == (first.body, first.schema_id, first.reef_id)
    assert ("telemetry/1", "pemuteran") == (second.schema_id, second.reef_id)
    stamps = {name: first.headers[name] for name in ("device", "sent-by", "received-at")}
    assert {"device": IMEI, "sent-by": IMEI, "received-at": mqtt_stage.clock.now().isoformat()} == stamps


async def test_nothing_is_acknowledged_before_the_broker_has_confirmed(mqtt_stage: Any, device_message: Message) -> None:
    mqtt_stage.broker.hangs = True
    mqtt_stage.session.deliver(device_message(1))
    await mqtt_stage.broker.begun.wait()
    assert [] == mqtt_stage.session.acknowledged
    mqtt_stage.broker.released.set()
    await mqtt_stage.session.acknowledged_all(1)
    assert 1 == len(await mqtt_stage.arrived())


async def test_broker_that_is_away_leaves_messages_with_the_mqtt_broker(mqtt_stage: Any, device_message: Message) -> None:
    mqtt_stage.broker.failure = BrokerUnavailable("the broker is away")
    mqtt_stage.session.deliver(device_message(1))
    assert "the broker is away" in await trouble(mqtt_stage)
    assert [] == mqtt_stage.session.acknowledged
    mqtt_stage.broker.failure = None
    await mqtt_stage.session.acknowledged_all(1)
    assert 1 == len(await mqtt_stage.arrived())
    assert "ok" == (await mqtt_stage.door.check()).status


async def test_database_that_is_away_leaves_messages_with_the_mqtt_broker(mqtt_stage: Any, device_message: Message) -> None:
    mqtt_stage.store.is_away = True
    mqtt_stage.session.deliver(device_message(1))
    assert "the database is away" in await trouble(mqtt_stage)
    assert [] == mqtt_stage.session.acknowledged
    mqtt_stage.store.is_away = False
    await mqtt_stage.session.acknowledged_all(1)
    assert 1 == len(await mqtt_stage.arrived())


async def test_repeat_has_the_event_id_of_the_first_also_in_the_next_process_and_a_day_later(
    mqtt_stage: Any, open_mqtt_stage: Any, device_message: Message
) -> None:
    """Law 4: an acknowledgement that was lost makes no second reading."""
    mqtt_stage.session.deliver(device_message(7, b"same"))
    await mqtt_stage.session.acknowledged_all(7)
    received_at = mqtt_stage.clock.now().isoformat()
    mqtt_stage.stop.set()
    mqtt_stage.clock.advance(timedelta(days=1))
    mqtt_stage.monotonic.seconds += TAKE_OVER_SECONDS
    async with open_mqtt_stage(broker=mqtt_stage.broker, clock=mqtt_stage.clock) as after:
        await after.session.opened.wait()
        after.session.deliver(device_message(7, b"same", again=True, at=after.clock.now()), device_message(8, b"same"))
        await after.session.acknowledged_all(7, 8)
    first, again, other = mqtt_stage.broker.published
    assert (first.event_id, received_at) == (again.event_id, again.headers["received-at"])
    assert first.event_id != other.event_id


async def test_packet_id_that_is_used_again_is_another_message(mqtt_stage: Any, device_message: Message) -> None:
    """Packet ids go round: neither other content nor the same content after a while is a repeat."""
    for place, body in enumerate((b"first", b"second", b"second"), start=1):
        mqtt_stage.session.deliver(device_message(7, body), device_message(100 + place))
        await mqtt_stage.session.acknowledged_all(100 + place)
    mqtt_stage.session.deliver(device_message(7, b"second", at=mqtt_stage.clock.now() + SAME_WITHIN), device_message(104))
    await mqtt_stage.session.acknowledged_all(104)
    first, second, forgotten, later = [each for each in mqtt_stage.broker.published if each.body != b"{}"]
    assert first.event_id != second.event_id
    assert second.event_id == forgotten.event_id  # at once: the MQTT broker was killed, and forgot that it had delivered it
    assert second.event_id != later.event_id


async def test_device_that_nobody_enrolled_and_one_that_was_revoked_are_quarantined(
    mqtt_stage: Any, device_message: Message
) -> None:
    """Within ten seconds, also in a session that is open; what becomes of it in ingest: tests/gateway/test_mosquitto.py."""
    mqtt_stage.session.deliver(device_message(1), device_message(2, imei="stranger"))
    await mqtt_stage.session.acknowledged_all(1, 2)
    await mqtt_stage.enrolment.revoke_certificates(IMEI, now=mqtt_stage.clock.now())
    mqtt_stage.monotonic.seconds += 10
    mqtt_stage.session.deliver(device_message(3), device_message(4, imei=OTHER))
    await mqtt_stage.session.acknowledged_all(3, 4)
    said = [(each.headers["device"], each.headers["sent-by"], each.reef_id) for each in mqtt_stage.broker.published]
    assert [
        (IMEI, IMEI, "menjangan"),
        ("stranger", "stranger", "unregistered"),
        (IMEI, "(no valid certificate)", "unregistered"),
        (OTHER, OTHER, "pemuteran"),
    ] == said
    counted = [mqtt_stage.metrics.value(table.GATEWAY_REPORTS, each) for each in ("accepted", "unknown", "revoked")]
    assert [2, 1, 1] == counted


async def test_certificate_that_expired_is_none(mqtt_stage: Any, device_message: Message) -> None:
    mqtt_stage.clock.advance(timedelta(days=365))
    mqtt_stage.session.deliver(device_message(1))
    await mqtt_stage.session.acknowledged_all(1)
    assert ["(no valid certificate)"] == [each.headers["sent-by"] for each in mqtt_stage.broker.published]


async def test_report_that_names_another_device_is_counted_as_spoofed_and_left_to_ingest(
    mqtt_stage: Any, device_message: Message
) -> None:
    body = json.dumps({"schema": "telemetry/1", "buoy_id": OTHER}).encode()
    mqtt_stage.session.deliver(device_message(1, body, kind="telemetry-1"))
    await mqtt_stage.session.acknowledged_all(1)
    (message,) = await mqtt_stage.arrived()
    assert (IMEI, IMEI) == (message.headers["device"], message.headers["sent-by"])
    assert 1 == mqtt_stage.metrics.value(table.GATEWAY_REPORTS, "spoofed")


async def test_device_that_sends_too_often_is_held_back_in_its_order_and_holds_up_nobody(
    mqtt_stage: Any, device_message: Message
) -> None:
    bodies = [str(number).encode() for number in range(ALLOWED + 10)]
    mqtt_stage.session.deliver(*(device_message(number + 1, body) for number, body in enumerate(bodies)))
    mqtt_stage.session.deliver(device_message(100, imei=OTHER))
    await mqtt_stage.session.acknowledged_all(*range(1, len(bodies) + 1), 100)
    at_once = list(mqtt_stage.broker.published)
    assert [*bodies[:ALLOWED], b"{}"] == [each.body for each in at_once]
    assert 10 == (await mqtt_stage.door.check()).facts["held_reports"]

    mqtt_stage.monotonic.seconds += 600
    mqtt_stage.session.deliver(device_message(101, b"newest"))
    await mqtt_stage.session.acknowledged_all(101)
    mqtt_stage.session.deliver(device_message(102, imei=OTHER))
    await mqtt_stage.session.acknowledged_all(102)
    late = [each for each in mqtt_stage.broker.published[len(at_once) :] if each.headers["device"] == IMEI]
    assert [*bodies[ALLOWED:], b"newest"] == [each.body for each in late]
    assert mqtt_stage.clock.now().isoformat() == late[0].headers["received-at"]
    assert 0 == (await mqtt_stage.door.check()).facts["held_reports"]
    assert mqtt_stage.metrics.value(table.GATEWAY_REPORTS, "held") in {10, 11}  # the newest too, where it came before they went


async def test_what_is_held_back_outlives_the_process(mqtt_stage: Any, open_mqtt_stage: Any, device_message: Message) -> None:
    mqtt_stage.session.deliver(*(device_message(number, str(number).encode()) for number in range(1, ALLOWED + 3)))
    await mqtt_stage.session.acknowledged_all(ALLOWED + 2)
    mqtt_stage.stop.set()
    async with open_mqtt_stage(broker=mqtt_stage.broker, clock=mqtt_stage.clock) as after:
        await after.session.opened.wait()
        after.session.deliver(device_message(99, b"newest"))
        await after.session.acknowledged_all(99)
        after.session.deliver(device_message(100, imei=OTHER))
        await after.session.acknowledged_all(100)
    assert [b"31", b"32", b"newest", b"{}"] == [each.body for each in mqtt_stage.broker.published[ALLOWED:]]


async def test_beyond_its_quota_a_device_is_refused_and_counted_with_a_sample(mqtt_stage: Any, device_message: Message) -> None:
    flood = ALLOWED + REPORTS_LIMIT + 5
    mqtt_stage.session.deliver(*(device_message(number, str(number).encode()) for number in range(1, flood + 1)))
    await mqtt_stage.session.acknowledged_all(*range(1, flood + 1))
    (line,) = await mqtt_stage.enrolment.refused()
    assert (IMEI, 5, "too often") == (line.name, line.reports, line.reason)
    ((sample,),) = await mqtt_stage.store.fetch("SELECT sample FROM gateway_refused")
    assert str(flood).encode() == bytes(sample)
    assert 5 == mqtt_stage.metrics.value(table.GATEWAY_REPORTS, "refused")


async def test_topic_without_a_device_is_refused_and_counted(mqtt_stage: Any, device_message: Message) -> None:
    mqtt_stage.session.deliver(device_message(1, b"lost", imei=""), device_message(2, imei="x" * 129), device_message(3))
    await mqtt_stage.session.acknowledged_all(1, 2, 3)
    assert [b"{}"] == [each.body for each in await mqtt_stage.arrived()]
    assert [("", 2)] == [(each.name, each.reports) for each in await mqtt_stage.enrolment.refused()]


async def test_second_gateway_stands_by_and_takes_over_at_the_end_of_the_first(mqtt_stage: Any, open_mqtt_stage: Any) -> None:
    async with open_mqtt_stage(broker=mqtt_stage.broker, monotonic=mqtt_stage.monotonic) as second:
        for _ in range(20):
            await mqtt_stage.tick()
        assert ("active", "standby") == (await role(mqtt_stage), await role(second))
        assert not second.session.opened.is_set()
        mqtt_stage.stop.set()
        await second.session.opened.wait()
        assert ("standby", "active") == (await role(mqtt_stage), await role(second))
        assert mqtt_stage.session.is_closed


async def role(stage: Any) -> object:
    return (await stage.door.check()).facts["role"]


async def trouble(stage: Any) -> str:
    """Wait until the door has one; return what it says."""
    while (check := await stage.door.check()).status == "ok":
        await stage.tick()
    return str(check.reason)
