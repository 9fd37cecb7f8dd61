"""What was measured of one candidate, what it is compared with, and the run's limit of time."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import psutil

from candidate import Candidate, Extent, Outcome

BROKER: Final = "broker"
BESIDE_SECONDS: Final = 30.0
"""What a candidate takes beside its measuring: its broker's start, the warm-up, the check, the end. Roughly."""
LEAST_SECONDS: Final = 5.0
TIME_UP: Final = "the time of the run was up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Of the best of its rounds. CPU in microseconds a message: of all services together, and of the broker where it is a
    process of its own. ``rounds``: the messages a second of each."""

    name: str
    engine: str
    plain: bool
    on: str
    promises: Sequence[str]
    per_second: float
    services_microseconds: float
    broker_microseconds: float | None
    load_average: float
    rounds: Sequence[float]

    @property
    def microseconds(self) -> float:
        return self.services_microseconds + (self.broker_microseconds or 0.0)

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> Self:
        return cls(**{**document, "promises": tuple(document["promises"]), "rounds": tuple(document["rounds"])})

    def or_better(self, later: Self) -> Self:
        """Return whichever was faster, with the rounds of both."""
        best = max(self, later, key=lambda row: row.per_second)
        return replace(best, rounds=(*self.rounds, *later.rounds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """To the fastest plain pipeline on the same broker (of the embedded mesh: on any)."""

    rate: float
    cpu: float


def ratios(rows: Sequence[Row]) -> dict[str, Ratio]:
    """Return each row's ratios by its name; those without a plain row to compare with are left out."""
    found = {}
    for row in rows:
        beside = [other for other in rows if other.plain and (row.engine in {other.engine, "embedded"})]
        if beside:
            base = max(beside, key=lambda other: other.per_second)
            found[row.name] = Ratio(rate=row.per_second / base.per_second, cpu=row.microseconds / base.microseconds)
    return found


class Budget:
    """How long a whole run may take, shared by those that are still to be measured."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_at = clock()
        self._seconds = seconds

    @property
    def spent_seconds(self) -> float:
        return self._clock() - self._began_at

    @property
    def left_seconds(self) -> float:
        return max(0.0, self._seconds - self.spent_seconds)

    def extent(self, wanted: Extent, *, still: int) -> Extent:
        """Return how long the next of so many may be measured."""
        share = self.left_seconds / still - BESIDE_SECONDS
        return replace(wanted, seconds=min(wanted.seconds, max(LEAST_SECONDS, share)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """``missing``: why a candidate has no row."""

    rows: Sequence[Row]
    missing: dict[str, str]


async def measured(
    all_of_them: Sequence[Candidate], *, extent: Extent, budget: Budget, kept: Callable[[Rows], None], rounds: int = 1
) -> Rows:
    """Measure one after the other, in every second round from the last to the first, since the machine's mood changes; the
    best round of each counts. ``kept`` is given what is there, after each, so that an end by hand loses nothing.

    Raises:
        ComponentMissing: there is no such broker here.
    """
    rows: dict[str, Row] = {}
    missing: dict[str, str] = {}
    turns = [each for number in range(rounds) for each in (reversed(all_of_them) if number % 2 else all_of_them)]
    for number, candidate in enumerate(turns):
        outcome = await _outcome(candidate, budget.extent(extent, still=len(turns) - number), budget.left_seconds)
        name = candidate.name
        if isinstance(outcome, str):
            told = outcome
            if outcome != TIME_UP or name not in rows:
                missing[name] = outcome
        else:
            row = _row(candidate, outcome)
            rows[name] = rows[name].or_better(row) if name in rows else row
            told = f"{row.per_second:,.0f} messages/s, load {row.load_average:.1f}"
        print(f"{budget.spent_seconds:5.0f} s  {name}: {told}", file=sys.stderr, flush=True)
        kept(Rows(rows=tuple(rows.values()), missing=dict(missing)))
    return Rows(rows=tuple(rows.values()), missing=missing)


def _row(candidate: Candidate, outcome: Outcome) -> Row:
    cpu = outcome.sustained.cpu_seconds
    return Row(
        name=candidate.name,
        engine=candidate.engine,
        plain=candidate.plain,
        on=outcome.on,
        promises=candidate.promises,
        per_second=outcome.sustained.per_second,
        services_microseconds=sum(seconds for name, seconds in cpu.items() if name != BROKER) * 1e6,
        broker_microseconds=cpu[BROKER] * 1e6 if BROKER in cpu else None,
        load_average=psutil.getloadavg()[0],
        rounds=(outcome.sustained.per_second,),
    )


async def _outcome(candidate: Candidate, extent: Extent, seconds: float) -> Outcome | str:
    """Return what was measured, or why nothing was. Raises ComponentMissing."""
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                return await candidate.measure(extent)
        except RuntimeError as fault:
            return str(fault).splitlines()[0]
        except TimeoutError:
            return TIME_UP
    return TIME_UP
