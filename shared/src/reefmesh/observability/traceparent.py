"""The header ``traceparent`` of W3C Trace Context (level 1): ``version-trace id-parent id-flags``."""

import re
from hashlib import sha256
from typing import Final

from reefmesh.contracts.envelope import Envelope

_VALID: Final = re.compile(
    r"(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?)\Z"
)


def is_valid(traceparent: str) -> bool:
    """Whether it can be followed; the standard bids to start anew instead of following a broken one."""
    return _VALID.match(traceparent) is not None


def traceparent_of(message: Envelope) -> str:
    """Return the trace that a message belongs to. One that comes without starts its own, named by its event id: a redelivery,
    and a replay out of quarantine, continue the trace of the first time. Its flags say that nobody recorded it."""
    if message.traceparent is not None and is_valid(message.traceparent):
        return message.traceparent
    return traceparent_from(message.event_id)


def traceparent_from(event_id: str) -> str:
    """Return the trace that starts with this event, always the same."""
    digest = sha256(event_id.encode()).hexdigest()  # all zeros, which the standard forbids, are as likely as a collision
    return f"00-{digest[:32]}-{digest[32:48]}-00"


def trace_id_of(traceparent: str) -> str:
    """Return the 32 digits that all of one trace share."""
    return traceparent[3:35]
