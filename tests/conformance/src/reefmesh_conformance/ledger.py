"""What happened: who held which reef, in which order its messages were handled, and which laws that broke."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One lane of one client."""

    client: str
    lane: int


@dataclass(slots=True)
class _Reef:
    holder: Worker | None = None
    allowed: set[int] = field(default_factory=lambda: {0})


class Ledger:
    """Judges every step as it is recorded.

    Messages of a reef are numbered from 0 in publishing order. A lane holds a reef from the moment ``receive`` returned
    until it asks the broker to settle: whoever else gets the reef in between breaks the law. After a settlement the next
    number must come; after an interruption the same one again; after an unknown outcome either.
    """

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self.settled: dict[str, list[int]] = {}
        self.settled_by: Counter[str] = Counter()
        self.redelivered: set[tuple[str, int]] = set()
        self._reefs: dict[str, _Reef] = {}
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @property
    def settled_messages(self) -> int:
        return sum(len(numbers) for numbers in self.settled.values())

    def holds(self, reef_id: str) -> bool:
        """Whether some lane has this reef in its hands."""
        return reef_id in self._reefs and self._reefs[reef_id].holder is not None

    def expect(self, reef_id: str, number: int) -> None:
        """Say which message of this reef must come first."""
        self._reefs[reef_id] = _Reef(allowed={number})

    def received(self, reef_id: str, number: int, worker: Worker, *, redelivered: bool) -> None:
        reef = self._reefs.setdefault(reef_id, _Reef())
        if reef.holder is not None:
            self.breaches.append(f"{reef_id}/{number} went to {worker} while {reef.holder} held the reef")
        if number not in reef.allowed:
            self.breaches.append(f"{reef_id}: got {number} at {worker}, expected one of {sorted(reef.allowed)}")
        if redelivered:
            self.redelivered.add((reef_id, number))
        reef.holder = worker
        self._look()

    def handled(self, reef_id: str, number: int) -> None:
        """The lane is about to settle: from now on the broker may give the reef to anyone."""
        reef = self._reefs[reef_id]
        reef.holder = None
        reef.allowed = {number, number + 1}

    def confirmed(self, reef_id: str, number: int, worker: Worker) -> None:
        reef = self._reefs[reef_id]
        self.settled.setdefault(reef_id, []).append(number)
        self.settled_by[worker.client] += 1
        if reef.allowed == {number, number + 1}:  # else the next one has been received meanwhile
            reef.allowed = {number + 1}
        self._look()

    def interrupted(self, reef_id: str, number: int) -> None:
        """The lane gives the message up unhandled."""
        reef = self._reefs[reef_id]
        reef.holder = None
        reef.allowed = {number}
        self._look()

    def reached(self, counts: dict[str, int]) -> bool:
        """Whether the last message of every reef is settled (each comes only after all before it)."""
        return all(reef in self.settled and self.settled[reef][-1] == count - 1 for reef, count in counts.items() if count)

    async def until(self, condition: Callable[[], bool], *, within_seconds: float, what: str) -> None:
        """Wait until ``condition`` holds; it is looked at after every record."""
        if condition():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((condition, future))
        try:
            await asyncio.wait_for(future, within_seconds)
        except TimeoutError:
            counts = {reef: len(numbers) for reef, numbers in sorted(self.settled.items())}
            raise AssertionError(f"within {within_seconds} s: {what}; settled so far {counts}, {self.breaches[:3]}") from None

    def _look(self) -> None:
        for watcher in [watcher for watcher in self._watchers if watcher[0]()]:
            self._watchers.remove(watcher)
            if not watcher[1].done():
                watcher[1].set_result(None)

    def assert_lawful(self) -> None:
        assert self.breaches[:5] == []

    def assert_complete(self, expected: dict[str, int]) -> None:
        """Every reef's messages were settled, each once, in order, and nothing else was."""
        self.assert_lawful()
        assert {reef: list(range(count)) for reef, count in expected.items() if count} == self.settled
