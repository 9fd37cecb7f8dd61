"""Episodes of heat stress, on the published level of each day (the 7-day maximum), day after day.

A day is judged once it is complete: when a later day has begun, when it holds as many readings as the day before it did,
or when it is over everywhere on Earth by the clock and nothing more has come for an hour. So one mean of two readings at
midnight raises nothing, one reading a day is judged at once, and how telemetry was cut into messages makes no difference.

Every rise raises an alert at once. Of the falls, only the first after a rise does (``eased``); then there is silence until the
level falls below the opening level (``closed``) or rises again. A season cools in many steps: an alert for each would be noise.

A day raises at most one alert of each direction, however often it is revised: a degree heating week that trembles at a limit is
told once, and what then differs is told with the next day.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, assert_never

from reefmesh.contracts.scores import DayScore, DayStatus, HeatStatus, Level
from reefmesh_alerts.domain.schedule import DAY_US, HOUR_US
from reefmesh_alerts.domain.transition import Evidence, Transition

DEFAULT_OPENS_AT: Final = Level.WATCH.value

OVER_EVERYWHERE_US: Final = 36 * HOUR_US
"""A solar date begins at 12:00 UTC the day before at +180 degrees, and ends at 12:00 UTC the day after at -180."""

QUIET_US: Final = HOUR_US
UNKNOWN: Final = "unknown"
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()

HeatChange = Literal["opened", "worsened", "eased", "closed"]
"""The changes that an episode of heat stress knows: those of ``Change`` but ``changed``."""
RISES: Final = frozenset[HeatChange]({"opened", "worsened"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatDay:
    """The part of a day's score that is stored while the day waits to be complete."""

    date: date
    source: str
    readings: int
    hotspot_celsius: float | None
    dhw_celsius_weeks: float | None
    dhw_low_celsius_weeks: float | None
    dhw_high_celsius_weeks: float | None
    level: int | None
    level_7day_max: int | None
    coverage_days: int
    status: HeatStatus
    day_status: DayStatus = "ok"
    suspect_share: float | None = None
    whole_days: int | None = None
    filled_days: int | None = None
    missing_days: int | None = None
    suspect_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatWatch:
    """The heat stress of one reef.

    ``known_on`` is the newest judged day with a known level, and ``level`` that level; ``told`` is the level of the last
    alert. ``opened_on``, ``peak`` and ``eased`` belong to the open episode. ``readings`` counts those of the newest judged
    day that had any. ``waiting`` is the newest day, not complete yet. ``rise_on`` and ``fall_on``: the newest days of which a
    rise and a fall were told.
    """

    known_on: date | None = None
    level: int = 0
    told: int = 0
    opened_on: date | None = None
    peak: int = 0
    eased: bool = False
    readings: int = 0
    judged_on: date | None = None
    waiting: HeatDay | None = None
    rise_on: date | None = None
    fall_on: date | None = None

    @property
    def state(self) -> str:
        return UNKNOWN if self.known_on is None else Level(self.level).title


def judge_days(
    watch: HeatWatch, days: Iterable[DayScore], *, as_of: datetime, opens_at: int = DEFAULT_OPENS_AT
) -> tuple[HeatWatch, list[Transition]]:
    """Judge the days that a score sets or revises, oldest day first; ``as_of`` is the newest observation of the reef.

    A revised day matters only when it changes the current level: it must be the newest day with a known level, or a later
    one whose level was unknown.
    """
    transitions: list[Transition] = []
    for score in days:
        if watch.judged_on is not None and score.date <= watch.judged_on:
            matters = watch.known_on is None or score.date >= watch.known_on
            if matters and not _says_the_same(watch, score, opens_at):
                watch = _judge(watch, _day(score), transitions, as_of=as_of, opens_at=opens_at, revised=True)
            continue
        day = _day(score)
        if watch.waiting is not None and watch.waiting.date < day.date:
            watch = _judge(watch, watch.waiting, transitions, as_of=as_of, opens_at=opens_at)
        watch = replace(watch, waiting=day)
    if watch.waiting is not None and 0 < watch.readings <= watch.waiting.readings:
        watch = _judge(watch, watch.waiting, transitions, as_of=as_of, opens_at=opens_at)
    return watch, transitions


def forget_days_after(watch: HeatWatch, latest: DayScore) -> HeatWatch:
    """Make ``latest`` the newest day: the readings of later days were withdrawn, or those days had the wrong date.

    Alerts about them stand until ``latest`` is judged again.
    """
    last = latest.date
    if watch.waiting is not None and watch.waiting.date > last:
        watch = replace(watch, waiting=None)
    if watch.judged_on is not None and watch.judged_on > last:
        known_on = None if watch.known_on is None else min(watch.known_on, last)
        watch = replace(watch, judged_on=last, known_on=known_on, readings=latest.readings)
    return watch


def day_deadline_us(watch: HeatWatch, *, heard_us: int) -> int | None:
    """Return when the waiting day counts as complete without later data; ``heard_us`` is when the last score was made."""
    if watch.waiting is None:
        return None
    over_us = (watch.waiting.date.toordinal() - _EPOCH_DAY) * DAY_US + OVER_EVERYWHERE_US
    return max(over_us, heard_us + QUIET_US)


def complete_day(watch: HeatWatch, *, as_of: datetime, opens_at: int = DEFAULT_OPENS_AT) -> tuple[HeatWatch, list[Transition]]:
    """Judge the waiting day, since its deadline has passed."""
    transitions: list[Transition] = []
    if watch.waiting is not None:
        watch = _judge(watch, watch.waiting, transitions, as_of=as_of, opens_at=opens_at)
    return watch, transitions


def _judge(
    watch: HeatWatch, day: HeatDay, into: list[Transition], *, as_of: datetime, opens_at: int, revised: bool = False
) -> HeatWatch:
    """Move on to ``day`` and append the transition, if there is one, to ``into``."""
    if not revised:
        watch = replace(watch, judged_on=day.date, readings=day.readings or watch.readings, waiting=None)
    level = day.level_7day_max
    if level is None or (day.source == "missing" and level < watch.level):
        return watch  # without data the level sinks too as its week passes: unknown neither opens, eases nor closes
    before = watch
    change = _change(watch, level, opens_at)
    if change is not None and day.date == (watch.rise_on if change in RISES else watch.fall_on):
        return replace(watch, known_on=day.date)  # the level stays what was told, so that the next day is compared with that
    watch = replace(watch, known_on=day.date, level=level)
    match change:
        case None:
            return watch
        case "opened":
            watch = replace(watch, told=level, opened_on=day.date, peak=level, eased=False, rise_on=day.date)
        case "worsened":
            watch = replace(watch, told=level, peak=max(watch.peak, level), eased=False, rise_on=day.date)
        case "closed":
            watch = replace(watch, told=level, opened_on=None, peak=0, eased=False, fall_on=day.date)
        case "eased":
            watch = replace(watch, told=level, eased=True, fall_on=day.date)
        case _:
            assert_never(change)
    into.append(
        Transition(
            kind="heat",
            change=change,
            from_state=before.state,
            to_state=watch.state,
            severity=level,
            worst_severity=max(before.told, level),
            occurred_at=_midnight(day.date),
            evidence_at=min(as_of, _midnight(day.date) + timedelta(days=1)),
            stands=change != "closed",
            evidence=_evidence(before, day, revised=revised),
        )
    )
    return watch


def _says_the_same(watch: HeatWatch, revised: DayScore, opens_at: int) -> bool:
    """Tell whether a judged day has no level, or the one that is known of it: as almost every score has it."""
    level = revised.level_7day_max
    if level is None:
        return True
    return revised.date == watch.known_on and level == watch.level and _change(watch, level, opens_at) is None


def _change(watch: HeatWatch, level: int, opens_at: int) -> HeatChange | None:
    is_open = watch.opened_on is not None
    if not is_open:
        return "opened" if level >= opens_at and level > watch.level else None
    if level > watch.level:
        return "worsened"
    if level < opens_at:
        return "closed"
    return "eased" if level < watch.level and not watch.eased else None


def _evidence(before: HeatWatch, day: HeatDay, *, revised: bool) -> Evidence:
    evidence: dict[str, str | float | int | None] = {
        "date": day.date.isoformat(),
        "level_7day_max": day.level_7day_max,
        "level": day.level,
        "hotspot_celsius": day.hotspot_celsius,
        "dhw_celsius_weeks": day.dhw_celsius_weeks,
        "dhw_low_celsius_weeks": day.dhw_low_celsius_weeks,
        "dhw_high_celsius_weeks": day.dhw_high_celsius_weeks,
        "coverage_days": day.coverage_days,
        "status": day.status.value,
        "source": day.source,
        "day_status": day.day_status,
    }
    rests_on = {
        "suspect_share": day.suspect_share,
        "whole_days": day.whole_days,
        "filled_days": day.filled_days,
        "missing_days": day.missing_days,
        "suspect_days": day.suspect_days,
    }
    evidence |= {name: value for name, value in rests_on.items() if value is not None}
    if before.opened_on is not None:
        evidence |= {"episode_since": before.opened_on.isoformat(), "episode_peak_level": before.peak}
    if revised:
        evidence["revised"] = "this day was judged before; data that came later changed it"
    if cautions := [each for each in (caution_of(day), caution_of_day(day)) if each is not None]:
        evidence["caution"] = "; ".join(cautions)
    return evidence


def caution_of(day: HeatDay) -> str | None:
    """Return a sentence about the weakness of a day's DHW; None if it has none."""
    match day.status:
        case HeatStatus.UNKNOWN:
            return "the heat stress of this day is not fully known"
        case HeatStatus.WARMING_UP:
            return "fewer than 84 days are on record, so DHW does not yet hold twelve weeks"
        case HeatStatus.INSUFFICIENT:
            return "less than 75 % of the last 84 days have data"
        case HeatStatus.DAYTIME_ONLY:
            if not day.whole_days:
                return f"only {day.coverage_days} of the last 84 days have readings at night"
            return (
                f"{day.whole_days} of the last 84 days have no reading at night, and their daytime stands in; the limits are"
                " for the night, so DHW may be too high"
            )
        case HeatStatus.SUSPECT_SHARE:
            return (
                f"{day.suspect_days} of the last 84 days lost more than 25 % of their readings as suspect; if these were right,"
                " DHW is not"
            )
        case HeatStatus.LOWER_BOUND:
            return "gaps could not be filled, so DHW is at least this"
        case HeatStatus.OK:
            return None
        case _:
            assert_never(day.status)


def caution_of_day(day: HeatDay) -> str | None:
    """Return a sentence about the weakness of a day's own value, where its DHW does not say the same; None if it has none."""
    if day.day_status == day.status.value:
        return None
    match day.day_status:
        case "ok" | "missing":
            return None
        case "filled":
            return "this day's value is a line between its neighbours"
        case "daytime_only":
            return "this day has no reading at night, and its daytime stands in"
        case "suspect_share":
            return f"{day.suspect_share or 0:.0%} of this day's readings were left out as suspect"
        case _:
            assert_never(day.day_status)


def _day(score: DayScore) -> HeatDay:
    return HeatDay(
        date=score.date,
        source=score.source,
        readings=score.readings,
        hotspot_celsius=score.hotspot_celsius,
        dhw_celsius_weeks=score.dhw_celsius_weeks,
        dhw_low_celsius_weeks=score.dhw_low_celsius_weeks,
        dhw_high_celsius_weeks=score.dhw_high_celsius_weeks,
        level=None if score.level is None else int(score.level),
        level_7day_max=None if score.level_7day_max is None else int(score.level_7day_max),
        coverage_days=score.coverage_days,
        status=score.status,
        day_status=score.day_status,
        suspect_share=score.suspect_share,
        whole_days=score.whole_days,
        filled_days=score.filled_days,
        missing_days=score.missing_days,
        suspect_days=score.suspect_days,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
