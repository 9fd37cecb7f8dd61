"""Faults of a buoy's sensors: the device reports one, or several values in a row fail quality control.

``scores/2`` tells of runs of failing values, by event time. Of ``scores/1`` the newest values are counted, score by score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from reefmesh.contracts.flags import SCORED, Flag
from reefmesh.contracts.scores import BuoyHealth, FailedRun, LatestValue
from reefmesh_alerts.domain.buoy import BuoyWatch, SensorWatch, episode
from reefmesh_alerts.domain.transition import Evidence, Transition, utc_microseconds

FAILS_IN_A_ROW: Final = 3
"""So many failing values in a row make a fault; a single one may be a gull on the cable."""

SENSORS_LIMIT: Final = 64
"""Sensors of one buoy that are watched at once. Devices choose the names, so their number needs a limit."""

_SOUND: Final = SensorWatch()


class _Step(NamedTuple):
    """A sensor after a change, and when that was; None: at its newest value, or its buoy's last report."""

    watch: SensorWatch
    at: datetime | None


def judge_sensors(
    watch: BuoyWatch, buoy: BuoyHealth, latest: Mapping[str, LatestValue], failed_runs: Sequence[FailedRun] = ()
) -> tuple[BuoyWatch, list[Transition]]:
    """Judge every sensor that has a fault text, or fails, or did so before; ``failed_runs`` ended with this score.

    The episode of a fault text closes when the text is gone and the newest value, if it is this buoy's, is good (flag 1 or 2).
    """
    if _all_sound(watch, buoy, failed_runs):
        return watch, []
    own = {name: value for name, value in latest.items() if value.buoy_id == buoy.facts.buoy_id}
    failing = _failing(buoy, own)
    runs = [run for run in failed_runs if run.buoy_id == buoy.facts.buoy_id]
    if not (buoy.faults or failing or runs or watch.channels):
        return watch, []
    sensors = dict(watch.channels)
    transitions: list[Transition] = []
    for name in sorted({*buoy.faults, *failing, *(run.quantity for run in runs), *watch.channels}):
        before = sensors.get(name, _SOUND)
        if before is _SOUND and len(sensors) >= SENSORS_LIMIT:
            continue
        value, fault = own.get(name), buoy.faults.get(name, "")[:200]
        if buoy.sensors is None:
            steps = [_Step(_judge(before, fault, value), None)]
        else:
            steps = _judge_runs(before, fault, value, failing.get(name), [run for run in runs if run.quantity == name])
        for after, at in steps:
            if after.open != before.open:
                evidence: Evidence = {
                    "channel": name,  # the key in alert/1 for the quantity
                    "fault": after.fault or before.fault or None,
                    "failing_in_a_row": after.fails or None,
                    "value": None if value is None else value.value,
                    "flag": None if value is None else int(value.flag),
                }
                at_value = None if value is None else value.observed_at
                transitions.append(
                    episode("sensor_fault", buoy, opens=after.open, evidence=evidence, quantity=name, at=at or at_value)
                )
            before = after
        if before == _SOUND:
            sensors.pop(name, None)
        else:
            sensors[name] = before
    return (watch if sensors == watch.channels else replace(watch, channels=sensors)), transitions


def _all_sound(watch: BuoyWatch, buoy: BuoyHealth, failed_runs: Sequence[FailedRun]) -> bool:
    """Tell whether the buoy's sensors are sound and were so, as almost every score has them, without a look at their values."""
    if buoy.sensors is None or buoy.faults or failed_runs or watch.channels:
        return False
    return all(sensor.failing_since is None for sensor in buoy.sensors.values())


def _failing(buoy: BuoyHealth, own: Mapping[str, LatestValue]) -> dict[str, datetime | None]:
    """Return the sensors that fail, each with the third failing value of its run where the score says it."""
    if buoy.sensors is None:
        return {name: None for name, value in own.items() if value.flag is Flag.FAIL}
    return {name: each.failing_since for name, each in buoy.sensors.items() if each.failing_since is not None}


def _judge_runs(
    before: SensorWatch, fault: str, value: LatestValue | None, since: datetime | None, runs: Sequence[FailedRun]
) -> list[_Step]:
    """Return a sensor after each run that is over, and as it is now; ``since``: of the run that is not over."""
    steps: list[_Step] = []
    watch = before
    for run in runs:
        if not watch.open:
            steps.append(_Step(_of_run(run.since), run.since))
        elif watch.fault:
            continue  # the device's own text keeps it open
        watch = SensorWatch()
        steps.append(_Step(watch, run.ended_at))
    if since is not None:
        after = replace(_of_run(since), fault=fault)
        at: datetime | None = since
    elif fault:
        after, at = SensorWatch(fault=fault, open=True), None
    else:
        good = value is not None and value.flag in SCORED
        stays = watch.open and watch.fails < FAILS_IN_A_ROW and not good and (value is not None or not watch.fault)
        after, at = SensorWatch(open=stays), None
    return steps if steps and after == watch else [*steps, _Step(after, at)]


def _of_run(since: datetime) -> SensorWatch:
    return SensorWatch(fails=FAILS_IN_A_ROW, failed_us=utc_microseconds(since), open=True)


def _judge(before: SensorWatch, fault: str, value: LatestValue | None) -> SensorWatch:
    fails, failed_us = before.fails, before.failed_us
    good = False
    if value is not None:
        observed_us = utc_microseconds(value.observed_at)
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
