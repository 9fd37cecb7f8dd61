"""Whether a message may have been delivered before.

The broker remembers that only until it restarts: writing it down would cost a write to disk for every delivery. But the names
it gives to sessions, and to the messages that came in through them, begin with the name of its own run, and a message of an
earlier run may have been delivered in that run.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_RUN: Final = re.compile(r"ID:.+?-\d+-\d{10,}-")
"""``ID:host-port-milliseconds-``: where and when the broker was started."""


def is_redelivered(headers: Mapping[str, str], session_name: str) -> bool:
    """``session_name`` is what the broker called our session."""
    if headers.get("redelivered") == "true":
        return True
    ours, message_id = _run_of(session_name), headers.get("message-id", "")
    if not ours or message_id.startswith(ours):
        return False
    theirs = _RUN.match(message_id)
    return theirs is not None and theirs[0] != ours


@lru_cache(maxsize=64)
def _run_of(session_name: str) -> str:
    """Return what the names of that run begin with; empty where the broker names its sessions in another way."""
    ours = _RUN.match(session_name)
    return "" if ours is None else ours[0]
