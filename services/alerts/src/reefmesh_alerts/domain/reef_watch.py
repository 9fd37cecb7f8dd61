"""The watched state of one reef. A score, or the check of the deadlines, changes it and gives transitions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from reefmesh.contracts.scores import DayScore, ReefScore
from reefmesh_alerts.domain.buoy import BuoyWatch, expire_buoy, judge_buoy
from reefmesh_alerts.domain.chemistry import ChemistryWatch, judge_chemistry
from reefmesh_alerts.domain.day_row import DayRow, row_of
from reefmesh_alerts.domain.dive import DiveWatch, expire_dive, judge_dive
from reefmesh_alerts.domain.heat import (
    DEFAULT_OPENS_AT,
    HeatWatch,
    complete_day,
    day_deadline_us,
    forget_days_after,
    judge_days,
)
from reefmesh_alerts.domain.holding_back import usually_held_back_us
from reefmesh_alerts.domain.ignored_sensor import judge_ignored
from reefmesh_alerts.domain.quantity_silent import judge_quantities
from reefmesh_alerts.domain.sensor_fault import judge_sensors
from reefmesh_alerts.domain.transition import Transition, microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ReefWatch:
    """The alerts service's state of one reef.

    ``told`` counts the alerts of each episode (kind and subject); these numbers are part of alert ids. ``seq`` is the newest
    score's. ``heard_us`` is when the last score was made, ``as_of`` its newest observation. ``looked_for_us`` is the deadline
    in the deadlines table, ``newest_day`` the newest day as the last score has it; its row is written once it is over.
    """

    reef_name: str = ""
    time_zone: str | None = None
    as_of: datetime | None = None
    heard_us: int = 0
    seq: int = 0
    looked_for_us: int | None = None
    newest_day: DayRow | None = None
    heat: HeatWatch = field(default_factory=HeatWatch)
    dive: DiveWatch = field(default_factory=DiveWatch)
    chemistry: ChemistryWatch = field(default_factory=ChemistryWatch)
    buoys: Mapping[str, BuoyWatch] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)


def judge_score(
    watch: ReefWatch, score: ReefScore, *, heard_at: datetime, seq: int | None = None, heat_opens_at: int = DEFAULT_OPENS_AT
) -> tuple[ReefWatch, list[Transition]]:
    """Apply one score, made at ``heard_at``: the producer's instant, which is the same in a redelivery, not the clock's.

    A score may hold less than the one before it, when readings were withdrawn. A score with a lower ``seq`` (it was parked)
    holds less too, but it withdraws nothing.
    """
    heard_us = microseconds(heard_at)
    is_numbered = seq is not None and seq > watch.seq
    newest = seq is None or is_numbered
    heat, days = _days(watch.heat, score) if newest else (watch.heat, score.heat.changed)
    heat, transitions = judge_days(heat, days, as_of=score.as_of, opens_at=heat_opens_at)
    chemistry, changes = judge_chemistry(watch.chemistry, score.carbonate, as_of=score.as_of)
    transitions += changes
    buoys = dict(watch.buoys)
    arrivals = {each.buoy_id: each for each in score.arrivals}
    for buoy in score.buoys:
        buoy_id = buoy.facts.buoy_id
        arrival = arrivals.get(buoy_id)
        judged, changes = judge_buoy(buoys.get(buoy_id), buoy, heard_us=heard_us, newest=newest, arrival=arrival)
        transitions += changes
        if newest:
            judged, changes = judge_ignored(judged, buoy, heard_us=heard_us)
            transitions += changes
        if newest or buoy.sensors is None:
            judged, changes = judge_sensors(judged, buoy, score.latest, score.failed_runs)
            transitions += changes
        if newest:
            judged, changes = judge_quantities(judged, buoy, heard_us=heard_us)
            transitions += changes
        buoys[buoy_id] = judged
    dive, changes = judge_dive(
        watch.dive,
        score.dive,
        as_of=score.as_of,
        heard_us=heard_us,
        buoys=score.buoys,
        held_back_us={buoy_id: usually_held_back_us(each.arrivals) for buoy_id, each in buoys.items()},
        measured_by={
            factor.quantity: value.buoy_id
            for factor in score.dive.factors
            if (value := score.latest.get(factor.quantity)) is not None
        },
        newest=newest,
    )
    transitions += changes
    return (
        replace(
            watch,
            reef_name=score.reef_name,
            time_zone=score.time_zone,
            as_of=score.as_of,
            heard_us=heard_us,
            seq=watch.seq if seq is None else max(seq, watch.seq),
            newest_day=row_of(score.heat.latest) if is_numbered and score.heat.latest is not None else watch.newest_day,
            heat=heat,
            dive=dive,
            chemistry=chemistry,
            buoys=buoys,
        ),
        transitions,
    )


def _days(heat: HeatWatch, score: ReefScore) -> tuple[HeatWatch, Sequence[DayScore]]:
    """Return the days to judge. When later days are forgotten, the last day is judged too, although it did not change."""
    latest, changed = score.heat.latest, score.heat.changed
    if latest is None:
        return heat, changed
    after = forget_days_after(heat, latest)
    if after is heat or any(day.date == latest.date for day in changed):
        return after, changed
    return after, [*changed, latest]


def look_at_deadlines(
    watch: ReefWatch, *, now: datetime, heat_opens_at: int = DEFAULT_OPENS_AT
) -> tuple[ReefWatch, list[Transition]]:
    """Apply the deadlines that have passed."""
    now_us = microseconds(now)
    transitions: list[Transition] = []
    heat = watch.heat
    day_us = day_deadline_us(heat, heard_us=watch.heard_us)
    if day_us is not None and day_us <= now_us:
        heat, transitions = complete_day(heat, as_of=watch.as_of or now, opens_at=heat_opens_at)
    dive, changes = expire_dive(watch.dive, now_us=now_us)
    transitions += changes
    buoys = dict(watch.buoys)
    for buoy_id, buoy in watch.buoys.items():
        buoys[buoy_id], changes = expire_buoy(buoy, buoy_id, now_us=now_us)
        transitions += changes
    return replace(watch, heat=heat, dive=dive, buoys=buoys), transitions


def next_deadline_us(watch: ReefWatch) -> int | None:
    """Return the earliest instant at which ``look_at_deadlines`` may change something; None if only a score can."""
    return min(_deadlines(watch), default=None)


def _deadlines(watch: ReefWatch) -> Iterator[int]:
    day_us = day_deadline_us(watch.heat, heard_us=watch.heard_us)
    if day_us is not None:
        yield day_us
    if watch.dive.valid_until_us is not None:
        yield watch.dive.valid_until_us + 1
    for buoy in watch.buoys.values():
        if buoy.silent_after_us is not None:
            yield buoy.silent_after_us
