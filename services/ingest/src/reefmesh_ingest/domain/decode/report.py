"""The result of every decoder: one report of one device, in the device's own words; the register comes later."""

from dataclasses import dataclass, field

from reefmesh.contracts.readings import DeviceStatus
from reefmesh_ingest.domain.decode.refusals import RefusedPart


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSample:
    """One value of one sensor, not assigned to a quantity yet: that is for the register, or the format's defaults.

    ``source`` names the sensor (``DS18B20-LOGGER/rs485/2/ch1``, ``SEN0169``), ``hint`` is the device's own word for the
    quantity. ``raw`` is None under a fault. ``factor`` is the device's own correction, a multiplier.
    """

    source: str
    hint: str
    unit: str
    raw: float | None
    factor: float | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One instant of one device.

    ``observed_us`` is the device's own time, or None in a format without. ``values`` maps quantity to the raw number (None:
    a known quantity without a value) and ``faults`` quantity to the device's words; ``samples`` are still to be assigned.
    ``position`` is (latitude, longitude) in degrees. ``has_refused``: the decoder refused a value of it.
    """

    observed_us: int | None
    values: dict[str, float | None]
    faults: dict[str, str] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    samples: tuple[SensorSample, ...] = ()
    position: tuple[float, float] | None = None
    status: DeviceStatus | None = None
    has_refused: bool = False

    @property
    def is_empty(self) -> bool:
        """Nothing of it can be used: no value, no fault, no position, and nothing that the device says of itself."""
        if self.values or self.position is not None or self.samples:
            return False
        status = self.status
        if status is None:
            return True
        measured = (status.battery_volts, status.battery_percent, status.signal_dbm)
        return not status.detail and all(number is None for number in measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A decoded message. ``device`` is the sender as the body names it, ``sent_us`` the device's time of sending."""

    device: str | None
    observations: tuple[Observation, ...]
    sent_us: int | None = None
    refused: tuple[RefusedPart, ...] = ()

    @property
    def readings_refused(self) -> int:
        return sum(part.readings for part in self.refused if part.scope == "reading")
