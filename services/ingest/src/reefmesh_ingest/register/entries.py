"""The entries of the register, a reef or a buoy each; the file (TOML) and the table (JSON) have the same fields."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from pydantic import Field, field_validator, model_validator

from reefmesh.contracts.contract import BuoyId, Contract, Instant, ReefId
from reefmesh.contracts.quantities import UNITS
from reefmesh.contracts.register import BuoyFacts, ReefFacts
from reefmesh_ingest.domain.assignment import Assignment
from reefmesh_ingest.domain.quality.limits import DEFAULT_LIMITS, QuantityLimits
from reefmesh_ingest.domain.units import FACTORS, factor_of
from reefmesh_ingest.register.limits import LimitsEntry

IGNORED: Final = "ignored"
"""In place of a quantity: the sensor's values are kept as text beside the reading, and no quantity gets them."""

OLD_QUANTITY_KEY: Final = "channel"

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)

_NOTHING_STATED: Final = Assignment()

_Quantity = Annotated[str, Field(max_length=128)]


def _known_quantity(name: str) -> str:
    if name not in UNITS:
        raise ValueError(f"{name} is not one of {', '.join(UNITS)}")
    return name


class ReefEntry(Contract):
    """A reef. ``mmm_celsius`` is the satellite's maximum of the monthly means; ``mmm_offset_celsius`` is the mean of
    buoy - satellite over the warmest month, where it is known (Venegas et al. 2019). ``limits`` replace the defaults of
    quality control, quantity by quantity."""

    id: ReefId
    name: str = Field(min_length=1, max_length=200)
    latitude_degrees: float = Field(ge=-90, le=90)
    longitude_degrees: float = Field(ge=-180, le=180)
    mmm_celsius: float | None = Field(default=None, ge=0, le=40)
    mmm_source: str = Field(default="", max_length=500)
    mmm_offset_celsius: float | None = Field(default=None, ge=-5, le=5)
    assumed_salinity: float = Field(default=35.0, ge=0, le=45)
    limits: dict[_Quantity, LimitsEntry] = Field(default_factory=dict)

    @field_validator("limits")
    @classmethod
    def _of_known_quantities(cls, limits: dict[str, LimitsEntry]) -> dict[str, LimitsEntry]:
        for name, entry in limits.items():
            entry.over(DEFAULT_LIMITS[_known_quantity(name)])
        return limits

    def limits_in_force(self) -> dict[str, QuantityLimits]:
        """The limits of quality control here: quantity by quantity the reef's own over the defaults."""
        stated = {name: entry.over(DEFAULT_LIMITS[name]) for name, entry in self.limits.items()}
        return {**DEFAULT_LIMITS, **stated} if stated else DEFAULT_LIMITS

    def facts(self) -> ReefFacts:
        """The facts that travel with the readings."""
        offset = self.mmm_offset_celsius
        mmm = None if self.mmm_celsius is None else round(self.mmm_celsius + (offset or 0.0), 4)
        return ReefFacts(
            reef_id=self.id,
            name=self.name,
            latitude_degrees=self.latitude_degrees,
            longitude_degrees=self.longitude_degrees,
            mmm_celsius=mmm,
            mmm_source="unknown" if mmm is None else "unadjusted" if offset is None else "adjusted",
            assumed_salinity=self.assumed_salinity,
        )


class SensorEntry(Contract):
    """Which quantity one sensor measures. ``source`` is the sensor as quarantine shows it (``SEN0169``,
    ``DS18B20-LOGGER/rs485/2/ch1``); ``unit`` replaces the unit that the device states.

    ``channel`` is the old name of ``quantity``: it is still read, and the table keeps it, so that services of an older version
    read what a newer one registered.
    """

    source: str = Field(min_length=1, max_length=128)
    quantity: str = Field(max_length=128, serialization_alias=OLD_QUANTITY_KEY)
    unit: str | None = Field(default=None, max_length=60)

    @model_validator(mode="before")
    @classmethod
    def _read_old_key(cls, stated: Any) -> Any:
        if not isinstance(stated, dict) or OLD_QUANTITY_KEY not in stated:
            return stated
        rest = {name: value for name, value in stated.items() if name != OLD_QUANTITY_KEY}
        if rest.setdefault("quantity", stated[OLD_QUANTITY_KEY]) != stated[OLD_QUANTITY_KEY]:
            raise ValueError(f"state quantity alone: {OLD_QUANTITY_KEY} is its old name, with another value")
        return rest

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.quantity == IGNORED:
            return self
        _known_quantity(self.quantity)
        if self.unit is not None and factor_of(self.quantity, self.unit) is None:
            known = ", ".join(repr(unit) for unit in FACTORS[self.quantity])
            raise ValueError(f"unit {self.unit!r} cannot be right for {self.quantity}; known are {known}")
        return self


class MooringEntry(Contract):
    latitude_degrees: float = Field(ge=-90, le=90)
    longitude_degrees: float = Field(ge=-180, le=180)


class BuoyEntry(Contract):
    """A buoy. ``aliases`` are further names under which it reports (serial number beside IMEI). ``corrections`` multiply
    a quantity's raw value and replace the device's own factor. Before ``earliest_observed_at`` its clock counts as broken.
    The rest is as in ``BuoyFacts``."""

    id: BuoyId
    reef: ReefId
    deployed: bool = True
    aliases: list[BuoyId] = Field(default_factory=list, max_length=16)
    mooring: MooringEntry | None = None
    report_interval_seconds: int = Field(default=1800, ge=1, le=7 * 86400)
    waking_hours_utc: tuple[Annotated[int, Field(ge=0, le=23)], Annotated[int, Field(ge=0, le=24)]] | None = None
    drift_limit_metres: float = Field(default=25.0, gt=0, le=100_000)
    corrections: dict[_Quantity, Annotated[float, Field(ge=0.01, le=100)]] = Field(default_factory=dict)
    sensor: list[SensorEntry] = Field(default_factory=list, max_length=64)
    temperature_accuracy_celsius: float = Field(default=0.1, ge=0, le=10)
    ph_accuracy: float = Field(default=0.1, ge=0, le=5)
    pco2_accuracy_uatm: float = Field(default=50.0, ge=0, le=5000)
    battery_low_volts: float | None = Field(default=3.5, ge=0, le=100)
    battery_low_percent: float | None = Field(default=20.0, ge=0, le=100)
    earliest_observed_at: Instant = EARLIEST

    @field_validator("corrections")
    @classmethod
    def _of_known_quantities(cls, corrections: dict[str, float]) -> dict[str, float]:
        return {_known_quantity(name): factor for name, factor in corrections.items()}

    @model_validator(mode="after")
    def _one_sensor_a_quantity(self) -> Self:
        fed = [entry.quantity for entry in self.sensor if entry.quantity != IGNORED]
        repeated = {quantity for quantity in fed if fed.count(quantity) > 1}
        if repeated:
            raise ValueError(f"two sensors feed {min(repeated)}: name one, and set the other to '{IGNORED}'")
        return self

    def assignment(self) -> Assignment:
        """The quantities of the sensors; all buoys without stated sensors and corrections share one object."""
        if not self.sensor and not self.corrections:
            return _NOTHING_STATED
        return Assignment(
            quantities={each.source: None if each.quantity == IGNORED else each.quantity for each in self.sensor},
            units={each.source: each.unit for each in self.sensor if each.unit is not None},
            corrections=self.corrections,
        )

    def shown(self) -> dict[str, Any]:
        """All fields as JSON values for a person, who can set them again; sensors show the old name of ``quantity`` too."""
        fields = self.model_dump(mode="json")
        for sensor in fields["sensor"]:
            sensor[OLD_QUANTITY_KEY] = sensor["quantity"]
        return fields

    def facts(self) -> BuoyFacts:
        """The facts that travel with the readings."""
        return BuoyFacts(buoy_id=self.id, **{name: getattr(self, name) for name in _SHARED_FIELDS})


_SHARED_FIELDS: Final = tuple(name for name in BuoyFacts.model_fields if name != "buoy_id")
