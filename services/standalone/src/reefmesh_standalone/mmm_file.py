"""A reef's maximum of the monthly means (MMM) by its coordinates, from a climatology in NetCDF that the operator has.

The layout is that of NOAA Coral Reef Watch's ``ct5km_climatology_v3.1.nc`` (Skirving et al. 2020, Remote Sensing 12, 3856):
``sst_clim_mmm(time=1, lat, lon)`` on a grid of 0.05 degrees, with a fill value over land, packed or not. The file comes from
elsewhere: of the 26 million pixels only those around the reef are read, and whatever is wrong with it is one line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, degrees, isfinite, prod, radians
from pathlib import Path
from typing import Any, Final

from reefmesh.errors import ConfigurationError
from reefmesh_ingest.domain.decode.values import clean_text
from reefmesh_ingest.domain.quality import distance_metres
from reefmesh_ingest.domain.quality.position import EARTH_RADIUS_METRES

VARIABLE: Final = "sst_clim_mmm"
DISTANCE_METRES_LIMIT: Final = 25_000.0
"""Farther away the water is another one: five pixels of the grid."""

INSTALL: Final = "pip install 'reefmesh[climatology]'"
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_CLASSIC: Final = b"CDF"
_AXIS_POINTS_LIMIT: Final = 200_000
_PIXELS_LIMIT: Final = 1_000_000
_CHUNK_BYTES_LIMIT: Final = 512 * 1024 * 1024
_TEXT_CHARACTERS: Final = 120
_KELVIN: Final = frozenset({"k", "kelvin", "degree_kelvin", "degrees_kelvin"})
_CELSIUS: Final = frozenset({"", "c", "degc", "celsius", "degree_c", "degree_celsius", "degrees_celsius", "deg_c"})
_ZERO_CELSIUS_KELVIN: Final = 273.15


@dataclass(frozen=True, slots=True, kw_only=True)
class SeaPixel:
    """The sea pixel nearest to a reef. ``source`` says in words where its value comes from."""

    mmm_celsius: float
    latitude_degrees: float
    longitude_degrees: float
    distance_metres: float
    source: str


class _Unreadable(Exception):
    """The file is not of the layout; the message says in what."""


def nearest_sea_pixel(path: Path, latitude_degrees: float, longitude_degrees: float) -> SeaPixel:
    """Return the nearest pixel with a value, by the great circle.

    Raises:
        ConfigurationError: the file cannot be read or has another layout, or no sea pixel is within ``DISTANCE_METRES_LIMIT``.
    """
    _require_netcdf4(path)
    try:
        import h5netcdf  # noqa: PLC0415  # an optional extra, which only this command needs
        import h5py  # noqa: F401, PLC0415  # what h5netcdf reads with; another one would read differently
    except ImportError:
        raise ConfigurationError(f"reading {path.name} needs more libraries: {INSTALL}") from None
    try:
        with h5netcdf.File(path, "r") as file:
            found = _nearest(file, path.name, latitude_degrees, longitude_degrees)
    except _Unreadable as error:
        raise ConfigurationError(f"{path} is no climatology of the known layout: {error}") from None
    except Exception as error:  # noqa: BLE001  # the libraries raise all kinds of errors over a file that is damaged or hostile
        first = clean_text((str(error).splitlines() or [type(error).__name__])[0], _TEXT_CHARACTERS)
        raise ConfigurationError(f"{path} cannot be read as NetCDF, is it complete? ({first})") from None
    if found is None:
        here = f"{latitude_degrees:g}, {longitude_degrees:g}"
        raise ConfigurationError(
            f"{path.name} has no sea pixel within {DISTANCE_METRES_LIMIT / 1000:g} km of {here}; check the reef's position, or"
            " state mmm_celsius=..."
        )
    return found


def _require_netcdf4(path: Path) -> None:
    try:
        with path.open("rb") as file:
            begins = file.read(len(_HDF5))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if begins.startswith(_CLASSIC):
        raise ConfigurationError(f"{path} is NetCDF of the classic format; convert it: nccopy -k nc4 {path.name} new.nc")
    if begins != _HDF5:
        raise ConfigurationError(f"{path} is no NetCDF file")


def _nearest(file: Any, name: str, latitude_degrees: float, longitude_degrees: float) -> SeaPixel | None:
    variable = _variable(file)
    latitudes, longitudes = _axis(file, "lat", 90.0), _axis(file, "lon", 360.0)
    if tuple(variable.shape[-2:]) != (len(latitudes), len(longitudes)):
        raise _Unreadable(f"{VARIABLE} has {variable.shape[-2]} x {variable.shape[-1]} pixels, which lat and lon have not")
    unpack = _unpacking(variable)
    reach_degrees = degrees(DISTANCE_METRES_LIMIT / EARTH_RADIUS_METRES)
    rows = _near(latitudes, latitude_degrees, reach_degrees, turn=None)
    shrunk = cos(radians(min(89.9, abs(latitude_degrees) + reach_degrees)))
    columns = _near(longitudes, longitude_degrees, reach_degrees / shrunk, turn=360.0)
    if len(rows) * len(columns) > _PIXELS_LIMIT:
        raise _Unreadable(f"{len(rows) * len(columns):,} pixels lie within reach, far more than on a grid of 0.05 degrees")
    best: tuple[float, float, float, float] | None = None
    for row_run in _runs(rows):
        for column_run in _runs(columns):
            block = variable[(*(0,) * (len(variable.shape) - 2), row_run, column_run)]
            for row, values in zip(range(row_run.start, row_run.stop), block, strict=True):
                for column, raw in zip(range(column_run.start, column_run.stop), values, strict=True):
                    celsius = unpack(raw)
                    if celsius is None:
                        continue
                    north, east = latitudes[row], _east(longitudes[column])
                    distance = distance_metres(latitude_degrees, longitude_degrees, north, east)
                    if best is None or (distance, north, east) < best[:3]:
                        best = (distance, north, east, celsius)
    if best is None or best[0] > DISTANCE_METRES_LIMIT:
        return None
    distance, north, east, celsius = best
    said = " ".join(filter(None, (_text(file.attrs.get(each)) for each in ("title", "product_version", "version"))))
    title = f"{clean_text(name, _TEXT_CHARACTERS)}{f' ({said})' if said else ''}"
    return SeaPixel(
        mmm_celsius=round(celsius, 4),
        latitude_degrees=north,
        longitude_degrees=east,
        distance_metres=distance,
        source=f"{title}, sea pixel {_place(north, east)}, {distance / 1000:.1f} km away",
    )


def _place(north: float, east: float) -> str:
    return f"{abs(north):.3f} {'N' if north >= 0 else 'S'}, {abs(east):.3f} {'E' if east >= 0 else 'W'}"


def _variable(file: Any) -> Any:
    if VARIABLE not in file.variables:
        known = ", ".join(clean_text(each, 40) for each in list(file.variables)[:8]) or "none"
        raise _Unreadable(f"it has no variable {VARIABLE} (it has {known})")
    variable = file.variables[VARIABLE]
    dimensions = tuple(variable.dimensions)
    if dimensions not in (("time", "lat", "lon"), ("lat", "lon")) or (len(dimensions) == 3 and variable.shape[0] != 1):
        shown = clean_text(", ".join(f"{each}={size}" for each, size in zip(dimensions, variable.shape, strict=True)), 80)
        raise _Unreadable(f"{VARIABLE} has the dimensions ({shown}), not (time=1, lat, lon)")
    if variable.dtype.kind not in "iuf":
        raise _Unreadable(f"{VARIABLE} holds no numbers")
    if variable.chunks and prod(variable.chunks) * variable.dtype.itemsize > _CHUNK_BYTES_LIMIT:
        raise _Unreadable(f"{VARIABLE} is stored in pieces of {prod(variable.chunks) * variable.dtype.itemsize:,} bytes")
    return variable


def _axis(file: Any, name: str, limit_degrees: float) -> list[float]:
    """Return a coordinate, in degrees; it must rise or fall all the way."""
    if name not in file.variables:
        raise _Unreadable(f"it has no variable {name}")
    variable = file.variables[name]
    if len(variable.shape) != 1 or not 0 < variable.shape[0] <= _AXIS_POINTS_LIMIT or variable.dtype.kind not in "iuf":
        raise _Unreadable(f"{name} is no list of degrees")
    points = [float(each) for each in variable[:]]
    steps = [after - before for before, after in pairwise(points)]
    in_order = all(step > 0 for step in steps) or all(step < 0 for step in steps)
    if not in_order or not all(isfinite(each) and abs(each) <= limit_degrees for each in points):
        raise _Unreadable(f"{name} is no list of degrees in order")
    return points


def _unpacking(variable: Any) -> Any:
    """Return the function from a stored number to degC; None for land."""
    scale, offset = (_number(variable, each, default) for each, default in (("scale_factor", 1.0), ("add_offset", 0.0)))
    fills = {_number(variable, each, None) for each in ("_FillValue", "missing_value")} - {None}
    lowest, highest = (_number(variable, each, None) for each in ("valid_min", "valid_max"))
    units = _text(variable.attrs.get("units")).strip().lower().replace(" ", "_")
    if units not in _CELSIUS | _KELVIN:
        raise _Unreadable(f"{VARIABLE} is in {units}, not in degC")
    shift = _ZERO_CELSIUS_KELVIN if units in _KELVIN else 0.0

    def unpack(stored: Any) -> float | None:
        raw = float(stored)
        is_land = raw in fills or not isfinite(raw)
        if is_land or (lowest is not None and raw < lowest) or (highest is not None and raw > highest):
            return None
        value: float = raw * scale + offset - shift
        return value

    return unpack


def _number(variable: Any, attribute: str, default: float | None) -> Any:
    """Return an attribute that is one finite number (a fill value may be NaN)."""
    stated = variable.attrs.get(attribute)
    if stated is None:
        return default
    values = getattr(stated, "flat", [stated])
    try:
        (number,) = [float(each) for each in values]
    except (TypeError, ValueError):
        raise _Unreadable(f"{attribute} of {VARIABLE} is not one number") from None
    if not isfinite(number) and attribute in ("scale_factor", "add_offset"):
        raise _Unreadable(f"{attribute} of {VARIABLE} is not one number")
    return number


def _text(value: Any) -> str:
    """Return an attribute as text; empty if it is none."""
    if isinstance(value, bytes):
        value = value[: 4 * _TEXT_CHARACTERS].decode("utf-8", "replace")
    return clean_text(str(value), _TEXT_CHARACTERS).strip() if isinstance(value, str) else ""


def _near(points: Sequence[float], degrees_at: float, reach_degrees: float, *, turn: float | None) -> list[int]:
    """Return the places of the points within reach, round the globe where ``turn`` says how far that is."""
    found = []
    for place, point in enumerate(points):
        apart = abs(point - degrees_at)
        if turn is not None:
            apart = min(apart % turn, turn - apart % turn)
        if apart <= reach_degrees:
            found.append(place)
    return found


def _runs(places: Sequence[int]) -> Iterator[slice]:
    """Yield neighbouring places together: one read for each."""
    first = 0
    for at in range(1, len(places) + 1):
        if at == len(places) or places[at] != places[at - 1] + 1:
            yield slice(places[first], places[at - 1] + 1)
            first = at


def _east(longitude_degrees: float) -> float:
    """Return a longitude from -180 to 180, also of a grid from 0 to 360."""
    return longitude_degrees - 360.0 if longitude_degrees > 180.0 else longitude_degrees
