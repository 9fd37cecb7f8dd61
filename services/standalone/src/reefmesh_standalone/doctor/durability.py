"""Checks that messages which the broker confirmed are still there after a reconnection."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from reefmesh.broker.port import Broker
from reefmesh.clock import Clock
from reefmesh_standalone.doctor.channel import OWN, message, publish, take_until
from reefmesh_standalone.doctor.finding import Finding, fail, ok

MESSAGES: Final = 20


async def examine_durability(connect: Callable[[], Awaitable[Broker]], clock: Clock) -> list[Finding]:
    """Publish, disconnect, connect again, take. ``connect`` gives a new client; each is closed here."""
    async with AsyncExitStack() as stack:
        before = await connect()
        stack.push_async_callback(before.close)
        await before.declare([OWN])
        sent = [message(clock, f"doctor-{number}", 1) for number in range(MESSAGES)]
        await publish(before, sent)
        await before.close()
        after = await connect()
        stack.push_async_callback(after.close)
        came = await take_until(after, {publication.message.event_id for publication in sent})
    if len(came) == MESSAGES:
        return [ok("persistence", f"{MESSAGES} messages that were confirmed were there after reconnecting")]
    return [
        fail(
            "persistence",
            f"{MESSAGES - len(came)} of {MESSAGES} messages that were confirmed were gone after reconnecting",
            'the broker must keep messages on disk (persistent="true", a persistenceAdapter) and not collect idle queues '
            '(gcInactiveDestinations="false")',
        )
    ]
