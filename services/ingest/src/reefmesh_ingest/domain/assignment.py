"""Assign, the fifth step: which quantity each sensor measures, by the register, else by what is known of the devices.

A known sensor without a quantity (a second probe, a sensor that reefmesh does not score, one that the operator set to
``ignored``) stays with the reading as text. A value of an ambiguous quantity, or in an impossible unit, is refused alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from reefmesh.contracts.quantities import (
    NITRATE_AND_NITRITE,
    PH_TOTAL_SCALE,
    SALINITY,
    SEA_WATER_SPEED,
    SEA_WATER_TEMPERATURE,
    UNITS,
)
from reefmesh.contracts.readings import DeviceStatus, ignored_key
from reefmesh_ingest.domain.decode.nemopi_2021 import AUXILIARY
from reefmesh_ingest.domain.decode.refusals import Reason, RefusedPart, RefusedParts
from reefmesh_ingest.domain.decode.report import Observation, Report, SensorSample
from reefmesh_ingest.domain.decode.values import example_of
from reefmesh_ingest.domain.ph import NBS, TOTAL, PhProbe, Seawater
from reefmesh_ingest.domain.units import MILLIVOLTS, factor_of, is_known, normal, offset_factor

MODEL_LOGGER: Final = "DS18B20-LOGGER"
"""Several probes of one logger measure water temperature; without an entry in the register the first healthy one counts."""
FED_BY: Final = "sea_water_temperature of"
"""The detail of a reading's status that names the probe, where it is not the first."""

BY_SOURCE: Final = {
    "KIT0021": SEA_WATER_TEMPERATURE,
    "SEN0169": PH_TOTAL_SCALE,
    "SEN0161-V2": PH_TOTAL_SCALE,
    "SEN0216": SEA_WATER_SPEED,
}
BY_HINT: Final = {
    "DISSOLVED_NOX": NITRATE_AND_NITRITE,
}
NBS_PROBES: Final = frozenset({"SEN0169", "SEN0161-V2"})
"""Probes of hobbyists and labs on land, sold with NBS buffers: so are their numbers, unless the register says otherwise."""
_NEVER_A_QUANTITY: Final = frozenset({"WAVE_HEIGHT"})
"""States kPa, which is no height; no quantity could take it whatever the unit."""


_ASSUMED_WATER: Final = Seawater()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The register's entries for one buoy's sensors. ``quantities``: source, or the device's word -> quantity, or None to
    ignore it; ``units``: source -> unit instead of the stated one; ``corrections``: quantity -> factor; ``probes``: source of a
    pH probe -> how its numbers are to be read. In a format that names quantities instead of sensors, a quantity is its own
    source: ``converted`` has those with a unit or a probe."""

    quantities: Mapping[str, str | None] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    corrections: Mapping[str, float] = field(default_factory=dict)
    probes: Mapping[str, PhProbe] = field(default_factory=dict)
    converted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedReport:
    """A report whose observations hold quantities only. ``refused``: the parts that the decoder or the assignment refused.
    ``has_nbs_probe``: a probe fed the pH whose scale is known by its model alone."""

    observations: tuple[Observation, ...]
    sent_us: int | None
    refused: tuple[RefusedPart, ...]
    has_nbs_probe: bool = False

    @property
    def readings_refused(self) -> int:
        return sum(part.readings for part in self.refused if part.scope == "reading")


def assign_report(report: Report, assignment: Assignment, water: Seawater = _ASSUMED_WATER) -> AssignedReport:
    """Assign every observation of a report; one of which nothing is left is refused as a reading. ``water`` is what the
    register knows of it, for where it is not measured."""
    refused = RefusedParts(report.refused)
    observations = []
    emptied = 0
    for observation in report.observations:
        added = refused.added
        assigned = assign(observation, assignment, refused, water)
        if (observation.has_refused or refused.added > added) and assigned.is_empty:
            emptied += 1
        else:
            observations.append(assigned)
    if emptied:
        refused.refuse_readings(emptied)
    return AssignedReport(
        observations=tuple(observations),
        sent_us=report.sent_us,
        refused=refused.collected(),
        has_nbs_probe=any(
            sample.source in NBS_PROBES and _ph_probe(sample, assignment) is NBS
            for observation in report.observations
            for sample in observation.samples
        ),
    )


def assign(
    observation: Observation, assignment: Assignment, refused: RefusedParts, water: Seawater = _ASSUMED_WATER
) -> Observation:
    """Return the observation with its samples turned into values of quantities; ``refused`` takes those that could not be."""
    if not observation.samples:
        if assignment.quantities or assignment.corrections or assignment.converted:
            return _assign_quantities(observation, assignment, refused, water)
        return observation
    chosen = {quantity for quantity in assignment.quantities.values() if quantity is not None}
    values, faults, factors = dict(observation.values), dict(observation.faults), dict(observation.factors)
    beside: dict[str, str] = {}
    crowded = _crowded(observation.samples, assignment, chosen)
    probe = _probe(observation.samples, assignment)
    fed: dict[str, SensorSample] = {}
    for sample in observation.samples:
        quantity = _quantity_of(sample, assignment)
        if isinstance(quantity, Reason):
            refused.add(_trouble(sample, quantity, f"{sample.source} {sample.hint}".strip()))
        elif (
            quantity is None
            or (quantity in chosen and not _is_named(sample, assignment))
            or (sample.hint == MODEL_LOGGER and (quantity in values or _is_beside(sample, probe, assignment)))
        ):
            beside[sample.source] = _words_of(sample)
        elif quantity in crowded:
            refused.add(_trouble(sample, Reason.AMBIGUOUS_SENSOR, f"{quantity} from {' and '.join(crowded[quantity])}"))
        elif quantity in values:
            refused.add(_trouble(sample, Reason.REPEATED_QUANTITY, f"{quantity} from {sample.source}"))
        elif isinstance(factor := _factor_of(quantity, sample, assignment), RefusedPart):
            refused.add(factor)
        else:
            values[quantity], factors[quantity] = sample.raw, factor
            if sample is probe and beside:
                beside[FED_BY] = sample.source
            fed[quantity] = sample
    faults |= {quantity: sample.fault for quantity, sample in fed.items() if sample.fault is not None}
    if (ph := fed.get(PH_TOTAL_SCALE)) is not None:
        _convert_ph(values, factors, _ph_probe(ph, assignment), water)
    status = observation.status
    beside |= _ignored_quantities(observation.samples, assignment, fed={*values, *chosen})
    if beside:
        status = status or DeviceStatus(report="data")
        status = status.model_copy(update={"detail": {**status.detail, **beside}})
    return replace(observation, values=values, faults=faults, factors=factors, samples=(), status=status)


def _assign_quantities(observation: Observation, assignment: Assignment, refused: RefusedParts, water: Seawater) -> Observation:
    """Apply the register to an observation whose format names quantities and no sensors."""
    observation = _without_ignored(observation, assignment)
    factors = {**assignment.corrections, **observation.factors}
    values = observation.values
    converted = [quantity for quantity in assignment.converted if values.get(quantity) is not None]
    if not converted:
        return replace(observation, factors=factors)
    values = dict(values)
    for quantity in converted:
        sample = SensorSample(source=quantity, hint="", unit="", raw=values[quantity], factor=factors.get(quantity))
        factor = _factor_of(quantity, sample, assignment) if quantity in assignment.units else factors.get(quantity, 1.0)
        if isinstance(factor, RefusedPart):
            refused.add(factor)
            del values[quantity]
        else:
            factors[quantity] = factor
    if PH_TOTAL_SCALE in converted and PH_TOTAL_SCALE in values:
        _convert_ph(values, factors, assignment.probes.get(PH_TOTAL_SCALE, TOTAL), water)
    return replace(observation, values=values, factors=factors)


def _without_ignored(observation: Observation, assignment: Assignment) -> Observation:
    """Return the observation with its ignored quantities as text beside it."""
    if None not in assignment.quantities.values():
        return observation
    ignored = [name for name in observation.values if assignment.quantities.get(name, name) is None]
    if not ignored:
        return observation
    status = observation.status or DeviceStatus(report="data")
    detail = {**status.detail}
    for name in ignored:
        sample = SensorSample(
            source=name, hint="", unit=UNITS[name], raw=observation.values[name], fault=observation.faults.get(name)
        )
        detail |= {name: _words_of(sample), ignored_key(name): name}
    return replace(
        observation,
        values={name: value for name, value in observation.values.items() if name not in ignored},
        faults={name: words for name, words in observation.faults.items() if name not in ignored},
        status=status.model_copy(update={"detail": detail}),
    )


def _convert_ph(values: Mapping[str, float | None], factors: dict[str, float], probe: PhProbe, water: Seawater) -> None:
    """Replace the factor of the pH by that which makes its number one of the total scale, in the water of this observation."""
    raw = values[PH_TOTAL_SCALE]
    if probe == TOTAL or not raw:  # a pH of 0 fails by itself
        return
    celsius, salinity = (
        None if (number := values.get(quantity)) is None else number * factors.get(quantity, 1.0)
        for quantity in (SEA_WATER_TEMPERATURE, SALINITY)
    )
    factors[PH_TOTAL_SCALE] = probe.ph_total(raw * factors[PH_TOTAL_SCALE], water.measured(celsius, salinity)) / raw


def _ph_probe(sample: SensorSample, assignment: Assignment) -> PhProbe:
    for name in (sample.source, sample.hint):
        if name in assignment.probes:
            probe = assignment.probes[name]
            if probe.calibration is None or normal(_unit_of(sample, assignment)) == MILLIVOLTS:
                return probe
            return PhProbe(scale=probe.scale)
    return NBS if sample.source in NBS_PROBES else TOTAL


def _probe(samples: Sequence[SensorSample], assignment: Assignment) -> SensorSample | None:
    """Return the logger's probe that counts: the first that gives a value without a fault, else the first there is. Those that
    the register names by their source are its own choice."""
    probes = [sample for sample in samples if sample.hint == MODEL_LOGGER and sample.source not in assignment.quantities]
    healthy = (sample for sample in probes if sample.raw is not None and sample.fault is None)
    return next(healthy, probes[0] if probes else None)


def _quantity_of(sample: SensorSample, assignment: Assignment) -> str | Reason | None:
    """The quantity a sample measures, None when it feeds nothing, or why that is unknown."""
    for name in (sample.source, sample.hint):
        if name in assignment.quantities:
            return assignment.quantities[name]
    return _quantity_without_register(sample)


def _ignored_quantities(samples: Sequence[SensorSample], assignment: Assignment, *, fed: Collection[str]) -> dict[str, str]:
    """Return the quantities that no sensor feeds because the register ignores the one that would: what to say, by its key."""
    if None not in assignment.quantities.values():
        return {}
    ignored: dict[str, str] = {}
    for sample in samples:
        if _quantity_of(sample, assignment) is None and _is_named(sample, assignment):
            quantity = _quantity_without_register(sample)
            if isinstance(quantity, str) and quantity not in fed:
                ignored.setdefault(ignored_key(quantity), sample.source)
    return ignored


def _quantity_without_register(sample: SensorSample) -> str | Reason | None:
    if sample.hint == MODEL_LOGGER:
        return SEA_WATER_TEMPERATURE
    quantity = BY_SOURCE.get(sample.source) or BY_HINT.get(sample.hint)
    if quantity is not None:
        return quantity
    if sample.source in AUXILIARY:
        return None
    if sample.hint in _NEVER_A_QUANTITY:
        return Reason.WRONG_UNIT
    return Reason.UNKNOWN_MODEL if "/" in sample.source else Reason.UNKNOWN_SENSOR


def _unit_of(sample: SensorSample, assignment: Assignment) -> str:
    return assignment.units.get(sample.source, assignment.units.get(sample.hint, sample.unit))


def _factor_of(quantity: str, sample: SensorSample, assignment: Assignment) -> float | RefusedPart:
    """Return the factor from the sample's raw number to the quantity's unit, corrected, or why there is none."""
    unit = _unit_of(sample, assignment)
    correction = assignment.corrections.get(quantity, sample.factor)
    factor = factor_of(quantity, unit)
    if factor is not None:
        return factor if correction is None else factor * correction
    if quantity == PH_TOTAL_SCALE and normal(unit) == MILLIVOLTS:
        return _millivolts_factor(sample, assignment, correction)
    if is_known(quantity, unit):
        if sample.raw is None:
            return 1.0
        factor = offset_factor(quantity, unit, sample.raw, 1.0 if correction is None else correction)
        return factor if factor is not None else _trouble(sample, Reason.NUMBER_OUT_OF_RANGE, f"{sample.source} is 0 {unit}")
    return _trouble(sample, Reason.WRONG_UNIT, f"{sample.hint or sample.source} in {sample.unit or 'no unit'}")


def _millivolts_factor(sample: SensorSample, assignment: Assignment, correction: float | None) -> float | RefusedPart:
    if not any(name in assignment.probes and assignment.probes[name].calibration for name in (sample.source, sample.hint)):
        detail = f"{sample.source} gives mV: state the probe's calibration in the register, or what the device makes of it"
        return _trouble(sample, Reason.WRONG_UNIT, detail)
    if sample.raw == 0:
        return _trouble(sample, Reason.NUMBER_OUT_OF_RANGE, f"{sample.source} is 0 mV, as of no probe")
    return 1.0 if correction is None else correction


def _is_beside(sample: SensorSample, probe: SensorSample | None, assignment: Assignment) -> bool:
    """Whether another probe of the logger counts."""
    return sample.source not in assignment.quantities and sample is not probe


def _is_named(sample: SensorSample, assignment: Assignment) -> bool:
    return sample.source in assignment.quantities or sample.hint in assignment.quantities


def _crowded(samples: Sequence[SensorSample], assignment: Assignment, chosen: set[str]) -> dict[str, list[str]]:
    """Quantities that sensors of different kinds measure on one buoy, of which the register chose none."""
    sources: dict[str, list[str]] = {}
    for sample in samples:
        quantity = _quantity_of(sample, assignment)
        if isinstance(quantity, Reason) or quantity is None or quantity in chosen or sample.hint == MODEL_LOGGER:
            continue
        named = sources.setdefault(quantity, [])
        if sample.source not in named:
            named.append(sample.source)
    return {quantity: named for quantity, named in sources.items() if len(named) > 1}


def _words_of(sample: SensorSample) -> str:
    number = "" if sample.raw is None else f"{sample.raw!r} {sample.unit}".strip()
    return f"{number} {sample.fault or ''}".strip()[:500]


def _trouble(sample: SensorSample, reason: Reason, detail: str) -> RefusedPart:
    shown = {"source": sample.source, "name": sample.hint, "unit": sample.unit, "value": sample.raw, "fault": sample.fault}
    return RefusedPart(scope="channel", reason=reason, name=sample.source, detail=detail, example=example_of(shown))
