"""NOAA Coral Reef Watch regional virtual station files (text, one line a day after a header).

The published HotSpot is that of the 90th-percentile pixel and not ``SST@90th_HS`` minus the header's MMM. A reef whose MMM
is the header's is therefore driven with MMM + HotSpot where HotSpot > 0, and otherwise with min(SST, MMM): the reef's own
HotSpot then equals the published one on every day that heat stress counts.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.errors import ConfigurationError
from reefmesh_standalone.archive.record import Archive, RecordedReading

_DAY: Final = re.compile(r"^\s*\d{4}\s+\d{1,2}\s+\d{1,2}\s")
_DAY_FIELDS: Final = 10
_MISSING_BELOW: Final = -90.0


def read(path: Path, *, mmm_celsius: float | None, longitude_degrees: float | None) -> Archive:
    """Read a station file; ``mmm_celsius`` and ``longitude_degrees`` override the header's.

    Each day becomes one reading at local solar midnight + 3 h, inside the night of its own solar date.

    Raises:
        ConfigurationError: unreadable, or not such a file; names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    header = _header(lines)
    mmm = mmm_celsius if mmm_celsius is not None else _number(header, "Averaged Maximum Monthly Mean")
    longitude = longitude_degrees if longitude_degrees is not None else _number(header, "Polygon Middle Longitude")
    if mmm is None:
        raise ConfigurationError(f"{path} has no 'Averaged Maximum Monthly Mean' in its header; give --mmm")
    readings = list(_days(path, lines, round(mmm * 10_000), longitude or 0.0))
    if not readings:
        raise ConfigurationError(f"{path} has no day lines (YYYY MM DD SST_MIN ..); is it a noaa-station file?")
    return Archive(
        readings=readings,
        mmm_celsius=mmm,
        latitude_degrees=_number(header, "Polygon Middle Latitude"),
        longitude_degrees=longitude,
        name=header.get("Name"),
    )


def _header(lines: list[str]) -> dict[str, str]:
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
        return float(header[title])
    except (KeyError, ValueError):
        return None


def _days(path: Path, lines: list[str], mmm_e4: int, longitude_degrees: float) -> Iterator[RecordedReading]:
    for number, line in enumerate(lines, start=1):
        if not _DAY.match(line):
            continue
        fields = line.split()
        try:
            if len(fields) != _DAY_FIELDS:
                raise ValueError(f"{len(fields)} fields instead of {_DAY_FIELDS}")  # noqa: TRY301  # caught below with the line's number
            solar_midnight = datetime(int(fields[0]), int(fields[1]), int(fields[2]), tzinfo=UTC)
            sst, hotspot = float(fields[5]), float(fields[7])
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {number}: {error}") from None
        if sst < _MISSING_BELOW:
            continue
        sst_e4, hotspot_e4 = round(sst * 10_000), round(hotspot * 10_000)
        value_e4 = mmm_e4 + hotspot_e4 if hotspot_e4 > 0 else min(sst_e4, mmm_e4)
        yield RecordedReading(
            observed_at=solar_midnight + timedelta(hours=3) - timedelta(hours=longitude_degrees / 15.0),
            channels={SEA_WATER_TEMPERATURE: value_e4 / 10_000},
        )
