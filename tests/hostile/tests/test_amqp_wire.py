"""What is written byte by byte is what AMQP's own decoder reads; no decoder reads what must be none."""

import pamqp.frame
import pytest
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.exceptions import UnmarshalingException
from pamqp.header import ContentHeader

from reefmesh_hostile.acts import ON_RABBITMQ
from reefmesh_hostile.acts.amqp_rights import PUBLISHES, targets_of
from reefmesh_hostile.amqp_wire import FRAME_BYTES, AmqpMessage, encoded
from reefmesh_hostile.messages import telemetry
from reefmesh_hostile.reefs import SHARED

NO_UTF8 = "\udcff"


def frames_of(data: bytes) -> list[object]:
    frames: list[object] = []
    while data:
        count, _, frame = pamqp.frame.unmarshal(data)
        frames.append(frame)
        data = data[count:]
    return frames


def test_publication_is_read_by_the_decoder_of_the_mesh() -> None:
    body = b"x" * (FRAME_BYTES + 1)
    message = AmqpMessage(exchange="reef.telemetry", routing_key="25.a", headers=[("a", "b"), ("n", b"t\x01")], body=body)
    method, header, *bodies = frames_of(encoded(message, user="publisher"))
    assert isinstance(method, Basic.Publish)
    assert isinstance(header, ContentHeader)
    assert ("reef.telemetry", "25.a") == (method.exchange, method.routing_key)
    assert ({"a": "b", "n": True}, "publisher", 2) == (
        header.properties.headers,
        header.properties.user_id,
        header.properties.delivery_mode,
    )
    assert body == b"".join(each.value for each in bodies if isinstance(each, ContentBody))


def test_message_for_activemq_goes_to_the_exchange_of_its_channel_in_the_slot_of_its_group() -> None:
    message = AmqpMessage.of(telemetry("e", reef_id=SHARED.id, buoy_id="b"))
    assert ("reef.telemetry", SHARED.id) == (message.exchange, message.routing_key.partition(".")[2])
    names = [name for name, _ in message.headers]
    assert "event-id" in names
    assert "JMSXGroupID" not in names


def test_key_that_is_no_text_goes_out_as_it_is() -> None:
    """A client library would refuse it, and a decoder that expects text stumbles over it."""
    with pytest.raises(UnmarshalingException):
        frames_of(encoded(AmqpMessage(exchange="reef.telemetry", routing_key=NO_UTF8), user="publisher"))


def test_every_act_has_a_name_of_its_own() -> None:
    names = [act.name for act in ON_RABBITMQ]
    assert sorted(set(names)) == sorted(names)


def test_nobody_is_expected_to_be_refused_where_it_may_publish() -> None:
    for user, own in PUBLISHES.items():
        assert own.isdisjoint(exchange for exchange, key in targets_of(user) if not key)
