"""What has arrived for the lanes of a consumer and is in nobody's hands yet.

It is in the order of arrival, which is each reef's order, but for what is delivered again: of consumers that died one after
the other the broker hands out the last one's messages behind those of the first. So messages that come again are put before
those here that they belong before, as far as the messages themselves tell.
"""

from collections import deque
from collections.abc import Container

from reefmesh.broker.activemq.subscription import InboundMessage
from reefmesh.contracts.envelope import FOLLOWS


class ReadyQueue:
    """``by_number``: whether a reef's messages have numbers by which they follow each other; those of telemetry are their
    senders' own."""

    def __init__(self, *, by_number: bool = True) -> None:
        self._mail: deque[InboundMessage] = deque()
        self._by_number = by_number

    def __bool__(self) -> bool:
        return bool(self._mail)

    @property
    def open_messages(self) -> int:
        """How many the broker still counts as ours; the others it has taken back."""
        return sum(mail.is_current for mail in self._mail)

    def add(self, mail: InboundMessage) -> None:
        place = None
        if mail.frame.headers.get("redelivered") == "true":
            later = (
                index
                for index, other in enumerate(self._mail)
                if other.reef_id == mail.reef_id and comes_before(mail, other, by_number=self._by_number)
            )
            place = next(later, None)
        if place is None:
            self._mail.append(mail)
        else:
            self._mail.insert(place, mail)

    def take(self, in_hand: Container[str]) -> InboundMessage | None:
        """Return the first message of a reef that is in nobody's hands; what the broker took back meanwhile is dropped."""
        while self._mail and not self._mail[0].is_current:
            self._mail.popleft()
        for index, mail in enumerate(self._mail):
            if mail.is_current and mail.slot.hands_out and mail.reef_id not in in_hand:
                del self._mail[index]
                return mail
        return None

    def put_first(self, mail: InboundMessage) -> None:
        self._mail.appendleft(mail)

    def put_behind_earlier(self, mail: InboundMessage) -> bool:
        """Put a message that was taken too early behind those here that belong before it; False: there are none."""
        earlier = [
            other
            for other in self._mail
            if other.is_current and other.reef_id == mail.reef_id and comes_before(other, mail, by_number=self._by_number)
        ]
        if earlier:
            self._mail.insert(self._mail.index(earlier[-1]) + 1, mail)
        return bool(earlier)

    def clear(self) -> None:
        self._mail.clear()


def comes_before(one: InboundMessage, other: InboundMessage, *, by_number: bool = True) -> bool:
    """Whether it is certain that ``one`` was published before ``other`` of the same reef: the reef's numbers say so, or the
    broker's, of messages that came over one connection, or ``other`` says that it follows ``one``."""
    ours, theirs = one.frame.headers, other.frame.headers
    if by_number and (seq := _number(ours.get("seq"))) is not None and (other_seq := _number(theirs.get("seq"))) is not None:
        return seq < other_seq
    producer, _, count = ours.get("message-id", "").rpartition(":")
    other_producer, _, other_count = theirs.get("message-id", "").rpartition(":")
    if producer and producer == other_producer:
        return (_number(count) or 0) < (_number(other_count) or 0)
    return theirs.get(FOLLOWS) is not None and theirs.get(FOLLOWS) == ours.get("event-id")


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
