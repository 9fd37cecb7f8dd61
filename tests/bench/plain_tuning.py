"""How wide each plain pipeline is, and how many messages it takes ahead: what ``--tune`` found best, kept in a file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

TUNING_FILE: Final = Path(__file__).with_name("plain_tuning.json")
BROKERS: Final = ("rabbitmq", "activemq")
WIDTHS: Final = (8, 32, 64)
PREFETCHES: Final = (1, 8)
"""More than one only with a lock for each reef, because FastStream handles at once whatever it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """``width``: queues on RabbitMQ, subscriptions on ActiveMQ, for each stage; ``prefetch``: messages of each in hand."""

    width: int = 32
    prefetch: int = 1

    def __str__(self) -> str:
        return f"{self.width} wide, {self.prefetch} in hand"


SHAPES: Final = tuple(Shape(width=width, prefetch=prefetch) for width in WIDTHS for prefetch in PREFETCHES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """``found``: when and where, for people; empty where nothing was tuned. ``best`` by the pipeline's name (``name_of``)."""

    found: str = ""
    best: Mapping[str, Shape]

    def shape_of(self, broker: str, *, shared_commits: bool) -> Shape:
        return self.best.get(name_of(broker, shared_commits=shared_commits), Shape())


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One shape of one pipeline, and what it did."""

    pipeline: str
    shape: Shape
    per_second: float


def name_of(broker: str, *, shared_commits: bool) -> str:
    return f"{broker}, {'shared commits' if shared_commits else 'a commit a message'}"


def best_of(trials: Sequence[Trial]) -> dict[str, Shape]:
    """Return the fastest shape of each pipeline."""
    fastest: dict[str, Trial] = {}
    for trial in trials:
        if trial.pipeline not in fastest or trial.per_second > fastest[trial.pipeline].per_second:
            fastest[trial.pipeline] = trial
    return {pipeline: trial.shape for pipeline, trial in fastest.items()}


def read_tuning(file: Path = TUNING_FILE) -> Tuning:
    """Return what was found last; where nothing was, the usual shape for all."""
    if not file.exists():
        return Tuning(best={})
    document = json.loads(file.read_text(encoding="utf-8"))
    return Tuning(found=document["found"], best={name: Shape(**shape) for name, shape in document["best"].items()})


def write_tuning(trials: Sequence[Trial], *, found: str, file: Path = TUNING_FILE) -> Tuning:
    """Keep the fastest shapes, and beside them what every other one did."""
    tuning = Tuning(found=found, best=best_of(trials))
    document = {
        "found": found,
        "best": {name: asdict(shape) for name, shape in tuning.best.items()},
        "trials": [asdict(trial) for trial in trials],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return tuning
