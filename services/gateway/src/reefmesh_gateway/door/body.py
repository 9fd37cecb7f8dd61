"""Reading a request's body: bounded as it was sent, and bounded as it is unpacked."""

import zlib
from collections.abc import AsyncIterator
from typing import Final

from reefmesh_gateway.door.problem import DoorRefusal

SENT_BYTES_LIMIT: Final = 512 * 1024
UNPACKED_BYTES_LIMIT: Final = 2 * 1024 * 1024
GZIP: Final = 16 + zlib.MAX_WBITS
MEMBERS_LIMIT: Final = 16
"""Parts of one gzip file that follow one another; each costs a step, however short it is."""


async def read_body(chunks: AsyncIterator[bytes], *, stated_length: str | None) -> bytes:
    """Read a body to its end.

    Raises:
        DoorRefusal: 413 as soon as it is certain that it is too large, before it is read where its length was stated.
    """
    if stated_length is not None and (not stated_length.isdecimal() or int(stated_length[:20]) > SENT_BYTES_LIMIT):
        raise _too_large(f"a request has {SENT_BYTES_LIMIT} bytes at most, as it is sent")
    parts, length = [], 0
    async for chunk in chunks:
        length += len(chunk)
        if length > SENT_BYTES_LIMIT:
            raise _too_large(f"a request has {SENT_BYTES_LIMIT} bytes at most, as it is sent")
        parts.append(chunk)
    return b"".join(parts)


def unpack(body: bytes, encoding: str) -> bytes:
    """Undo the content encoding.

    Raises:
        DoorRefusal: 415 for another encoding than gzip, 400 for what is none, 413 for what unpacks to too much.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _gunzip(body)
        case _:
            raise DoorRefusal(
                status=415,
                reason="content-encoding",
                detail="the content encoding is gzip or none",
                headers={"accept-encoding": "gzip"},
            )


def _gunzip(body: bytes) -> bytes:
    parts, room, rest = [], UNPACKED_BYTES_LIMIT, body
    for _ in range(MEMBERS_LIMIT):
        unpacker = zlib.decompressobj(GZIP)
        try:
            part = unpacker.decompress(rest, room + 1)
        except zlib.error as error:
            raise DoorRefusal(status=400, reason="not-gzip", detail=f"the body is no gzip: {error}") from None
        room -= len(part)
        if room < 0:
            raise _too_large(f"a request unpacks to {UNPACKED_BYTES_LIMIT} bytes at most")
        if not unpacker.eof:
            raise DoorRefusal(status=400, reason="not-gzip", detail="the body ends before its gzip does")
        parts.append(part)
        rest = unpacker.unused_data
        if not rest:
            return b"".join(parts)
    raise DoorRefusal(status=400, reason="not-gzip", detail=f"the body has more than {MEMBERS_LIMIT} gzip members")


def _too_large(detail: str) -> DoorRefusal:
    return DoorRefusal(status=413, reason="too-large", detail=detail)
