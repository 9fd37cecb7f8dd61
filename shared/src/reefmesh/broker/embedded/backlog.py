"""One subscription's backlog: a bounded window of it in a ``Fifo``, the rest in the journal.

A reef may take as much of the window as is free besides (so k hot reefs leave 1/(k+1) of it to the others); beyond that
it is *paged*: its further messages stay in the journal until its own have gone. When the window is full altogether, the
*scan* stops and goes on once there is room. What is fed of one reef is always fed in the order of positions.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

from reefmesh.broker.embedded.fifo import Fifo, Held, QueuedMessage
from reefmesh.broker.embedded.journal import Journal
from reefmesh.broker.embedded.record import Record, envelope_of
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope

SLOT_BYTES: Final = 1024
PAGE_MESSAGES: Final = 256
PAGE_SLOTS: Final = 4096
"""A page is read while the event loop waits: this bounds the wait to a few milliseconds."""

SCAN_POSITIONS: Final = 20_000
"""How far one page looks: other channels' messages lie in between."""

REPLAYED: Final = "replayed"
"""The header of a replay, which is no duplicate although its event id is known."""


class Backlog:
    """The part of one subscription that is in memory, and where the journal goes on."""

    def __init__(
        self,
        subscription: Subscription,
        *,
        fifo: Fifo[Envelope],
        window_slots: int,
        inherited_to: int,
        forget: Callable[[QueuedMessage[Envelope]], None],
    ) -> None:
        """``inherited_to``: what is at or before that position may have been delivered by a process before this one.
        ``forget`` is called with each duplicate, whose row must leave the journal."""
        self.subscription = subscription
        self.fifo = fifo
        self._window_slots = window_slots
        self._free_slots = window_slots
        self._inherited_to = inherited_to
        self._forget = forget
        self._slots: dict[str, int] = {}  # reef -> what it takes of the window
        self._paged: dict[str, int] = {}  # reef -> position up to which it has been fed
        self._hungry: set[str] = set()  # paged reefs with (almost) nothing left in memory
        self._scanned_to = 0
        self._scanning = True

    @property
    def in_memory_slots(self) -> int:
        return self._window_slots - self._free_slots

    def offer(self, position: int, message: Envelope, published_us: int) -> None:
        """This process has committed a message; all before it have been offered, or are noticed."""
        reef_id = message.reef_id
        if self._scanning or reef_id in self._paged:
            return  # it will be read in its turn
        if not self._feed_or_page(position, message, published_us):
            self._scanning, self._scanned_to = True, position - 1

    def notice(self, *, after: int) -> None:
        """There are messages behind position ``after`` that were not offered: read them from the journal."""
        if not self._scanning:
            self._scanning, self._scanned_to = True, after

    def acknowledge(self, held: Held[Envelope]) -> bool:
        """Forget a settled message; False when it was not in flight any more."""
        if not self.fifo.acknowledge(held):
            return False
        reef_id = held.entry.group
        left = self._slots[reef_id] - held.entry.slots
        self._free_slots += held.entry.slots
        if left:
            self._slots[reef_id] = left
        else:
            del self._slots[reef_id]
        if reef_id in self._paged and left * 256 <= self._window_slots:
            self._hungry.add(reef_id)
        return True

    def wants_reading(self) -> bool:
        """Return whether ``read`` would make progress."""
        if self._free_slots <= 0:
            return False
        if self._hungry:
            return True
        return self._scanning and (self._free_slots * 4 >= self._window_slots or not self.fifo.ready_groups)

    def read(self, journal: Journal) -> None:
        """Feed one page of the journal: of a hungry reef, or of the scan."""
        if self._hungry:
            self._read_reef(journal, self._hungry.pop())
        elif self._scanning:
            self._read_on(journal)

    def _read_reef(self, journal: Journal, reef_id: str) -> None:
        until = self._scanned_to if self._scanning else journal.last_position
        records, complete = _page(journal.scan_reef(self.subscription, reef_id, after=self._paged[reef_id], until=until))
        for record in records:
            if self._slots.get(reef_id, 0) >= self._free_slots:
                complete = False
                break
            self._feed(record[0], envelope_of(record), record[9])
            self._paged[reef_id] = record[0]
        if complete:
            del self._paged[reef_id]
        elif reef_id not in self._slots:  # else its own next acknowledgement makes it hungry again
            self._hungry.add(reef_id)

    def _read_on(self, journal: Journal) -> None:
        until = min(journal.last_position, self._scanned_to + SCAN_POSITIONS)
        records, complete = _page(journal.scan(self.subscription, after=self._scanned_to, until=until))
        for record in records:
            if record[2] not in self._paged and not self._feed_or_page(record[0], envelope_of(record), record[9]):
                self._scanned_to = record[0] - 1
                return
            self._scanned_to = record[0]
        if complete:
            self._scanned_to = until
            self._scanning = until < journal.last_position

    def _feed_or_page(self, position: int, message: Envelope, published_us: int) -> bool:
        """Feed a message, or page its reef; False when there is no room and its reef has nothing in memory."""
        reef_id = message.reef_id
        taken = self._slots.get(reef_id, 0)
        if taken < self._free_slots:
            self._feed(position, message, published_us)
        elif taken:
            self._paged[reef_id] = position - 1
        else:
            return False
        return True

    def _feed(self, position: int, message: Envelope, published_us: int) -> None:
        reef_id = message.reef_id
        event_id = message.event_id
        if message.headers and message.headers.get(REPLAYED) == "true":
            event_id = ""
        slots = 1 + len(message.body) // SLOT_BYTES
        entry = QueuedMessage(position, reef_id, event_id, published_us, message, position <= self._inherited_to, slots)
        if self.fifo.put(entry):
            self._slots[reef_id] = self._slots.get(reef_id, 0) + slots
            self._free_slots -= slots
        else:
            self._forget(entry)


def _page(cursor: sqlite3.Cursor) -> tuple[list[Record], bool]:
    """Read one page; return it, and whether it was the last."""
    records: list[Record] = []
    slots = 0
    try:
        for record in cursor:
            if len(records) == PAGE_MESSAGES or slots >= PAGE_SLOTS:
                return records, False
            records.append(record)
            slots += 1 + len(record[10]) // SLOT_BYTES
    finally:
        cursor.close()  # a cursor left open would keep the log from being checkpointed
    return records, True
