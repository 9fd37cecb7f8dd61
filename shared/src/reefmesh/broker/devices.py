"""What some engines offer beside the port: devices that speak to the broker themselves, over MQTT, without an envelope.

What they send waits in one durable queue until it is moved into the mesh; what they are told is told over topics, now or
never. Topics are named as MQTT names them: levels with ``/``.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from reefmesh.broker.port import Publication

Role = Literal["active", "standby", "away"]
"""Of one consumer of the device queue. ``active``: it was given messages since it subscribed; ``standby``: it is subscribed and
was given none yet (another one is active, or nothing has come); ``away``: it is not subscribed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMessage:
    """What a device sent. ``message_id`` is the broker's and stays over redelivery and restarts; ``topic`` is where it was sent
    to, ``received_at`` when the broker took it by its own clock (None: the broker does not say). ``token`` is the engine's."""

    message_id: str
    topic: str | None
    received_at: datetime | None
    body: bytes
    redelivered: bool
    token: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A message of a device, and what it becomes in the mesh."""

    message: DeviceMessage
    outputs: Sequence[Publication]


class DeviceQueue(Protocol):
    """Consumes the one queue of devices, in order; at most one consumer of all processes is given messages at a time, and the
    broker chooses another one as soon as it is gone."""

    @property
    def role(self) -> Role: ...

    async def start(self) -> None:
        """Subscribe; from then on every reconnection subscribes again.

        Raises:
            ConfigurationError: this user may not read the queue.
            BrokerUnavailable: there is no connection now.
        """
        ...

    async def receive(self) -> Sequence[DeviceMessage]:
        """Wait for messages and return those that are there, oldest first, within a bound; none once stopped. Survives
        reconnection by itself. What was returned before and not settled is not returned again while the subscription lasts.
        """
        ...

    async def settle(self, moves: Sequence[Move]) -> None:
        """Publish the outputs of all moves in this order and acknowledge their messages: all of it in one broker transaction.
        They are the oldest of those that were received and are not settled, in that order, none left out.

        Raises:
            LaneLost: the connection is lost, or the broker refused (its store is full, for instance): the messages are no
                longer ours. They come again, unless all of it was done.
            PublishRefused: nothing was published or acknowledged; the messages are still ours.
        """
        ...

    def stop(self) -> None:
        """Take nothing new: every ``receive`` returns none from now on. Idempotent."""
        ...

    async def close(self) -> None:
        """Give the subscription up; what is unsettled is given to another consumer. Idempotent, safe before ``start``."""
        ...


class DeviceTopics(Protocol):
    """Talking with devices that listen now."""

    async def tell(self, topic: str, body: bytes) -> None:
        """Publish to whoever is subscribed at this moment; on return the broker has passed it on.

        Raises:
            BrokerUnavailable: no confirmation came.
            ConfigurationError: this user may not.
        """
        ...

    def hear(self, topic: str, on_message: Callable[[bytes], None]) -> AbstractAsyncContextManager[None]:
        """Give every body that is published to ``topic`` from now on to ``on_message``, as long as the context lasts. Once
        it is entered nothing is missed but what comes while the connection is lost. Raises like ``tell``."""
        ...


@runtime_checkable
class DeviceBroker(Protocol):
    """A broker client whose broker devices speak to."""

    def device_queue(self) -> DeviceQueue: ...

    def device_topics(self) -> DeviceTopics: ...
