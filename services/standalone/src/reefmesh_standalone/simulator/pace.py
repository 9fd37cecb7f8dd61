"""How simulated time runs: faster than life until it has caught up with the clock, then with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """At ``started_at`` it is ``begins_at`` in the simulation; ``speed`` simulated seconds pass in one, never beyond now."""

    started_at: datetime
    begins_at: datetime
    speed: float

    def simulated(self, now: datetime) -> datetime:
        return min(now, self.begins_at + self.speed * (now - self.started_at))

    def until(self, instant: datetime, now: datetime) -> timedelta:
        """Return how long it takes from ``now`` until it is ``instant`` in the simulation; zero when it is past."""
        catching_up = (instant - self.begins_at) / self.speed - (now - self.started_at)
        return max(timedelta(0), catching_up, instant - now)
