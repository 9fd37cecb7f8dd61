"""Faults of a buoy's sensors: the device reports one, or several values in a row fail quality control."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from reefmesh.contracts.flags import SCORED, Flag
from reefmesh.contracts.scores import BuoyHealth, LatestValue
from reefmesh_alerts.domain.buoy import BuoyWatch, SensorWatch, episode
from reefmesh_alerts.domain.transition import Transition, microseconds

FAILS_IN_A_ROW: Final = 3
"""So many scores in a row with a failing newest value make a fault; a single one may be a gull on the cable."""

SENSORS_LIMIT: Final = 64
"""Sensors of one buoy that are watched at once. Devices choose the names, so their number needs a limit."""

_SOUND: Final = SensorWatch()


def judge_sensors(watch: BuoyWatch, buoy: BuoyHealth, latest: Mapping[str, LatestValue]) -> tuple[BuoyWatch, list[Transition]]:
    """Judge every sensor that has a fault text or a failing newest value, or had one before.

    An episode closes when the fault text is gone and the newest value, if it is this buoy's, is good (flag 1 or 2). Only a
    good value of the same buoy ends a run of failing values.
    """
    own = {name: value for name, value in latest.items() if value.buoy_id == buoy.facts.buoy_id}
    failing = [name for name, value in own.items() if value.flag is Flag.FAIL]
    if not (buoy.faults or failing or watch.channels):
        return watch, []
    sensors = dict(watch.channels)
    transitions: list[Transition] = []
    for name in sorted({*buoy.faults, *failing, *watch.channels}):
        before = sensors.get(name, _SOUND)
        if before is _SOUND and len(sensors) >= SENSORS_LIMIT:
            continue
        value = own.get(name)
        after = _judge(before, buoy.faults.get(name, ""), value)
        if after.open != before.open:
            evidence: dict[str, str | float | int | None] = {
                "channel": name,  # the key in alert/1 for the quantity
                "fault": after.fault or before.fault or None,
                "failing_in_a_row": after.fails or None,
                "value": None if value is None else value.value,
                "flag": None if value is None else int(value.flag),
            }
            at = None if value is None else value.observed_at
            transitions.append(episode("sensor_fault", buoy, opens=after.open, evidence=evidence, quantity=name, at=at))
        if after == _SOUND:
            sensors.pop(name, None)
        else:
            sensors[name] = after
    return (watch if sensors == watch.channels else replace(watch, channels=sensors)), transitions


def _judge(before: SensorWatch, fault: str, value: LatestValue | None) -> SensorWatch:
    fails, failed_us = before.fails, before.failed_us
    good = False
    if value is not None:
        observed_us = microseconds(value.observed_at)
        good = value.flag in SCORED
        if good:
            fails, failed_us = 0, 0
        elif value.flag is Flag.FAIL and observed_us > failed_us:
            fails, failed_us = min(fails + 1, FAILS_IN_A_ROW), observed_us
    fault = fault[:200]
    if fault or fails >= FAILS_IN_A_ROW:
        return SensorWatch(fault=fault, fails=fails, failed_us=failed_us, open=True)
    silenced = before.open and not good and (value is not None or not before.fault)
    return SensorWatch(fault="", fails=fails, failed_us=failed_us, open=silenced)
