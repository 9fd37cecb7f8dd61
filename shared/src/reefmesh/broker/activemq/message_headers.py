"""An envelope as headers of a frame, and back.

The envelope's own facts, and a few that the agents of devices set, have their plain names as header names. Every other fact
gets a prefix: so no name collides with a header of STOMP or the broker, and no header that the broker adds is taken for a fact
of the envelope. Text that the broker would change is percent-encoded, under a prefix of its own: ActiveMQ cannot read back
characters beyond U+FFFF from its store, and NUL ends a frame.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote

from reefmesh.broker.activemq.frame_headers import ESCAPES
from reefmesh.broker.port import PublishRefused
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, FOLLOWS, HEADER_BYTES_LIMIT, PRODUCER_ID, Envelope

GROUP: Final = "JMSXGroupID"
USER_ID: Final = "JMSXUserID"
"""The authenticated user that sent the message; the broker overwrites what a sender writes there."""
PREFIX: Final = "h-"
ENCODED_PREFIX: Final = "u-"
HEADER_LINE_BYTES_LIMIT: Final = 10_000
"""Of a header's line after escaping. ActiveMQ closes the connection for a line above 10,240 bytes."""
INSTANT_DIGITS_LIMIT: Final = 14
"""Of milliseconds since 1970: until the year 5138."""
ENVELOPE: Final = ("event-id", "reef-id", "schema", "produced-at", "seq", "traceparent")
PLAIN: Final = frozenset({*ENVELOPE, "device", "received-at", "replayed", PRODUCER_ID, FOLLOWS})


def to_frame(message: Envelope) -> list[tuple[str, str]]:
    """Return the headers of a persistent message in its reef's group.

    Raises:
        PublishRefused: headers or body exceed their limit: nothing was sent.
    """
    if len(message.body) > BODY_BYTES_LIMIT:
        raise PublishRefused(f"a body of {len(message.body)} bytes is more than {BODY_BYTES_LIMIT}")
    headers = message.to_headers()
    frame = [("persistent", "true"), (GROUP, message.reef_id)]
    frame += [carried(name if name in PLAIN else PREFIX + name, value) for name, value in headers.items()]
    size = sum(len(name) + len(value) for name, value in headers.items())
    if size > HEADER_BYTES_LIMIT // 4:  # only then can their UTF-8, or one of them after escaping, be too long
        size = sum(len(name.encode()) + len(value.encode()) for name, value in headers.items())
        if size > HEADER_BYTES_LIMIT:
            raise PublishRefused(f"headers of {size} bytes are more than {HEADER_BYTES_LIMIT}")
        for name, value in frame:
            if (line := line_bytes(name, value)) > HEADER_LINE_BYTES_LIMIT:
                raise PublishRefused(
                    f"header {name[:80]} of {line} bytes, as it is sent, is more than {HEADER_LINE_BYTES_LIMIT}"
                )
    return frame


def line_bytes(name: str, value: str) -> int:
    """Return how long a header's line is as it is sent, its line end included."""
    return len(name.translate(ESCAPES).encode()) + len(value.translate(ESCAPES).encode()) + 2


def carried(name: str, value: str) -> tuple[str, str]:
    """Return a header that arrives with exactly this text."""
    if (value.isascii() or max(value) <= "\uffff") and "\0" not in value:
        return name, value
    return ENCODED_PREFIX + name, quote(value)


def text_of(headers: Mapping[str, str], name: str) -> str | None:
    """Return the text that was ``carried`` under this name."""
    if (encoded := headers.get(ENCODED_PREFIX + name)) is not None:
        return unquote(encoded)
    return headers.get(name)


def is_fact(name: str) -> bool:
    """Whether a header of a frame carries a fact of an envelope, plain, prefixed or encoded."""
    name = name.removeprefix(ENCODED_PREFIX)
    return name in PLAIN or name.startswith(PREFIX)


def facts_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the envelope's facts among a frame's headers, under their own names."""
    facts = {}
    for name, value in headers.items():
        if name in PLAIN:
            facts[name] = value
        elif name[1:2] != "-":  # neither prefix: most of what the broker adds
            continue
        elif name.startswith(PREFIX):
            facts[name[len(PREFIX) :]] = value
        elif name.startswith(ENCODED_PREFIX) and is_fact(name):
            facts[name[len(ENCODED_PREFIX) :].removeprefix(PREFIX)] = unquote(value)
    return facts


def broker_instant(headers: Mapping[str, str]) -> datetime | None:
    """Return when the broker took a message, by its own clock; None if it set no timestamp."""
    milliseconds = headers.get("timestamp", "")
    is_number = milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) <= INSTANT_DIGITS_LIMIT
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if is_number else None


def from_frame(headers: Mapping[str, str], body: bytes) -> Envelope:
    """Raises PoisonMessage (``bad-envelope``)."""
    return Envelope.from_headers(facts_of(headers), body)
