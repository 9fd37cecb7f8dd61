"""The columns of readings as CSV, as ``reefmesh export readings`` writes and ``reefmesh import`` reads them.

Units stand in the names, as in ERDDAP's csvp. Each quantity has its corrected value, and beside it what belongs to it.
"""

from collections.abc import Sequence
from typing import Final

from reefmesh.contracts.quantities import UNITS

TIME_TITLE: Final = "time (UTC)"
LATITUDE_TITLE: Final = "latitude (degrees_north)"
LONGITUDE_TITLE: Final = "longitude (degrees_east)"
REVISION_TITLE: Final = "revision"
BUOY_TITLE: Final = "buoy_id"
OF_READING: Final = (
    TIME_TITLE,
    "reef_id",
    BUOY_TITLE,
    REVISION_TITLE,
    "received_at (UTC)",
    "time_source",
    LATITUDE_TITLE,
    LONGITUDE_TITLE,
    "position_flag",
)
BESIDE: Final = ("raw", "factor", "flag", "tests", "fault")

_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "'")


def value_title(quantity: str) -> str:
    return f"{quantity} ({UNITS[quantity]})"


def beside_title(quantity: str, what: str) -> str:
    return f"{quantity}_{what}"


def titles_of(quantities: Sequence[str]) -> list[str]:
    """Return the header."""
    titles = list(OF_READING)
    for quantity in quantities:
        titles += [value_title(quantity), *(beside_title(quantity, what) for what in BESIDE)]
    return titles


def cell_of(text: str | None) -> str:
    """Return a device's text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text and text.startswith(_FORMULA_SIGNS) else text or ""


def text_of(cell: str) -> str:
    """Return the text from which ``cell_of`` made a cell."""
    return cell.removeprefix("'")
