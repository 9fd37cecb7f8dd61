"""What a row of the table is: a counter, a gauge or a histogram, with its unit and its labels."""

from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal[
    "messages",
    "readings",
    "seconds",
    "lanes",
    "units",
    "reefs",
    "events",
    "boolean",
    "ratio",
    "bytes",
    "info",
    "level",
    "celsius_weeks",
    "days",
    "code",
]

OTHER: Final = "other"
"""The value that stands for every label value beyond a label's limit."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its bound: a closed set of ``values``, or the first ``limit`` values seen; the rest become ``OTHER``."""

    name: str
    values: tuple[str, ...] = ()
    limit: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Only rises; ``name`` ends in ``_total``."""

    name: str
    unit: Unit
    help: str
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A value now. Values folded into ``OTHER`` overwrite one another: there it is only a sample of them."""

    name: str
    unit: Unit
    help: str
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """A distribution; ``buckets`` are inclusive upper bounds in the row's unit, ascending, without infinity."""

    name: str
    unit: Unit
    help: str
    buckets: tuple[float, ...]
    labels: tuple[Label, ...] = ()


Row = Counter | Gauge | Histogram
