"""CSV archives: a header ``time,sea_water_temperature[,other channels]``, ISO times, an empty field for a missing value."""

import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from reefmesh.contracts.quantities import UNITS
from reefmesh.errors import ConfigurationError
from reefmesh_standalone.archive.record import Archive, RecordedReading


def read(path: Path, *, mmm_celsius: float | None, longitude_degrees: float | None) -> Archive:
    """Read a CSV archive in any order of time; times without an offset are UTC.

    Raises:
        ConfigurationError: unreadable, an unknown column, a value that is no number; names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            readings = sorted(_rows(path, file), key=lambda reading: reading.observed_at)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    except csv.Error as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not readings:
        raise ConfigurationError(f"{path} has no readings below its header")
    return Archive(readings=readings, mmm_celsius=mmm_celsius, longitude_degrees=longitude_degrees)


def _rows(path: Path, lines: Iterator[str]) -> Iterator[RecordedReading]:
    rows = csv.reader(lines, strict=True)
    columns = [name.strip() for name in next(rows, [])]
    if not columns or columns[0] != "time" or len(columns) < 2:
        raise ConfigurationError(f"{path}: the first line must be a header 'time,sea_water_temperature[,other channels]'")
    unknown = [name for name in columns[1:] if name not in UNITS]
    if unknown:
        raise ConfigurationError(f"{path}: unknown column {unknown[0]!r}; known are {', '.join(UNITS)}")
    for row in rows:
        if not row:
            continue
        try:
            yield _reading(columns, row)
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {rows.line_num}: {error}") from None


def _reading(columns: list[str], row: list[str]) -> RecordedReading:
    if len(row) != len(columns):
        raise ValueError(f"{len(row)} fields instead of {len(columns)}")
    at = datetime.fromisoformat(row[0].strip())
    channels = {name: _finite(name, text) for name, text in zip(columns[1:], row[1:], strict=True) if text.strip()}
    return RecordedReading(observed_at=(at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC), channels=channels)


def _finite(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} is {text.strip()!r}, which is no number") from None
    if not math.isfinite(value):
        raise ValueError(f"{name} is {text.strip()!r}, which is not finite")
    return value
