"""Heat: a row for each reef and solar date, as NOAA Coral Reef Watch defines heat stress."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from reefmesh.contracts.scores import DayScore, Level
from reefmesh_dashboard.domain.spans import DAY_US
from reefmesh_dashboard.exports.dataset import Dataset, Period, TimeRange
from reefmesh_dashboard.exports.reef_variables import REEF, TIME_ATTRIBUTES
from reefmesh_dashboard.exports.variable import DAYS, Attribute, Cell, Variable
from reefmesh_dashboard.queries.pages import heat_pages
from reefmesh_dashboard.queries.places import ReefPlace
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.queries.time_ranges import heat_ends
from reefmesh_dashboard.taken_score import day_number

DAY_MS: Final = DAY_US // 1000
LEVELS: Final[Mapping[str, Attribute]] = {
    "flag_values": tuple(int(level) for level in Level),
    "flag_meanings": " ".join(level.title.replace(" ", "_") for level in Level),
    "references": "NOAA Coral Reef Watch, bleaching alert area, December 2023",
    "ioos_category": "Temperature",
}


class HeatRecord(NamedTuple):
    reef: ReefPlace
    day: DayScore


async def day_records(reader: Reader, places: Sequence[ReefPlace], period: Period) -> AsyncIterator[Sequence[HeatRecord]]:
    """A date is its first millisecond of UTC, whatever the longitude: so a period of dates has the dates that it names."""
    first, end = -(-period.first // DAY_MS), -(-period.end // DAY_MS)
    for place in places:
        async for page in heat_pages(reader, place.reef_id, first, end):
            yield [HeatRecord(place, day) for day in page]


async def _time_range(reader: Reader) -> TimeRange | None:
    ends = await heat_ends(reader)
    return None if ends is None else TimeRange(ends[0] * DAY_MS, ends[1] * DAY_MS)


def _of_day(field: str) -> Callable[[HeatRecord], Cell]:
    """Return what reads a field of the day's score; enumerations become what they stand for."""

    def read(record: HeatRecord) -> Cell:
        found: Any = getattr(record.day, field)
        if isinstance(found, Level):
            return int(found)
        return str(found) if isinstance(found, str) else found

    return read


def _number(name: str, field: str, long_name: str, units: str, **more: Attribute) -> Variable:
    attributes = {"long_name": long_name, "units": units, "ioos_category": "Temperature", **more}
    return Variable(name=name, kind="number", read=_of_day(field), attributes=attributes)


def _count(field: str, long_name: str, **more: Attribute) -> Variable:
    attributes: dict[str, Attribute] = {"long_name": long_name, "units": "1", "ioos_category": "Quality", **more}
    return Variable(name=field, kind="integer", read=_of_day(field), attributes=attributes)


def _word(field: str, long_name: str) -> Variable:
    return Variable(
        name=field, kind="text", read=_of_day(field), attributes={"long_name": long_name, "ioos_category": "Quality"}
    )


_WEEKS: Final = "degree_Celsius weeks"

_OWN: Final = (
    Variable(
        name="time",
        kind="time",
        read=lambda record: day_number(record.day.date) * DAY_MS,
        attributes={
            "long_name": "Solar date of the reef",
            "comment": "the date at 00:00 UTC; its hours are those of the reef's own sun",
            "time_precision": DAYS,
            **TIME_ATTRIBUTES,
        },
    ),
    *REEF,
    _number(
        "sst",
        "sst_celsius",
        "Sea surface temperature of the day, of its night",
        "degC",
        standard_name="sea_surface_temperature",
    ),
    _number("hotspot", "hotspot_celsius", "HotSpot: SST above the maximum of the monthly means", "degC"),
    _number("dhw", "dhw_celsius_weeks", "Degree heating weeks of 84 days", _WEEKS, ancillary_variables="level status"),
    _number("dhw_low", "dhw_low_celsius_weeks", "Degree heating weeks, were the sensor too warm by its accuracy", _WEEKS),
    _number("dhw_high", "dhw_high_celsius_weeks", "Degree heating weeks, were the sensor too cold by its accuracy", _WEEKS),
    Variable(
        name="level", kind="flag", read=_of_day("level"), attributes={"long_name": "Bleaching alert area of the day", **LEVELS}
    ),
    Variable(
        name="level_7day_max",
        kind="flag",
        read=_of_day("level_7day_max"),
        attributes={"long_name": "Bleaching alert area, highest of 7 days", **LEVELS},
    ),
    _word("status", "How reliable the degree heating weeks are"),
    _word("day_status", "What is to be said of the day's own value"),
    _word("source", "What the day's temperature is made of"),
    _count("readings", "Readings that the day's temperature is made of", standard_name="number_of_observations"),
    _number("suspect_share", "suspect_share", "Share of the day's readings that were left out as suspect", "1"),
    _count("coverage_days", "Days of 84 with readings at night"),
    _count("whole_days", "Days of 84 with readings by day alone"),
    _count("filled_days", "Days of 84 that were filled"),
    _count("missing_days", "Days of 84 without a value"),
    _count("suspect_days", "Days of 84 with too many suspect readings"),
)

HEAT_DATASET: Final = Dataset(
    dataset_id="heat",
    title="Heat stress of coral reefs by day",
    summary="Sea surface temperature, HotSpot, degree heating weeks and alert level of each reef and solar date, from the"
    " reef's own buoys, by the method of NOAA Coral Reef Watch.",
    keywords="coral reef, coral bleaching, heat stress, degree heating weeks, HotSpot, sea surface temperature",
    variables=_OWN,
    station=("reef_id",),
    records=day_records,
    time_range=_time_range,
)
