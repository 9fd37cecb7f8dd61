"""The messages that have arrived for a consumer's lanes and that no lane has in hand.

They are in the order of arrival, which is each reef's order, except after redelivery: when consumers die one after the other,
the broker delivers the messages of the last one behind those of the first. So a redelivered message is inserted before those
messages of its reef that it provably precedes.
"""

import contextlib
from collections import deque
from collections.abc import Container, Sequence

from reefmesh.broker.activemq.inbound_message import InboundMessage, MessageSource


class ReadyQueue:
    """``by_number``: whether ``seq`` orders a reef's messages. In telemetry it does not: there each sender counts by itself."""

    def __init__(self, *, by_number: bool = True) -> None:
        self._messages: deque[InboundMessage] = deque()
        self._paused: set[MessageSource] = set()
        self._by_number = by_number

    def __bool__(self) -> bool:
        return bool(self._messages)

    @property
    def open_messages(self) -> Sequence[InboundMessage]:
        """Without those that the broker has taken back."""
        return [message for message in self._messages if message.is_open]

    def add(self, message: InboundMessage) -> None:
        place = None
        if message.frame.headers.get("redelivered") == "true":
            later = (
                index
                for index, other in enumerate(self._messages)
                if other.reef_id == message.reef_id and message.comes_before(other, by_number=self._by_number)
            )
            place = next(later, None)
        if place is None:
            self._messages.append(message)
        else:
            self._messages.insert(place, message)

    def take(self, in_hand: Container[str], held_back: Container[str] = ()) -> InboundMessage | None:
        """Return the first message whose reef is not in hand or held back and whose subscription is not paused; drop returned
        messages."""
        while self._messages and not self._messages[0].is_open:
            self._messages.popleft()
        for index, message in enumerate(self._messages):
            if not message.is_open or message.source in self._paused:
                continue
            if message.reef_id not in in_hand and message.reef_id not in held_back:
                del self._messages[index]
                return message
        return None

    def put_first(self, message: InboundMessage) -> None:
        self._messages.appendleft(message)

    def put_behind_earlier(self, message: InboundMessage) -> bool:
        """Insert a message behind those of its reef that provably precede it; False: there are none."""
        earlier = self._earlier(message)
        if earlier:
            self._messages.insert(self._messages.index(earlier[-1]) + 1, message)
        return bool(earlier)

    def has_earlier(self, message: InboundMessage) -> bool:
        return bool(self._earlier(message))

    def move_behind_earlier(self, message: InboundMessage) -> None:
        """Put a message that is here already behind those of its reef that provably precede it."""
        with contextlib.suppress(ValueError):  # the broker has taken it back
            self._messages.remove(message)
            if not self.put_behind_earlier(message):
                self.put_first(message)

    def pause(self, source: MessageSource) -> None:
        """Hand out no message of this subscription until ``resume``."""
        self._paused.add(source)

    def resume(self, source: MessageSource) -> None:
        self._paused.discard(source)

    def resume_all(self) -> None:
        self._paused.clear()

    def clear(self) -> None:
        self._messages.clear()

    def _earlier(self, message: InboundMessage) -> Sequence[InboundMessage]:
        """Return the messages of its reef that provably precede it."""
        return [
            other
            for other in self._messages
            if other.is_open and other.reef_id == message.reef_id and other.comes_before(message, by_number=self._by_number)
        ]
