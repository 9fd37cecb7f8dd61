"""The messages of one reef that have arrived and that no lane has in hand.

They are in the order of arrival, which is their order, unless one provably precedes another (a copy that a crash has left
comes late, for instance). After a lost connection the broker sends all that an overflow queue holds, ten thousand messages of
one reef perhaps. So a message that precedes none is added without a look at the others: a consumer that took seconds to take
its messages in would miss heart-beats, lose the connection for that, and begin anew.
"""

from collections import deque
from collections.abc import Callable, Sequence

from reefmesh.broker.rabbitmq.inbound_message import InboundMessage
from reefmesh.broker.rabbitmq.tenure import Tenure


class WaitingMessages:
    """``by_number``: whether ``seq`` orders them."""

    def __init__(self, *, by_number: bool) -> None:
        self.in_order: deque[InboundMessage] = deque()
        self._by_number = by_number
        self._followed: dict[str, int] = {}  # events, with how many here say that they follow it
        self._highest = 0
        """At least the highest ``seq`` here."""

    def add(self, message: InboundMessage) -> None:
        """Put it before the first that it provably precedes, which is mostly none."""
        place = self._first_behind(message)
        self._note(message)
        if place is None:
            self.in_order.append(message)
        else:
            self.in_order.insert(place, message)

    def put_back(self, message: InboundMessage) -> None:
        """Put it first, but behind those that provably precede it."""
        earlier = [index for index, other in enumerate(self.in_order) if self._comes_before(other, message)]
        self._note(message)
        self.in_order.insert(earlier[-1] + 1 if earlier else 0, message)

    def has_earlier(self, message: InboundMessage) -> bool:
        return any(self._comes_before(other, message) for other in self.in_order)

    def take_first(self) -> InboundMessage:
        message = self.in_order.popleft()
        self._forget(message)
        return message

    def take_of(self, tenure: Tenure) -> Sequence[InboundMessage]:
        """Take out what came through this shard's own queue."""
        return self._take(lambda message: message.tenure is tenure and not message.is_overflow)

    def drop(self, tenure: Tenure) -> None:
        """Take out what came in this tenure."""
        self._take(lambda message: message.tenure is tenure)

    def remove(self, message: InboundMessage) -> bool:
        """Return whether it was here."""
        try:
            self.in_order.remove(message)
        except ValueError:
            return False
        self._forget(message)
        return True

    def _take(self, is_wanted: Callable[[InboundMessage], bool]) -> Sequence[InboundMessage]:
        taken = [message for message in self.in_order if is_wanted(message)]
        if taken:
            self.in_order = deque(message for message in self.in_order if not is_wanted(message))
            for message in taken:
                self._forget(message)
        return taken

    def _first_behind(self, message: InboundMessage) -> int | None:
        """Return the place of the first that it provably precedes."""
        is_late = self._by_number and message.seq is not None and message.seq < self._highest
        if not (is_late or message.event_id in self._followed):
            return None
        return next((index for index, other in enumerate(self.in_order) if self._comes_before(message, other)), None)

    def _note(self, message: InboundMessage) -> None:
        self._highest = max(self._highest, message.seq or 0)
        if message.follows is not None:
            self._followed[message.follows] = self._followed.get(message.follows, 0) + 1

    def _forget(self, message: InboundMessage) -> None:
        if message.follows is not None:
            self._followed[message.follows] -= 1
            if not self._followed[message.follows]:
                del self._followed[message.follows]

    def _comes_before(self, one: InboundMessage, other: InboundMessage) -> bool:
        return one.comes_before(other, by_number=self._by_number)
