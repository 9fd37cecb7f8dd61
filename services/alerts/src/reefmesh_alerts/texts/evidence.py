"""The values of an alert's evidence by name: each may be missing, for an alert in the ledger may be older than the name."""

import math
from collections.abc import Mapping
from typing import Final

Evidence = Mapping[str, str | float | int | None]

IGNORED_AT: Final = "ignored_at"


def number(evidence: Evidence, name: str) -> float | None:
    value = evidence.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def count(evidence: Evidence, name: str) -> int | None:
    value = number(evidence, name)
    return None if value is None else round(value)


def word(evidence: Evidence, name: str) -> str | None:
    value = evidence.get(name)
    return value if isinstance(value, str) and value else None


def is_of_ignored(evidence: Evidence) -> bool:
    """Tell whether the alert is about a sensor that the register ignores."""
    return word(evidence, IGNORED_AT) is not None
