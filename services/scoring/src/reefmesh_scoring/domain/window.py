"""The 5-minute window of event time that holds the newest scored value of a quantity."""

from dataclasses import dataclass
from typing import Final

from reefmesh_scoring.domain.fixed_point import E6
from reefmesh_scoring.domain.solar_day import DAY_US, SECOND_US

WINDOW_US: Final = 300 * SECOND_US

LOOKBACK_US: Final = 30 * DAY_US
"""A scored value older than this at ``as_of`` is neither shown nor searched for. So the search is bounded, and the order of
arrival does not matter. It is longer than three of the longest report intervals."""


def window_start_us(observed_us: int) -> int:
    """Return the start of the window of that instant: windows do not overlap and are aligned to the epoch."""
    return observed_us - observed_us % WINDOW_US


@dataclass(slots=True, kw_only=True)
class NewestScored:
    """The newest scored value and the running aggregate of its window; the sum is of integers of 1e-6, so any order of
    arrival makes the same mean. Of two values of one instant, the buoy with the greater name counts as the newer."""

    observed_us: int
    buoy_id: str
    value: float
    starts_us: int
    minimum: float
    maximum: float
    total_e6: int
    count: int

    @classmethod
    def of(cls, observed_us: int, buoy_id: str, value: float) -> "NewestScored":
        return cls(
            observed_us=observed_us,
            buoy_id=buoy_id,
            value=value,
            starts_us=window_start_us(observed_us),
            minimum=value,
            maximum=value,
            total_e6=round(value * E6),
            count=1,
        )

    def add(self, observed_us: int, buoy_id: str, value: float) -> None:
        """Add a value; one before the window is ignored, one after it starts a new window."""
        if observed_us < self.starts_us:
            return
        if observed_us >= self.starts_us + WINDOW_US:
            self.starts_us = window_start_us(observed_us)
            self.minimum = self.maximum = value
            self.total_e6 = round(value * E6)
            self.count = 1
        else:
            self.minimum = min(self.minimum, value)
            self.maximum = max(self.maximum, value)
            self.total_e6 += round(value * E6)
            self.count += 1
        if (observed_us, buoy_id) > (self.observed_us, self.buoy_id):
            self.observed_us, self.buoy_id, self.value = observed_us, buoy_id, value

    @property
    def mean(self) -> float:
        return self.total_e6 / self.count / E6
