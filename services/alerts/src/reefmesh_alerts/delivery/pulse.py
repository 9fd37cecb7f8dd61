"""Whether a target still takes what it is given, as far as one process knows."""

from datetime import datetime, timedelta
from typing import Final

DEAD_AFTER_ATTEMPTS: Final = 3
DEAD_AFTER: Final = timedelta(minutes=2)
"""A target is dead when so many attempts in a row have failed and the oldest delivery among them has been due for so long."""


class Pulse:
    """Counts the failures of a target since its last success."""

    def __init__(self) -> None:
        self.reason = ""
        self.failing_since: datetime | None = None
        """Since when the oldest delivery that failed has been due; None after a success."""
        self.failed_at: datetime | None = None
        self._failures = 0

    def answered(self) -> None:
        """Note a success."""
        self.reason, self.failing_since, self.failed_at, self._failures = "", None, None, 0

    def failed(self, reason: str, *, attempt: int, since: datetime, at: datetime) -> None:
        """Note a failure of a delivery that was due ``since``. ``attempt`` counts the delivery's attempts, also
        those of another process."""
        self.reason, self.failed_at = reason, at
        self.failing_since = since if self.failing_since is None else min(self.failing_since, since)
        self._failures = max(self._failures + 1, attempt)

    @property
    def failures(self) -> int:
        return self._failures

    def is_dead(self, now: datetime) -> bool:
        since = self.failing_since
        return since is not None and self._failures >= DEAD_AFTER_ATTEMPTS and now - since >= DEAD_AFTER
