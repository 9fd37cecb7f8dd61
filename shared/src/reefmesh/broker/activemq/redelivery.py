"""Whether a message may have been delivered before.

The broker remembers that only until it restarts: writing it down would cost a write to disk for every delivery. But the names
it gives to sessions, and to the messages that came in through them, begin with the name of its own run, and a message of an
earlier run may have been delivered in that run.
"""

import re
from collections.abc import Mapping
from typing import Final

_RUN: Final = re.compile(r"ID:.+?-\d+-\d{10,}-")
"""``ID:host-port-milliseconds-``: where and when the broker was started."""


def is_redelivered(headers: Mapping[str, str], session_name: str) -> bool:
    """``session_name`` is what the broker called our session."""
    if headers.get("redelivered") == "true":
        return True
    ours, theirs = _RUN.match(session_name), _RUN.match(headers.get("message-id", ""))
    return ours is not None and theirs is not None and ours[0] != theirs[0]
