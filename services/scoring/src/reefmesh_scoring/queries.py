"""Reads scoring's tables, for the commands that show scores."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from pydantic import ValidationError

from reefmesh.contracts.schema import SCORES_1, SCORES_2
from reefmesh.contracts.scores import READERS, DayScore, ReefScore, current_score
from reefmesh.store.port import Store
from reefmesh_scoring.days import fetch_scores
from reefmesh_scoring.domain.heat_revision import Days
from reefmesh_scoring.domain.solar_day import day_of, instant_of
from reefmesh_scoring.score_body import day_fields

PAGE_DAYS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingCounts:
    """Counts over all reefs: ``readings`` that count, their later ``revisions``, and those ``ignored`` (repeats, and revisions
    that came after a newer one)."""

    reefs: int
    readings: int
    revisions: int
    ignored: int
    newest_observed_at: datetime | None


async def latest_scores(store: Store, *, reef_id: str | None = None) -> list[ReefScore]:
    """Return the last published score of every reef (or of one), by reef id; of a score in parts, the last part."""
    if reef_id is None:
        rows = await store.fetch("SELECT body FROM scores ORDER BY reef_id")
    else:
        rows = await store.fetch("SELECT body FROM scores WHERE reef_id = ?", (reef_id,))
    return [_score(bytes(row[0])) for row in rows]


async def day_scores(
    store: Store, reef_id: str, first: date | None = None, last: date | None = None
) -> AsyncIterator[DayScore]:
    """Iterate over the scored days of a reef, oldest first, both ends included, in pages."""
    bounds = await store.fetch("SELECT MIN(day), MAX(day) FROM days WHERE reef_id = ?", (reef_id,))
    if not bounds or bounds[0][0] is None:
        return
    start = max(bounds[0][0], day_of(first)) if first is not None else bounds[0][0]
    end = min(bounds[0][1], day_of(last)) if last is not None else bounds[0][1]
    for page in range(start, end + 1, PAGE_DAYS):
        for row in await fetch_scores(store, reef_id, Days(page, min(end, page + PAGE_DAYS - 1))):
            yield DayScore.model_validate(day_fields(row), strict=False)


async def scored_reefs(store: Store) -> list[str]:
    """Return the ids of all reefs that have a score, in order."""
    return [row[0] for row in await store.fetch("SELECT reef_id FROM scores ORDER BY reef_id")]


async def reading_counts(store: Store) -> ReadingCounts:
    rows = await store.fetch("SELECT COUNT(*), SUM(readings), SUM(revisions), SUM(ignored), MAX(as_of_us) FROM scores")
    reefs, readings, revisions, ignored, as_of_us = rows[0]
    return ReadingCounts(
        reefs=reefs,
        readings=int(readings or 0),
        revisions=int(revisions or 0),
        ignored=int(ignored or 0),
        newest_observed_at=None if as_of_us is None else instant_of(as_of_us),
    )


def _score(body: bytes) -> ReefScore:
    """Read a stored score. It is of the older major if its reef was not heard since scoring writes the newer one, or if a
    process of the version before has scored it meanwhile; bodies are closed, so neither major is taken for the other."""
    try:
        score = READERS[SCORES_2].validate_json(body)
    except ValidationError:
        score = READERS[SCORES_1].validate_json(body)
    return current_score(score)
