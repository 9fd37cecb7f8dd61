"""The entries of the register, a reef or a buoy each; the file (TOML) and the table (JSON) have the same fields."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from math import hypot
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, field_validator, model_validator

from reefmesh.contracts.contract import BuoyId, Contract, Instant, ReefId
from reefmesh.contracts.quantities import PH_TOTAL_SCALE, UNITS
from reefmesh.contracts.register import (
    BuoyFacts,
    ChemistryBands,
    DiveLimits,
    PhScale,
    ReefConditions,
    ReefFacts,
    SensorFacts,
)
from reefmesh_ingest.domain.assignment import NBS_PROBES, Assignment
from reefmesh_ingest.domain.battery import LOW_VOLTS, UNKNOWN_LOW_VOLTS, BatteryKind
from reefmesh_ingest.domain.learned import NOTHING_LEARNED, Learned
from reefmesh_ingest.domain.ph import Calibration, PhProbe, Seawater
from reefmesh_ingest.domain.quality.limits import DEFAULT_LIMITS, QuantityLimits
from reefmesh_ingest.domain.units import FACTORS, MILLIVOLTS, OFFSETS, is_known, normal
from reefmesh_ingest.register.limits import LimitsEntry

IGNORED: Final = "ignored"
"""In place of a quantity: the sensor's values are kept as text beside the reading, and no quantity gets them."""

OLD_QUANTITY_KEY: Final = "channel"

BY_KIND: Final = "by_kind"
"""In place of a limit: that of the battery's kind."""

STEPS_OF_A_FLAT_LINE: Final = 1.5

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
    quality control, quantity by quantity. ``time_zone`` (an IANA name), ``dive_limits`` and ``chemistry_bands`` are the reef's
    own conditions; what is not stated of them stays at its default."""

    id: ReefId
    name: str = Field(min_length=1, max_length=200)
    latitude_degrees: float = Field(ge=-90, le=90)
    longitude_degrees: float = Field(ge=-180, le=180)
    mmm_celsius: float | None = Field(default=None, ge=0, le=40)
    mmm_source: str = Field(default="", max_length=500)
    mmm_offset_celsius: float | None = Field(default=None, ge=-5, le=5)
    assumed_salinity: float = Field(default=35.0, ge=0, le=45)
    limits: dict[_Quantity, LimitsEntry] = Field(default_factory=dict)
    time_zone: str | None = Field(default=None, max_length=64)
    dive_limits: DiveLimits | None = None
    chemistry_bands: ChemistryBands | None = None

    @field_validator("time_zone")
    @classmethod
    def _of_iana(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                near = get_close_matches(name, available_timezones(), n=1)
                meant = f"is {near[0]} meant?" if near else "Asia/Makassar is of the right kind"
                raise ValueError(f"{name!r} is no time zone of IANA's; {meant}") from None
        return name

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

    def conditions(self) -> ReefConditions | None:
        """The conditions that are stated, which travel with the readings; None if none is."""
        if self.time_zone is None and self.dive_limits is None and self.chemistry_bands is None:
            return None
        return ReefConditions(time_zone=self.time_zone, dive_limits=self.dive_limits, chemistry_bands=self.chemistry_bands)

    def water(self) -> Seawater:
        """The water of this reef where a probe's temperature and salinity are not measured."""
        usual = Seawater()
        return Seawater(celsius=self.mmm_celsius or usual.celsius, salinity=self.assumed_salinity or usual.salinity)

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


class CalibrationEntry(Contract):
    """The calibration of a pH electrode whose device reports millivolts: those at pH 7, and those of one pH at 25 degC."""

    zero_millivolts: float = Field(default=0.0, ge=-100, le=100)
    slope_millivolts_per_ph: float = Field(default=-59.16, ge=-70, le=-40)
    accuracy: float = Field(default=0.05, ge=0, le=5)


class SensorEntry(Contract):
    """Which quantity one sensor measures, and what is known of it. ``source`` is the sensor as quarantine shows it
    (``SEN0169``, ``DS18B20-LOGGER/rs485/2/ch1``); of ``telemetry/1``, which names quantities alone, it is the quantity.
    ``unit`` replaces the unit that the device states, ``resolution`` (in the quantity's unit) the step that quality control
    assumes. ``scale`` and ``calibration`` are of pH probes: one with a calibration in millivolts and those of ``NBS_PROBES``
    are of the NBS scale unless another is stated, all others of the total scale.

    ``channel`` is the old name of ``quantity``: it is still read, and the table keeps it, so that services of an older version
    read what a newer one registered.
    """

    source: str = Field(min_length=1, max_length=128)
    quantity: str = Field(max_length=128, serialization_alias=OLD_QUANTITY_KEY)
    unit: str | None = Field(default=None, max_length=60)
    resolution: float | None = Field(default=None, ge=0.0001, le=1000)
    depth_metres: float | None = Field(default=None, ge=0, le=11_000)
    scale: PhScale | None = None
    calibration: CalibrationEntry | None = None

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
        if self.quantity != PH_TOTAL_SCALE and (self.scale or self.calibration):
            raise ValueError(f"scale and calibration are of a pH probe, not of {self.quantity}")
        if self.quantity == IGNORED:
            return self
        _known_quantity(self.quantity)
        if self.unit is None or is_known(self.quantity, self.unit):
            return self
        if self.quantity == PH_TOTAL_SCALE and normal(self.unit) == MILLIVOLTS:
            if self.calibration is None:
                raise ValueError("unit 'mV' needs a calibration = { zero_millivolts = ..., slope_millivolts_per_ph = ... }")
            return self
        known = ", ".join(repr(unit) for unit in (*FACTORS[self.quantity], *OFFSETS.get(self.quantity, {})))
        raise ValueError(f"unit {self.unit!r} cannot be right for {self.quantity}; known are {known}")

    def ph_probe(self) -> PhProbe | None:
        """How this sensor's numbers are to be read, where that is stated or follows from its model; None of all others."""
        stated = self.calibration
        scale = self.scale or ("nbs" if stated is not None or self.source in NBS_PROBES else None)
        if self.quantity != PH_TOTAL_SCALE or scale is None:
            return None
        return PhProbe(scale=scale, calibration=None if stated is None else Calibration(**dict(stated)))

    def facts(self) -> SensorFacts | None:
        """What is stated beyond the unit, which travels with the readings."""
        if self.resolution is None and self.depth_metres is None and self.scale is None:
            return None
        return SensorFacts(resolution=self.resolution, depth_metres=self.depth_metres, scale=self.scale)


class MooringEntry(Contract):
    latitude_degrees: float = Field(ge=-90, le=90)
    longitude_degrees: float = Field(ge=-180, le=180)


class BuoyEntry(Contract):
    """A buoy. ``aliases`` are further names under which it reports (serial number beside IMEI). ``corrections`` multiply
    a quantity's raw value and replace the device's own factor. Before ``earliest_observed_at`` its clock counts as broken.
    ``battery`` is its kind, guessed from the first reported voltages if it is not stated; ``battery_low_volts`` is the limit of
    that kind (``by_kind``), unless it is stated. The rest is as in ``BuoyFacts``."""

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
    battery: BatteryKind | None = None
    battery_low_volts: Annotated[float, Field(ge=0, le=100)] | Literal["by_kind"] | None = BY_KIND
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
            probes={each.source: probe for each in self.sensor if (probe := each.ph_probe()) is not None},
            converted=frozenset(
                each.source for each in self.sensor if each.source == each.quantity and (each.unit or each.ph_probe())
            ),
        )

    def sensor_facts(self) -> dict[str, SensorFacts]:
        """What is stated of the sensors, by the quantity that each feeds."""
        return {each.quantity: facts for each in self.sensor if (facts := each.facts()) and each.quantity != IGNORED}

    def limits_over(self, reef: ReefEntry, limits: Mapping[str, QuantityLimits]) -> Mapping[str, QuantityLimits]:
        """The limits of quality control for this buoy: a stated resolution gives the flat line its tolerance, unless the reef
        states one. It is ``limits`` itself, those of the reef, where no resolution is stated."""
        own = dict(limits)
        for each in self.sensor:
            found = own.get(each.quantity)
            if each.resolution is None or found is None or found.flat_line_tolerance is None:
                continue
            stated = reef.limits.get(each.quantity)
            if stated is None or stated.flat_line_tolerance is None:
                own[each.quantity] = replace(found, flat_line_tolerance=STEPS_OF_A_FLAT_LINE * each.resolution)
        return limits if own == limits else own

    def shown(self, learned: Learned | None = None, *, temperature_probe: str | None = None) -> dict[str, Any]:
        """All fields as JSON values for a person, who can set them again; sensors show the old name of ``quantity`` too. With
        ``learned``, also what follows from it, and the probe that feeds the temperature (``in_force``)."""
        fields = self.model_dump(mode="json")
        if learned is not None:
            facts = self.facts(learned)
            fields["in_force"] = {
                "battery": self.battery_kind(learned),
                "battery_is_guessed": self.battery is None and learned.battery is not None,
                "battery_low_volts": facts.battery_low_volts,
                "ph_scale": self.ph_probe(learned).scale,
                "ph_accuracy": facts.ph_accuracy,
                "temperature_probe": temperature_probe,
            }
        for sensor in fields["sensor"]:
            sensor[OLD_QUANTITY_KEY] = sensor["quantity"]
        return fields

    def battery_kind(self, learned: Learned = NOTHING_LEARNED) -> BatteryKind | None:
        return self.battery or learned.battery

    def ph_probe(self, learned: Learned = NOTHING_LEARNED) -> PhProbe:
        """The probe that feeds the pH: as stated, by its model, or as its reports showed."""
        stated = (probe for each in self.sensor if (probe := each.ph_probe()) is not None)
        return next(stated, PhProbe(scale=learned.ph_scale or "total"))

    def facts(self, learned: Learned = NOTHING_LEARNED) -> BuoyFacts:
        """The facts that travel with the readings; ``learned``: what the buoy's own reports show."""
        low_volts: float | str | None = self.battery_low_volts
        if low_volts == BY_KIND:
            kind = self.battery_kind(learned)
            low_volts = UNKNOWN_LOW_VOLTS if kind is None else LOW_VOLTS[kind]
        shared = {name: getattr(self, name) for name in _SHARED_FIELDS}
        of_probe = self.ph_probe(learned).uncertainty
        accuracy = round(hypot(self.ph_accuracy, of_probe), 4) if of_probe else self.ph_accuracy
        return BuoyFacts(buoy_id=self.id, **shared | {"battery_low_volts": low_volts, "ph_accuracy": accuracy})


_SHARED_FIELDS: Final = tuple(name for name in BuoyFacts.model_fields if name != "buoy_id")
