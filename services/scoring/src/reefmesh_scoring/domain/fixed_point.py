"""Measured numbers as integers, where sums must not depend on their order and thresholds must be met exactly.

1e-4 holds a buoy's steps of 0.1 and 0.01 and NOAA's four decimals: 32.01 - 31.01 is exactly 1 in it, and not in binary floats.
"""

from typing import Final

E4: Final = 10_000
E6: Final = 1_000_000


def to_e4(value: float) -> int:
    """Return ``value`` in 1e-4 of its unit, rounded to the nearest (halves to even)."""
    return round(value * E4)


def from_e4(value_e4: int) -> float:
    return value_e4 / E4


def mean_e4(total_e4: int, count: int) -> int:
    """Return the mean of ``count`` > 0 values, rounded to the nearest 1e-4 (halves up)."""
    return (2 * total_e4 + count) // (2 * count)
