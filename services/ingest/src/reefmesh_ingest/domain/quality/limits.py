"""The limits of the QARTOD tests, one set for each quantity: the defaults; the register overrides them for single reefs.

Temperature, pH, pCO2, current, visibility: the ranges, the spike and the rate are the project's documented defaults. The
other numbers are defaults of this module, chosen wide enough that water does not reach them but broken sensors do:

* pH and pCO2 swing by 0.2 and a few hundred microatmospheres a day on a reef flat: spikes and rates well beyond that.
* Salinity: 0 to 45 is what sensors can report; 28 to 42 spans rain-diluted lagoons to the Red Sea.
* Nitrate and nitrite: reef water holds below 1 umol/L, groundwater springs tens; 200 is beyond any sea water.
* Flat line: a tolerance of one and a half sensor steps (0.1 degC, 0.01 pH, 1 uatm), so that a value that only toggles between
  two steps counts as flat; half a day is suspect and a whole day fails, because the tide or the sun moves real water in that
  time. Deep or very calm moorings should raise the two durations. Visibility, direction and nitrate have none: visibility is
  often reported in whole metres, and a steady direction is no fault.
"""

from dataclasses import dataclass
from typing import Final

from reefmesh.contracts import quantities

Span = tuple[float, float]
"""(lowest, highest) value, both inside."""

RESOLUTION: Final = 0.0001
"""Limits and values are compared in steps of this, in the quantity's unit."""

RATE_WINDOW_SECONDS: Final = 25 * 3600
"""The standard deviation of the rate test is of the values in this time before the point: one tidal day, as QARTOD says."""
RATE_DEVIATIONS: Final = 3
"""A change of so many standard deviations is what this water does."""
RATE_HISTORY_SECONDS: Final = RATE_WINDOW_SECONDS // 2
"""The standard deviation counts once the record before the point is so long."""

LIMIT_HIGHEST: Final = 1e9
SECONDS_HIGHEST: Final = 14 * 86_400
POINTS_HIGHEST: Final = 20_000
"""How far back a test may look, in time and in points: it bounds what a series must hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityLimits:
    """The limits of one quantity, in the quantity's unit (``quantities.UNITS``); a test without its limit is not evaluated.

    Every number is rounded to 1e-4 of the unit, as values are: see ``thresholds``. "Exceeds" is always strict.

    * ``fail_span``, ``suspect_span``: gross range; the suspect span must lie within the fail span.
    * ``climatology_by_month``: twelve spans, January first (months of UTC), None where unknown; outside is suspect.
    * ``spike_suspect``, ``spike_fail``: thresholds of how far the value lies above both neighbours, or below both.
    * ``rate_suspect_per_hour``, ``rate_fail_per_hour``: thresholds of the change since the previous neighbour, per second of
      time between them (stated per hour because people think so). A change below ``flat_line_tolerance``, or within
      ``RATE_DEVIATIONS`` standard deviations of the ``RATE_WINDOW_SECONDS`` before, exceeds none.
    * ``flat_line_tolerance``: values whose range is below it count as the same; after ``flat_line_suspect_seconds`` or
      ``flat_line_fail_seconds`` of nothing else the point is flagged.
    * ``flat_line_points_limit``: a flat line is looked for among this many points at most: a whole day of one a minute.
    * ``neighbour_gap_seconds``: points farther apart are no neighbours; tests that need them are not evaluated.

    Raises:
        ValueError: contradictory or impossible limits; the message names the field.
    """

    fail_span: Span
    suspect_span: Span | None = None
    climatology_by_month: tuple[Span | None, ...] | None = None
    spike_suspect: float | None = None
    spike_fail: float | None = None
    rate_suspect_per_hour: float | None = None
    rate_fail_per_hour: float | None = None
    flat_line_tolerance: float | None = None
    flat_line_suspect_seconds: int | None = None
    flat_line_fail_seconds: int | None = None
    flat_line_points_limit: int = 1_500
    neighbour_gap_seconds: int = 3 * 3600

    def __post_init__(self) -> None:
        self._require_spans()
        for name in ("spike_suspect", "spike_fail", "rate_suspect_per_hour", "rate_fail_per_hour", "flat_line_tolerance"):
            limit: float | None = getattr(self, name)
            if limit is not None and not RESOLUTION <= limit < LIMIT_HIGHEST:
                raise ValueError(f"{name} must be at least {RESOLUTION}, the resolution of every limit")
        for name in ("flat_line_suspect_seconds", "flat_line_fail_seconds", "neighbour_gap_seconds"):
            seconds: int | None = getattr(self, name)
            if seconds is not None and not 1 <= seconds <= SECONDS_HIGHEST:
                raise ValueError(f"{name} must be within 1 and {SECONDS_HIGHEST} seconds")
        if not 2 <= self.flat_line_points_limit <= POINTS_HIGHEST:
            raise ValueError(f"flat_line_points_limit must be within 2 and {POINTS_HIGHEST}")
        if (self.flat_line_tolerance is None) != (self.flat_line_suspect_seconds is None):
            raise ValueError("flat_line_tolerance and flat_line_suspect_seconds go together")
        if self.flat_line_fail_seconds is not None and self.flat_line_suspect_seconds is None:
            raise ValueError("flat_line_fail_seconds needs flat_line_suspect_seconds")
        _require_order("spike", self.spike_suspect, self.spike_fail)
        _require_order("rate", self.rate_suspect_per_hour, self.rate_fail_per_hour)
        _require_order("flat_line", self.flat_line_suspect_seconds, self.flat_line_fail_seconds)

    def _require_spans(self) -> None:
        _require_span("fail_span", self.fail_span)
        if self.suspect_span is not None:
            _require_span("suspect_span", self.suspect_span)
            if self.suspect_span[0] < self.fail_span[0] or self.suspect_span[1] > self.fail_span[1]:
                raise ValueError("suspect_span must lie within fail_span")
        if self.climatology_by_month is not None:
            if len(self.climatology_by_month) != 12:
                raise ValueError("climatology_by_month must have twelve entries, January first")
            for span in self.climatology_by_month:
                if span is not None:
                    _require_span("climatology_by_month", span)


def _require_span(name: str, span: Span) -> None:
    # Written so that NaN, which compares false with everything, is refused too.
    if not -LIMIT_HIGHEST < span[0] <= span[1] < LIMIT_HIGHEST:
        raise ValueError(f"{name} must be two numbers, the lower first")


def _require_order(test: str, suspect: float | None, fail: float | None) -> None:
    if suspect is not None and fail is not None and suspect > fail:
        raise ValueError(f"the suspect limit of {test} must not exceed its fail limit")


_HALF_DAY: Final = 12 * 3600
_DAY: Final = 24 * 3600

DEFAULT_LIMITS: Final[dict[str, QuantityLimits]] = {
    quantities.SEA_WATER_TEMPERATURE: QuantityLimits(
        fail_span=(-5.0, 45.0),
        suspect_span=(18.0, 35.0),
        spike_suspect=1.0,
        spike_fail=3.0,
        rate_suspect_per_hour=3.0,
        flat_line_tolerance=0.15,
        flat_line_suspect_seconds=_HALF_DAY,
        flat_line_fail_seconds=_DAY,
    ),
    quantities.PH_TOTAL_SCALE: QuantityLimits(
        fail_span=(6.5, 9.5),
        suspect_span=(7.6, 8.6),
        spike_suspect=0.2,
        spike_fail=0.5,
        rate_suspect_per_hour=0.4,
        flat_line_tolerance=0.015,
        flat_line_suspect_seconds=_HALF_DAY,
        flat_line_fail_seconds=_DAY,
    ),
    quantities.PCO2: QuantityLimits(
        fail_span=(0.0, 5000.0),
        suspect_span=(150.0, 1500.0),
        spike_suspect=250.0,
        spike_fail=750.0,
        rate_suspect_per_hour=500.0,
        flat_line_tolerance=1.5,
        flat_line_suspect_seconds=_HALF_DAY,
        flat_line_fail_seconds=_DAY,
    ),
    quantities.SEA_WATER_SPEED: QuantityLimits(
        fail_span=(0.0, 5.0), suspect_span=(0.0, 2.5), spike_suspect=1.0, spike_fail=2.5
    ),
    quantities.SEA_WATER_TO_DIRECTION: QuantityLimits(fail_span=(0.0, 360.0)),
    quantities.VISIBILITY: QuantityLimits(fail_span=(0.0, 80.0)),
    quantities.SALINITY: QuantityLimits(fail_span=(0.0, 45.0), suspect_span=(28.0, 42.0), spike_suspect=2.0, spike_fail=5.0),
    quantities.NITRATE_AND_NITRITE: QuantityLimits(fail_span=(0.0, 200.0), suspect_span=(0.0, 20.0)),
}
"""Limits for every quantity of ``quantities.UNITS``."""
