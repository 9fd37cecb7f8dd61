"""What a score changes in the read model."""

from collections.abc import Iterable
from datetime import date
from typing import Final

from reefmesh.contracts.scores import Carbonate, CarbonateDay, HeatStress, ReefScore
from reefmesh.store.port import Write
from reefmesh_dashboard.domain.spans import microseconds_of

EPOCH_DATE: Final = date(1970, 1, 1)

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
_DELETE_CARBONATE_FROM: Final = "DELETE FROM carbonate_days WHERE reef_id = ? AND day >= ? AND seq < ?"


def day_number(day: date) -> int:
    """Return the number of a solar date, counted from 1970-01-01."""
    return (day - EPOCH_DATE).days


def take_score(score: ReefScore, *, seq: int) -> list[Write]:
    """Return what becomes of the reef's newest score and of its days."""
    kept = without_news(score)
    row = (score.reef_id, score.reef_name, seq, microseconds_of(score.as_of), kept.model_dump_json())
    return [Write(_UPSERT_SCORE, row), *_heat(score.reef_id, score.heat, seq), *_carbonate(score.reef_id, score.carbonate, seq)]


def without_news(score: ReefScore) -> ReefScore:
    """Return the score without what it says of its own message: changed days, judged instants, arrivals, ended runs."""
    return score.model_copy(
        update={
            "heat": score.heat.model_copy(update={"changed": []}),
            "dive": score.dive.model_copy(update={"instants": []}),
            "failed_runs": [],
            "arrivals": [],
        }
    )


def _heat(reef_id: str, heat: HeatStress, seq: int) -> Iterable[Write]:
    """Days after the newest one were withdrawn with their readings."""
    days = {day.date: day for day in heat.changed}
    if heat.latest is not None:
        days[heat.latest.date] = heat.latest
        yield Write(_DELETE_HEAT_AFTER, (reef_id, day_number(heat.latest.date), seq))
    for on in sorted(days):
        yield Write(_UPSERT_HEAT, (reef_id, day_number(on), seq, days[on].model_dump_json()))


def _carbonate(reef_id: str, carbonate: Carbonate, seq: int) -> Iterable[Write]:
    """The score has the newest days that could be judged: a day among them that it does not have could not."""
    days = carbonate.days or _single_day(carbonate)
    if carbonate.days:
        yield Write(_DELETE_CARBONATE_FROM, (reef_id, day_number(days[0].date), seq))
    for day in days:
        yield Write(_UPSERT_CARBONATE, (reef_id, day_number(day.date), seq, day.model_dump_json()))


def _single_day(carbonate: Carbonate) -> list[CarbonateDay]:
    """Return the one day that ``scores/1`` tells of, if it could be judged."""
    on, band, omega = carbonate.date, carbonate.band, carbonate.omega_aragonite
    low, high = carbonate.omega_low, carbonate.omega_high
    if on is None or band is None or omega is None or low is None or high is None:
        return []
    return [CarbonateDay(date=on, status=carbonate.status, band=band, omega_aragonite=omega, omega_low=low, omega_high=high)]
