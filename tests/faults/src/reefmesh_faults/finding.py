"""A breach of a law, as the checker tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Law = Literal[
    "nothing lost",
    "nothing doubled",
    "in order",
    "no overlap",
    "applied once",
    "one ledger row",
    "nothing invented",
    "gaps counted",
    "logs do not block",
    "no poison",
    "no bug",
    "settles",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One breach: which law, where, and what was seen."""

    law: Law
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.law}: {self.where}: {self.what}"


def short(values: Sequence[object]) -> str:
    """Return the first of them, and how many more there are."""
    shown = ", ".join(str(value) for value in values[:5])
    return shown if len(values) <= 5 else f"{shown} and {len(values) - 5} more"
