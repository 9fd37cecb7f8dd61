"""One connection: bytes out, frames in, TLS, heart-beats both ways, a watchdog on silence, bounds on its buffers."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final

from reefmesh.broker.activemq.errors import ProtocolViolation, connect_failure
from reefmesh.broker.activemq.frames import HEARTBEAT, Frame, FrameParser
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.connection_loss import BrokerSilent, ConnectionLost
from reefmesh.broker.name_lookup import LOOKUP_SHARE, is_address, look_up
from reefmesh.broker.network_address import Endpoint
from reefmesh.broker.socket_race import first_connected
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT

WRITE_BUFFER_BYTES: Final = 256 * 1024
"""Above this, ``drain`` waits. Writes between two drains come on top: callers drain after every message."""
BODY_ALLOWANCE_BYTES: Final = 64 * 1024
"""What a broker may add to a body (the text of an ERROR frame, for instance)."""
TICKS_PER_HEARTBEAT: Final = 4
_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)  # Linux; the kernel forgets it after a while


class Connection(asyncio.Protocol):
    """Frames are handed to ``on_frame`` as they arrive, in the event loop's turn that read them; ``on_lost`` is called once,
    with the reason, however the connection ends."""

    def __init__(self, on_frame: Callable[[Frame], None], on_lost: Callable[[ConnectionLost], None], *, peer: str) -> None:
        self.peer = peer
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._parser = FrameParser(body_bytes_limit=BODY_BYTES_LIMIT + BODY_ALLOWANCE_BYTES)
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._lost: ConnectionLost | None = None
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._ended = asyncio.Event()
        self._flow = asyncio.Event()
        self._flow.set()
        self._blocked_since: float | None = None
        self._heard_at = self._sent_at = self._loop.time()
        self._send_every_seconds = 0.0
        self._hear_within_seconds = 0.0
        self._tick: asyncio.TimerHandle | None = None

    @classmethod
    async def open(
        cls,
        address: ActiveMQAddress,
        endpoint: Endpoint,
        context: ssl.SSLContext | None,
        *,
        on_frame: Callable[[Frame], None],
        on_lost: Callable[[ConnectionLost], None],
    ) -> "Connection":
        """Connect, with TLS if the address asks for it; the caller bounds the time.

        Raises:
            ConfigurationError: the certificate is not trusted or for another name, or TLS meets a plain port.
            BrokerUnavailable: anything else.
        """

        def made() -> Connection:
            return cls(on_frame, on_lost, peer=str(endpoint))

        loop = asyncio.get_running_loop()
        server_hostname = (address.server_name or endpoint.host) if context else None
        try:
            if is_address(endpoint.host):
                _, connection = await loop.create_connection(
                    made, endpoint.host, endpoint.port, ssl=context, server_hostname=server_hostname
                )
            else:
                lookup_seconds = address.connect_timeout_seconds * LOOKUP_SHARE
                found = await look_up(endpoint.host, endpoint.port, timeout_seconds=lookup_seconds)
                _, connection = await loop.create_connection(
                    made, sock=await first_connected(found), ssl=context, server_hostname=server_hostname
                )
        except (OSError, ssl.SSLError) as error:
            raise connect_failure(error, address=str(endpoint), ca_file=address.ca_file) from error
        return connection

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    @property
    def heard_seconds_ago(self) -> float:
        return self._loop.time() - self._heard_at

    def write(self, data: bytes) -> None:
        """Send soon: all writes of one turn of the event loop go out together. Raises ConnectionLost."""
        if self._lost is not None:
            raise ConnectionLost(str(self._lost))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes > WRITE_BUFFER_BYTES:
            self._flush()

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written. Raises ConnectionLost."""
        if not self._flow.is_set():
            await self._flow.wait()
        if self._lost is not None:
            raise ConnectionLost(str(self._lost))

    def start_heartbeats(self, *, send_every_seconds: float, hear_within_seconds: float) -> None:
        """Keep the connection alive and watch it; 0 switches one direction off."""
        self._send_every_seconds, self._hear_within_seconds = send_every_seconds, hear_within_seconds
        spans = [span for span in (send_every_seconds, hear_within_seconds) if span]
        if spans:
            self._tick_seconds = min(spans) / TICKS_PER_HEARTBEAT
            self._tick = self._loop.call_later(self._tick_seconds, self._beat)

    def lose(self, reason: ConnectionLost) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    async def close(self) -> None:
        """Close after all writes have gone out, but wait one second at most for a peer that does not read."""
        if self._transport is None or self._lost is not None:
            return
        self._flush()
        self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._ended.wait()
        self.lose(ConnectionLost("closed"))

    # called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream connection, by create_connection's contract
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if _QUICK_ACK is not None and self._socket is not None:
            # a broker that waits for the kernel's acknowledgement before its next small write would wait 40 ms
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        try:
            for frame in self._parser.feed(data):
                self._on_frame(frame)
                if self._lost is not None:
                    return
        except ProtocolViolation as violation:
            self.lose(ProtocolViolation(f"{self.peer}: {violation}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._end(ConnectionLost(f"{self.peer}: the connection broke ({exc})"))
        elif self._parser.is_within_frame:
            self._end(ProtocolViolation(f"{self.peer}: the connection ended within a frame"))
        else:
            self._end(ConnectionLost(f"{self.peer}: the peer closed the connection"))

    def pause_writing(self) -> None:
        self._flow.clear()
        self._blocked_since = self._loop.time()

    def resume_writing(self) -> None:
        self._flow.set()
        self._blocked_since = None

    # internal

    def _flush(self) -> None:
        if not self._unsent:
            return
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_bytes = 0
        if self._lost is None and self._transport is not None:
            self._sent_at = self._loop.time()
            self._transport.write(data)

    def _beat(self) -> None:
        if self._lost is not None:
            return
        now = self._loop.time()
        within = self._hear_within_seconds
        if within and now - self._heard_at > within:
            self.lose(BrokerSilent(f"{self.peer}: silent for {now - self._heard_at:.1f} s"))
            return
        if within and self._blocked_since is not None and now - self._blocked_since > within:
            self.lose(BrokerSilent(f"{self.peer}: takes no data for {now - self._blocked_since:.1f} s"))
            return
        every = self._send_every_seconds
        if every and now - self._sent_at >= every - self._tick_seconds and self._blocked_since is None:
            self.write(HEARTBEAT)
        self._tick = self._loop.call_later(self._tick_seconds, self._beat)

    def _end(self, reason: ConnectionLost) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        self._ended.set()
        self._unsent.clear()
        self._flow.set()
        if self._tick is not None:
            self._tick.cancel()
        self._on_lost(reason)
