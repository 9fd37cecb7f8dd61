"""One act of an attacker: what is done, with whose password, and what must hold afterwards besides what always must."""

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from reefmesh_hostile.attacker import PUBLISHER, Attacker
from reefmesh_hostile.reefs import HONEST, Reef
from reefmesh_hostile.stage import Stage
from reefmesh_hostile.stomp_wire import Outcome, Send

Kind = Literal[
    "process-ended", "link-lost", "honest-late", "forged", "unaccounted", "uncounted", "above-bound", "page", "not-held"
]

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that did not hold. ``kind`` is for machines, ``text`` says what, of whom, how much."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What an act has done. ``marks``: of each message that the broker has taken, a text that no other message holds, in its
    event id or its body: by it the checker finds what became of it. ``refused``: how many the broker did not take.
    ``findings``: what was seen to be wrong while the act went on; ``restarted``: processes that the act started again.
    ``ended_seconds`` is monotonic."""

    marks: Sequence[str] = ()
    refused: int = 0
    findings: Sequence[Finding] = ()
    restarted: Sequence[str] = ()
    note: str = ""
    ended_seconds: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What an act is given."""

    stage: Stage
    attacker: Attacker
    mark: str = field(default_factory=lambda: f"act{next(_numbers)}x")

    def sent(self, sends: Sequence[Send], marks: Sequence[str], *, version: str = "1.2") -> Deed:
        """Send messages, each with its mark, through one connection; return what the broker took."""
        return deed_of(self.attacker.send_all(sends, version=version), marks)


def deed_of(outcomes: Sequence[Outcome], marks: Sequence[str]) -> Deed:
    taken = [mark for outcome, mark in zip(outcomes, marks, strict=True) if outcome.is_confirmed]
    refusals = [outcome.refusal or "connection closed" for outcome in outcomes if not outcome.is_confirmed]
    note = f"the broker refused {len(refusals)} of {len(outcomes)}: {refusals[0]}" if refusals else ""
    return Deed(marks=taken, refused=len(refusals), note=note)


def nothing_more(_: Scene, __: Deed) -> Iterable[Finding]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """``row`` is that of the table of holes (0: none of them); ``user`` whose password is used. ``is_costly``: it fills or
    overwhelms the broker for long; with ``heap`` it has a broker of its own with so much memory. ``judged``: the reefs whose
    honest reports must be in time; not one in whose name more is sent than can be worked off, since a reef's messages are
    handled one after the other."""

    name: str
    row: int
    what: str
    does: Callable[[Scene], Deed]
    user: str = PUBLISHER
    holds: Callable[[Scene, Deed], Iterable[Finding]] = nothing_more
    is_costly: bool = False
    heap: str = ""
    judged: Sequence[Reef] = HONEST
