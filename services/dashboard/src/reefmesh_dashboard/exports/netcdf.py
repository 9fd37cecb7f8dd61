"""NetCDF 4 after CF 1.8: a flat table of points, or series of stations as a contiguous ragged array."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import h5netcdf
import h5py
import numpy as np

from reefmesh_dashboard.exports.netcdf_layout import COORDINATES
from reefmesh_dashboard.exports.row_file import FileTooLarge, Ordering, RowFile
from reefmesh_dashboard.exports.variable import DAYS, TIME_UNITS, Attribute, Cell, Kind, Variable, instant_text

TYPES: Final[Mapping[Kind, Any]] = {"number": np.float64, "integer": np.int32, "flag": np.int8, "time": np.float64}
FILLS: Final[Mapping[Kind, Any]] = {"number": np.nan, "integer": np.int32(-(2**31)), "flag": np.int8(127), "time": np.nan}
TEXT: Final = h5py.string_dtype(encoding="utf-8")
CHUNK_ROWS: Final = 8192
STATION: Final = "station"


def write_points(
    path: Path, rows: RowFile, variables: Sequence[Variable], attributes: Mapping[str, Attribute], *, limit: int
) -> None:
    """Write a flat table: each row a point. Raises FileTooLarge."""
    names = [variable.name for variable in variables]
    is_point = set(COORDINATES) <= set(names)
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"row": rows.count()}
        coordinates = "time latitude longitude" if is_point else ""
        _describe(file, {**attributes, "cdm_data_type": "Point" if is_point else "Other"}, rows, variables)
        if is_point:
            file.attrs["featureType"] = "point"
        else:
            del file.attrs["cdm_timeseries_variables"]
        columns = [_make(file, variable, ("row",), rows.count(), coordinates) for variable in variables]
        _fill(path, rows, Ordering(), columns, variables, limit=limit)


def write_series(
    path: Path,
    rows: RowFile,
    station_id: Sequence[str],
    variables: Sequence[Variable],
    attributes: Mapping[str, Attribute],
    *,
    limit: int,
) -> None:
    """Write the series of stations (CF 1.8, H.6: ``timeSeries`` as contiguous ragged array): the rows of a station follow each
    other, oldest first. ``variables`` are those of ``needed_variables``; ``station_id`` names those that tell stations apart.
    Raises FileTooLarge."""
    names = [variable.name for variable in variables]
    station = [place for place, name in enumerate(names) if name in station_id or variables[place].of_reef]
    observed = [place for place in range(len(names)) if place not in station]
    series = rows.series(station)
    count = rows.count()
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"timeseries": len(series), "obs": count}
        _describe(file, attributes, rows, variables)
        file.attrs["featureType"] = "timeSeries"
        for place, at in enumerate(station):
            variable = variables[at]
            column = _make(file, variable, ("timeseries",), len(series), "")
            column[...] = _array(variable, [cells[place] for cells, _ in series])
        ids = file.create_variable(STATION, ("timeseries",), dtype=TEXT)
        ids.attrs.update({"long_name": "Station", "cf_role": "timeseries_id"})
        of_id = [station.index(names.index(name)) for name in station_id]
        ids[...] = np.array(["/".join(str(cells[place]) for place in of_id) for cells, _ in series], dtype=object)
        sizes = file.create_variable("row_size", ("timeseries",), dtype=np.int32)
        sizes.attrs.update({"long_name": "Number of observations of the station", "sample_dimension": "obs"})
        sizes[...] = np.array([size for _, size in series], dtype=np.int32)
        coordinates = "time latitude longitude"
        columns = [_make(file, variables[place], ("obs",), count, coordinates) for place in observed]
        order = Ordering(by=(*station, names.index("time")))
        _fill(path, rows, order, columns, variables, places=observed, limit=limit)


def _describe(file: h5netcdf.File, attributes: Mapping[str, Attribute], rows: RowFile, variables: Sequence[Variable]) -> None:
    """Write the attributes of the file: what is known of all of the data, and which part of them this is."""
    file.attrs.update({name: _attribute(value) for name, value in attributes.items()})
    names = [variable.name for variable in variables]
    if "time" in names and (ends := rows.extremes(names.index("time"))) is not None:
        time = variables[names.index("time")]
        file.attrs["time_coverage_start"] = instant_text(int(ends[0]), time.timespec)
        file.attrs["time_coverage_end"] = instant_text(int(ends[1]), time.timespec)
        file.attrs["time_coverage_duration"] = f"PT{(ends[1] - ends[0]) / 1000:g}S"
        file.attrs["time_coverage_resolution"] = "P1D" if time.attributes.get("time_precision") == DAYS else "PT1S"
    for name, word, units in (("latitude", "lat", "degrees_north"), ("longitude", "lon", "degrees_east")):
        if name in names and (ends := rows.extremes(names.index(name))) is not None:
            file.attrs[f"geospatial_{word}_min"], file.attrs[f"geospatial_{word}_max"] = map(np.float64, ends)
            file.attrs[f"geospatial_{word}_units"] = units


def _make(file: h5netcdf.File, variable: Variable, dimensions: tuple[str, ...], size: int, coordinates: str) -> Any:
    about = dict(variable.about)
    if variable.is_text:
        column = file.create_variable(variable.name, dimensions, dtype=TEXT)
    else:
        chunks = (min(CHUNK_ROWS, max(size, 1)),)
        fill = None if variable.name == "time" else FILLS[variable.kind]
        column = file.create_variable(
            variable.name,
            dimensions,
            dtype=TYPES[variable.kind],
            fillvalue=fill,
            chunks=chunks,
            compression="gzip",
            shuffle=True,
        )
    if variable.kind == "time":
        about["units"] = TIME_UNITS
    if coordinates and variable.name not in COORDINATES:
        about["coordinates"] = coordinates
    column.attrs.update({name: _attribute(value) for name, value in about.items()})
    return column


def _attribute(value: Attribute) -> Any:
    if isinstance(value, tuple):
        return np.array(value, dtype=np.int8 if all(isinstance(each, int) for each in value) else np.float64)
    return value


def _fill(
    path: Path,
    rows: RowFile,
    order: Ordering,
    columns: Sequence[Any],
    variables: Sequence[Variable],
    *,
    places: Sequence[int] | None = None,
    limit: int,
) -> None:
    chosen = range(len(variables)) if places is None else places
    at = 0
    for batch in rows.ordered(order):
        for column, place in zip(columns, chosen, strict=True):
            column[at : at + len(batch)] = _array(variables[place], [row[place] for row in batch])
        at += len(batch)
        if path.stat().st_size > limit:
            raise FileTooLarge(limit)


def _array(variable: Variable, cells: Sequence[Cell]) -> Any:
    if variable.is_text:
        return np.array(["" if cell is None else str(cell) for cell in cells], dtype=object)
    fill = FILLS[variable.kind]
    if variable.kind == "time":
        return np.array([fill if cell is None else float(cell) / 1000 for cell in cells], dtype=np.float64)
    return np.array([fill if cell is None else cell for cell in cells], dtype=TYPES[variable.kind])
