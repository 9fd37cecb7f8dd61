"""An envelope as properties and headers of AMQP, and back.

The envelope's own facts, and a few that the agents of devices set, have their plain names as header names. Every other fact
gets a prefix: so no name collides with a header that the broker reads (``CC``, ``x-delay``) or adds (``x-delivery-count``).
Headers carry any text. What is not text in them (another client may send numbers, bytes, tables) is no fact.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from pamqp.commands import Basic

from reefmesh.broker.port import PublishRefused
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, FOLLOWS, HEADER_BYTES_LIMIT, PRODUCER_ID, Envelope

Headers = Mapping[str, Any]

PREFIX: Final = "h-"
NAME_BYTES_LIMIT: Final = 255
"""Of a header's name, as it is sent: AMQP's short string."""
PERSISTENT: Final = 2
PLAIN: Final = frozenset(
    {
        *("event-id", "reef-id", "schema", "produced-at", "seq", "traceparent"),
        *("device", "received-at", "replayed", PRODUCER_ID, FOLLOWS),
    }
)


def to_headers(message: Envelope) -> dict[str, str]:
    """Return the headers of a message.

    Raises:
        PublishRefused: headers or body exceed their limit: nothing was sent.
    """
    if len(message.body) > BODY_BYTES_LIMIT:
        raise PublishRefused(f"a body of {len(message.body)} bytes is more than {BODY_BYTES_LIMIT}")
    facts = message.to_headers()
    size = sum(len(name.encode()) + len(value.encode()) for name, value in facts.items())
    if size > HEADER_BYTES_LIMIT:
        raise PublishRefused(f"headers of {size} bytes are more than {HEADER_BYTES_LIMIT}")
    headers = {name if name in PLAIN else PREFIX + name: value for name, value in facts.items()}
    for name in headers:
        if len(name.encode()) > NAME_BYTES_LIMIT:
            raise PublishRefused(f"header name {name[:80]} of {len(name.encode())} bytes is more than {NAME_BYTES_LIMIT}")
    return headers


def properties_of(headers: Headers, *, user: str) -> Basic.Properties:
    """Return the properties of a persistent message. Its id is of this one publication: aiormq tells by it which message came
    back. ``user``: our own login; the broker closes the channel for another one."""
    return Basic.Properties(delivery_mode=PERSISTENT, headers=dict(headers), message_id=uuid4().hex, user_id=user)


def text_of(headers: Headers, name: str) -> str | None:
    """Return a header's text; None where it is missing or no text."""
    value = headers.get(name)
    return value if isinstance(value, str) else None


def is_fact(name: str) -> bool:
    """Whether a header carries a fact of an envelope, plain or prefixed."""
    return name in PLAIN or name.startswith(PREFIX)


def facts_of(headers: Headers) -> dict[str, str]:
    """Return the envelope's facts among a message's headers, under their own names."""
    return {
        name if name in PLAIN else name[len(PREFIX) :]: value
        for name, value in headers.items()
        if is_fact(name) and isinstance(value, str)
    }
