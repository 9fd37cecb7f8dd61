"""Facts about a reef and its buoys that travel with the readings, so that downstream services need no register."""

from typing import Annotated, Literal

from pydantic import Field

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
