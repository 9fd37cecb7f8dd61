"""A channel on which the broker refused a publication is replaced, behind all that is still under way on it."""

import asyncio
from typing import cast

import pytest
from pamqp import commands
from pamqp.base import Frame

from reefmesh.broker.rabbitmq.connection import Channel
from reefmesh.broker.rabbitmq.errors import NOT_CONFIRMED, UNROUTABLE, BrokerRefusal
from reefmesh.broker.rabbitmq.publishing_channel import PublishingChannel


class SpyingChannel:
    is_closed = False

    async def rpc(self, frame: Frame) -> None:
        assert isinstance(frame, commands.Channel.Close)
        self.is_closed = True


def opened() -> tuple[SpyingChannel, PublishingChannel]:
    spy = SpyingChannel()
    return spy, PublishingChannel(cast("Channel", spy))


@pytest.mark.parametrize(("code", "usable"), [(NOT_CONFIRMED, False), (UNROUTABLE, True)])
def test_only_a_negative_confirmation_makes_a_channel_one_to_replace(code: int, usable: bool) -> None:
    _, publishing = opened()
    with pytest.raises(BrokerRefusal), publishing.publishing():
        raise BrokerRefusal("no", code=code)
    assert publishing.is_usable is usable


async def test_channel_is_closed_only_when_all_on_it_is_answered() -> None:
    spy, publishing = opened()
    with publishing.publishing():
        retiring = asyncio.create_task(publishing.retire())
        await asyncio.wait([retiring], timeout=0.05)
        assert not spy.is_closed
    await retiring
    assert spy.is_closed
    assert not publishing.is_usable
