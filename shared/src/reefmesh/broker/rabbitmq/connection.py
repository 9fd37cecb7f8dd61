"""One login at one broker, and its channels.

aiormq speaks the protocol. It leaves to us: to notice within two heart-beats that the peer is silent (it takes three, and
more), that nothing is confirmed any more, and to number the channels: its own numbers grow with each channel that is opened
beside an older one, until the broker refuses them.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Final

from aiormq.channel import Channel
from aiormq.connection import Connection as Protocol
from aiormq.exceptions import AMQPError, ConnectionClosed, ProbableAuthenticationError
from pamqp import commands, constants
from yarl import URL

from reefmesh.broker.connection_loss import BrokerSilent, ConnectionLost
from reefmesh.broker.network_address import Endpoint
from reefmesh.broker.rabbitmq.errors import connect_failure, translated, translation
from reefmesh.broker.rabbitmq.transport import Transport
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.broker.reconnecting import Reconnecting
from reefmesh.errors import ConfigurationError, TransientError

__all__ = ["Channel", "Connection", "close_channel"]

HEARD_WITHIN_HEARTBEATS: Final = 1.75
"""The broker sends every half heart-beat and may be late by one more half; after that it counts as gone."""
CHECKS_PER_HEARTBEAT: Final = 4
FAREWELL_SECONDS: Final = 5.0
CHANNELS_LIMIT: Final = 2_047
"""The broker's default. It tells its own at the login."""


class Connection:
    """Made by ``open``. Every method raises ConnectionLost once it is lost."""

    def __init__(self, address: RabbitMQAddress, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        self.address = address
        self.endpoint = endpoint
        self.peer = str(endpoint)
        self.lost: asyncio.Future[ConnectionLost] = asyncio.get_running_loop().create_future()
        """Done with the reason once the connection has ended, cleanly or not."""
        self._loop = asyncio.get_running_loop()
        self._transport = Transport(address, endpoint, context)
        self._protocol = Protocol(
            _url_of(address), transport_factory=self._transport, client_properties={"product": "reefmesh"}
        )
        self._unanswered: dict[object, float] = {}
        self._answers_due_from_seconds = 0.0
        self._check: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, address: RabbitMQAddress, endpoint: Endpoint, context: ssl.SSLContext | None) -> "Connection":
        """Connect and log in within the connection time-out.

        Raises:
            ConfigurationError: wrong password, virtual host, authority or host name: no retry mends it.
            BrokerUnavailable: no connection, no answer, or not AMQP.
        """
        logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # what it logs our errors and events say, without its tracebacks
        connection = cls(address, endpoint, context)
        try:
            async with asyncio.timeout(address.connect_timeout_seconds):
                await connection._protocol.connect()
        except (ConfigurationError, TransientError):
            raise
        except TimeoutError:
            connection._transport.abort()
            hint = "; is that its port for TLS?" if context is not None and connection._transport.writer is None else ""
            raise ConnectionLost(f"{endpoint} did not answer within {address.connect_timeout_seconds:g} s{hint}") from None
        except (AMQPError, OSError, EOFError, StopAsyncIteration, RuntimeError, ValueError) as error:
            connection._transport.abort()
            farewell = connection._transport.farewell
            is_named = farewell is None or isinstance(error, ProbableAuthenticationError)
            raise connect_failure(
                error if is_named or farewell is None else ConnectionClosed(farewell.reply_code, farewell.reply_text),
                address=str(endpoint),
                user=address.user,
                virtual_host=address.virtual_host,
                ca_file=address.ca_file,
            ) from error
        except BaseException:
            connection._transport.abort()
            raise
        connection._protocol.closing.add_done_callback(connection._on_closed)
        connection._watch()
        return connection

    @property
    def is_lost(self) -> bool:
        return self.lost.done()

    @property
    def heard_seconds_ago(self) -> float | None:
        return self._transport.heard_seconds_ago

    @property
    def is_blocked(self) -> bool:
        """Whether the broker takes no publications now, because its memory or its disk is short. It says so once we publish."""
        waiting = self._protocol.ready()
        try:
            waiting.send(None)
        except StopIteration:
            return False
        waiting.close()
        return not self.is_lost

    @property
    def channels_limit(self) -> int:
        """How many channels this connection may have, by the broker's word."""
        return self._protocol.connection_tune.channel_max or CHANNELS_LIMIT

    async def channel(self, *, confirms: bool = False) -> Channel:
        """Open a channel. Raises ConnectionLost or BrokerRefusal."""
        self._raise_if_lost()
        used = self._protocol.channels
        number = next((each for each in range(1, self.channels_limit + 1) if each not in used), None)
        if number is None:
            raise ConnectionLost(f"all {self.channels_limit} channels of this connection are in use")
        with translated(), self.answering():
            channel = await self._protocol.channel(number, publisher_confirms=confirms, frame_buffer_size=0)
        assert isinstance(channel, Channel)  # noqa: S101 - aiormq declares its parent
        return channel

    @contextlib.asynccontextmanager
    async def passing_channel(self, *, confirms: bool = False) -> AsyncIterator[Channel]:
        """A channel for this block alone; what was not acknowledged on it goes back. Raises BrokerRefusal or ConnectionLost for
        what aiormq raises within the block."""
        channel = await self.channel(confirms=confirms)
        try:
            with translated():
                yield channel
        finally:
            await close_channel(channel)

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Within this block an answer of the broker is due: without one the connection is given up in the end."""
        token = object()
        self._unanswered[token] = self._loop.time()
        try:
            yield
        finally:
            del self._unanswered[token]

    async def close(self) -> None:
        """Log out. Idempotent; never raises for a lost connection."""
        self._stop_watching()
        if not self.is_lost:
            with contextlib.suppress(TimeoutError, AMQPError, OSError, RuntimeError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._protocol.close()
        self.lose(ConnectionLost("closed"))

    def lose(self, reason: ConnectionLost) -> None:
        """Drop the connection without logging out."""
        self._stop_watching()
        self._transport.abort()
        if not self.lost.done():
            self.lost.set_result(reason)

    def _raise_if_lost(self) -> None:
        if self.is_lost:
            raise ConnectionLost(str(self.lost.result()))

    def _on_closed(self, closing: "asyncio.Future[object]") -> None:
        error = None if closing.cancelled() else closing.exception()
        reason = translation(error) if error is not None else ConnectionLost("the connection was closed")
        self.lose(reason if isinstance(reason, ConnectionLost) else ConnectionLost(str(reason)))

    def _watch(self) -> None:
        now, heartbeat_seconds = self._loop.time(), self.address.heartbeat_seconds
        self._check = self._loop.call_later(heartbeat_seconds / CHECKS_PER_HEARTBEAT, self._watch)
        silent_seconds = self.heard_seconds_ago or 0.0
        if silent_seconds > HEARD_WITHIN_HEARTBEATS * heartbeat_seconds:
            self.lose(BrokerSilent(f"{self.peer} was silent for {silent_seconds:.1f} s"))
            return
        if self.is_blocked:
            self._answers_due_from_seconds = now
        waiting_since = max(min(self._unanswered.values(), default=now), self._answers_due_from_seconds)
        if now - waiting_since > self.address.confirm_timeout_seconds:
            self.lose(BrokerSilent(f"{self.peer} confirmed nothing for {now - waiting_since:.0f} s"))

    def _stop_watching(self) -> None:
        if self._check is not None:
            self._check.cancel()


async def close_channel(channel: Channel) -> None:
    """Close it, after all that was written on it; nothing happens where it is closed already. Return when the broker has
    answered or has taken very long: then it still closes it, and its number is not used before.

    aiormq's own ``close`` asks anew when no answer comes within a heart-beat, as when the broker takes thousands of messages
    back; by then the number may belong to no channel any more, and for that the broker ends the connection.
    """
    if channel.is_closed:
        return
    farewell = commands.Channel.Close(reply_code=constants.REPLY_SUCCESS, class_id=0, method_id=0)
    asking = asyncio.ensure_future(channel.rpc(farewell))
    asking.add_done_callback(lambda asked: asked.cancelled() or asked.exception())  # the answer is that the channel is closed
    await asyncio.wait([asking], timeout=FAREWELL_SECONDS)


def _url_of(address: RabbitMQAddress) -> URL:
    """Return what aiormq reads of a URL: user, password, virtual host and heart-beat. The transport knows the endpoint."""
    return URL.build(
        scheme="amqps" if address.tls else "amqp",
        user=address.user,
        password=address.password,
        host="broker",
        port=1,
        path="/" + address.virtual_host.replace("%", "%25").replace("/", "%2F") if address.virtual_host != "/" else "/",
        encoded=False,
        query={"heartbeat": str(int(address.heartbeat_seconds))},
    )


ReconnectingConnection = Reconnecting[RabbitMQAddress, Connection]
