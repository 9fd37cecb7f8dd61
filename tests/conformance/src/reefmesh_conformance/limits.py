"""Law 11: every size has a bound, and what exceeds it is refused, alone."""

import pytest

from reefmesh.broker.port import Publication, PublishRefused
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, HEADER_BYTES_LIMIT
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage, number_of


class LimitsLaw(Law):
    @pytest.mark.parametrize("what", ["body", "headers"])
    async def test_too_large_refused_nothing_of_its_batch_is_out_and_the_client_goes_on(self, stage: Stage, what: str) -> None:
        """The refusal is an error of its own type, before anything is sent; the connection lives on."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        if what == "body":
            large = stage.message("reef-a", 1, body=b"x" * (BODY_BYTES_LIMIT + 1))
        else:
            large = stage.message("reef-a", 1, headers={"device": "ü" * (HEADER_BYTES_LIMIT // 2)})
        with pytest.raises(PublishRefused):
            await client.publish([stage.publication("reef-a", 0), Publication(channel=stage.channel, message=large)])
        await client.publish([stage.publication("reef-a", 2)])
        async with stage.consuming(client, subscription) as consumer:
            assert number_of((await stage.receive(consumer.lanes[0])).message) == 2

    async def test_header_text_within_its_limit_is_taken(self, stage: Stage) -> None:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        message = stage.message("reef-a", 0, headers={"device": "x" * (HEADER_BYTES_LIMIT - 1024)})
        await client.publish([Publication(channel=stage.channel, message=message)])
        async with stage.consuming(client, subscription) as consumer:
            assert message == (await stage.receive(consumer.lanes[0])).message
