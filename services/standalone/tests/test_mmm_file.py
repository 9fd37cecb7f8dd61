"""The MMM by a reef's coordinates, from a climatology of NOAA's layout made here."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import pytest

from reefmesh.errors import ConfigurationError
from reefmesh_ingest.register.entries import ReefEntry
from reefmesh_standalone.commands.reefs import with_mmm_of
from reefmesh_standalone.mmm_file import SeaPixel, nearest_sea_pixel

LAND = -32768
STEP = 0.05
Make = Callable[..., Path]


def write(
    path: Path,
    *,
    north: float = -8.0,
    west: float = 115.0,
    rows: int = 40,
    columns: int = 40,
    values: Any = None,
    dimensions: tuple[str, ...] = ("time", "lat", "lon"),
    name: str = "sst_clim_mmm",
    attributes: dict[str, Any] | None = None,
    chunks: tuple[int, ...] | None = None,
) -> Path:
    """Latitudes fall, as NOAA's do; values are packed in hundredths of a degree."""
    packed = np.full((rows, columns), 2900, dtype="i2") if values is None else values
    sizes = {"time": 1, "lat": packed.shape[0], "lon": packed.shape[1]}
    with h5netcdf.File(path, "w") as file:
        file.dimensions = sizes
        file.create_variable("lat", ("lat",), data=np.float32(north - 0.025 - STEP * np.arange(packed.shape[0])))
        file.create_variable("lon", ("lon",), data=np.float32(west + 0.025 + STEP * np.arange(packed.shape[1])))
        shape = tuple(sizes[each] for each in dimensions)
        options = {} if chunks is None else {"chunks": chunks, "compression": "gzip"}
        variable = file.create_variable(
            name, dimensions, data=packed.reshape(shape), fillvalue=packed.dtype.type(LAND), **options
        )
        stated = {"scale_factor": np.float32(0.01), "add_offset": np.float32(0.0), "units": "degree_Celsius"} | (
            attributes or {}
        )
        for key, value in stated.items():
            if value is not None:
                variable.attrs[key] = value
        file.attrs["title"] = "A climatology"
        file.attrs["product_version"] = "3.1"
    return path


@pytest.fixture
def climatology(tmp_path: Path) -> Make:
    def make(**how: Any) -> Path:
        return write(tmp_path / "climatology.nc", **how)

    return make


def coast(celsius: float = 29.31) -> Any:
    """Land, and one column of sea 0.15 degrees east of the reef at 8.33 S, 115.64 E."""
    values = np.full((40, 40), LAND, dtype="i2")
    values[:, 15] = 2800
    values[6, 15] = round(celsius * 100)
    return values


def test_nearest_sea_pixel_is_taken_and_its_distance_said(climatology: Make) -> None:
    pixel = nearest_sea_pixel(climatology(values=coast()), -8.33, 115.64)
    assert (29.31, -8.325, 115.775) == (pixel.mmm_celsius, round(pixel.latitude_degrees, 3), round(pixel.longitude_degrees, 3))
    assert 14.8e3 < pixel.distance_metres < 14.9e3
    assert "climatology.nc (A climatology 3.1), sea pixel 8.325 S, 115.775 E, 14.9 km away" == pixel.source


def test_reef_gets_the_mmm_with_its_source_and_is_unadjusted(climatology: Make) -> None:
    """An offset to the buoy belongs to the MMM for which it was found."""
    entry = ReefEntry(
        id="amed", name="Amed", latitude_degrees=-8.33, longitude_degrees=115.64, mmm_celsius=28.0, mmm_offset_celsius=0.2
    )
    changed = with_mmm_of(entry, nearest_sea_pixel(climatology(values=coast()), -8.33, 115.64))
    assert (29.31, "unadjusted") == (changed.facts().mmm_celsius, changed.facts().mmm_source)
    assert changed.mmm_source.startswith("climatology.nc (A climatology 3.1), sea pixel")


def test_no_sea_within_25_km_is_refused(climatology: Make) -> None:
    with pytest.raises(ConfigurationError, match=r"no sea pixel within 25 km of -8\.33, 115\.2; check the reef's position"):
        nearest_sea_pixel(climatology(values=coast()), -8.33, 115.2)


@pytest.mark.parametrize("west", [179.0, 359.0])
def test_reef_at_the_date_line_has_neighbours_beyond_it(tmp_path: Path, west: float) -> None:
    """A grid round the globe, from -180 or from 0; the only sea lies on the other side of its seam."""
    columns = 7200
    values = np.full((20, columns), LAND, dtype="i2")
    values[10, 0] = 2850
    begins = -180.0 if west == 179.0 else 0.0
    path = write(tmp_path / "globe.nc", north=-8.0, west=begins, values=values)
    pixel = nearest_sea_pixel(path, -8.525, 179.99 if begins < 0 else -0.01)
    assert 28.5 == pixel.mmm_celsius
    assert abs(pixel.longitude_degrees - (begins + 0.025)) < 1e-4
    assert pixel.distance_metres < 4_000


def test_values_may_be_unpacked_in_kelvin_without_a_time(climatology: Make) -> None:
    values = np.full((40, 40), 302.4, dtype="f4")
    values[6, 12] = np.nan
    attributes = {"scale_factor": None, "add_offset": None, "units": "kelvin"}
    pixel = nearest_sea_pixel(climatology(values=values, attributes=attributes, dimensions=("lat", "lon")), -8.325, 115.625)
    assert (29.25, True) == (round(pixel.mmm_celsius, 2), 4_000 < pixel.distance_metres < 6_000)


def test_file_of_full_size_costs_the_pixels_that_are_read(tmp_path: Path) -> None:
    """3600 x 7200 pixels, of which a few compressed pieces were ever written."""
    path = tmp_path / "ct5km.nc"
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": 1, "lat": 3600, "lon": 7200}
        file.create_variable("lat", ("lat",), data=np.float32(89.975 - STEP * np.arange(3600)))
        file.create_variable("lon", ("lon",), data=np.float32(-179.975 + STEP * np.arange(7200)))
        variable = file.create_variable(
            "sst_clim_mmm",
            ("time", "lat", "lon"),
            dtype="i2",
            fillvalue=np.int16(LAND),
            chunks=(1, 300, 300),
            compression="gzip",
        )
        variable.attrs["scale_factor"] = np.float64(0.01)
        variable[0, 1966, 5912] = 2907
    pixel = nearest_sea_pixel(path, -8.33, 115.64)
    assert (29.07, -8.325, 115.625) == (pixel.mmm_celsius, round(pixel.latitude_degrees, 3), round(pixel.longitude_degrees, 3))


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"name": "sst"}, r"no variable sst_clim_mmm \(it has .*sst"),
        ({"dimensions": ("lat", "time", "lon")}, r"the dimensions \(lat=40, time=1, lon=40\), not"),
        ({"attributes": {"units": "furlong"}}, "is in furlong, not in degC"),
        ({"attributes": {"scale_factor": np.array([1, 2], dtype="f4")}}, "scale_factor of sst_clim_mmm is not one number"),
        ({"attributes": {"scale_factor": np.float32("nan")}}, "scale_factor of sst_clim_mmm is not one number"),
        ({"attributes": {"add_offset": "much"}}, "add_offset of sst_clim_mmm is not one number"),
        ({"attributes": {"valid_max": "\x1b[2J\n"}}, "valid_max of sst_clim_mmm is not one number"),
        ({"north": 110.0}, "lat is no list of degrees in order"),
    ],
)
def test_file_of_another_layout_is_one_line_that_says_what_differs(climatology: Make, how: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as refused:
        nearest_sea_pixel(climatology(**how), -8.33, 115.64)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no NetCDF file"),
        (b"<html>404</html>", "is no NetCDF file"),
        (b"CDF\x01" + bytes(100), r"classic format; convert it: nccopy -k nc4"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "cannot be read as NetCDF, is it complete"),
    ],
)
def test_file_that_is_none_is_one_line(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "file.nc").write_bytes(content)
    with pytest.raises(ConfigurationError, match=why):
        nearest_sea_pixel(tmp_path / "file.nc", 0, 0)


def test_truncated_file_is_one_line(climatology: Make) -> None:
    path = climatology(values=coast(), chunks=(1, 10, 10))
    whole = path.read_bytes()
    for length in range(64, len(whole), len(whole) // 16):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigurationError, match="cannot be read as NetCDF, is it complete"):
            nearest_sea_pixel(path, -8.33, 115.64)


def test_missing_file_and_folder_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.nc"):
        with pytest.raises(ConfigurationError, match="cannot read"):
            nearest_sea_pixel(path, 0, 0)


def test_without_the_libraries_the_command_says_what_to_install(climatology: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = climatology()
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    with pytest.raises(ConfigurationError, match=r"needs more libraries: pip install 'reefmesh\[climatology\]'"):
        nearest_sea_pixel(path, 0, 0)


def test_pixel_that_no_reef_can_have_is_one_line(climatology: Make) -> None:
    entry = ReefEntry(id="amed", name="Amed", latitude_degrees=-8.33, longitude_degrees=115.64)
    hot: SeaPixel = nearest_sea_pixel(climatology(values=coast(99.0)), -8.33, 115.64)
    with pytest.raises(ConfigurationError, match=r"mmm_celsius is 99\.0"):
        with_mmm_of(entry, hot)
