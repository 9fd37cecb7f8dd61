"""The socket under a connection: how it is opened, when it was last heard, and frames that must not end it.

aiormq reads frames from what its transport factory returns. Whoever may publish can send a message whose headers its decoder
cannot read (an unknown type, tables in tables without end), or a routing key that is no text; the decoder's error would end
the connection, the message would come again, and so on without end. So the properties of each message are read here first,
and replaced when they cannot be read; of a routing key the bytes are replaced that are no UTF-8.
"""

import asyncio
import ssl
from typing import Any, Final

import pamqp.frame
from aiormq.connection import TransportFactory
from pamqp.commands import Basic
from pamqp.commands import Connection as ConnectionCommands
from pamqp.header import ContentHeader
from yarl import URL

from reefmesh.broker.name_lookup import LOOKUP_SHARE, is_address, look_up
from reefmesh.broker.network_address import Endpoint
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.broker.socket_race import first_connected

Close = ConnectionCommands.Close

FAULT: Final = "reefmesh-fault"
"""The header that stands in place of headers that cannot be read."""
FRAME_HEADER_BYTES: Final = 7
FRAME_TYPE_METHOD, FRAME_TYPE_HEADER = 1, 2
CONNECTION_CLOSE: Final = b"\x00\x0a\x00\x32"
"""Class and method of ``connection.close``."""
BASIC_DELIVER, BASIC_RETURN = b"\x00\x3c\x00\x3c", b"\x00\x3c\x00\x32"
"""Of the methods that announce a message, with its routing key as their last field."""
METHOD_BYTES, REPLY_CODE_BYTES, TAG_AND_FLAG_BYTES = 4, 2, 9
BUFFER_BYTES: Final = 256 * 1024


class GuardedReader:
    """What aiormq uses of a stream reader. It reads one frame in three steps: its type, six bytes with channel and length, and
    the rest."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._frame = b""
        self.heard_at_seconds = self._loop.time()
        self.farewell: object = None
        """The broker's ``connection.close``: aiormq drops its reason where it expected another answer."""

    def at_eof(self) -> bool:
        return self._reader.at_eof()

    async def read(self, size: int = -1) -> bytes:
        return await self._reader.read(size)

    async def readexactly(self, size: int) -> bytes:
        read = await self._reader.readexactly(size)
        self.heard_at_seconds = self._loop.time()
        if len(self._frame) < FRAME_HEADER_BYTES:
            self._frame += read
            return read
        frame, self._frame = self._frame, b""
        if frame[0] == FRAME_TYPE_HEADER:
            return readable(frame, read)
        if frame[0] != FRAME_TYPE_METHOD:
            return read
        if read.startswith((BASIC_DELIVER, BASIC_RETURN)):
            return announced(read)
        if read.startswith(CONNECTION_CLOSE):
            _, _, self.farewell = pamqp.frame.unmarshal(frame + read)
        return read


def readable(start: bytes, rest: bytes) -> bytes:
    """Return the rest of a frame with a message's properties; without these where they cannot be read."""
    try:
        pamqp.frame.unmarshal(start + rest)
    except Exception as error:  # noqa: BLE001 - whatever the decoder raises for what a sender wrote
        body_bytes = int.from_bytes(rest[4:12], "big")  # behind class and weight
        fault = f"its headers cannot be read: {type(error).__name__}: {error}"[:300]
        replaced = ContentHeader(body_size=body_bytes, properties=Basic.Properties(headers={FAULT: fault}))
        # aiormq has read the length already: the new frame's own must be that one
        payload = replaced.marshal()
        return _of_length(payload, len(rest) - 1, body_bytes) + rest[-1:]
    return rest


def announced(rest: bytes) -> bytes:
    """Return the rest of a frame that announces a message, as long as it was; in the key ``?`` for what is no UTF-8."""
    if rest.startswith(BASIC_DELIVER):
        at = _behind_text(rest, METHOD_BYTES) + TAG_AND_FLAG_BYTES  # the consumer's tag, then the message's
    else:
        at = _behind_text(rest, METHOD_BYTES + REPLY_CODE_BYTES)
    begin = _behind_text(rest, at) + 1  # the exchange
    key = rest[begin:-1]
    if key.isascii():
        return rest
    text = key.decode(errors="surrogateescape")
    return rest[:begin] + "".join("?" if "\udc80" <= each <= "\udcff" else each for each in text).encode() + rest[-1:]


def _behind_text(data: bytes, at: int) -> int:
    """Return where a short text ends that begins there with its length."""
    return at + 1 + data[at]


def _of_length(payload: bytes, length: int, body_bytes: int) -> bytes:
    """Return properties of exactly this length (that of properties that somebody wrote): padded, or cut to none."""
    if len(payload) > length:
        payload = ContentHeader(body_size=body_bytes, properties=Basic.Properties()).marshal()
    return payload + bytes(length - len(payload))


class Transport(TransportFactory):
    """Opens one socket to this endpoint; afterwards ``reader`` and ``writer`` are there."""

    def __init__(self, address: RabbitMQAddress, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        self._address = address
        self._endpoint = endpoint
        self._context = context
        self.reader: GuardedReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **_: Any) -> Any:  # noqa: ARG002 - aiormq's own URL names no endpoint
        host, port = self._endpoint.host, self._endpoint.port
        server_hostname = (self._address.server_name or host) if self._context else None
        if is_address(host):
            stream, self.writer = await asyncio.open_connection(
                host, port, ssl=self._context, server_hostname=server_hostname, limit=BUFFER_BYTES
            )
        else:
            found = await look_up(host, port, timeout_seconds=self._address.connect_timeout_seconds * LOOKUP_SHARE)
            stream, self.writer = await asyncio.open_connection(
                sock=await first_connected(found), ssl=self._context, server_hostname=server_hostname, limit=BUFFER_BYTES
            )
        self.reader = GuardedReader(stream)
        return self.reader, self.writer

    @property
    def heard_seconds_ago(self) -> float | None:
        return None if self.reader is None else asyncio.get_running_loop().time() - self.reader.heard_at_seconds

    @property
    def farewell(self) -> Close | None:
        """With what the broker closed the connection, if it did."""
        farewell = None if self.reader is None else self.reader.farewell
        return farewell if isinstance(farewell, Close) else None

    def abort(self) -> None:
        """Drop the socket without a word."""
        if self.writer is not None:
            self.writer.transport.abort()
