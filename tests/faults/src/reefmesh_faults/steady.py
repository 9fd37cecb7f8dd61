"""Is it steady? A fitted slope over time, and the verdict on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HOUR_SECONDS: Final = 3600.0
WARM_UP_SHARE: Final = 0.25
"""Of a soak's samples, left out: caches fill, connections open, the garbage collector finds its pace."""

FEWEST_SAMPLES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A series is flat when what it grows by over the measured time, by its fitted line, is at most ``share`` of its mean, or
    ``least`` where that is more. Shrinking is flat."""

    share: float
    least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Of one series. ``growth``: by the fitted line, over the time that was measured."""

    name: str
    unit: str
    mean: float
    highest: float
    slope_per_hour: float
    growth: float
    allowed: float
    judged: bool

    @property
    def is_flat(self) -> bool:
        return self.growth <= self.allowed


def slope_per_second(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares through (seconds, value)."""
    count = len(points)
    mean_at = sum(at for at, _ in points) / count
    mean = sum(value for _, value in points) / count
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    if spread == 0:
        return 0.0
    return sum((at - mean_at) * (value - mean) for at, value in points) / spread


def judge(name: str, unit: str, points: Sequence[tuple[float, float]], bounds: Bounds, *, judged: bool = True) -> Verdict:
    """Judge a series after its warm-up; ``judged`` False: shown, and no part of the verdict on the whole.

    Raises:
        ValueError: there are too few points to say anything.
    """
    if len(points) < FEWEST_SAMPLES:
        raise ValueError(f"{name}: {len(points)} samples say nothing; let it run for longer")
    measured = points[int(len(points) * WARM_UP_SHARE) :]
    slope = slope_per_second(measured)
    mean = sum(value for _, value in measured) / len(measured)
    return Verdict(
        name=name,
        unit=unit,
        mean=round(mean, 2),
        highest=max(value for _, value in points),
        slope_per_hour=round(slope * HOUR_SECONDS, 2),
        growth=round(slope * (measured[-1][0] - measured[0][0]), 2),
        allowed=round(max(bounds.share * mean, bounds.least), 2),
        judged=judged,
    )
