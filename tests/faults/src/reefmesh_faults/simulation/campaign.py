"""Many schedules, one seed after the other, on as many processes of this machine as are given."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from multiprocessing import get_context
from typing import Any, Final

import structlog

from reefmesh_faults.simulation.schedule import run_schedule
from reefmesh_faults.simulation.switches import SWITCHES, WHOLE, Composition
from reefmesh_faults.simulation.world import Outcome

CHUNK: Final = 20
_SILENT_LEVEL: Final = 50
_COLLECT_AFTER_OBJECTS: Final = 100_000


@dataclass(slots=True, kw_only=True)
class Tally:
    """What schedules were in sum. ``broken``: seed -> the laws that it broke, in words; ``laws``: in how many schedules."""

    schedules: int = 0
    messages: int = 0
    units: int = 0
    redeliveries: int = 0
    handled_again: int = 0
    turns: int = 0
    virtual_seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    laws: Counter[str] = field(default_factory=Counter)
    broken: dict[int, list[str]] = field(default_factory=dict)

    def note(self, outcome: Outcome) -> None:
        self.schedules += 1
        self.messages += outcome.messages
        self.units += outcome.units
        self.redeliveries += outcome.redeliveries
        self.handled_again += outcome.handled_again
        self.turns += outcome.turns
        self.virtual_seconds += outcome.virtual_seconds
        self.faults.update(outcome.faults)
        self.laws.update({violation.law for violation in outcome.violations})
        if outcome.violations:
            self.broken[outcome.seed] = [str(violation) for violation in outcome.violations]

    def facts(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def add(self, other: "Tally") -> None:
        self.schedules += other.schedules
        self.messages += other.messages
        self.units += other.units
        self.redeliveries += other.redeliveries
        self.handled_again += other.handled_again
        self.turns += other.turns
        self.virtual_seconds += other.virtual_seconds
        self.faults.update(other.faults)
        self.laws.update(other.laws)
        self.broken.update(other.broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A switch, and the first schedule in which the checker saw it; ``seed`` is None when it never did."""

    switch: str
    what: str
    schedules: int
    seed: int | None
    law: str


@contextmanager
def hushed() -> Iterator[None]:
    """The services log every fault they meet: here that is noise."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_SILENT_LEVEL))
    try:
        yield
    finally:
        structlog.configure(**before)


def composition_named(name: str) -> Composition:
    """Raises KeyError."""
    return {each.name: each for each in (WHOLE, *SWITCHES)}[name]


def run_seeds(first: int, schedules: int, switch: str = WHOLE.name, engine: str = "activemq") -> Tally:
    """Run consecutive seeds in this process."""
    tally = Tally()
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, *before[1:])
    try:
        with hushed():
            for seed in range(first, first + schedules):
                tally.note(run_schedule(seed, composition_named(switch), engine=engine))
    finally:
        gc.set_threshold(*before)
    return tally


def run_campaign(
    first: int,
    schedules: int,
    *,
    switch: str = WHOLE.name,
    engine: str = "activemq",
    jobs: int = 1,
    progress: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Run consecutive seeds on ``jobs`` processes; ``progress`` is called with the sum so far."""
    tally = Tally()
    starts = iter(range(first, first + schedules, CHUNK))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running: set[Future[Tally]] = set()

        def submit() -> None:
            for start in starts:
                running.add(pool.submit(run_seeds, start, min(CHUNK, first + schedules - start), switch, engine))
                if len(running) >= 2 * jobs:
                    return

        submit()
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                running.discard(each)
                tally.add(each.result())
            progress(tally)
            submit()
    return tally


def find(composition: Composition, *, first: int, limit: int, engine: str = "activemq") -> Found:
    """Run seeds until a law is broken, at most ``limit``."""
    with hushed():
        for number, seed in enumerate(range(first, first + limit), start=1):
            outcome = run_schedule(seed, composition, engine=engine)
            if outcome.violations:
                law = outcome.violations[0].law
                return Found(switch=composition.name, what=composition.what, schedules=number, seed=seed, law=law)
    return Found(switch=composition.name, what=composition.what, schedules=limit, seed=None, law="")
