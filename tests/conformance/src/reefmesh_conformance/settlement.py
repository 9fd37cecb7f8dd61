"""Laws 3 and 4: settling publishes the outputs and acknowledges the input, both or neither."""

import asyncio

import pytest

from reefmesh.broker.port import Publication, PublishRefused
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage


class SettlementLaw(Law):
    async def test_settled_with_outputs_outputs_arrive_and_input_never_returns(self, stage: Stage) -> None:
        """After ``settle`` the outputs are downstream, in order, and the input is gone for every client."""
        inbound, outbound = stage.subscription(), stage.subscription("beta", f"{stage.channel}.out")
        client = await stage.client(inbound, outbound)
        await stage.publish(client, {"reef-a": 2})
        outputs = [stage.publication("reef-a", number, channel=outbound.channel.name) for number in range(3)]
        async with stage.consuming(client, inbound) as consumer:
            await consumer.lanes[0].settle(await stage.receive(consumer.lanes[0]), outputs)
        async with stage.consuming(client, outbound) as consumer:
            for output in outputs:
                delivery = await stage.receive(consumer.lanes[0])
                assert output.message == delivery.message
                await consumer.lanes[0].settle(delivery, ())
        other = await stage.client()
        async with stage.consuming(other, inbound) as consumer:
            assert stage.message("reef-a", 1) == (await stage.receive(consumer.lanes[0])).message

    async def test_refused_output_nothing_published_nothing_acknowledged_delivery_still_ours(self, stage: Stage) -> None:
        """When one output is refused none is out, the input stays with its lane, and may be settled otherwise."""
        inbound, outbound = stage.subscription(), stage.subscription("beta", f"{stage.channel}.out")
        client = await stage.client(inbound, outbound)
        await stage.publish(client, {"reef-a": 2})
        good = stage.publication("reef-a", 0, channel=outbound.channel.name)
        huge = stage.message("reef-a", 1, body=b"x" * (BODY_BYTES_LIMIT + 1))
        async with stage.consuming(client, inbound) as consumer, stage.consuming(client, outbound) as downstream:
            lane = consumer.lanes[0]
            delivery = await stage.receive(lane)
            with pytest.raises(PublishRefused):
                await lane.settle(delivery, [good, Publication(channel=outbound.channel.name, message=huge)])
            last = stage.publication("reef-a", 7, channel=outbound.channel.name)
            await lane.settle(delivery, [last])
            assert last.message == (await stage.receive(downstream.lanes[0])).message
            assert stage.message("reef-a", 1) == (await stage.receive(lane)).message

    async def test_next_message_of_a_reef_comes_only_after_settlement(self, stage: Stage) -> None:
        """With free lanes waiting, the next message of a reef is not handed out before the one in hand is settled."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 2})
        async with stage.consuming(client, subscription, lanes=3) as consumer:
            waits = {asyncio.create_task(lane.receive()): lane for lane in consumer.lanes}
            done, _ = await asyncio.wait(waits, timeout=stage.patience_seconds, return_when=asyncio.FIRST_COMPLETED)
            (first,) = done
            await stage.publish(client, {"reef-b": 1})  # a later message that may go out shows that nothing is slow
            done, rest = await asyncio.wait(
                set(waits) - done, timeout=stage.patience_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            (other,) = done
            (held, second) = (first, other) if _reef(first) == "reef-a" else (other, first)
            assert (_reef(held), _reef(second)) == ("reef-a", "reef-b")
            delivery = held.result()
            assert delivery is not None
            await waits[held].settle(delivery, ())
            done, rest = await asyncio.wait(rest, timeout=stage.patience_seconds)
            (last,) = done
            assert set() == rest
            follower = last.result()
            assert follower is not None
            assert stage.message("reef-a", 1) == follower.message


def _reef(task: "asyncio.Task[object]") -> str:
    return str(task.result().message.reef_id)  # type: ignore[attr-defined]  # a Delivery, checked by the caller
