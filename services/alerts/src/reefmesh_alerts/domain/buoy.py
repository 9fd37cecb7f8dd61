"""The health of one buoy: silence (beyond its own schedule), drift, low battery.

Drift and battery have a margin and a dwell time: an episode opens at once beyond the margin, otherwise with the second value in
a row that is beyond the limit, and it closes with the second that is well inside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal, NamedTuple, assert_never

from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import BuoyArrival, BuoyHealth
from reefmesh_alerts.domain.dwell import Dwell, after_value
from reefmesh_alerts.domain.holding_back import Arrived, silence_waits_us, with_arrival
from reefmesh_alerts.domain.schedule import SILENT_INTERVALS, intervals_between, silent_after_us
from reefmesh_alerts.domain.severity import CLOSED, OPEN
from reefmesh_alerts.domain.transition import SECOND_US, Evidence, Transition, instant_of, utc_microseconds

DRIFT_BACK_RATIO: Final = 0.8
"""A drift episode closes below this share of the limit."""

DRIFT_MARGIN_RATIO: Final = 1.1
"""Beyond this share of the limit a drift episode opens at once."""

BATTERY_MARGIN_VOLTS: Final = 0.03
BATTERY_MARGIN_PERCENT_POINTS: Final = 5.0
"""A battery episode closes this far above its limit (volts: as a share of it), since the voltage rises a little whenever the
radio is off; and it opens at once this far below."""

BuoyKind = Literal["buoy_silent", "buoy_drift", "buoy_battery", "sensor_fault", "quantity_silent"]
"""The alert kinds about one buoy."""


def states_of_buoy(kind: BuoyKind) -> tuple[str, str]:
    """Return the subject's state without an open episode of this kind, and its state with one."""
    match kind:
        case "buoy_silent" | "quantity_silent":
            return "reporting", "silent"
        case "buoy_drift":
            return "moored", "adrift"
        case "buoy_battery":
            return "charged", "low"
        case "sensor_fault":
            return "working", "faulty"
        case _:
            assert_never(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorWatch:
    """The sensor of one quantity. ``fails`` counts failing values in a row, the newest of them observed at ``failed_us``."""

    fault: str = ""
    fails: int = 0
    failed_us: int = 0
    open: bool = False


class QuantityWatch(NamedTuple):
    """One quantity of a buoy: its last value, the usual time between two values (None before the second), and since when it is
    silent, if it is."""

    value_us: int
    gap_us: int | None = None
    silent_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuoyWatch:
    """What is known of one buoy.

    ``silent_after_us`` is the deadline of the next sign of life. It is None while silence means nothing: no fresh data ever
    came (a replay), or the buoy is silent already, since ``silent_us``. ``reporting_since_us`` is its first report after the
    last time in which it missed some. At ``silent_after_us`` it has missed ``misses`` reports. ``channels`` maps a quantity to
    its sensor, for faulty sensors only; the field's name is that of the stored state.
    """

    last_seen_us: int
    silent_after_us: int | None = None
    misses: int = SILENT_INTERVALS
    silent: bool = False
    silent_us: int | None = None
    reporting_since_us: int = 0
    arrivals: tuple[Arrived, ...] = ()
    adrift: bool = False
    drift_differs_us: int | None = None
    battery_low: bool = False
    battery_differs_us: int | None = None
    channels: Mapping[str, SensorWatch] = field(default_factory=dict)
    quantities: Mapping[str, QuantityWatch] = field(default_factory=dict)


def judge_buoy(
    watch: BuoyWatch | None, buoy: BuoyHealth, *, heard_us: int, newest: bool = True, arrival: BuoyArrival | None = None
) -> tuple[BuoyWatch, list[Transition]]:
    """Judge a buoy by one score made at ``heard_us``; ``newest`` is False when a later score was handled before.

    ``arrival`` tells of its readings in this score, if it has any.
    """
    seen_us = utc_microseconds(buoy.last_seen_at)
    if watch is None:
        watch = BuoyWatch(last_seen_us=seen_us, reporting_since_us=seen_us)
    elif buoy.sensors is None and newest:
        arrival = _arrival_1(watch, buoy, seen_us, heard_us)
    transitions: list[Transition] = []
    arrivals, since_us = watch.arrivals, watch.reporting_since_us
    if arrival is not None:
        arrivals, since_us = _after_arrival(watch, buoy.facts, arrival)
    if seen_us >= watch.last_seen_us:
        watch = _note_life(watch, buoy, seen_us, heard_us, transitions, arrivals=arrivals, since_us=since_us)
    elif newest:
        # The newest reading of the buoy was withdrawn, so its silence began earlier.
        silent_us, misses = None, SILENT_INTERVALS
        if watch.silent_after_us is not None:
            silent_us, misses = _silent_us(buoy.facts, seen_us, arrivals)
        watch = replace(
            watch,
            last_seen_us=seen_us,
            silent_after_us=silent_us,
            misses=misses,
            arrivals=arrivals,
            reporting_since_us=since_us,
        )
    elif arrival is not None:
        watch = replace(watch, arrivals=arrivals, reporting_since_us=since_us)
    if newest:
        watch = _note_drift(watch, buoy, transitions)
        watch = _note_battery(watch, buoy, transitions)
    return watch, transitions


def is_fresh(buoy: BuoyHealth, *, heard_us: int) -> bool:
    """Tell whether the newest report of a buoy, heard at ``heard_us``, tells of the present."""
    return heard_us < silent_after_us(buoy.facts, utc_microseconds(buoy.last_seen_at))


def expire_buoy(watch: BuoyWatch, buoy_id: str, *, now_us: int) -> tuple[BuoyWatch, list[Transition]]:
    """Open an episode of silence when the buoy's deadline has passed."""
    if watch.silent_after_us is None or now_us < watch.silent_after_us:
        return watch, []
    reporting, silent = states_of_buoy("buoy_silent")
    seen_at = instant_of(watch.last_seen_us)
    transition = Transition(
        kind="buoy_silent",
        change="opened",
        from_state=reporting,
        to_state=silent,
        severity=OPEN,
        worst_severity=OPEN,
        occurred_at=instant_of(watch.silent_after_us),
        evidence_at=seen_at,
        stands=True,
        subject=buoy_id,
        buoy_id=buoy_id,
        evidence={"last_seen_at": seen_at.isoformat(), "intervals_missed": watch.misses},
    )
    silent_us = watch.silent_after_us
    return replace(watch, silent=True, silent_us=silent_us, silent_after_us=None, misses=SILENT_INTERVALS), [transition]


def episode(
    kind: BuoyKind, buoy: BuoyHealth, *, opens: bool, evidence: Evidence, quantity: str = "", at: datetime | None = None
) -> Transition:
    """Return the beginning or the end of an episode of this buoy, or of its sensor of one ``quantity``."""
    buoy_id = buoy.facts.buoy_id
    closed, opened = states_of_buoy(kind)
    return Transition(
        kind=kind,
        change="opened" if opens else "closed",
        from_state=closed if opens else opened,
        to_state=opened if opens else closed,
        severity=OPEN if opens else CLOSED,
        worst_severity=OPEN,
        occurred_at=at or buoy.last_seen_at,
        evidence_at=at or buoy.last_seen_at,
        stands=opens,
        subject=f"{buoy_id}/{quantity}" if quantity else buoy_id,
        buoy_id=buoy_id,
        evidence=evidence,
    )


def _arrival_1(watch: BuoyWatch, buoy: BuoyHealth, seen_us: int, heard_us: int) -> BuoyArrival | None:
    """Return what a score of ``scores/1`` tells of an arrival: the oldest of its readings came an interval after the last one
    that was known. It tells nothing of a buoy that sleeps, or if they do not reach the present.

    In whole intervals: the score was made some time after the arrival, which is no holding back.
    """
    interval_us = buoy.facts.report_interval_seconds * SECOND_US
    held_us = round((heard_us - watch.last_seen_us - interval_us) / interval_us) * interval_us
    reaches_present = seen_us > watch.last_seen_us and is_fresh(buoy, heard_us=heard_us)
    if not reaches_present or buoy.facts.waking_hours_utc is not None:
        return None
    return BuoyArrival(
        buoy_id=buoy.facts.buoy_id, received_at=instant_of(heard_us), held_back_seconds=max(held_us, 0) / SECOND_US
    )


def _after_arrival(watch: BuoyWatch, facts: BuoyFacts, arrival: BuoyArrival) -> tuple[tuple[Arrived, ...], int]:
    """Return the last arrivals, which tell how long readings were held back, and since when the buoy reports: from the oldest
    reading of this arrival on, if it had missed reports before it."""
    received_us, held_back_us = utc_microseconds(arrival.received_at), round(arrival.held_back_seconds * SECOND_US)
    arrivals = with_arrival(
        watch.arrivals,
        received_us=received_us,
        held_back_us=held_back_us,
        interval_us=facts.report_interval_seconds * SECOND_US,
    )
    oldest_us = received_us - held_back_us
    since_us = oldest_us if oldest_us >= silent_after_us(facts, watch.last_seen_us) else watch.reporting_since_us
    return arrivals, since_us


def _silent_us(facts: BuoyFacts, seen_us: int, arrivals: tuple[Arrived, ...]) -> tuple[int, int]:
    """Return when a silence is told of a buoy that was seen last at ``seen_us``, and how many reports it has missed then."""
    fresh_until_us, waits_us = silent_after_us(facts, seen_us), silence_waits_us(arrivals)
    if not waits_us:
        return fresh_until_us, SILENT_INTERVALS
    return fresh_until_us + waits_us, intervals_between(facts, seen_us, fresh_until_us + waits_us)


def _note_life(
    watch: BuoyWatch,
    buoy: BuoyHealth,
    seen_us: int,
    heard_us: int,
    into: list[Transition],
    *,
    arrivals: tuple[Arrived, ...],
    since_us: int,
) -> BuoyWatch:
    """Note a sign of life. Old data (a backlog, a replay) proves none: it neither starts the watch nor ends a silence."""
    silent_us, misses = _silent_us(buoy.facts, seen_us, arrivals)
    fresh = heard_us < silent_us - silence_waits_us(arrivals)
    if watch.silent and fresh and seen_us > watch.last_seen_us:
        began_us = watch.last_seen_us if watch.silent_us is None else watch.silent_us
        # A report that was on its way before the silence began ends it when it arrives.
        ended_us = seen_us if seen_us > began_us else max(heard_us, began_us + SECOND_US)
        evidence: Evidence = {
            "last_seen_at": buoy.last_seen_at.isoformat(),
            "silence_seconds": (ended_us - watch.last_seen_us) // SECOND_US,
        }
        into.append(episode("buoy_silent", buoy, opens=False, evidence=evidence, at=instant_of(ended_us)))
        watch = replace(watch, silent=False, silent_us=None, silent_after_us=silent_us)
    watched = (fresh or watch.silent_after_us is not None) and not watch.silent
    return replace(
        watch,
        last_seen_us=seen_us,
        silent_after_us=silent_us if watched else None,
        misses=misses if watched else SILENT_INTERVALS,
        reporting_since_us=since_us,
        arrivals=arrivals,
    )


def _note_drift(watch: BuoyWatch, buoy: BuoyHealth, into: list[Transition]) -> BuoyWatch:
    if buoy.drift_metres is None:
        return watch
    limit_metres = buoy.facts.drift_limit_metres
    at = buoy.position_at or buoy.last_seen_at
    before = Dwell(watch.adrift, watch.drift_differs_us)
    after = after_value(
        before,
        speaks_for_open=buoy.drift_metres > (limit_metres * DRIFT_BACK_RATIO if watch.adrift else limit_metres),
        at_us=utc_microseconds(at),
        at_once=buoy.drift_metres > limit_metres * DRIFT_MARGIN_RATIO,
    )
    if after == before:
        return watch
    if after.is_open != watch.adrift:
        flag = None if buoy.position_flag is None else int(buoy.position_flag)
        evidence: Evidence = {"drift_metres": buoy.drift_metres, "limit_metres": limit_metres, "position_flag": flag}
        into.append(episode("buoy_drift", buoy, opens=after.is_open, evidence=evidence, at=at))
    return replace(watch, adrift=after.is_open, drift_differs_us=after.differs_us)


def _note_battery(watch: BuoyWatch, buoy: BuoyHealth, into: list[Transition]) -> BuoyWatch:
    if buoy.battery_volts is None and buoy.battery_percent is None:
        return watch
    facts = buoy.facts
    is_low, is_far_below = [], []
    if buoy.battery_volts is not None and facts.battery_low_volts is not None:
        margin_volts = facts.battery_low_volts * BATTERY_MARGIN_VOLTS
        is_low.append(buoy.battery_volts < facts.battery_low_volts + (margin_volts if watch.battery_low else 0.0))
        is_far_below.append(buoy.battery_volts < facts.battery_low_volts - margin_volts)
    if buoy.battery_percent is not None and facts.battery_low_percent is not None:
        points = BATTERY_MARGIN_PERCENT_POINTS
        # A limit near 100 % must stay reachable.
        limit_percent = min(100.0, facts.battery_low_percent + (points if watch.battery_low else 0.0))
        is_low.append(buoy.battery_percent < limit_percent)
        is_far_below.append(buoy.battery_percent < facts.battery_low_percent - points)
    if not is_low:
        return watch
    at = buoy.battery_at or buoy.last_seen_at
    before = Dwell(watch.battery_low, watch.battery_differs_us)
    after = after_value(before, speaks_for_open=any(is_low), at_us=utc_microseconds(at), at_once=any(is_far_below))
    if after == before:
        return watch
    if after.is_open != watch.battery_low:
        evidence: Evidence = {
            "battery_volts": buoy.battery_volts,
            "battery_percent": buoy.battery_percent,
            "limit_volts": facts.battery_low_volts,
            "limit_percent": facts.battery_low_percent,
        }
        into.append(episode("buoy_battery", buoy, opens=after.is_open, evidence=evidence, at=at))
    return replace(watch, battery_low=after.is_open, battery_differs_us=after.differs_us)
