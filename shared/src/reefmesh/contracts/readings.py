"""Body of ``reef.readings``: quality-controlled readings of one reef."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import Field, TypeAdapter

from reefmesh.contracts.contract import BuoyId, Contract, Instant
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import UNITS
from reefmesh.contracts.register import BuoyFacts, ReefConditions, ReefFacts, SensorFacts
from reefmesh.contracts.schema import READINGS_1, READINGS_2

READINGS_PER_MESSAGE_LIMIT: Final = 500

TESTS: Final = ("gross_range", "climatology", "spike", "rate_of_change", "flat_line")
"""The order of the digits in ``ChannelReading.tests``."""


class ChannelReading(Contract):
    """One quantity of one reading. (The class has the schema's published name, which is older than the word quantity.)

    ``raw`` is the sensor's number and ``value`` is ``raw * factor`` in the unit of ``quantities.UNITS``; both are None
    under ``Flag.MISSING``. ``tests`` has one QARTOD digit for each test of ``TESTS``, e.g. ``"12112"``.
    ``fault`` is the device's own text.
    """

    value: float | None
    raw: float | None
    flag: Flag
    factor: float = 1.0
    tests: str = Field(default="22222", pattern=r"^[12349]{5}$")
    fault: str | None = Field(default=None, max_length=500)


class Position(Contract):
    """The position that a buoy reports; ``drift_metres`` is the great-circle distance to its mooring, if one is registered."""

    latitude_degrees: float = Field(ge=-90, le=90)
    longitude_degrees: float = Field(ge=-180, le=180)
    flag: Flag
    drift_metres: float | None = None


NO_SENSOR_FOUND: Final[Mapping[str, str]] = MappingProxyType({"sensors": "none"})
"""The detail of a status that says that the device looked for its sensors and found none."""


def ignored_key(quantity: str) -> str:
    """Return the key under which a status's detail names the sensor that the register ignores and a quantity would have."""
    return f"{quantity}{_IGNORED}"


_IGNORED: Final = " ignored"


class DeviceStatus(Contract):
    """A device's report about itself; every field is optional because no generation of devices has them all."""

    report: str = Field(max_length=64)
    firmware: str | None = Field(default=None, max_length=100)
    battery_volts: float | None = None
    battery_percent: float | None = None
    signal_dbm: float | None = None
    detail: dict[str, str] = Field(default_factory=dict)

    @property
    def found_no_sensor(self) -> bool:
        return self.detail.items() >= NO_SENSOR_FOUND.items()

    @property
    def ignored_quantities(self) -> list[str]:
        """The quantities that the reading lacks because the register ignores their sensors."""
        return [name for key in self.detail if key.endswith(_IGNORED) and (name := key.removesuffix(_IGNORED)) in UNITS]


class Reading(Contract):
    """One buoy, one instant.

    ``(buoy_id, observed_at)`` identifies the reading; ``revision`` counts from 1, and a later revision replaces an earlier
    one in full (a changed flag, added or dropped quantities). ``channels`` maps quantity to value. A ``withdrawn`` reading
    counts nowhere: its report, without a time of its own, turned out to be a copy of an earlier one. Then every quantity is
    ``Flag.MISSING``, and the buoy was not seen at this instant. A still later revision may restore it.
    ``time_source`` is ``device`` (its own clock), ``received`` (a format without time stamps) or ``broken_clock``
    (the device's clock was impossible, so ``received_at`` stands in).
    """

    buoy_id: BuoyId
    observed_at: Instant
    received_at: Instant
    time_source: Literal["device", "received", "broken_clock"] = "device"
    revision: int = Field(default=1, ge=1)
    withdrawn: bool = False
    channels: dict[str, ChannelReading] = Field(default_factory=dict)
    position: Position | None = None
    status: DeviceStatus | None = None


class Readings(Contract):
    """A batch of readings of one reef, oldest first, with the register's facts at the time of their quality control."""

    reef: ReefFacts
    buoys: list[BuoyFacts] = Field(max_length=1000)
    readings: list[Reading] = Field(min_length=1, max_length=READINGS_PER_MESSAGE_LIMIT)


class Readings2(Readings):
    """``readings/2``: the same, and what the register states of the reef's conditions and, by quantity, of its buoys' sensors.
    A message is written so only where something of it is stated (ADR 0026)."""

    conditions: ReefConditions | None = None
    sensors: dict[BuoyId, dict[str, SensorFacts]] = Field(default_factory=dict, max_length=1000)


READERS: Final[Mapping[str, TypeAdapter[Any]]] = {READINGS_1: TypeAdapter(Readings), READINGS_2: TypeAdapter(Readings2)}
"""Each reads a ``Readings``; of ``readings/2`` it is a ``Readings2``."""
