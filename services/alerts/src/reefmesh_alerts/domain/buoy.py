"""The health of one buoy: silence (beyond its own schedule), drift, low battery. An episode closes at a limit with a margin."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal, assert_never

from reefmesh.contracts.scores import BuoyHealth
from reefmesh_alerts.domain.schedule import SILENT_INTERVALS, silent_after_us
from reefmesh_alerts.domain.severity import CLOSED, OPEN
from reefmesh_alerts.domain.transition import Evidence, Transition, instant_of, microseconds

DRIFT_BACK_RATIO: Final = 0.8
"""A drift episode closes below this share of the limit."""

BATTERY_BACK_VOLTS_RATIO: Final = 1.03
BATTERY_BACK_PERCENT_POINTS: Final = 5.0
"""A battery episode closes this far above its limit: the voltage rises a little whenever the radio is off."""

BuoyKind = Literal["buoy_silent", "buoy_drift", "buoy_battery", "sensor_fault"]
"""The alert kinds about one buoy."""


def states_of_buoy(kind: BuoyKind) -> tuple[str, str]:
    """Return the subject's state without an open episode of this kind, and its state with one."""
    match kind:
        case "buoy_silent":
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BuoyWatch:
    """What is known of one buoy.

    ``silent_after_us`` is the deadline of the next sign of life. It is None while silence means nothing: no fresh data ever
    came (a replay), or the buoy is silent already. ``channels`` maps a quantity to its sensor, for faulty sensors only; the
    field's name is that of the stored state.
    """

    last_seen_us: int
    silent_after_us: int | None = None
    silent: bool = False
    adrift: bool = False
    battery_low: bool = False
    channels: Mapping[str, SensorWatch] = field(default_factory=dict)


def judge_buoy(
    watch: BuoyWatch | None, buoy: BuoyHealth, *, heard_us: int, newest: bool = True
) -> tuple[BuoyWatch, list[Transition]]:
    """Judge a buoy by one score made at ``heard_us``; ``newest`` is False when a later score was handled before."""
    seen_us = microseconds(buoy.last_seen_at)
    watch = watch or BuoyWatch(last_seen_us=seen_us)
    transitions: list[Transition] = []
    if seen_us >= watch.last_seen_us:
        watch = _note_life(watch, buoy, seen_us, heard_us, transitions)
    elif newest:
        # The newest reading of the buoy was withdrawn, so its silence began earlier.
        silent_us = None if watch.silent_after_us is None else silent_after_us(buoy.facts, seen_us)
        watch = replace(watch, last_seen_us=seen_us, silent_after_us=silent_us)
    adrift = _is_adrift(watch, buoy)
    if adrift != watch.adrift:
        watch = replace(watch, adrift=adrift)
        flag = None if buoy.position_flag is None else int(buoy.position_flag)
        evidence: Evidence = {
            "drift_metres": buoy.drift_metres,
            "limit_metres": buoy.facts.drift_limit_metres,
            "position_flag": flag,
        }
        transitions.append(episode("buoy_drift", buoy, opens=adrift, evidence=evidence))
    low = _is_low(watch, buoy)
    if low != watch.battery_low:
        watch = replace(watch, battery_low=low)
        evidence = {
            "battery_volts": buoy.battery_volts,
            "battery_percent": buoy.battery_percent,
            "limit_volts": buoy.facts.battery_low_volts,
            "limit_percent": buoy.facts.battery_low_percent,
        }
        transitions.append(episode("buoy_battery", buoy, opens=low, evidence=evidence))
    return watch, transitions


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
        evidence={"last_seen_at": seen_at.isoformat(), "intervals_missed": SILENT_INTERVALS},
    )
    return replace(watch, silent=True, silent_after_us=None), [transition]


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


def _note_life(watch: BuoyWatch, buoy: BuoyHealth, seen_us: int, heard_us: int, into: list[Transition]) -> BuoyWatch:
    """Note a sign of life. Old data (a backlog, a replay) proves none: it neither starts the watch nor ends a silence."""
    silent_us = silent_after_us(buoy.facts, seen_us)
    fresh = heard_us < silent_us
    if watch.silent and fresh:
        silence_seconds = (seen_us - watch.last_seen_us) // 1_000_000
        evidence: Evidence = {"last_seen_at": buoy.last_seen_at.isoformat(), "silence_seconds": silence_seconds}
        into.append(episode("buoy_silent", buoy, opens=False, evidence=evidence))
        return replace(watch, last_seen_us=seen_us, silent_after_us=silent_us, silent=False)
    watched = fresh or watch.silent_after_us is not None
    deadline_us = silent_us if watched and not watch.silent else None
    if seen_us == watch.last_seen_us and deadline_us == watch.silent_after_us:
        return watch
    return replace(watch, last_seen_us=seen_us, silent_after_us=deadline_us)


def _is_adrift(watch: BuoyWatch, buoy: BuoyHealth) -> bool:
    if buoy.drift_metres is None:
        return watch.adrift
    limit_metres = buoy.facts.drift_limit_metres
    return buoy.drift_metres > (limit_metres * DRIFT_BACK_RATIO if watch.adrift else limit_metres)


def _is_low(watch: BuoyWatch, buoy: BuoyHealth) -> bool:
    facts = buoy.facts
    judged = []
    if buoy.battery_volts is not None and facts.battery_low_volts is not None:
        ratio = BATTERY_BACK_VOLTS_RATIO if watch.battery_low else 1.0
        judged.append(buoy.battery_volts < facts.battery_low_volts * ratio)
    if buoy.battery_percent is not None and facts.battery_low_percent is not None:
        margin = BATTERY_BACK_PERCENT_POINTS if watch.battery_low else 0.0
        # A limit near 100 % must stay reachable.
        judged.append(buoy.battery_percent < min(100.0, facts.battery_low_percent + margin))
    return any(judged) if judged else watch.battery_low
