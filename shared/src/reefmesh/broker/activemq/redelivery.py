"""Whether a message may have been delivered before.

The broker remembers deliveries only until it restarts: to keep them would cost a write to disk for each. But the ids of its
sessions, and of the messages that came in through them, begin with an id of the broker's run, and a message of an earlier run
may have been delivered in that run.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_RUN: Final = re.compile(r"ID:.+?-\d+-\d{10,}-")
"""``ID:host-port-milliseconds-``: where and when the broker was started."""


def is_redelivered(headers: Mapping[str, str], session_name: str) -> bool:
    """``session_name``: the id that the broker gave our session."""
    if headers.get("redelivered") == "true":
        return True
    ours, message_id = _run_of(session_name), headers.get("message-id", "")
    if not ours or message_id.startswith(ours):
        return False
    theirs = _RUN.match(message_id)
    return theirs is not None and theirs[0] != ours


@lru_cache(maxsize=64)
def _run_of(session_name: str) -> str:
    """Return the prefix of all ids of that run; empty where the broker's session ids have another form."""
    ours = _RUN.match(session_name)
    return "" if ours is None else ours[0]
