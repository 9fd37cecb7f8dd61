"""Who sent a message is the broker's word, not the sender's (law 12)."""

from typing import Final

import pytest

from reefmesh.broker.port import Publication
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.senders import OPERATOR, UNAUTHENTICATED
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage

SENDER: Final = "ingest"
"""May publish to the channel of this law's subscription."""
LIES: Final = {"userid": "scoring", "user-id": "scoring", "jmsxuserid": "scoring"}


class SendersLaw(Law):
    async def _sender_of(self, stage: Stage, sender: str, headers: dict[str, str]) -> str | None:
        """Return who sent a message that ``sender`` has published, by the broker's word, and settle it."""
        subscription = Subscription("scoring", channels.READINGS)
        reader = await stage.client_as(OPERATOR)
        await reader.declare([subscription])
        client = await stage.client_as(sender)
        message = stage.message("reef-a", 0, headers=headers)
        await client.publish([Publication(channel=subscription.channel.name, message=message)])
        async with stage.consuming(reader, subscription) as consumer:
            while (delivery := await stage.receive(consumer.lanes[0])).message != message:
                await consumer.lanes[0].settle(delivery, ())  # left by another test
            await consumer.lanes[0].settle(delivery, ())
        return delivery.user_id

    @pytest.mark.parametrize("headers", [{}, LIES], ids=["honest", "lies"])
    async def test_nobody_speaks_for_another_a_delivery_names_the_user_that_sent_it(
        self, stage: Stage, headers: dict[str, str]
    ) -> None:
        if not stage.capabilities.authenticates:
            pytest.skip("nobody logs in at this engine: capability authenticates")
        for sender in (SENDER, OPERATOR):
            assert sender == await self._sender_of(stage, sender, headers)

    async def test_engine_without_logins_says_so(self, stage: Stage) -> None:
        if stage.capabilities.authenticates:
            pytest.skip("users log in at this engine: capability authenticates")
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await client.publish([Publication(channel=stage.channel, message=stage.message("reef-a", 0, headers=LIES))])
        async with stage.consuming(client, subscription) as consumer:
            delivery = await stage.receive(consumer.lanes[0])
            await consumer.lanes[0].settle(delivery, ())
        assert UNAUTHENTICATED == delivery.user_id
