"""What is known of each sensor of a buoy: since when its values fail, and when it had its last value.

Both follow from the set of the buoy's readings, by ``observed_at``: neither the order of arrival nor the way in which telemetry
was cut into messages makes a difference. Values in time order are added to what is in memory, which holds sensors that are not
sound only. A late or revised value that may matter makes the newest readings be read again.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from reefmesh.contracts.flags import SCORED, Flag
from reefmesh.contracts.readings import Reading
from reefmesh.contracts.scores import FAILED_RUNS_LIMIT, VALUE_DAYS
from reefmesh.store.port import Store
from reefmesh_scoring.counting import Counted
from reefmesh_scoring.domain.solar_day import DAY_US, text_of
from reefmesh_scoring.kept_readings import (
    EXCLUDED,
    IGNORED,
    SENSORS,
    KeptReading,
    KeptReadings,
    KeptValue,
    ReportedValue,
    is_unchanged,
    newest_readings,
)
from reefmesh_scoring.scored_reef import NEVER_US, NewestValue, ScoredBuoy, ScoredReef, SensorState

FAILS_IN_A_ROW: Final = 3
"""So many failing values in a row make a fault; a single one may be a gull on the cable."""

GOOD_IN_A_ROW: Final = 2
"""So many good values in a row end it: the newest of them has no neighbour yet, and may fail when it has one."""

WITHOUT_A_SENSOR: Final = 2
"""So many reports in a row of a device that finds no sensor make a fault; one may be a start that was too early."""

SENSORS_NAME: Final = "sensors"
"""The name in scores for all sensors of a buoy, where it finds none."""

ROWS_LIMIT: Final = 5000
"""Readings of a buoy that are read again at most. Of a longer run the third failing value stays the one that is in memory."""

_FOUND: Final = KeptValue(1.0, Flag.PASS)
_VALUE_SPAN_US: Final = VALUE_DAYS * DAY_US


class EndedRun(NamedTuple):
    """A run of failing values that is over."""

    ended_us: int
    buoy_id: str
    quantity: str
    third_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The buoys of a message as they were before it: the newest instant, and the newest values."""

    newest_us: Mapping[str, int]
    items: Mapping[str, Mapping[str, NewestValue]]

    @classmethod
    def of(cls, state: ScoredReef, readings: Sequence[Reading]) -> "Before":
        newest_us, items = {}, {}
        for buoy_id in {reading.buoy_id for reading in readings}:
            known = state.buoys.get(buoy_id)
            newest_us[buoy_id] = NEVER_US if known is None else known.newest_us
            items[buoy_id] = {} if known is None else {**known.items}
        return cls(newest_us=newest_us, items=items)


@dataclass(slots=True, kw_only=True)
class _News:
    """Of one buoy: readings that are newer than all before, and the quantities that another reading leaves in doubt."""

    readings: list[tuple[int, Mapping[str, ReportedValue]]] = field(default_factory=list)
    in_doubt: set[str] = field(default_factory=set)


async def note_sensors(
    store: Store, state: ScoredReef, counted: Counted, on_record: KeptReadings, before: Before
) -> list[EndedRun]:
    """Update the sensors of the buoys in a message that was counted; return the runs that ended with its new readings."""
    news: dict[str, _News] = {buoy_id: _News() for buoy_id in before.newest_us}
    for key, reading in counted.kept.items():
        buoy_id, at_us = key
        if at_us > before.newest_us[buoy_id]:
            news[buoy_id].readings.append((at_us, reading.items))
        elif not is_unchanged(reading, on_record.get(key)):
            news[buoy_id].in_doubt.update(_in_doubt(state.buoys[buoy_id], on_record.get(key), reading))
    if not state.sensors_known:
        for buoy_id, known in state.buoys.items():
            unsound = {name for name, item in known.items.items() if item.value is None or item.flag not in SCORED}
            news.setdefault(buoy_id, _News()).in_doubt.update(each for each in unsound if _is_watched(each))
        state.sensors_known = True
    ended: list[EndedRun] = []
    for buoy_id, new in news.items():
        buoy = state.buoys.get(buoy_id)
        if buoy is None:
            continue  # all its readings were ignored
        new.readings.sort(key=lambda each: each[0])
        ended += _add(buoy_id, buoy, new, before.items.get(buoy_id, {}))
        if new.in_doubt:
            since_us = before.newest_us.get(buoy_id, buoy.newest_us)
            own = [(at_us, each.items) for (other, at_us), each in counted.kept.items() if other == buoy_id]
            ended += await _read_again(store, state.reef_id, buoy_id, buoy, new.in_doubt, kept=own, since_us=since_us)
    ended.sort()
    return ended[-FAILED_RUNS_LIMIT:]


def arrival_fields(readings: Sequence[Reading], observed_us: Sequence[int], before: Before) -> list[dict[str, Any]]:
    """Return the fields of ``BuoyArrival`` of each buoy with readings that are newer than all before."""
    received: dict[str, datetime] = {}
    held_back: dict[str, timedelta] = {}
    for reading, at_us in zip(readings, observed_us, strict=True):
        buoy_id = reading.buoy_id
        if reading.withdrawn or at_us <= before.newest_us[buoy_id]:
            continue
        held = reading.received_at - reading.observed_at
        if buoy_id not in received:
            received[buoy_id], held_back[buoy_id] = reading.received_at, max(held, timedelta())
            continue
        received[buoy_id] = max(received[buoy_id], reading.received_at)
        held_back[buoy_id] = max(held_back[buoy_id], held)
    return [
        {
            "buoy_id": buoy_id,
            "received_at": received[buoy_id].isoformat(),
            "held_back_seconds": held_back[buoy_id].total_seconds(),
        }
        for buoy_id in sorted(received)
    ]


def run_fields(ended: Sequence[EndedRun]) -> list[dict[str, Any]]:
    """Return the fields of ``FailedRun``."""
    return [
        {
            "buoy_id": run.buoy_id,
            "quantity": SENSORS_NAME if run.quantity == SENSORS else run.quantity,
            "since": text_of(run.third_us),
            "ended_at": text_of(run.ended_us),
        }
        for run in ended
    ]


def sensor_fields(buoy: ScoredBuoy) -> dict[str, dict[str, Any]]:
    """Return the fields of ``SensorHealth`` of each quantity that had a value lately, or fails."""
    fields: dict[str, dict[str, Any]] = {}
    oldest_us = buoy.last_seen_us - _VALUE_SPAN_US
    names = sorted(name for name in buoy.items if not name.startswith("@"))
    has_facts = len(names) < len(buoy.items)
    for name in names:
        item, known = buoy.items[name], buoy.sensors.get(name)
        value_us = item.observed_us if known is None else known.value_us
        if has_facts and (excluded := buoy.items.get(f"{EXCLUDED}{name}")) is not None:
            value_us = max(value_us, excluded.observed_us)
        failing = known is not None and known.fails == FAILS_IN_A_ROW
        if has_facts and (ignored_us := _ignored_us(buoy, name)) is not None:
            if value_us >= oldest_us:
                told = {"last_value_at": text_of(value_us), "failing_since": None, "ignored_at": text_of(ignored_us)}
                fields[name] = told
        elif value_us >= oldest_us or failing:
            fields[name] = {
                "last_value_at": text_of(value_us) if value_us >= oldest_us else None,
                "failing_since": text_of(known.third_us) if known is not None and failing else None,
            }
    sensors = buoy.sensors.get(SENSORS)
    if sensors is not None and sensors.fails == FAILS_IN_A_ROW:
        fields[SENSORS_NAME] = {"last_value_at": None, "failing_since": text_of(sensors.third_us)}
        return {name: fields[name] for name in sorted(fields)}
    return fields


def fault_fields(buoy: ScoredBuoy) -> dict[str, str]:
    """Return what the device says of each sensor that it reported as faulty last."""
    faults = {
        name: item.fault
        for name, item in buoy.items.items()
        if item.fault and not name.startswith("@") and _ignored_us(buoy, name) is None
    }
    sensors, none_found = buoy.sensors.get(SENSORS), buoy.items.get(SENSORS)
    if sensors is not None and sensors.fails == FAILS_IN_A_ROW and none_found is not None and none_found.fault:
        faults[SENSORS_NAME] = none_found.fault
    return {name: faults[name] for name in sorted(faults)}


def _ignored_us(buoy: ScoredBuoy, name: str) -> int | None:
    """Return when the register ignored the sensor of a quantity, if that is newer than all that the sensor said."""
    ignored = buoy.items.get(f"{IGNORED}{name}")
    return ignored.observed_us if ignored is not None and ignored.observed_us > buoy.items[name].observed_us else None


def _is_watched(name: str) -> bool:
    return name == SENSORS or not name.startswith("@")


def _with_sensors(buoy: ScoredBuoy, items: Mapping[str, ReportedValue]) -> Mapping[str, ReportedValue]:
    """Return a reading's items, and that the device found a sensor, if it did and that was in doubt."""
    if SENSORS in items or (SENSORS not in buoy.sensors and SENSORS not in buoy.items):
        return items
    return {**items, SENSORS: _FOUND} if any(not name.startswith("@") for name in items) else items


def _in_doubt(buoy: ScoredBuoy, was: KeptReading | None, now: KeptReading) -> Iterator[str]:
    """Iterate over the quantities that a late or revised reading leaves in doubt: it may have made a run of failing values, or
    taken a good value or the last one away. A sensor that is sound stays so whatever else a reading adds."""
    then = {} if was is None else _with_sensors(buoy, was.items)
    later = _with_sensors(buoy, now.items)
    for name in {*then, *later}:
        if not _is_watched(name):
            continue
        old, new = then.get(name), later.get(name)
        had, has = old is not None and old.value is not None, new is not None and new.value is not None
        if old is not None and new is not None and old.flag == new.flag and had == has:
            continue
        lost = (had and not has) or (old is not None and old.flag in SCORED)
        newest = buoy.items.get(name)
        if (
            name in buoy.sensors
            or lost
            or (new is not None and new.flag == Flag.FAIL)
            or (newest is not None and newest.value is None)
        ):
            yield name


def _add(buoy_id: str, buoy: ScoredBuoy, new: _News, items_before: Mapping[str, NewestValue]) -> list[EndedRun]:
    """Add new readings, oldest first, to what is known of sensors that are not in doubt."""
    ended: list[EndedRun] = []
    sensors = buoy.sensors
    last_value_us: dict[str, int] = {}
    for at_us, reported in new.readings:
        items = _with_sensors(buoy, reported)
        for name, item in items.items():
            known = sensors.get(name)
            if known is None:
                if item.value is not None and item.flag != Flag.FAIL:
                    last_value_us[name] = at_us
                    continue
                before = items_before.get(name)
                value_us = last_value_us.get(name, NEVER_US if before is None else before.observed_us)
                known = SensorState(value_us=value_us)  # sound until now
            if name in new.in_doubt or not _is_watched(name):
                continue
            after = _after(name, known, at_us, item)
            if known.fails == FAILS_IN_A_ROW and after.fails == 0:
                ended.append(EndedRun(at_us, buoy_id, name, known.third_us))
            last_value_us[name] = after.value_us
            if after.fails == 0 and after.value_us == at_us:
                sensors.pop(name, None)
            else:
                sensors[name] = after
    return ended


def _after(name: str, known: SensorState, at_us: int, item: ReportedValue) -> SensorState:
    """Return what is known of a sensor after its next value. Values that are suspect or missing neither make nor end a run."""
    value_us = known.value_us if item.value is None else at_us
    if item.flag == Flag.FAIL:
        if known.fails == FAILS_IN_A_ROW:
            return SensorState(known.fails, known.third_us, 0, value_us)
        fails = known.fails + 1
        if name == SENSORS and fails == WITHOUT_A_SENSOR:
            fails = FAILS_IN_A_ROW
        return SensorState(fails, at_us if fails == FAILS_IN_A_ROW else NEVER_US, 0, value_us)
    if item.flag in SCORED and known.fails:
        if known.fails < FAILS_IN_A_ROW or known.good + 1 == GOOD_IN_A_ROW:
            return SensorState(value_us=value_us)
        return SensorState(known.fails, known.third_us, known.good + 1, value_us)
    return known._replace(value_us=value_us)


async def _read_again(
    store: Store,
    reef_id: str,
    buoy_id: str,
    buoy: ScoredBuoy,
    quantities: Collection[str],
    *,
    kept: Sequence[tuple[int, Mapping[str, ReportedValue]]],
    since_us: int,
) -> list[EndedRun]:
    """Find anew what is known of sensors, from the newest readings back to where nothing before them matters. ``kept``: those
    of the message, in their newest revision."""
    found: dict[str, list[tuple[int, ReportedValue]]] = {name: [] for name in quantities}
    unfinished, good = set(quantities), dict.fromkeys(quantities, 0)
    has_value: set[str] = set()
    rows = 0
    async for at_us, reported in _newest_first(store, reef_id, buoy_id, buoy, kept):
        items = _with_sensors(buoy, reported)
        for name in [each for each in unfinished if each in items]:
            item = items[name]
            found[name].append((at_us, item))
            if item.value is not None:
                has_value.add(name)
            if item.flag in SCORED:
                good[name] += 1
            elif item.flag == Flag.FAIL and good[name] < GOOD_IN_A_ROW:
                good[name] = 0
            if good[name] >= GOOD_IN_A_ROW and name in has_value:
                unfinished.discard(name)
        rows += 1
        if not unfinished or rows == ROWS_LIMIT:
            break
    ended: list[EndedRun] = []
    for name, values in found.items():
        before = buoy.sensors.pop(name, None)
        known = SensorState()
        if rows == ROWS_LIMIT and name in unfinished and before is not None and values and before.third_us < values[-1][0]:
            known = before._replace(good=0)
        for at_us, item in reversed(values):
            after = _after(name, known, at_us, item)
            if known.fails == FAILS_IN_A_ROW and after.fails == 0 and at_us > since_us:
                ended.append(EndedRun(at_us, buoy_id, name, known.third_us))
            known = after
        if values and (known.fails or known.value_us != values[0][0]):
            buoy.sensors[name] = known
    return ended


async def _newest_first(
    store: Store, reef_id: str, buoy_id: str, buoy: ScoredBuoy, kept: Sequence[tuple[int, Mapping[str, ReportedValue]]]
) -> AsyncIterator[tuple[int, Mapping[str, ReportedValue]]]:
    """Iterate over a buoy's readings, those of the message among those on record, newest first."""
    own = sorted(kept, key=lambda each: each[0])
    instants = {at_us for at_us, _ in own}
    async for (_, at_us), reading in newest_readings(store, reef_id, buoy_id, from_us=NEVER_US, until_us=buoy.newest_us):
        while own and own[-1][0] > at_us:
            yield own.pop()
        if at_us not in instants:
            yield at_us, reading.items
    while own:
        yield own.pop()
