"""The messages that have arrived for a consumer's lanes and that no lane has in hand, by reef.

Those of one reef are in the order of arrival, which is their order, unless one provably precedes another (a copy that a crash
has left comes late, for instance). Reefs take turns.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence

from reefmesh.broker.rabbitmq.inbound_message import DeliveringTenure, InboundMessage
from reefmesh.broker.rabbitmq.tenure import Tenure


class ReadyQueue:
    """``by_number``: whether ``seq`` orders a reef's messages. In telemetry it does not: there each sender counts by itself."""

    def __init__(self, *, by_number: bool) -> None:
        self._reefs: dict[str, deque[InboundMessage]] = {}
        self._by_number = by_number

    def __bool__(self) -> bool:
        return bool(self._reefs)

    def __len__(self) -> int:
        return sum(len(messages) for messages in self._reefs.values())

    def add(self, message: InboundMessage) -> None:
        messages = self._reefs.setdefault(message.reef_id, deque())
        place = next((index for index, other in enumerate(messages) if self._comes_before(message, other)), len(messages))
        messages.insert(place, message)

    def put_back(self, message: InboundMessage) -> None:
        """A lane has released it: it is the first of its reef, but behind those that provably precede it."""
        messages = self._reefs.setdefault(message.reef_id, deque())
        earlier = [index for index, other in enumerate(messages) if self._comes_before(other, message)]
        messages.insert(earlier[-1] + 1 if earlier else 0, message)

    def has_earlier(self, message: InboundMessage) -> bool:
        """Whether a message of its reef is here that provably precedes it."""
        return any(self._comes_before(other, message) for other in self._reefs.get(message.reef_id, ()))

    def move_behind_earlier(self, message: InboundMessage) -> None:
        """One that is here already goes behind those of its reef that provably precede it."""
        messages = self._reefs.get(message.reef_id, deque())
        if message in messages:
            messages.remove(message)
            self.put_back(message)

    def take(
        self, in_hand: Container[str], held_back: Container[str], is_paused: Callable[[DeliveringTenure], bool]
    ) -> InboundMessage | None:
        """Return the first message of the first reef that is not in hand or held back and whose shard is not paused."""
        for reef_id, messages in self._reefs.items():
            if reef_id in in_hand or reef_id in held_back or is_paused(messages[0].tenure):
                continue
            message = messages.popleft()
            del self._reefs[reef_id]
            if messages:
                self._reefs[reef_id] = messages  # at the end: the next reef is first
            return message
        return None

    def counts_of(self, tenure: Tenure) -> dict[str, int]:
        """Return how many messages of each reef came through this shard's own queue."""
        counts = {
            reef_id: sum(message.tenure is tenure and not message.is_overflow for message in messages)
            for reef_id, messages in self._reefs.items()
        }
        return {reef_id: count for reef_id, count in counts.items() if count}

    def take_of(self, reef_id: str, tenure: Tenure) -> Sequence[InboundMessage]:
        """Take out all messages of a reef that came through this shard's own queue."""
        messages = self._reefs.get(reef_id, ())
        taken = [message for message in messages if message.tenure is tenure and not message.is_overflow]
        self._keep(reef_id, (message for message in messages if message not in taken))
        return taken

    def withdraw(self, message: InboundMessage) -> None:
        """Take it out if it is here."""
        self._keep(message.reef_id, (other for other in self._reefs.get(message.reef_id, ()) if other is not message))

    def drop(self, tenure: Tenure) -> None:
        """The broker takes back what came in this tenure."""
        for reef_id, messages in tuple(self._reefs.items()):
            self._keep(reef_id, (message for message in messages if message.tenure is not tenure))

    def clear(self) -> None:
        self._reefs.clear()

    def _keep(self, reef_id: str, messages: Iterable[InboundMessage]) -> None:
        if kept := deque(messages):
            self._reefs[reef_id] = kept
        else:
            self._reefs.pop(reef_id, None)

    def _comes_before(self, one: InboundMessage, other: InboundMessage) -> bool:
        return one.comes_before(other, by_number=self._by_number)
