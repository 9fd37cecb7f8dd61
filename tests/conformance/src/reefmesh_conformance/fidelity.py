"""What is published is what is delivered, byte for byte and header by header."""

import random

import pytest

from reefmesh.broker.port import Publication
from reefmesh.contracts.envelope import Envelope
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import PRODUCED_AT, Stage

HEADERS = {
    "unicode": {"device": "Küste 珊瑚 🪸"},
    "colons": {"device": "a:b::c:", "received-at": "2026-03-01T06:30:00.000001+00:00"},
    "newlines": {"device": "one\ntwo\r\nthree\r"},
    "backslashes": {"device": "\\n \\c \\\\ \\r \\"},
    "spaces": {"device": "  padded  ", "empty": ""},
    "quotes": {"device": "\"a\" 'b' {c} $d %e ;"},
    "name": {"x-note_1.2": "dots, dashes and underscores in a name"},
    "many": {f"fact-{index}": f"value {index}" for index in range(40)},
}

BODIES = {
    "empty": b"",
    "nul": b"\x00",
    "nul-within": b"a\x00b\x00\n\x00",
    "frame-like": b"MESSAGE\nsubscription:1\n\nbody\x00\nSEND\n",
    "every-byte": bytes(range(256)) * 4,
    "not-utf-8": b"\xff\xfe\x80{",
    "newlines": b"\n\r\n\n",
    "one-mebibyte": random.Random(7).randbytes(1024 * 1024),
}


class FidelityLaw(Law):
    async def _through(self, stage: Stage, message: Envelope) -> Envelope:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await client.publish([Publication(channel=stage.channel, message=message)])
        async with stage.consuming(client, subscription) as consumer:
            delivery = await stage.receive(consumer.lanes[0])
            assert subscription == delivery.subscription
            await consumer.lanes[0].settle(delivery, ())
        return delivery.message

    @pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
    async def test_any_header_text_arrives_unchanged(self, stage: Stage, headers: dict[str, str]) -> None:
        message = stage.message("reef-a", 0, headers=headers)
        assert message == await self._through(stage, message)

    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    async def test_any_body_arrives_unchanged(self, stage: Stage, body: bytes) -> None:
        message = stage.message("reef-a", 0, body=body)
        assert message == await self._through(stage, message)

    async def test_message_without_optional_facts_arrives_without_them(self, stage: Stage) -> None:
        message = Envelope(event_id="e:1", reef_id="reef.a_b-c", schema_id="telemetry/1", produced_at=PRODUCED_AT, body=b"{}")
        arrived = await self._through(stage, message)
        assert message == arrived
        assert (arrived.seq, arrived.traceparent, arrived.headers) == (None, None, {})

    async def test_message_with_every_fact_arrives_with_all(self, stage: Stage) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        message = stage.message("reef-a", 41, headers={"device": "860000000000001"}).model_copy(update={"traceparent": trace})
        assert message == await self._through(stage, message)

    @pytest.mark.restarts
    async def test_stored_message_taken_by_another_client_arrives_unchanged(self, stage: Stage) -> None:
        """Fidelity does not depend on a client still having the message at hand."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        messages = [
            stage.message("reef-a", n, headers=h, body=b)
            for n, (h, b) in enumerate(zip(HEADERS.values(), BODIES.values(), strict=True))
        ]
        await client.publish([Publication(channel=stage.channel, message=message) for message in messages])
        if stage.capabilities.restarts:
            await stage.restart()
        else:
            await client.close()
        later = await stage.client(subscription)
        async with stage.consuming(later, subscription) as consumer:
            for message in messages:
                delivery = await stage.receive(consumer.lanes[0])
                assert message == delivery.message
                await consumer.lanes[0].settle(delivery, ())
