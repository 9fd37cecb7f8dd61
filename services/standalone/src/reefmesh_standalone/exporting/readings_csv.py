"""One stored reading as a line of CSV."""

from collections.abc import Sequence

from reefmesh_ingest.domain.reading import published_fault, published_flag
from reefmesh_ingest.domain.reading_json import instant_text
from reefmesh_standalone.exporting.stored import ReadingOfBuoy
from reefmesh_standalone.records.own_columns import BESIDE, cell_of

Cell = str | int | float


def line_of(each: ReadingOfBuoy, quantities: Sequence[str]) -> list[Cell]:
    """Return the cells under ``own_columns.titles_of(quantities)``; numbers in the shortest form that reads back equal."""
    reading, place = each.reading, each.reading.place
    cells: list[Cell] = [
        instant_text(reading.observed_us),
        each.reef_id,
        each.buoy_id,
        reading.revision,
        instant_text(reading.received_us),
        reading.time_source,
        *(("", "", "") if place is None else (repr(place.latitude_degrees), repr(place.longitude_degrees), int(place.flag))),
    ]
    for quantity in quantities:
        content = reading.contents.get(quantity)
        if content is None:
            cells += [""] * (1 + len(BESIDE))
            continue
        verdict = reading.verdicts[quantity]
        cells += [
            _number(content.value),
            _number(content.raw),
            repr(content.factor),
            int(published_flag(reading, quantity)),
            verdict.tests,
            cell_of(published_fault(reading, quantity)),
        ]
    return cells


def _number(number: float | None) -> str:
    return "" if number is None else repr(number)
