"""Buoys: a row for each, when it reported last. Where it lies and how it is, is its operator's."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from reefmesh.contracts.scores import BuoyHealth
from reefmesh_dashboard.domain.schedule import report_expected_by
from reefmesh_dashboard.domain.spans import microseconds_of
from reefmesh_dashboard.exports.dataset import Dataset, Period, TimeRange
from reefmesh_dashboard.exports.reef_variables import INSTANT_ATTRIBUTES, REEF, TIME_ATTRIBUTES
from reefmesh_dashboard.exports.variable import MILLISECONDS, Variable
from reefmesh_dashboard.queries.pages import scored_pages
from reefmesh_dashboard.queries.places import ReefPlace
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.queries.reefs import ListedReef


class BuoyRecord(NamedTuple):
    """``quantities`` are those of which the reef's newest value is this buoy's."""

    reef: ReefPlace
    buoy: BuoyHealth
    quantities: tuple[str, ...]


async def buoy_records(reader: Reader, places: Sequence[ReefPlace], period: Period) -> AsyncIterator[Sequence[BuoyRecord]]:
    by_id = {place.reef_id: place for place in places}
    async for page in scored_pages(reader):
        records = [record for reef in page if reef.reef_id in by_id for record in _records(by_id[reef.reef_id], reef)]
        yield [record for record in records if period.first <= _milliseconds(record.buoy.last_seen_at) < period.end]


def _records(place: ReefPlace, reef: ListedReef) -> Sequence[BuoyRecord]:
    if reef.score is None:
        return []
    latest = reef.score.latest
    return [
        BuoyRecord(place, buoy, tuple(sorted(name for name in latest if latest[name].buoy_id == buoy.facts.buoy_id)))
        for buoy in sorted(reef.score.buoys, key=lambda each: each.facts.buoy_id)
    ]


async def _time_range(reader: Reader) -> TimeRange | None:
    found: TimeRange | None = None
    async for page in scored_pages(reader):
        for reef in page:
            for buoy in () if reef.score is None else reef.score.buoys:
                at = _milliseconds(buoy.last_seen_at)
                found = TimeRange(at, at) if found is None else TimeRange(min(found.first, at), max(found.last, at))
    return found


def _milliseconds(instant: datetime) -> int:
    return microseconds_of(instant) // 1000


_OWN: Final = (
    Variable(
        name="time",
        kind="time",
        read=lambda record: _milliseconds(record.buoy.last_seen_at),
        attributes={"long_name": "Time of the newest report", "time_precision": MILLISECONDS, **TIME_ATTRIBUTES},
    ),
    *REEF,
    Variable(
        name="buoy_id",
        kind="text",
        read=lambda record: record.buoy.facts.buoy_id,
        attributes={"long_name": "Id of the buoy", "ioos_category": "Identifier"},
    ),
    Variable(
        name="report_interval",
        kind="integer",
        read=lambda record: record.buoy.facts.report_interval_seconds,
        attributes={"long_name": "Seconds between two reports", "units": "s", "ioos_category": "Time"},
    ),
    Variable(
        name="expected_time",
        kind="time",
        read=lambda record: _milliseconds(report_expected_by(record.buoy)),
        attributes={"long_name": "Time at which the next report is due", "time_precision": MILLISECONDS, **INSTANT_ATTRIBUTES},
    ),
    Variable(
        name="quantities",
        kind="text",
        read=lambda record: " ".join(record.quantities),
        attributes={"long_name": "Quantities of which the reef's newest value is this buoy's", "ioos_category": "Identifier"},
    ),
)

BUOYS_DATASET: Final = Dataset(
    dataset_id="buoys",
    title="Buoys at coral reefs",
    summary="Each buoy with its reef, when it reported last, and when its next report is due.",
    keywords="coral reef, buoy, platform",
    variables=_OWN,
    station=("reef_id", "buoy_id"),
    records=buoy_records,
    time_range=_time_range,
)
