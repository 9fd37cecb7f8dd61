"""Where and how a buoy was deployed, as far as its readings depend on it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """``mooring`` is (latitude, longitude) in degrees, None if unknown. A time before ``earliest_us`` shows a broken clock."""

    earliest_us: int
    mooring: tuple[float, float] | None
    drift_limit_metres: float
    report_interval_us: int
