"""The months of UTC for which the read model holds readings: each is noted before its first row is written."""

from collections.abc import Iterable
from typing import Final

from reefmesh.store.port import Write
from reefmesh_dashboard.domain.spans import Month

# In PostgreSQL a trigger makes the month's partitions, in the same transaction (ADR 0039).
NOTE_MONTH: Final = "INSERT INTO months (month, from_us, before_us) VALUES (?, ?, ?) ON CONFLICT (month) DO NOTHING"


class Months:
    """What this process knows of them, so that it notes each month once."""

    def __init__(self) -> None:
        self._noted: set[str] = set()

    def to_note(self, months: Iterable[Month]) -> list[Write]:
        """Return the statements that note those of the months that this process has not noted."""
        missing = {month.name: month for month in months if month.name not in self._noted}
        return [Write(NOTE_MONTH, (name, missing[name].from_us, missing[name].before_us)) for name in sorted(missing)]

    def are_noted(self, months: Iterable[Month]) -> None:
        """The unit of work that notes these months was committed."""
        self._noted.update(month.name for month in months)
