"""An addition to the port that some engines offer: devices connect to the broker themselves, over MQTT, without an envelope.

Their messages wait in one durable queue until they are moved into the mesh. Commands go to them over topics, which keep
nothing: a device that is not subscribed at that moment misses them. Topics are named as in MQTT: levels with ``/``.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from reefmesh.broker.port import Publication

Role = Literal["active", "standby", "away"]
"""Of one consumer of the device queue. ``active``: it has received messages since it subscribed; ``standby``: it is subscribed
and has received none yet (another one is active, or nothing has come); ``away``: it is not subscribed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMessage:
    """One message of a device. ``message_id`` is the broker's and the same after redelivery and restarts (RabbitMQ without
    time stamps: as ``reefmesh.broker.rabbitmq.device_queue`` says). ``topic`` is its destination; ``received_at`` the instant
    at which the broker took it, by the broker's clock; where that states none, None or the instant at which this client first
    had it. ``user_id``: the authenticated user that sent it, as of ``Delivery``. Only the engine reads ``token``."""

    message_id: str
    topic: str | None
    received_at: datetime | None
    body: bytes
    redelivered: bool
    user_id: str | None
    token: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A message of a device, and the messages that replace it in the mesh."""

    message: DeviceMessage
    outputs: Sequence[Publication]


class DeviceQueue(Protocol):
    """A consumer of the one queue of devices, in order. Of the consumers in all processes one receives messages; when it is
    gone the broker chooses another one."""

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
        """Wait for messages and return those that have arrived, oldest first, within a bound; none once stopped. Reconnection
        needs no call. While the subscription lasts, a message is returned once, settled or not.
        """
        ...

    async def settle(self, moves: Sequence[Move]) -> None:
        """Publish the outputs of all moves in this order and acknowledge their messages, in one broker transaction. An engine
        without transactions publishes first, waits for every confirmation, and then acknowledges.

        The moves must be of the oldest messages that were received and are not settled, in order, without a gap.

        Raises:
            LaneLost: the connection is lost, or the broker refused (its store is full, for instance): the messages are no
                longer ours. They come again, unless the settlement was complete.
            PublishRefused: nothing was acknowledged; the messages are still ours.
        """
        ...

    def stop(self) -> None:
        """Take nothing new: every ``receive`` returns none from now on. Idempotent."""
        ...

    async def close(self) -> None:
        """Give the subscription up; what is unsettled is given to another consumer. Idempotent, safe before ``start``."""
        ...


class DeviceTopics(Protocol):
    """Messages to and from devices that are subscribed at this moment."""

    async def tell(self, topic: str, body: bytes) -> None:
        """Publish to every client that is subscribed at this moment; on return the broker has passed it on.

        Raises:
            BrokerUnavailable: no confirmation came.
            ConfigurationError: this user has no permission.
        """
        ...

    def hear(self, topic: str, on_message: Callable[[bytes, str | None], None]) -> AbstractAsyncContextManager[None]:
        """While the context lasts, call ``on_message`` with every body that is published to ``topic``, and with the user that
        sent it, as of ``Delivery``. What is published while the connection is lost is missed. Raises like ``tell``."""
        ...


@runtime_checkable
class DeviceBroker(Protocol):
    """A client of a broker to which devices connect too."""

    def device_queue(self) -> DeviceQueue: ...

    def device_topics(self) -> DeviceTopics: ...
