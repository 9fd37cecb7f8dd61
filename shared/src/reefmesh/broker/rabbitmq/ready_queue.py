"""The messages that have arrived for a consumer's lanes and that no lane has in hand, by reef.

Reefs take turns.
"""

from collections.abc import Callable, Container, Sequence

from reefmesh.broker.rabbitmq.inbound_message import DeliveringTenure, InboundMessage
from reefmesh.broker.rabbitmq.tenure import Tenure
from reefmesh.broker.rabbitmq.waiting_messages import WaitingMessages


class ReadyQueue:
    """``by_number``: whether ``seq`` orders a reef's messages. In telemetry it does not: there each sender counts by itself."""

    def __init__(self, *, by_number: bool) -> None:
        self._reefs: dict[str, WaitingMessages] = {}
        self._by_number = by_number

    def __bool__(self) -> bool:
        return bool(self._reefs)

    def __len__(self) -> int:
        return sum(len(waiting.in_order) for waiting in self._reefs.values())

    def add(self, message: InboundMessage) -> None:
        self._of(message.reef_id).add(message)

    def put_back(self, message: InboundMessage) -> None:
        """A lane has released it: it is the first of its reef, but behind those that provably precede it."""
        self._of(message.reef_id).put_back(message)

    def has_earlier(self, message: InboundMessage) -> bool:
        """Whether a message of its reef is here that provably precedes it."""
        waiting = self._reefs.get(message.reef_id)
        return waiting is not None and waiting.has_earlier(message)

    def move_behind_earlier(self, message: InboundMessage) -> None:
        """One that is here already goes behind those of its reef that provably precede it."""
        waiting = self._reefs.get(message.reef_id)
        if waiting is not None and waiting.remove(message):
            waiting.put_back(message)

    def take(
        self, in_hand: Container[str], held_back: Container[str], is_paused: Callable[[DeliveringTenure], bool]
    ) -> InboundMessage | None:
        """Return the first message of the first reef that is not in hand or held back and whose shard is not paused."""
        for reef_id, waiting in self._reefs.items():
            if reef_id in in_hand or reef_id in held_back or is_paused(waiting.in_order[0].tenure):
                continue
            message = waiting.take_first()
            del self._reefs[reef_id]
            if waiting.in_order:
                self._reefs[reef_id] = waiting  # at the end: the next reef is first
            return message
        return None

    def counts_of(self, tenure: Tenure) -> dict[str, int]:
        """Return how many messages of each reef came through this shard's own queue."""
        counts = {
            reef_id: sum(message.tenure is tenure and not message.is_overflow for message in waiting.in_order)
            for reef_id, waiting in self._reefs.items()
        }
        return {reef_id: count for reef_id, count in counts.items() if count}

    def take_of(self, reef_id: str, tenure: Tenure) -> Sequence[InboundMessage]:
        """Take out all messages of a reef that came through this shard's own queue."""
        waiting = self._reefs.get(reef_id)
        taken = () if waiting is None else waiting.take_of(tenure)
        self._forget_if_empty(reef_id)
        return taken

    def withdraw(self, message: InboundMessage) -> None:
        """Take it out if it is here."""
        waiting = self._reefs.get(message.reef_id)
        if waiting is not None and waiting.remove(message):
            self._forget_if_empty(message.reef_id)

    def drop(self, tenure: Tenure) -> None:
        """The broker takes back what came in this tenure."""
        for reef_id, waiting in tuple(self._reefs.items()):
            waiting.drop(tenure)
            self._forget_if_empty(reef_id)

    def clear(self) -> None:
        self._reefs.clear()

    def _of(self, reef_id: str) -> WaitingMessages:
        waiting = self._reefs.get(reef_id)
        if waiting is None:
            waiting = self._reefs[reef_id] = WaitingMessages(by_number=self._by_number)
        return waiting

    def _forget_if_empty(self, reef_id: str) -> None:
        waiting = self._reefs.get(reef_id)
        if waiting is not None and not waiting.in_order:
            del self._reefs[reef_id]
