"""The record of a test: which lane held which reef, in which order its messages were handled, and which laws that broke."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal

from reefmesh.broker.port import Publication

EARLY_SECONDS: Final = 0.1
"""How long a lane keeps a message that is too early before it gives it back."""

Turn = Literal["next", "repeat", "early"]
"""Of a message that a lane received: its reef's next one, one that was applied before, or one that came before its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneOfClient:
    """One lane of one client."""

    client: str
    lane: int


@dataclass(slots=True)
class _ReefRecord:
    holder: LaneOfClient | None = None
    allowed: set[int] = field(default_factory=lambda: {0})
    applied: int = -1
    outputs: Sequence[Publication] = ()


class Ledger:
    """Judges every step as it is recorded. Messages of a reef are numbered from 0 in publishing order.

    A lane holds a reef from the moment ``receive`` returned until it asks the broker to settle: a second lane that gets the
    reef in between breaks the law. After a settlement the next number must come; after an interruption the same one again;
    after an unknown outcome either.

    In a numbered channel the ledger stands for a consumer's database too: it knows the number that was applied last.
    There an engine may deliver again what was settled (its acknowledgement may be sent later, with that of an earlier message)
    and may deliver a message before its turn (after a loss). A lane asks for the ``turn`` and records only the next one as
    received: that is the law that services rely on. ``repeats``: a plain channel may deliver again what was settled, too.
    """

    def __init__(self, *, numbered: bool = False, repeats: bool = False) -> None:
        self.breaches: list[str] = []
        self.settled: dict[str, list[int]] = {}
        self.settled_by: Counter[str] = Counter()
        self.redelivered: set[tuple[str, int]] = set()
        self._numbered = numbered
        self._repeats = numbered or repeats
        self._reefs: dict[str, _ReefRecord] = {}
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._looks = 0

    @property
    def settled_messages(self) -> int:
        return sum(len(numbers) for numbers in self.settled.values())

    def holds(self, reef_id: str) -> bool:
        """Return whether a lane holds this reef."""
        return reef_id in self._reefs and self._reefs[reef_id].holder is not None

    def expect(self, reef_id: str, number: int) -> None:
        """Set which message of this reef must come first; those before it count as applied."""
        self._reefs[reef_id] = _ReefRecord(allowed={number}, applied=number - 1)

    def turn(self, reef_id: str, number: int) -> Turn:
        """Return whose turn a message is. In a plain channel without repeats it must be the next one, or the law is broken."""
        applied = self._reefs.setdefault(reef_id, _ReefRecord()).applied
        if self._repeats and number <= applied:
            return "repeat"
        return "early" if self._numbered and number > applied + 1 else "next"

    def received(self, reef_id: str, number: int, worker: LaneOfClient, *, redelivered: bool) -> None:
        reef = self._reefs.setdefault(reef_id, _ReefRecord())
        if reef.holder is not None:
            self.breaches.append(f"{reef_id}/{number} went to {worker} while {reef.holder} held the reef")
        if number not in reef.allowed:
            self.breaches.append(f"{reef_id}: got {number} at {worker}, expected one of {sorted(reef.allowed)}")
        if redelivered:
            self.redelivered.add((reef_id, number))
        reef.holder = worker
        self._look()

    def handled(self, reef_id: str, number: int, outputs: Sequence[Publication] = ()) -> None:
        """The lane is about to settle: from now on the broker may give the reef to any lane."""
        reef = self._reefs[reef_id]
        reef.holder = None
        reef.allowed = {number, number + 1}
        reef.applied, reef.outputs = number, outputs

    def repeated(self, reef_id: str, number: int, *, redelivered: bool) -> Sequence[Publication]:
        """A message came that was applied before; return its outputs, unless they are known to be out."""
        reef = self._reefs[reef_id]
        if redelivered:
            self.redelivered.add((reef_id, number))
        return reef.outputs if number == reef.applied and number not in self.settled.get(reef_id, ()) else ()

    def confirmed(self, reef_id: str, number: int, worker: LaneOfClient) -> None:
        """The settlement is confirmed; of a repeat, that of an earlier delivery may have been before."""
        reef = self._reefs[reef_id]
        if self._repeats and (number in self.settled.get(reef_id, ()) or (not self._numbered and number < reef.applied)):
            return
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
        """Return whether the last message of every reef is settled (each comes only after all before it)."""
        return all(reef in self.settled and self.settled[reef][-1] == count - 1 for reef, count in counts.items() if count)

    async def until_turn(self, reef_id: str, number: int) -> None:
        """Wait until this message is no longer early, ``EARLY_SECONDS`` at most."""
        with suppress(TimeoutError):
            await self._wait(lambda: self.turn(reef_id, number) != "early", EARLY_SECONDS)

    async def until(self, condition: Callable[[], bool], *, within_seconds: float, what: str) -> None:
        """Wait until ``condition`` holds; it is evaluated after every record. While there are records the wait goes on, so that
        a busy machine fails no law: the limit is for a standstill.

        Raises:
            AssertionError: nothing was recorded for so long.
        """
        while True:
            looks = self._looks
            try:
                return await self._wait(condition, within_seconds)
            except TimeoutError:
                if looks == self._looks:
                    counts = {reef: len(numbers) for reef, numbers in sorted(self.settled.items())}
                    said = f"nothing for {within_seconds} s before: {what}; settled so far {counts}, {self.breaches[:3]}"
                    raise AssertionError(said) from None

    async def _wait(self, condition: Callable[[], bool], within_seconds: float) -> None:
        if condition():
            return
        watcher = condition, asyncio.get_running_loop().create_future()
        self._watchers.append(watcher)
        try:
            await asyncio.wait_for(watcher[1], within_seconds)
        finally:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

    def _look(self) -> None:
        self._looks += 1
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
