"""A quantity that stopped while its buoy goes on reporting: QARTOD's gap test of a sensor, judged when the buoy reports.

It may be without a value for three report intervals of the buoy's waking hours, for six of these hours (a lost report, or a
probe that is dry at low tide, is no fault), and for twice the usual time between two values (a nutrient sensor may measure
once a day): the longest of them, by event time, while the buoy reports. So a buoy that is silent has no silent quantities,
nor is a quantity told as silent whose sensor is known to be faulty.
A quantity that has had one value only, or none, is not watched, and one without a value for a month has been dropped. One
whose sensor the register ignores is not watched either (``ignored_sensor``).
"""

from dataclasses import replace
from typing import Final

from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE, SEA_WATER_SPEED, SEA_WATER_TEMPERATURE, VISIBILITY
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import BuoyHealth
from reefmesh_alerts.domain.buoy import BuoyWatch, QuantityWatch, episode, is_fresh
from reefmesh_alerts.domain.schedule import HOUR_US, SILENT_INTERVALS, silent_after_us
from reefmesh_alerts.domain.transition import SECOND_US, Evidence, Transition, instant_of, utc_microseconds

SILENT_HOURS: Final = 6
USUAL_GAPS: Final = 2
GAP_LIMIT_US: Final = 7 * 24 * HOUR_US
GAP_WEIGHT: Final = 8
"""A longer gap is usual at once, and is forgotten by an eighth with each shorter one: one outage does not count for long."""

DROPPED: Final = "dropped"
"""The state of a quantity after a month without a value, or as soon as the register ignores its sensor."""

UNKNOWN_WITHOUT: Final = {
    SEA_WATER_TEMPERATURE: "heat stress of later days is not known",
    PH_TOTAL_SCALE: "aragonite saturation of later days is not known",
    PCO2: "aragonite saturation of later days is not known",
    SEA_WATER_SPEED: "the dive verdict is not known",
    VISIBILITY: "the dive verdict is not known",
}
"""What scores cannot say without the quantity, unless another buoy of the reef measures it."""


def judge_quantities(watch: BuoyWatch, buoy: BuoyHealth, *, heard_us: int) -> tuple[BuoyWatch, list[Transition]]:
    """Judge every quantity by the last report of its buoy, heard at ``heard_us``: silent only if that tells of the present."""
    if buoy.sensors is None:
        return watch, []
    seen_us = utc_microseconds(buoy.last_seen_at)
    quantities: dict[str, QuantityWatch] = {}
    transitions: list[Transition] = []
    last_before = last_after = None  # most quantities share theirs: each report has a value of all of them
    for name, sensor in buoy.sensors.items():
        if sensor.last_value_at is None or sensor.ignored_at is not None:
            continue
        before = watch.quantities.get(name)
        value_us = utc_microseconds(sensor.last_value_at)
        is_now = value_us == seen_us
        if is_now and last_after is not None and before == last_before:
            quantities[name] = last_after
            continue
        if before is None:
            quantities[name] = QuantityWatch(value_us=value_us)
            continue
        after = _after_value(before, value_us)
        if before.silent_us is not None and value_us > before.value_us:
            ended_us = max(value_us if value_us > before.silent_us else seen_us, before.silent_us + SECOND_US)
            evidence: Evidence = {
                "quantity": name,
                "last_value_at": sensor.last_value_at.isoformat(),
                "silence_seconds": (ended_us - before.value_us) // SECOND_US,
            }
            transitions.append(_episode(buoy, name, opens=False, at_us=ended_us, evidence=evidence))
        elif is_now:
            last_before, last_after = before, after
        elif (
            after.silent_us is None
            and after.gap_us is not None
            and is_fresh(buoy, heard_us=heard_us)
            and not _is_faulty(watch, name)
        ):
            silent_us = _silent_after_us(buoy.facts, max(value_us, watch.reporting_since_us), after.gap_us, seen_us)
            if silent_us <= seen_us:
                after = after._replace(silent_us=silent_us)
                evidence = {
                    "quantity": name,
                    "last_value_at": sensor.last_value_at.isoformat(),
                    "last_report_at": buoy.last_seen_at.isoformat(),
                    "missing": UNKNOWN_WITHOUT.get(name),
                }
                transitions.append(_episode(buoy, name, opens=True, at_us=silent_us, evidence=evidence))
        quantities[name] = after
    for name, each in watch.quantities.items():
        if name not in quantities and each.silent_us is not None:
            evidence = {"quantity": name, "last_value_at": instant_of(each.value_us).isoformat()}
            ended = _episode(buoy, name, opens=False, at_us=max(seen_us, each.silent_us + SECOND_US), evidence=evidence)
            transitions.append(replace(ended, to_state=DROPPED))
    return (watch if quantities == watch.quantities else replace(watch, quantities=quantities)), transitions


def _is_faulty(watch: BuoyWatch, quantity: str) -> bool:
    """Tell whether a fault of this sensor stands: then nobody needs to be told that it has no values."""
    sensor = watch.channels.get(quantity)
    return sensor is not None and sensor.open


def _after_value(before: QuantityWatch, value_us: int) -> QuantityWatch:
    """Return a quantity with its last value; it goes back when a reading was withdrawn."""
    if value_us <= before.value_us:
        return before if value_us == before.value_us else before._replace(value_us=value_us)
    gap_us = min(value_us - before.value_us, GAP_LIMIT_US)
    if before.gap_us is not None and gap_us < before.gap_us:
        gap_us = ((GAP_WEIGHT - 1) * before.gap_us + gap_us) // GAP_WEIGHT
    return QuantityWatch(value_us=value_us, gap_us=gap_us)


def _silent_after_us(facts: BuoyFacts, since_us: int, gap_us: int, seen_us: int) -> int:
    """Return when a quantity has been silent too long. It is exact where that is not after ``seen_us``."""
    earliest_us = since_us + max(SILENT_HOURS * HOUR_US, USUAL_GAPS * gap_us)
    if earliest_us > seen_us:
        return earliest_us
    interval_seconds = max(facts.report_interval_seconds, SILENT_HOURS * 3600 // SILENT_INTERVALS)
    slower = facts.model_copy(update={"report_interval_seconds": interval_seconds})
    return max(earliest_us, silent_after_us(slower, since_us))


def _episode(buoy: BuoyHealth, quantity: str, *, opens: bool, at_us: int, evidence: Evidence) -> Transition:
    return episode("quantity_silent", buoy, opens=opens, evidence=evidence, quantity=quantity, at=instant_of(at_us))
