"""Alerts: a row for each change that was published."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple

from pydantic_core import to_json

from reefmesh.contracts.alerts import Alert
from reefmesh_dashboard.domain.spans import microseconds_of
from reefmesh_dashboard.exports.dataset import Dataset, Period, TimeRange
from reefmesh_dashboard.exports.reef_variables import INSTANT_ATTRIBUTES, REEF, TIME_ATTRIBUTES
from reefmesh_dashboard.exports.variable import MILLISECONDS, Cell, Variable
from reefmesh_dashboard.queries.pages import alerts_pages
from reefmesh_dashboard.queries.places import ReefPlace
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.queries.time_ranges import alerts_ends

US_PER_MS: Final = 1000


class AlertRecord(NamedTuple):
    reef: ReefPlace
    alert: Alert


async def alert_records(reader: Reader, places: Sequence[ReefPlace], period: Period) -> AsyncIterator[Sequence[AlertRecord]]:
    for place in places:
        async for page in alerts_pages(reader, place.reef_id, period.first * US_PER_MS, period.end * US_PER_MS):
            yield [AlertRecord(place, alert) for alert in page]


async def _time_range(reader: Reader) -> TimeRange | None:
    ends = await alerts_ends(reader)
    return None if ends is None else TimeRange(ends[0] // US_PER_MS, ends[1] // US_PER_MS)


def _of_alert(field: str) -> Callable[[AlertRecord], Cell]:
    def read(record: AlertRecord) -> Cell:
        found: Cell = getattr(record.alert, field)
        return found

    return read


def _word(field: str, long_name: str) -> Variable:
    return Variable(
        name=field, kind="text", read=_of_alert(field), attributes={"long_name": long_name, "ioos_category": "Other"}
    )


_OWN: Final = (
    Variable(
        name="time",
        kind="time",
        read=lambda record: microseconds_of(record.alert.occurred_at) // US_PER_MS,
        attributes={"long_name": "Time of the change", "time_precision": MILLISECONDS, **TIME_ATTRIBUTES},
    ),
    *REEF,
    _word("alert_id", "Id of the alert"),
    _word("kind", "What changed"),
    _word("subject", "Part of the reef: a buoy, or a buoy and quantity; empty for the whole reef"),
    _word("buoy_id", "Id of the buoy"),
    _word("change", "How it changed: opened, worsened, eased, changed, closed"),
    _word("from_state", "State before"),
    _word("to_state", "State after"),
    Variable(
        name="severity",
        kind="integer",
        read=_of_alert("severity"),
        attributes={"long_name": "Order of the states of a kind", "units": "1", "ioos_category": "Other"},
    ),
    Variable(
        name="raised_time",
        kind="time",
        read=lambda record: microseconds_of(record.alert.raised_at) // US_PER_MS,
        attributes={"long_name": "Time at which it was raised", "time_precision": MILLISECONDS, **INSTANT_ATTRIBUTES},
    ),
    Variable(
        name="data_age",
        kind="number",
        read=_of_alert("data_age_seconds"),
        attributes={"long_name": "Age of the newest evidence when it was raised", "units": "s", "ioos_category": "Quality"},
    ),
    _word("summary", "The change in words"),
    Variable(
        name="evidence",
        kind="text",
        read=lambda record: to_json(record.alert.evidence).decode(),
        attributes={"long_name": "The evidence, as JSON", "ioos_category": "Other"},
    ),
)

ALERTS_DATASET: Final = Dataset(
    dataset_id="alerts",
    title="Alerts of coral reefs",
    summary="Each published change of heat stress, dive conditions, water chemistry, buoys and sensors, with its evidence.",
    keywords="coral reef, alert, coral bleaching, heat stress, dive conditions, buoy",
    variables=_OWN,
    station=("reef_id",),
    records=alert_records,
    time_range=_time_range,
)
