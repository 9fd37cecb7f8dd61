"""Body of ``reef.readings``: quality-controlled readings of one reef."""

from typing import Final, Literal

from pydantic import Field, TypeAdapter

from reefmesh.contracts.contract import BuoyId, Contract, Instant
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.register import BuoyFacts, ReefFacts
from reefmesh.contracts.schema import READINGS_1

READINGS_PER_MESSAGE_LIMIT: Final = 500

TESTS: Final = ("gross_range", "climatology", "spike", "rate_of_change", "flat_line")
"""The order of the digits in ``ChannelReading.tests``."""


class ChannelReading(Contract):
    """One channel of one reading.

    ``raw`` is what the sensor reported, ``value`` is ``raw * factor`` in the unit of ``quantities.UNITS``; both are None
    under ``Flag.MISSING``. ``tests`` has one QARTOD digit for each test of ``TESTS``, e.g. ``"12112"``.
    ``fault`` is the device's own words.
    """

    value: float | None
    raw: float | None
    flag: Flag
    factor: float = 1.0
    tests: str = Field(default="22222", pattern=r"^[12349]{5}$")
    fault: str | None = Field(default=None, max_length=500)


class Position(Contract):
    """Where a buoy says it is; ``drift_metres`` is the great-circle distance to its mooring, when one is registered."""

    latitude_degrees: float = Field(ge=-90, le=90)
    longitude_degrees: float = Field(ge=-180, le=180)
    flag: Flag
    drift_metres: float | None = None


class DeviceStatus(Contract):
    """What a device says about itself; everything is optional because no generation reports it all."""

    report: str = Field(max_length=64)
    firmware: str | None = Field(default=None, max_length=100)
    battery_volts: float | None = None
    battery_percent: float | None = None
    signal_dbm: float | None = None
    detail: dict[str, str] = Field(default_factory=dict)


class Reading(Contract):
    """One buoy, one instant.

    ``(buoy_id, observed_at)`` names the reading; ``revision`` counts from 1, and a later revision replaces an earlier one
    in full (a changed flag, added or dropped channels). A ``withdrawn`` reading never was: a report without a time of its own
    turned out to be a copy of one received earlier. Then every channel is ``Flag.MISSING``, and the instant means nothing: the
    buoy was not heard at it. A still later revision may bring it back.
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
    """A batch of readings of one reef, oldest first, with the register's facts as they were when it was judged."""

    reef: ReefFacts
    buoys: list[BuoyFacts] = Field(max_length=1000)
    readings: list[Reading] = Field(min_length=1, max_length=READINGS_PER_MESSAGE_LIMIT)


READERS: Final = {READINGS_1: TypeAdapter(Readings)}
