"""An operator who purges the queue of a subscription while its service is away, and remembers each message that went."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from reefmesh.broker.port import Broker, Consumer, Lane
from reefmesh.contracts.channels import ALERTING, INGEST, SCORING, Subscription
from reefmesh.errors import TransientError
from reefmesh_faults.history import Purged
from reefmesh_faults.nemesis import END_TIMEOUT_SECONDS
from reefmesh_faults.part import Part, Supervisor
from reefmesh_faults.plan import chosen

LANES: Final = 16
MOST_MESSAGES: Final = 400
FROZEN_SHARE: Final = 0.5
NOTICED_SECONDS: Final = 6.0
"""With heartbeats of 2 s the broker closes the connection of a frozen process within so long, and its messages come back."""

QUIET_SECONDS: Final = 1.5
"""The queue counts as empty when nothing came out of it for so long; then the operator is done."""
PURGE_TIMEOUT_SECONDS: Final = 30.0


@dataclass(slots=True, kw_only=True)
class PurgeFaults:
    """``open_broker`` makes a client for the purge of a service's queue, past the proxies. ``at_broker``: held until he is
    done, so no fault of the broker keeps a service away for longer. ``purged``: all that he ever took out of a queue. ``did``
    counts what was done.

    A message that he took may have had its effect before, or come to its service once more because the broker did not hear
    that he took it: whether it had an effect, the effects tell.
    """

    open_broker: Callable[[str], Broker]
    did: Counter[str]
    at_broker: asyncio.Lock
    supervisor: Supervisor
    purged: list[Purged] = field(default_factory=list)

    async def suffer(self, parts: Sequence[Part], *, target: float, strength: float, seconds: float) -> str:
        """Purge the queue of one of the services after its processes were away for so long: ended, as before a deployment, or
        frozen, so that they wake up with messages in hand that are gone. Return whose queue it was."""
        subscription = chosen((INGEST, SCORING, ALERTING), target)
        async with self.at_broker, AsyncExitStack() as stack:
            crew = [part for part in parts if part.service == subscription.service and part.wanted]
            for part in crew:
                await stack.enter_async_context(part.lock)
            is_frozen = strength < FROZEN_SHARE
            await (self._freeze(crew) if is_frozen else self._end(crew))
            try:
                await asyncio.sleep(seconds + (NOTICED_SECONDS if is_frozen else 0.0))
                await self._purge(subscription, messages_limit=int(MOST_MESSAGES * (2 * strength % 1)) + 1)
            finally:
                for part in crew:
                    if is_frozen:
                        part.send(signal.SIGCONT)
                    else:
                        part.wanted = True
                        part.process.start()
        return f"{subscription}, {'frozen' if is_frozen else 'ended'}"

    async def _freeze(self, crew: Sequence[Part]) -> None:
        for part in crew:
            part.send(signal.SIGSTOP)

    async def _end(self, crew: Sequence[Part]) -> None:
        for part in crew:
            part.wanted = False
            part.process.ask_to_end()
        for part in crew:
            self.supervisor.note(part, await asyncio.to_thread(part.process.wait_until_ended, END_TIMEOUT_SECONDS))

    async def _purge(self, subscription: Subscription, *, messages_limit: int) -> None:
        """Take messages out of the queue until it is empty, or so many are gone. Those that had come by then go too."""
        before = len(self.purged)
        broker = self.open_broker(subscription.service)
        try:
            async with asyncio.timeout(PURGE_TIMEOUT_SECONDS):
                await broker.connect()
                consumer = broker.consumer(subscription, lanes=LANES)
                await consumer.start()
                await self._take_all(consumer, before + messages_limit)
        except (TimeoutError, TransientError):
            self.did["purge: broken off"] += 1
        finally:
            await broker.close()
        self.did[f"purge: messages of {subscription}"] += len(self.purged) - before

    async def _take_all(self, consumer: Consumer, limit: int) -> None:
        took = asyncio.Event()

        async def take(lane: Lane) -> None:
            while (delivery := await lane.receive()) is not None:
                message = delivery.message
                self.purged.append(
                    Purged(
                        service=delivery.subscription.service,
                        reef_id=message.reef_id,
                        event_id=message.event_id,
                        seq=message.seq,
                    )
                )
                with contextlib.suppress(TransientError):  # then it may come to its service all the same
                    await lane.settle(delivery, ())
                took.set()

        async with asyncio.TaskGroup() as lanes:
            for lane in consumer.lanes:
                lanes.create_task(take(lane))
            with contextlib.suppress(TimeoutError):
                while len(self.purged) < limit:
                    took.clear()
                    async with asyncio.timeout(QUIET_SECONDS):
                        await took.wait()
            await consumer.drain()
