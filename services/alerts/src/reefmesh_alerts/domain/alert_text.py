"""Names, durations and instants as every text of an alert writes them.

Instants are ISO 8601 in UTC, so a text needs no locale. Names and fault texts come from devices and files:
``reefmesh.visible_text`` decides which of their characters reach a mail header or a terminal.
"""

from datetime import UTC, datetime
from typing import Final

from reefmesh.visible_text import visible

_AGES: Final = (("days", 86_400), ("h", 3600), ("min", 60))


def plain(text: str) -> str:
    """Return one line in which every character can be seen."""
    return " ".join(visible(text, instead=" ").split())


def age(seconds: float) -> str:
    """Return a duration in the largest unit of which it has at least two."""
    for unit, length in _AGES:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def zulu(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
