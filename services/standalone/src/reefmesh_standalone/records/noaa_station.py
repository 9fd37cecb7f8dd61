"""NOAA Coral Reef Watch regional virtual station files (text, one line a day after a header).

The published HotSpot is that of the 90th-percentile pixel and not ``SST@90th_HS`` minus the header's MMM. A reef whose MMM
is the header's is therefore driven with MMM + HotSpot where HotSpot > 0, and otherwise with min(SST, MMM): the reef's own
HotSpot then equals the published one on every day that heat stress counts. A day without one of the two has no value.
"""

import math
import re
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE, UNITS
from reefmesh_standalone.records.columns import TIME, ColumnUse
from reefmesh_standalone.records.mistake import mistake
from reefmesh_standalone.records.numbers import MISSING, Numbers
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import Facts, FileRecord, Rows, record_of
from reefmesh_standalone.records.text import Report, TextFile
from reefmesh_standalone.records.times import TOO_EARLY, TimesUnderstood, iso
from reefmesh_standalone.records.understood import Understanding
from reefmesh_standalone.records.units import Conversion

_DAY: Final = re.compile(r"^\s*\d{4}\s+\d{1,2}\s+\d{1,2}\s")
_DAY_FIELDS: Final = 10
_MMM: Final = "Averaged Maximum Monthly Mean"
_COLUMNS: Final = re.compile(r"^\s*YYYY\s+MM\s+DD\s+SST")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def recognises(beginning: Sequence[str]) -> bool:
    return any(line.startswith(_MMM) or _COLUMNS.match(line) for line in beginning)


def read(file: TextFile, beginning: Sequence[str], options: ReadingOptions, report: Report | None) -> FileRecord:
    """Read a station file; MMM and longitude of ``options`` override the header's.

    Each day becomes one reading at local solar midnight + 3 h, inside the night of its own solar date.

    Raises:
        ConfigurationError: not such a file, or a line that is none; names the line.
    """
    path = file.path
    header = _header(beginning)
    numbers = Numbers(path)
    mmm = options.mmm_celsius if options.mmm_celsius is not None else _number(header, _MMM)
    longitude = (
        options.longitude_degrees if options.longitude_degrees is not None else _number(header, "Polygon Middle Longitude")
    )
    if mmm is None:
        mmm = options.reef_mmm_celsius
    if mmm is None:
        raise mistake(path, f"has no '{_MMM}' in its header; give --mmm, or set the reef's mmm_celsius")
    mmm_e4, west = round(mmm * 10_000), timedelta(hours=(longitude or 0.0) / 15.0)
    instants, lines, values = array("q"), array("l"), array("d")
    for number, line in enumerate(file.read(report), start=1):
        if not _DAY.match(line):
            continue
        fields = line.split()
        if len(fields) != _DAY_FIELDS:
            raise mistake(path, f"{len(fields)} fields instead of {_DAY_FIELDS}", line=number)
        try:
            solar_midnight = datetime(int(fields[0]), int(fields[1]), int(fields[2]), tzinfo=UTC)
        except ValueError as error:
            raise mistake(path, str(error), line=number) from None
        if solar_midnight.year < _EPOCH.year:
            raise mistake(path, f"{solar_midnight:%Y-%m-%d} {TOO_EARLY}", line=number)
        if solar_midnight > options.now:
            raise mistake(path, "is a day in the future", line=number)
        sst = numbers.read(fields[5], column="SST@90th_HS", line=number)
        hotspot = numbers.read(fields[7], column="90th_HS>0", line=number)
        instants.append((solar_midnight + timedelta(hours=3) - west - _EPOCH) // timedelta(microseconds=1))
        lines.append(number)
        values.append(_value(sst, hotspot, mmm_e4))
    if not instants:
        raise mistake(path, "has no day lines (YYYY MM DD SST_MIN ..); is it a noaa-station file?")
    return record_of(
        path,
        Rows(observed_us=instants, values={SEA_WATER_TEMPERATURE: values}, lines=lines),
        _understood(file, instants[0], mmm, longitude),
        facts=Facts(
            name=header.get("Name"),
            mmm_celsius=mmm,
            latitude_degrees=_number(header, "Polygon Middle Latitude"),
            longitude_degrees=longitude,
        ),
    )


def _value(sst: float, hotspot: float, mmm_e4: int) -> float:
    if math.isnan(sst) or math.isnan(hotspot):
        return MISSING
    sst_e4, hotspot_e4 = round(sst * 10_000), round(hotspot * 10_000)
    return (mmm_e4 + hotspot_e4 if hotspot_e4 > 0 else min(sst_e4, mmm_e4)) / 10_000


def _understood(file: TextFile, first_us: int, mmm: float, longitude: float | None) -> Understanding:
    from_both = f"its format: MMM {mmm:g} + HotSpot where that is above 0, else the SST, at most the MMM"
    celsius = Conversion(unit=UNITS[SEA_WATER_TEMPERATURE])
    times = TimesUnderstood(
        written="YYYY MM DD",
        meant=iso(first_us),
        order="year first: the format",
        zone=f"solar time at longitude {longitude or 0.0:g}, 3 h after midnight",
    )
    return Understanding(
        format="NOAA station",
        encoding=file.encoding_name,
        separator="blanks",
        decimal_mark=".",
        lines=file.lines,
        columns=[
            ColumnUse(place=0, title="YYYY MM DD", use=TIME, why="its format"),
            ColumnUse(place=1, title="SST@90th_HS, 90th_HS>0", use=SEA_WATER_TEMPERATURE, conversion=celsius, why=from_both),
        ],
        times=times,
    )


def _header(lines: Sequence[str]) -> dict[str, str]:
    """Titles end in a colon, and their value is on the line below."""
    header: dict[str, str] = {}
    for title, value in pairwise(lines):
        if _DAY.match(title):
            break
        if title.rstrip().endswith(":"):
            header[title.strip().rstrip(":")] = value.strip()
    return header


def _number(header: dict[str, str], title: str) -> float | None:
    try:
        number = float(header[title])
    except (KeyError, ValueError):
        return None
    return number if abs(number) <= 360.0 else None  # also neither NaN nor -999
