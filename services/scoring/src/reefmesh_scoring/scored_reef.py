"""Scoring's state of one reef between messages, and its bytes in the reef's row.

The bytes hold what no table holds; the recent days, their totals and the highest DHW are read from the tables.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic_core import from_json, to_json

from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.register import BuoyFacts, ReefConditions, ReefFacts, SensorFacts
from reefmesh.store.port import Store
from reefmesh_scoring.days import fetch_highest, fetch_scores, fetch_totals_between
from reefmesh_scoring.domain.day_chemistry import DayChemistry
from reefmesh_scoring.domain.fixed_point import to_e4
from reefmesh_scoring.domain.heat_revision import Days, Yardstick
from reefmesh_scoring.domain.heat_stress import DayHeat
from reefmesh_scoring.domain.recent_days import RECENT_DAYS_LIMIT, RecentDays, value_of
from reefmesh_scoring.domain.solar_day import DayTotals, solar_offset_us
from reefmesh_scoring.domain.window import NewestScored
from reefmesh_scoring.kept_readings import KeptReading

TOTALS_KEPT_DAYS: Final = 8
"""Days whose totals are in memory: today and the week in which carbonate chemistry is judged."""

NEVER_US: Final = -(2**62)

_FORMAT: Final = 1
_COUNTS: Final = 2
"""What is counted of a reading: 1 (before this was stored) the scored values, 2 the suspect temperatures, too. It stands beside
the format, which stays, so that processes of both versions can take reefs over from each other while a deployment rolls."""

_NO_YARDSTICK: Final = Yardstick(None, 0)


class NewestValue(NamedTuple):
    """The last value that a buoy reported under one name."""

    observed_us: int
    value: float | None
    flag: int
    fault: str | None = None


class SensorState(NamedTuple):
    """A sensor that is not sound: failing values in a row, counted up to the third (``third_us`` is its instant), good values
    in a row after these, and the instant of its last value."""

    fails: int = 0
    third_us: int = NEVER_US
    good: int = 0
    value_us: int = NEVER_US


@dataclass(slots=True, kw_only=True)
class ScoredBuoy:
    """One buoy of the reef.

    ``last_seen_us`` is the instant of its newest reading (``NEVER_US`` for a buoy of the register without one). ``newest_us``
    is the newest instant on record, withdrawn readings included: a later reading needs no query. ``newest_reading`` is the
    reading of that instant, if it came since the state was loaded: every report revises the one before it (its spike test),
    and would need a query each time. ``sensors`` holds those that fail, or whose newest value is none; ``stated_sensors`` is
    what the register states of sensors, by quantity.
    """

    facts: BuoyFacts
    facts_seq: int = 0
    last_seen_us: int = NEVER_US
    newest_us: int = NEVER_US
    newest_reading: KeptReading | None = None
    items: dict[str, NewestValue] = field(default_factory=dict)
    sensors: dict[str, SensorState] = field(default_factory=dict)
    stated_sensors: dict[str, SensorFacts] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class ScoredReef:
    """Scoring's state of one reef.

    ``conditions`` (time zone, dive limits, chemistry bands) are those that the register states, None where it states none.

    ``record`` holds the first and last solar date with a reading. ``highest_before`` is the highest DHW of the days before
    the last one; the last day changes with every reading, and ``latest`` is its score. ``chemistry`` remembers the last
    judged days after their inputs, ``judged`` those of the last score; neither is stored. ``is_outdated``: an older version,
    which counted less, wrote the state; ``sensors_known``: a version wrote it that keeps them.
    """

    reef_id: str
    facts: ReefFacts | None = None
    conditions: ReefConditions | None = None
    facts_seq: int = 0
    offset_us: int = 0
    yardstick: Yardstick = _NO_YARDSTICK
    as_of_us: int | None = None
    buoys: dict[str, ScoredBuoy] = field(default_factory=dict)
    scored: dict[str, NewestScored] = field(default_factory=dict)
    record: Days | None = None
    recent: RecentDays = field(default_factory=lambda: RecentDays(0))
    totals: dict[int, DayTotals] = field(default_factory=dict)
    latest: DayHeat | None = None
    highest_before: tuple[int, int] | None = None
    chemistry: dict[int, tuple[tuple[object, ...], DayChemistry | str]] = field(default_factory=dict)
    judged: tuple[object, list[DayChemistry]] | None = None
    readings: int = 0
    revisions: int = 0
    ignored: int = 0
    is_outdated: bool = False
    sensors_known: bool = True

    def newest_seen_us(self) -> int | None:
        """Return the newest reading of all buoys."""
        newest_us = max((buoy.last_seen_us for buoy in self.buoys.values()), default=NEVER_US)
        return None if newest_us == NEVER_US else newest_us

    def accuracy(self, quantity: str, name: str) -> float:
        """Return the worst stated accuracy (a field of ``BuoyFacts``) of the buoys that measure a quantity; 0 of none."""
        worst = 0.0  # no accuracy is negative; a loop, because every message asks for three
        for buoy in self.buoys.values():
            if quantity in buoy.items and (stated := getattr(buoy.facts, name)) > worst:
                worst = stated
        return worst

    def wanted_yardstick(self) -> Yardstick:
        """Return the yardstick that the current facts ask for; ``yardstick`` is the one that all days were scored by."""
        mmm_celsius = None if self.facts is None else self.facts.mmm_celsius
        return Yardstick(
            None if mmm_celsius is None else to_e4(mmm_celsius),
            to_e4(self.accuracy(SEA_WATER_TEMPERATURE, "temperature_accuracy_celsius")),
        )

    def resolution(self, buoy_id: str, quantity: str) -> float | None:
        """Return the smallest step between two values of a buoy's sensor, where the register states one."""
        buoy = self.buoys.get(buoy_id)
        stated = None if buoy is None else buoy.stated_sensors.get(quantity)
        return None if stated is None else stated.resolution

    def wanted_offset_us(self) -> int:
        return 0 if self.facts is None else solar_offset_us(self.facts.longitude_degrees)


def dump(state: ScoredReef) -> bytes:
    """Return the bytes for the row. Named tuples become plain ones: the serializer needs a microsecond to recognise each."""
    stated: dict[str, Any] = {}  # beside what was always there, so that an older version reads the rest
    if state.conditions is not None:
        stated["conditions"] = state.conditions
    if sensors := {buoy_id: buoy.stated_sensors for buoy_id, buoy in state.buoys.items() if buoy.stated_sensors}:
        stated["stated_sensors"] = sensors
    return to_json(
        stated
        | {
            "format": _FORMAT,
            "counts_of": _COUNTS,
            "facts": state.facts,
            "facts_seq": state.facts_seq,
            "offset_us": state.offset_us,
            "yardstick": (*state.yardstick,),
            "as_of_us": state.as_of_us,
            "record": None if state.record is None else (*state.record,),
            "counts": (state.readings, state.revisions, state.ignored),
            "buoys": [
                (
                    buoy.facts,
                    buoy.facts_seq,
                    buoy.last_seen_us,
                    buoy.newest_us,
                    {name: (*item,) for name, item in buoy.items.items()},
                )
                for buoy in state.buoys.values()
            ],
            # Beside the buoys, whose format older processes read while a deployment rolls.
            "sensors": {
                buoy_id: {name: (*each,) for name, each in buoy.sensors.items()}
                for buoy_id, buoy in state.buoys.items()
                if buoy.sensors
            },
            "scored": {
                name: (
                    each.observed_us,
                    each.buoy_id,
                    each.value,
                    each.starts_us,
                    each.minimum,
                    each.maximum,
                    each.total_e6,
                    each.count,
                )
                for name, each in state.scored.items()
            },
        }
    )


async def load(store: Store, reef_id: str, row: bytes | None) -> ScoredReef:
    """Return the state of a reef from its row and the tables; without a row, that of a new reef."""
    if row is None:
        return ScoredReef(reef_id=reef_id)
    parts: dict[str, Any] = from_json(row)
    if parts["format"] != _FORMAT:
        raise ValueError(f"the state of reef {reef_id} is of format {parts['format']}, which this version does not read")
    facts = parts["facts"]
    conditions, stated_sensors = parts.get("conditions"), parts.get("stated_sensors", {})
    record = parts["record"]
    readings, revisions, ignored = parts["counts"]
    state = ScoredReef(
        reef_id=reef_id,
        facts=None if facts is None else ReefFacts.model_validate(facts),
        conditions=None if conditions is None else ReefConditions.model_validate(conditions),
        facts_seq=parts["facts_seq"],
        offset_us=parts["offset_us"],
        yardstick=Yardstick(*parts["yardstick"]),
        as_of_us=parts["as_of_us"],
        record=None if record is None else Days(*record),
        readings=readings,
        revisions=revisions,
        ignored=ignored,
        is_outdated=parts.get("counts_of", 1) < _COUNTS,
        sensors_known="sensors" in parts,
    )
    for buoy_facts, facts_seq, last_seen_us, newest_us, items in parts["buoys"]:
        buoy = ScoredBuoy(
            facts=BuoyFacts.model_validate(buoy_facts), facts_seq=facts_seq, last_seen_us=last_seen_us, newest_us=newest_us
        )
        buoy.items = {name: NewestValue(*item) for name, item in items.items()}
        stated = stated_sensors.get(buoy.facts.buoy_id, {})
        buoy.stated_sensors = {name: SensorFacts.model_validate(each) for name, each in stated.items()}
        state.buoys[buoy.facts.buoy_id] = buoy
    for buoy_id, sensors in parts.get("sensors", {}).items():
        state.buoys[buoy_id].sensors = {name: SensorState(*each) for name, each in sensors.items()}
    for name, (observed_us, buoy_id, value, starts_us, minimum, maximum, total_e6, count) in parts["scored"].items():
        state.scored[name] = NewestScored(
            observed_us=observed_us,
            buoy_id=buoy_id,
            value=value,
            starts_us=starts_us,
            minimum=minimum,
            maximum=maximum,
            total_e6=total_e6,
            count=count,
        )
    if state.record is not None:
        await _load_days(store, state, state.record)
    return state


async def _load_days(store: Store, state: ScoredReef, record: Days) -> None:
    base = max(record.first, record.last - RECENT_DAYS_LIMIT + 1)
    totals = await fetch_totals_between(store, state.reef_id, Days(base, record.last))
    state.recent = RecentDays(base, (value_of(totals.get(day)) for day in range(base, record.last + 1)))
    state.totals = {day: each for day, each in totals.items() if day > record.last - TOTALS_KEPT_DAYS}
    (state.latest,) = await fetch_scores(store, state.reef_id, Days(record.last, record.last))
    state.highest_before = await fetch_highest(store, state.reef_id, before=record.last)
