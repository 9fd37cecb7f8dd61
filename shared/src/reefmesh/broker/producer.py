"""What a sender of telemetry says beside it, so that a consumer sees when an earlier message of its has not come yet."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope

REEFS_LIMIT: Final = 100_000
"""Reefs whose last message is remembered; the next one of a reef that was forgotten follows nothing."""


class Producer:
    """One run of one sender. Link what is published in one go, and say so once it was confirmed: nothing shall follow a message
    that never reached the broker."""

    def __init__(self, producer_id: str | None = None, *, reefs_limit: int = REEFS_LIMIT) -> None:
        self._reefs_limit = reefs_limit
        self.id = producer_id or uuid4().hex
        self._last: OrderedDict[str, str] = OrderedDict()

    def link(self, messages: Sequence[Envelope]) -> list[Envelope]:
        """Return the messages, each with the one of its reef that it follows."""
        before: dict[str, str] = {}
        linked = []
        for message in messages:
            follows = before.get(message.reef_id, self._last.get(message.reef_id))
            said = {PRODUCER_ID: self.id} if follows is None else {PRODUCER_ID: self.id, FOLLOWS: follows}
            linked.append(message.model_copy(update={"headers": {**message.headers, **said}}))
            before[message.reef_id] = message.event_id
        return linked

    def confirmed(self, messages: Sequence[Envelope]) -> None:
        for message in messages:
            self._last[message.reef_id] = message.event_id
            self._last.move_to_end(message.reef_id)
        while len(self._last) > self._reefs_limit:
            self._last.popitem(last=False)
