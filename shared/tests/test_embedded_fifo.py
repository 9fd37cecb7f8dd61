"""The FIFO rules: the vectors of the design, and every sequence of calls against a naive model."""

from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from reefmesh.broker.embedded.fifo import DEDUP_WINDOW_SECONDS, Fifo, Held, QueuedMessage


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def fifo_of(groups: str, *, visibility_timeout_seconds: float | None = None, now: Clock | None = None) -> Fifo[str]:
    """Return a queue holding one message for each letter, in order, its group."""
    fifo: Fifo[str] = Fifo(now=now or Clock(), visibility_timeout_seconds=visibility_timeout_seconds)
    for position, group in enumerate(groups):
        assert fifo.put(QueuedMessage(position, group, f"id-{position}", 0, f"{group}{position}"))
    return fifo


def names(taken: list[Held[str]]) -> list[str]:
    return [held.entry.payload for held in taken]


def letters(taken: list[Held[str]]) -> str:
    return "".join(held.entry.group for held in taken)


def test_eleven_of_one_group_ten_then_only_after_all_are_acknowledged_one() -> None:
    fifo = fifo_of("A" * 11)
    first = fifo.receive(10)
    assert letters(first) == "A" * 10
    for held in first:
        assert names(fifo.receive(10)) == []
        assert fifo.acknowledge(held)
    assert names(fifo.receive(10)) == ["A10"]


def test_b_b_b_a_a_a_one_batch_of_all_b_then_all_a() -> None:
    assert names(fifo_of("BBBAAA").receive(10)) == ["B0", "B1", "B2", "A3", "A4", "A5"]


def test_interleaved_groups_batch_takes_the_oldest_group_first() -> None:
    assert names(fifo_of("BABABA").receive(10)) == ["B0", "B2", "B4", "A1", "A3", "A5"]


def test_eleven_a_and_eleven_b_two_consumers_ten_each_then_the_last_of_both() -> None:
    fifo = fifo_of("AB" * 11)
    first, second = fifo.receive(10), fifo.receive(10)
    assert (letters(first), letters(second)) == ("A" * 10, "B" * 10)
    for held in first + second:
        fifo.acknowledge(held)
    assert letters(fifo.receive(10)) == "AB"


def test_eleven_a_and_eleven_b_second_not_acknowledged_first_gets_only_the_last_a() -> None:
    fifo = fifo_of("AB" * 11)
    first, second = fifo.receive(10), fifo.receive(10)
    for held in first:
        fifo.acknowledge(held)
    assert letters(second) == "B" * 10
    assert letters(fifo.receive(10)) == "A"


def test_released_out_of_order_comes_back_in_order_flagged() -> None:
    fifo = fifo_of("AAAA")
    first, second, third = fifo.receive(3)
    assert fifo.release(third)
    assert fifo.acknowledge(second)
    assert fifo.receive(1) == []
    assert fifo.release(first)
    again = fifo.receive(10)
    assert [(held.entry.payload, held.entry.redelivered) for held in again] == [("A0", True), ("A2", True), ("A3", False)]


def test_visibility_time_out_passes_message_returns_and_the_old_receipt_is_void() -> None:
    now = Clock()
    fifo = fifo_of("AAB", visibility_timeout_seconds=30, now=now)
    (held,) = fifo.receive(1)
    now.seconds += 10
    (other,) = fifo.receive(1)
    assert (held.entry.payload, other.entry.payload) == ("A0", "B2")
    assert fifo.next_deadline() == 1030
    now.seconds += 19.9
    assert fifo.expire() == []
    now.seconds += 0.1
    assert fifo.expire() == [held]
    assert not fifo.acknowledge(held)
    assert not fifo.release(held)
    assert names(fifo.receive(10)) == ["A0", "A1"]


def test_visibility_time_out_passes_while_pinned_message_stays_in_flight() -> None:
    now = Clock()
    fifo = fifo_of("A", visibility_timeout_seconds=30, now=now)
    (held,) = fifo.receive(1)
    held.pinned = True
    now.seconds += 60
    assert fifo.expire() == []
    assert fifo.acknowledge(held)


def test_same_event_id_within_the_window_is_a_duplicate_and_after_it_is_not() -> None:
    fifo: Fifo[str] = Fifo(now=Clock())
    window_us = int(DEDUP_WINDOW_SECONDS * 1_000_000)
    assert fifo.put(QueuedMessage(1, "A", "x", 0, "first"))
    fifo.acknowledge(fifo.receive(1)[0])
    assert not fifo.put(QueuedMessage(2, "A", "x", window_us, "repeat"))
    assert fifo.put(QueuedMessage(3, "A", "x", window_us + 1, "later"))
    assert not fifo.put(QueuedMessage(4, "B", "x", window_us + 2, "repeat of the later one"))
    assert fifo.duplicates == 2
    assert names(fifo.receive(10)) == ["later"]


def test_empty_event_id_is_never_a_duplicate() -> None:
    fifo: Fifo[str] = Fifo(now=Clock())
    assert fifo.put(QueuedMessage(1, "A", "", 0, "a"))
    assert fifo.put(QueuedMessage(2, "A", "", 0, "b"))


class NaiveQueue(RuleBasedStateMachine):
    """The rules, written as slowly and plainly as possible, beside the real thing."""

    held: Bundle[tuple[int, Held[int]]] = Bundle("held")

    @initialize(visibility=st.sampled_from([None, 20.0]))
    def start(self, visibility: float | None) -> None:
        self.now = Clock()
        self.fifo: Fifo[int] = Fifo(now=self.now, visibility_timeout_seconds=visibility, dedup_window_seconds=50)
        self.visibility = visibility
        self.positions = count()
        self.waiting: list[tuple[int, str, bool]] = []  # position, group, redelivered; sorted
        self.in_flight: dict[int, tuple[str, float]] = {}  # position -> group, deadline
        self.published: list[tuple[str, float]] = []
        self.receipts: dict[int, Held[int]] = {}  # position -> the newest receipt

    @rule(group=st.sampled_from("ABCD"), event=st.integers(0, 30))
    def put(self, group: str, event: int) -> None:
        event_id, position = f"e{event}", next(self.positions)
        duplicate = any(known == event_id and self.now.seconds - at <= 50 for known, at in self.published)
        entry = QueuedMessage(position, group, event_id, int(self.now.seconds * 1_000_000), position)
        assert self.fifo.put(entry) == (not duplicate)
        if not duplicate:
            self.published.append((event_id, self.now.seconds))
            self.waiting.append((position, group, False))

    @rule(target=held, limit=st.integers(1, 6))
    def receive(self, limit: int) -> MultipleResults[tuple[int, Held[int]]]:
        expected: list[tuple[int, str, bool]] = []
        while len(expected) < limit:
            busy = {group for group, _ in self.in_flight.values()} | {group for _, group, _ in expected}
            heads = [message for message in self.waiting if message[1] not in busy]
            if not heads:
                break
            of_group = [message for message in self.waiting if message[1] == heads[0][1]]
            expected += of_group[: limit - len(expected)]
        taken = self.fifo.receive(limit)
        assert [(held.entry.payload, held.entry.group, held.entry.redelivered) for held in taken] == expected
        for position, group, redelivered in expected:
            self.waiting.remove((position, group, redelivered))
            self.in_flight[position] = (group, self.now.seconds + (self.visibility or float("inf")))
        self.receipts.update({held.entry.payload: held for held in taken})
        return multiple(*((held.entry.payload, held) for held in taken))

    @rule(receipt=consumes(held))
    def acknowledge(self, receipt: tuple[int, Held[int]]) -> None:
        position, held = receipt
        current = self._is_current(held, position)
        assert self.fifo.acknowledge(held) == current
        if current:
            del self.in_flight[position]

    @rule(receipt=consumes(held))
    def release(self, receipt: tuple[int, Held[int]]) -> None:
        position, held = receipt
        current = self._is_current(held, position)
        assert self.fifo.release(held) == current
        if current:
            self._return(position)

    @rule(seconds=st.sampled_from([1.0, 9.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        self.now.seconds += seconds
        due = sorted(position for position, (_, deadline) in self.in_flight.items() if deadline <= self.now.seconds)
        assert sorted(held.entry.payload for held in self.fifo.expire()) == due
        for position in due:
            self._return(position)

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "fifo"):
            assert self.fifo.waiting_messages == len(self.waiting)
            assert self.fifo.in_flight_messages == len(self.in_flight)

    def _is_current(self, held: Held[int], position: int) -> bool:
        return position in self.in_flight and self.receipts[position] is held

    def _return(self, position: int) -> None:
        group, _ = self.in_flight.pop(position)
        self.waiting.append((position, group, True))
        self.waiting.sort()


TestNaiveQueue = NaiveQueue.TestCase
TestNaiveQueue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
