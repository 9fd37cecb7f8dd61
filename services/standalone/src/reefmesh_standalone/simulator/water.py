"""The simulated sea: smooth functions of time with a season, a heat wave, a day, a tide, and seeded noise."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

_NOISE_STEPS = 2**32
TIDE_HOURS = 12.42


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatWave:
    """Warms the water by ``anomaly_celsius`` above the MMM, rising and easing over ``ramp`` at its ends."""

    begins_at: datetime
    ends_at: datetime
    anomaly_celsius: float
    ramp: timedelta = timedelta(days=6)

    def weight(self, at: datetime) -> float:
        """Return 0 outside, 1 in the middle, linear on the ramps."""
        rise = (at - self.begins_at) / self.ramp
        fall = (self.ends_at - at) / self.ramp
        return max(0.0, min(1.0, rise, fall))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringHeatWave:
    """A heat wave that comes back: one begins at ``first_begins_at`` and at each ``every`` after it, each for ``lasts``."""

    first_begins_at: datetime
    every: timedelta
    lasts: timedelta
    anomaly_celsius: float
    ramp: timedelta = timedelta(days=6)

    def weight(self, at: datetime) -> float:
        """Return 0 outside, 1 in the middle of a wave, linear on the ramps."""
        if at < self.first_begins_at:
            return 0.0
        since = (at - self.first_begins_at) % self.every
        return max(0.0, min(1.0, since / self.ramp, (self.lasts - since) / self.ramp))


@dataclass(frozen=True, slots=True, kw_only=True)
class Water:
    """One site. Outside a heat wave the day's mean lies ``below_mmm_celsius`` under the MMM."""

    seed: str
    mmm_celsius: float
    below_mmm_celsius: float = 1.2
    waves: tuple[HeatWave | RecurringHeatWave, ...] = ()
    current_metres_per_second: float = 0.2
    visibility_metres: float = 18.0
    ph: float = 8.06

    def noise(self, at: datetime, what: str) -> float:
        """Return a value in -1..1 that depends on nothing but the seed, the instant and ``what``."""
        return 2.0 * crc32(f"{self.seed}/{what}/{at.timestamp():.0f}".encode()) / _NOISE_STEPS - 1.0

    def temperature_celsius(self, at: datetime) -> float:
        warming = sum(wave.weight(at) * (wave.anomaly_celsius + self.below_mmm_celsius) for wave in self.waves)
        slow = 0.15 * math.sin(2 * math.pi * at.timestamp() / timedelta(days=9).total_seconds())
        day = 0.25 * math.cos(2 * math.pi * (_hour(at) - 14.0) / 24.0)
        return self.mmm_celsius - self.below_mmm_celsius + warming + slow + day + 0.03 * self.noise(at, "temperature")

    def ph_total_scale(self, at: datetime) -> float:
        return self.ph + 0.04 * math.cos(2 * math.pi * (_hour(at) - 15.0) / 24.0) + 0.004 * self.noise(at, "ph")

    def pco2_microatmospheres(self, at: datetime) -> float:
        return 400.0 * 10 ** (0.9 * (8.06 - self.ph_total_scale(at))) + 3.0 * self.noise(at, "pco2")

    def speed_metres_per_second(self, at: datetime) -> float:
        tide = abs(math.sin(math.pi * at.timestamp() / (TIDE_HOURS * 3600.0)))
        return max(0.0, self.current_metres_per_second * (0.5 + tide) + 0.01 * self.noise(at, "speed"))

    def visibility(self, at: datetime) -> float:
        """Return the under-water visibility in metres."""
        return max(0.5, self.visibility_metres * (1.0 + 0.05 * self.noise(at, "visibility")))


def _hour(at: datetime) -> float:
    return at.hour + at.minute / 60.0 + at.second / 3600.0
