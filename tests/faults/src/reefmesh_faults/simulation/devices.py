"""The devices: each message until it is confirmed, before the next of its reef. What they remember outlives every process."""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

from reefmesh.broker.port import Broker, Publication
from reefmesh.broker.producer import Producer
from reefmesh.contracts import channels
from reefmesh.errors import TransientError
from reefmesh_faults.simulation.fleet import Telemetry
from reefmesh_faults.simulation.history import Confirmed, History, Sent


class Devices:
    """``telemetry``: each reef's messages, in order; ``says_what_it_follows``: whether the messages do."""

    def __init__(
        self,
        telemetry: Mapping[str, Sequence[Telemetry]],
        history: History,
        random: Random,
        *,
        says_what_it_follows: bool,
    ) -> None:
        self._telemetry = telemetry
        self._history = history
        self._random = random
        self._producer = Producer("devices")
        self._says_what_it_follows = says_what_it_follows
        self._confirmed = dict.fromkeys(telemetry, 0)

    @property
    def are_done(self) -> bool:
        return all(self._confirmed[reef_id] == len(messages) for reef_id, messages in self._telemetry.items())

    async def send(self, broker: Broker) -> None:
        """Send what is not confirmed yet; may be cut off at any moment, and called again."""
        while True:
            try:
                await broker.connect()
            except TransientError:
                await self._wait()
            else:
                break
        await asyncio.gather(*(self._send(broker, reef_id) for reef_id in self._telemetry))

    async def _send(self, broker: Broker, reef_id: str) -> None:
        for each in self._telemetry[reef_id][self._confirmed[reef_id] :]:
            await asyncio.sleep(each.after_seconds)
            (message,) = self._producer.link([each.message]) if self._says_what_it_follows else (each.message,)
            self._history.add(Sent(event_id=message.event_id, reef_id=reef_id))
            while True:
                try:
                    await broker.publish([Publication(channel=channels.TELEMETRY.name, message=message)])
                except TransientError:
                    await self._wait()
                else:
                    break
            self._producer.confirmed([message])
            self._confirmed[reef_id] += 1
            self._history.add(Confirmed(event_id=message.event_id, reef_id=reef_id))

    async def _wait(self) -> None:
        await asyncio.sleep(self._random.uniform(0.01, 0.2))
