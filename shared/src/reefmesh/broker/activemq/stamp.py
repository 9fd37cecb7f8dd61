"""Whether the broker states who sent a message: found out with a message to oneself."""

import asyncio
from typing import Final
from uuid import uuid4

from reefmesh.broker.activemq.destinations import probe_queue
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.message_headers import USER_ID
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.port import BrokerUnavailable

ARRIVAL_SECONDS: Final = 10.0
MARK: Final = "probe"
"""A header that can stand in a selector: processes that start at the same moment get each their own message."""


async def stamped_sender(session: Session, service: str) -> str | None:
    """As ``StampingBroker`` says. The message is not persistent: what a process leaves that dies meanwhile, a restart of the
    broker deletes."""
    arrived: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    name, mark, queue = session.new_name("w"), uuid4().hex, probe_queue(service)

    def read(frame: Frame) -> None:
        if not arrived.done():
            arrived.set_result(frame.headers.get(USER_ID))

    try:
        await session.subscribe(name, queue, (("ack", "auto"), ("selector", f"{MARK} = '{mark}'")), read)
        await session.request("SEND", (("destination", queue), ("persistent", "false"), (MARK, mark)), b"")
        async with asyncio.timeout(ARRIVAL_SECONDS):
            return await arrived
    except BrokerRefusal as refusal:
        raise refusal.as_failure() from refusal
    except TimeoutError:
        raise BrokerUnavailable(f"our own message did not arrive within {ARRIVAL_SECONDS:g} s") from None
    finally:
        if not session.is_lost:
            await session.unsubscribe(name)
