"""Assign, the fifth step: which quantity each sensor measures, by the register, else by what is known of the devices.

A known sensor without a quantity (a second probe, a sensor that reefmesh does not score, one that the operator set to
``ignored``) stays with the reading as text. A value of an ambiguous quantity, or in an impossible unit, is refused alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from reefmesh.contracts.quantities import (
    NITRATE_AND_NITRITE,
    PH_TOTAL_SCALE,
    SEA_WATER_SPEED,
    SEA_WATER_TEMPERATURE,
)
from reefmesh.contracts.readings import DeviceStatus
from reefmesh_ingest.domain.decode.nemopi_2021 import AUXILIARY
from reefmesh_ingest.domain.decode.refusals import Reason, RefusedPart, RefusedParts
from reefmesh_ingest.domain.decode.report import Observation, Report, SensorSample
from reefmesh_ingest.domain.decode.values import example_of
from reefmesh_ingest.domain.units import factor_of

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
_NEVER_A_QUANTITY: Final = frozenset({"WAVE_HEIGHT"})
"""States kPa, which is no height; no quantity could take it whatever the unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The register's entries for one buoy's sensors. ``quantities``: source, or the device's word -> quantity, or None to
    ignore it; ``units``: source -> unit instead of the stated one; ``corrections``: quantity -> factor."""

    quantities: Mapping[str, str | None] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    corrections: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedReport:
    """A report whose observations hold quantities only. ``refused``: the parts that the decoder or the assignment refused."""

    observations: tuple[Observation, ...]
    sent_us: int | None
    refused: tuple[RefusedPart, ...]

    @property
    def readings_refused(self) -> int:
        return sum(part.readings for part in self.refused if part.scope == "reading")


def assign_report(report: Report, assignment: Assignment) -> AssignedReport:
    """Assign every observation of a report."""
    refused = RefusedParts(report.refused)
    observations = tuple([assign(observation, assignment, refused) for observation in report.observations])
    return AssignedReport(observations=observations, sent_us=report.sent_us, refused=refused.collected())


def assign(observation: Observation, assignment: Assignment, refused: RefusedParts) -> Observation:
    """Return the observation with its samples turned into values of quantities; ``refused`` takes those that could not be."""
    if not observation.samples:
        if assignment.corrections:
            return replace(observation, factors={**assignment.corrections, **observation.factors})
        return observation
    chosen = {quantity for quantity in assignment.quantities.values() if quantity is not None}
    values, faults, factors = dict(observation.values), dict(observation.faults), dict(observation.factors)
    beside: dict[str, str] = {}
    crowded = _crowded(observation.samples, assignment, chosen)
    probe = _probe(observation.samples, assignment)
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
        elif (factor := _factor_of(quantity, sample, assignment)) is None:
            refused.add(_trouble(sample, Reason.WRONG_UNIT, f"{sample.hint or sample.source} in {sample.unit or 'no unit'}"))
        else:
            values[quantity], factors[quantity] = sample.raw, factor
            if sample.fault is not None:
                faults[quantity] = sample.fault
            if sample is probe and beside:
                beside[FED_BY] = sample.source
    status = observation.status
    if beside:
        status = status or DeviceStatus(report="data")
        status = status.model_copy(update={"detail": {**status.detail, **beside}})
    return replace(observation, values=values, faults=faults, factors=factors, samples=(), status=status)


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


def _factor_of(quantity: str, sample: SensorSample, assignment: Assignment) -> float | None:
    """Return the factor from the sample's raw number to the quantity's unit, corrected; None when the unit cannot be right."""
    unit = assignment.units.get(sample.source, assignment.units.get(sample.hint, sample.unit))
    factor = factor_of(quantity, unit)
    correction = assignment.corrections.get(quantity, sample.factor)
    return factor if factor is None or correction is None else factor * correction


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
