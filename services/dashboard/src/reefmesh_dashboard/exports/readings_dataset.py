"""Readings: a row for each buoy and instant, in its newest revision; withdrawn readings are not among them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import NITRATE_AND_NITRITE, PCO2, UNITS, VISIBILITY
from reefmesh.contracts.readings import TESTS
from reefmesh_dashboard.exports.dataset import Dataset, Period, TimeRange
from reefmesh_dashboard.exports.reef_variables import INSTANT_ATTRIBUTES, REEF, TIME_ATTRIBUTES
from reefmesh_dashboard.exports.variable import MILLISECONDS, Attribute, Cell, Variable
from reefmesh_dashboard.queries.pages import readings_pages
from reefmesh_dashboard.queries.places import ReefPlace
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.queries.series import ShownReading
from reefmesh_dashboard.queries.time_ranges import readings_ends

NO_STANDARD_NAME: Final = frozenset({VISIBILITY})
CATEGORIES: Final[Mapping[str, str]] = {
    NITRATE_AND_NITRITE: "Dissolved Nutrients",
    PCO2: "CO2",
    VISIBILITY: "Optical Properties",
}
US_PER_MS: Final = 1000

FLAG_ATTRIBUTES: Final[Mapping[str, Attribute]] = {
    "flag_values": tuple(int(flag) for flag in Flag),
    "flag_meanings": " ".join(flag.name for flag in Flag),
    "references": "IOOS QARTOD",
    "ioos_category": "Quality",
}


class ReadingRecord(NamedTuple):
    """``body`` maps a quantity to [value, raw, flag, tests, and factor and fault where they say something]."""

    reef: ReefPlace
    kept: ShownReading
    body: Mapping[str, Sequence[Any]]


async def reading_records(
    reader: Reader, places: Sequence[ReefPlace], period: Period
) -> AsyncIterator[Sequence[ReadingRecord]]:
    for place in places:
        async for page in readings_pages(reader, place.reef_id, period.first * US_PER_MS, period.end * US_PER_MS):
            yield [ReadingRecord(place, kept, from_json(kept.body)) for kept in page]


async def _time_range(reader: Reader) -> TimeRange | None:
    ends = await readings_ends(reader)
    return None if ends is None else TimeRange(ends[0] // US_PER_MS, ends[1] // US_PER_MS)


def _part(quantity: str, place: int, otherwise: Cell = None) -> Callable[[ReadingRecord], Cell]:
    """Return what reads one part of a quantity; ``otherwise`` stands for a part that says nothing and was not kept."""

    def read(record: ReadingRecord) -> Cell:
        parts = record.body.get(quantity)
        if parts is None:
            return None
        cell: Cell = parts[place] if place < len(parts) else otherwise
        return cell

    return read


def _of_quantity(quantity: str) -> tuple[Variable, ...]:
    words = quantity.replace("_", " ")
    category = CATEGORIES.get(quantity, "Physical Oceanography" if "speed" not in quantity else "Currents")
    shared: dict[str, Attribute] = {"units": UNITS[quantity], "ioos_category": category}
    named: dict[str, Attribute] = {} if quantity in NO_STANDARD_NAME else {"standard_name": quantity}
    about: dict[str, Attribute] = {"long_name": words, "ancillary_variables": f"{quantity}_flag", **shared, **named}
    return (
        Variable(name=quantity, kind="number", read=_part(quantity, 0), attributes=about),
        Variable(
            name=f"{quantity}_flag",
            kind="flag",
            read=_part(quantity, 2),
            attributes={
                "long_name": f"QARTOD flag of {words}",
                "standard_name": "aggregate_quality_flag",
                **FLAG_ATTRIBUTES,
            },
        ),
        Variable(
            name=f"{quantity}_raw",
            kind="number",
            read=_part(quantity, 1),
            attributes={
                "long_name": f"The sensor's own number of {words}",
                "comment": f"{quantity} is this number times {quantity}_factor",
                **shared,
            },
        ),
        Variable(
            name=f"{quantity}_factor",
            kind="number",
            read=_part(quantity, 4, 1.0),
            attributes={"long_name": f"Correction of {words}", "units": "1", "ioos_category": "Quality"},
        ),
        Variable(
            name=f"{quantity}_tests",
            kind="text",
            read=_part(quantity, 3),
            attributes={
                "long_name": f"QARTOD tests of {words}",
                "comment": f"a flag for each test: {', '.join(TESTS)}",
                "ioos_category": "Quality",
            },
        ),
        Variable(
            name=f"{quantity}_fault",
            kind="text",
            read=_part(quantity, 5),
            attributes={"long_name": f"What the device said of its sensor of {words}", "ioos_category": "Quality"},
        ),
    )


_OWN: Final = (
    Variable(
        name="time",
        kind="time",
        read=lambda record: record.kept.place.at // US_PER_MS,
        attributes={"long_name": "Time of the reading", "time_precision": MILLISECONDS, **TIME_ATTRIBUTES},
    ),
    *REEF,
    Variable(
        name="buoy_id",
        kind="text",
        read=lambda record: record.kept.place.buoy_id,
        attributes={"long_name": "Id of the buoy", "ioos_category": "Identifier"},
    ),
    Variable(
        name="revision",
        kind="integer",
        read=lambda record: record.kept.revision,
        attributes={"long_name": "Revision of the reading, counted from 1", "units": "1", "ioos_category": "Quality"},
    ),
    Variable(
        name="received_time",
        kind="time",
        read=lambda record: record.kept.received_us // US_PER_MS,
        attributes={"long_name": "Time of arrival", "time_precision": MILLISECONDS, **INSTANT_ATTRIBUTES},
    ),
    Variable(
        name="time_source",
        kind="text",
        read=lambda record: record.kept.time_source,
        attributes={
            "long_name": "Whose clock the time is of",
            "comment": "device: its own; received: none was sent; broken_clock: the device's was impossible",
            "ioos_category": "Time",
        },
    ),
)

READINGS_DATASET: Final = Dataset(
    dataset_id="readings",
    title="Readings of coral reef buoys",
    summary="Readings of buoys at coral reefs in their newest revision: corrected and raw values with their quality flags.",
    keywords="coral reef, buoy, sea water temperature, pH, carbon dioxide, nitrate, current, visibility, QARTOD",
    variables=(*_OWN, *(variable for quantity in UNITS for variable in _of_quantity(quantity))),
    station=("reef_id", "buoy_id"),
    records=reading_records,
    time_range=_time_range,
)
