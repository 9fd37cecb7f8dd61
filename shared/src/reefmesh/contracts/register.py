"""Facts about a reef and its buoys that travel with the readings, so that downstream services need no register."""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reefmesh.contracts.contract import BuoyId, Contract, ReefId


class ReefFacts(Contract):
    """The facts of a reef that scoring needs.

    ``mmm_celsius`` is the maximum of the monthly means; without it heat stress is ``unknown``. ``mmm_source`` is
    ``adjusted`` (to the buoy, Venegas et al. 2019) or ``unadjusted`` (the satellite's). Salinity is on the practical scale.
    """

    reef_id: ReefId
    name: str = Field(max_length=200)
    latitude_degrees: float = Field(ge=-90, le=90)
    longitude_degrees: float = Field(ge=-180, le=180)
    mmm_celsius: float | None = Field(default=None, ge=0, le=40)
    mmm_source: Literal["adjusted", "unadjusted", "unknown"] = "unknown"
    assumed_salinity: float = Field(default=35.0, ge=0, le=45)


class DiveLimits(Contract):
    """Current up to each limit, in knots; visibility from each limit on, in metres. The defaults are this project's."""

    current_good_knots: float = Field(default=0.5, ge=0, le=10)
    current_fair_knots: float = Field(default=1.0, ge=0, le=10)
    current_experienced_knots: float = Field(default=2.0, ge=0, le=10)
    visibility_good_metres: float = Field(default=10.0, ge=0, le=100)
    visibility_fair_metres: float = Field(default=5.0, ge=0, le=100)
    visibility_poor_metres: float = Field(default=3.0, ge=0, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.model_fields_set:
            return self  # the defaults, as nearly every score has them
        rises = self.current_good_knots <= self.current_fair_knots <= self.current_experienced_knots
        if rises and self.visibility_good_metres >= self.visibility_fair_metres >= self.visibility_poor_metres:
            return self
        current = ("current_good_knots", "current_fair_knots", "current_experienced_knots")
        visibility = ("visibility_good_metres", "visibility_fair_metres", "visibility_poor_metres")
        _check_order(self, "limits of current", current, rising=True)
        _check_order(self, "limits of visibility", visibility, rising=False)
        return self


class ChemistryBands(Contract):
    """The classes of an aragonite saturation: good above, adequate from, low from, else marginal. Defaults of this project."""

    good_above: float = Field(default=4.0, ge=0, le=20)
    adequate_from: float = Field(default=3.5, ge=0, le=20)
    low_from: float = Field(default=3.0, ge=0, le=20)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _check_order(self, "bands", ("good_above", "adequate_from", "low_from"), rising=False)
        return self


def _check_order(limits: Contract, what: str, names: Sequence[str], *, rising: bool) -> None:
    """Refuse limits out of order. Where a stated one is at odds with the default of another, the message says which ones to
    state, too."""
    odd: list[str] = []
    defaults: dict[str, None] = {}
    for first, second in combinations(names, 2):
        one, other = getattr(limits, first), getattr(limits, second)
        if one == other or (one < other) == rising:
            continue
        known = {name: "the default of " for name in (first, second) if name not in limits.model_fields_set}
        defaults |= dict.fromkeys(known)
        relation = "above" if rising else "below"
        odd.append(f"{known.get(first, '')}{first}, {one:g}, is {relation} {known.get(second, '')}{second}, {other:g}")
    if odd:
        too = f"; state {' and '.join(defaults)}, too" if defaults else ""
        raise ValueError(
            f"the {what} must {'rise' if rising else 'fall'} in the order {', '.join(names)}: {'; '.join(odd)}{too}"
        )


class ReefConditions(Contract):
    """By which conditions a reef is judged and told of, where its operator states them; None: the defaults.

    ``time_zone`` is an IANA name, such as ``Asia/Makassar``.
    """

    time_zone: str | None = Field(default=None, max_length=64)
    dive_limits: DiveLimits | None = None
    chemistry_bands: ChemistryBands | None = None


PhScale = Literal["total", "nbs", "seawater", "free"]
"""The scale on which a pH probe was calibrated: NBS buffers (also called NIST or IUPAC) or one of the scales of sea water."""


class SensorFacts(Contract):
    """What the register states of the sensor that feeds a quantity: the smallest step between two of its values, in the
    quantity's unit; its depth below the surface; of a pH probe, the scale of its own numbers."""

    resolution: float | None = Field(default=None, ge=0.0001, le=1000)
    depth_metres: float | None = Field(default=None, ge=0, le=11_000)
    scale: PhScale | None = None


class BuoyFacts(Contract):
    """The facts of a buoy that scoring and alerts need: its stated accuracy and its own schedule.

    ``waking_hours_utc`` is (first hour, last hour exclusive) of the day in which it reports, or None for always;
    a span may run over midnight, e.g. (22, 4). Accuracies are one standard deviation or the data sheet's +- value.
    """

    buoy_id: BuoyId
    report_interval_seconds: int = Field(default=1800, ge=1, le=7 * 86400)
    waking_hours_utc: tuple[Annotated[int, Field(ge=0, le=23)], Annotated[int, Field(ge=0, le=24)]] | None = None
    drift_limit_metres: float = Field(default=25.0, gt=0, le=100_000)
    temperature_accuracy_celsius: float = Field(default=0.1, ge=0, le=10)
    ph_accuracy: float = Field(default=0.1, ge=0, le=5)
    pco2_accuracy_uatm: float = Field(default=50.0, ge=0, le=5000)
    battery_low_volts: float | None = Field(default=3.5, ge=0, le=100)
    battery_low_percent: float | None = Field(default=20.0, ge=0, le=100)
