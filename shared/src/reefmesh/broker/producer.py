"""The headers by which a sender of telemetry links each message to the one before it of the same reef.

Telemetry is not numbered, because a reef has many senders. By these links a consumer sees that an earlier message is missing.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope

REEFS_LIMIT: Final = 100_000
"""How many reefs' last messages are remembered; the next message of a forgotten reef carries no link."""


class Producer:
    """One run of one sender. Call ``link`` before a publish, and ``confirmed`` after it succeeded: no message may refer to one
    that never reached the broker."""

    def __init__(self, producer_id: str | None = None, *, reefs_limit: int = REEFS_LIMIT) -> None:
        self._reefs_limit = reefs_limit
        self.id = producer_id or uuid4().hex
        self._last: OrderedDict[str, str] = OrderedDict()

    def link(self, messages: Sequence[Envelope]) -> list[Envelope]:
        """Return the messages with their links: the sender's id, and the event id of the reef's message before, if any."""
        before: dict[str, str] = {}
        linked = []
        for message in messages:
            follows = before.get(message.reef_id, self._last.get(message.reef_id))
            links = {PRODUCER_ID: self.id} if follows is None else {PRODUCER_ID: self.id, FOLLOWS: follows}
            linked.append(message.model_copy(update={"headers": {**message.headers, **links}}))
            before[message.reef_id] = message.event_id
        return linked

    def confirmed(self, messages: Sequence[Envelope]) -> None:
        for message in messages:
            self._last[message.reef_id] = message.event_id
            self._last.move_to_end(message.reef_id)
        while len(self._last) > self._reefs_limit:
            self._last.popitem(last=False)
