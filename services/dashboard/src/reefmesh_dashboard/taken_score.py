"""What a score changes in the read model."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from reefmesh.contracts.schema import SCORES_2
from reefmesh.contracts.scores import Carbonate, CarbonateDay, HeatStress, ReefScore
from reefmesh.store.port import Write
from reefmesh_dashboard.domain.reef import ShownReef
from reefmesh_dashboard.domain.spans import microseconds_of

EPOCH_DATE: Final = date(1970, 1, 1)

KEPT_AS_IT_CAME_BYTES: Final = 8_192
"""A score of ``scores/2`` up to this length is kept as it came; to write it anew costs as much as to read it. A longer one has
many changed days or judged instants, which nobody asks a reef's row for."""

_UPSERT_SCORE: Final = (
    "INSERT INTO reefs (reef_id, name, facts_seq, score_seq, as_of_us, score_json) VALUES (?, ?, 0, ?, ?, ?)"
    " ON CONFLICT (reef_id) DO UPDATE SET score_seq = excluded.score_seq, as_of_us = excluded.as_of_us,"
    " score_json = excluded.score_json WHERE excluded.score_seq >= reefs.score_seq"
)
# A parked score that is handled after later ones sets only the days that none of these has set.
_UPSERT_HEAT: Final = (
    "INSERT INTO heat_days (reef_id, day, seq, body_json) VALUES (?, ?, ?, ?) ON CONFLICT (reef_id, day) DO UPDATE SET"
    " seq = excluded.seq, body_json = excluded.body_json WHERE excluded.seq >= heat_days.seq"
)
_DELETE_HEAT_AFTER: Final = "DELETE FROM heat_days WHERE reef_id = ? AND day > ? AND seq < ?"
_UPSERT_CARBONATE: Final = (
    "INSERT INTO carbonate_days (reef_id, day, seq, body_json) VALUES (?, ?, ?, ?) ON CONFLICT (reef_id, day) DO UPDATE SET"
    " seq = excluded.seq, body_json = excluded.body_json WHERE excluded.seq >= carbonate_days.seq"
)
_DELETE_CARBONATE: Final = "DELETE FROM carbonate_days WHERE reef_id = ? AND day >= ? AND day < ? AND seq < ?"


def day_number(day: date) -> int:
    """Return the number of a solar date, counted from 1970-01-01."""
    return (day - EPOCH_DATE).days


def know_score(reef: ShownReef, score: ReefScore, seq: int) -> None:
    """Note what the reef's newest score says."""
    reef.score_seq = seq
    reef.heat_date = None if score.heat.latest is None else score.heat.latest.date
    reef.carbonate_days = _judged_days(score.carbonate)


def take_score(score: ReefScore, came: bytes, schema_id: str, reef: ShownReef, *, seq: int) -> list[Write]:
    """Return what becomes of the reef's newest score and of its days; change ``reef`` accordingly.

    ``came``: the body of which the score was read. A score that is handled after later ones sets only the days that none of
    these has set.
    """
    if seq < reef.score_seq:
        heat = _heat(score.reef_id, score.heat, seq, before=None)
        return [*heat, *_carbonate_before(score.reef_id, score.carbonate, reef.carbonate_days, seq)]
    body = came.decode() if schema_id == SCORES_2 and len(came) <= KEPT_AS_IT_CAME_BYTES else _without_news(score)
    writes = [Write(_UPSERT_SCORE, (score.reef_id, score.reef_name, seq, microseconds_of(score.as_of), body))]
    writes += _heat(score.reef_id, score.heat, seq, before=reef.heat_date)
    writes += _carbonate(score.reef_id, score.carbonate, reef, seq)
    know_score(reef, score, seq)
    return writes


def _without_news(score: ReefScore) -> str:
    """Return the score as ``scores/2`` without what it says of its own message: changed days, judged instants, arrivals, ended
    runs."""
    return score.model_copy(
        update={
            "heat": score.heat.model_copy(update={"changed": []}),
            "dive": score.dive.model_copy(update={"instants": []}),
            "failed_runs": [],
            "arrivals": [],
        }
    ).model_dump_json()


def _heat(reef_id: str, heat: HeatStress, seq: int, *, before: date | None) -> Iterable[Write]:
    """Days after the newest one were withdrawn with their readings. There are none if the newest was not newer ``before``."""
    days = {day.date: day for day in heat.changed}
    if heat.latest is not None:
        days[heat.latest.date] = heat.latest
        if before is None or before > heat.latest.date:
            yield Write(_DELETE_HEAT_AFTER, (reef_id, day_number(heat.latest.date), seq))
    for on in sorted(days):
        yield Write(_UPSERT_HEAT, (reef_id, day_number(on), seq, days[on].model_dump_json()))


def _carbonate(reef_id: str, carbonate: Carbonate, reef: ShownReef, seq: int) -> Iterable[Write]:
    """The score has the newest days that could be judged: a day among them that it does not have could not.

    Days that score after score says alike are written once. So those that leave them are written once more, with the number of
    the last score that had them.
    """
    days = _judged_days(carbonate)
    if not days or days == reef.carbonate_days:
        return
    if carbonate.days:
        yield Write(_DELETE_CARBONATE, (reef_id, day_number(days[0].date), day_number(date.max), seq))
    yield from _write_judged(reef_id, [day for day in reef.carbonate_days if day.date < days[0].date], reef.score_seq)
    yield from _write_judged(reef_id, days, seq)


def _carbonate_before(reef_id: str, carbonate: Carbonate, told: Sequence[CarbonateDay], seq: int) -> Iterable[Write]:
    """The same of an older score: from the first day on that the newest one has, that one knows it all."""
    end = told[0].date if told else date.max
    days = [day for day in _judged_days(carbonate) if day.date < end]
    if days and carbonate.days:
        yield Write(_DELETE_CARBONATE, (reef_id, day_number(days[0].date), day_number(end), seq))
    yield from _write_judged(reef_id, days, seq)


def _write_judged(reef_id: str, days: Iterable[CarbonateDay], seq: int) -> Iterable[Write]:
    for day in days:
        yield Write(_UPSERT_CARBONATE, (reef_id, day_number(day.date), seq, day.model_dump_json()))


def _judged_days(carbonate: Carbonate) -> Sequence[CarbonateDay]:
    """Return the days that a score has; of ``scores/1`` the one that it tells of, if that could be judged."""
    if carbonate.days:
        return carbonate.days
    on, band, omega = carbonate.date, carbonate.band, carbonate.omega_aragonite
    low, high = carbonate.omega_low, carbonate.omega_high
    if on is None or band is None or omega is None or low is None or high is None:
        return []
    return [CarbonateDay(date=on, status=carbonate.status, band=band, omega_aragonite=omega, omega_low=low, omega_high=high)]
