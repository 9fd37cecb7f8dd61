"""Files of the open data, opened with the libraries that scientists have, and checked against their conventions."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import xarray as xr
from pyarrow import parquet

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE, UNITS
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import BuoyHealth
from reefmesh_dashboard.exports.downloads import DownloadLimits
from reefmesh_dashboard.exports.publisher import DataPublisher

if TYPE_CHECKING:
    from services.dashboard.tests.conftest import Bench, Samples

DATASETS = ("readings", "heat", "alerts", "buoys")
PUBLISHER = DataPublisher(
    institution="Save Nemo",
    licence="CC-BY-4.0",
    citation="Save Nemo (2026): coral reef buoys",
    contact_name="Data Desk",
    contact_email="data@example.org",
    url="https://data.example.org/reefs",
)


async def filled(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(
        samples.reading(-60, buoy="b2", t=28.5, sea_water_ph_reported_on_total_scale=8.05),
        samples.reading(-30, t=28.25),
        samples.reading(-30, buoy="b2", t=31.0, flag=Flag.SUSPECT),
        samples.reading(0, t=None),
    )
    await bench.readings(samples.reading(-45, buoy="b3", t=27.0), reef=samples.reef("south-wall", latitude_degrees=-9.25))
    buoys = [BuoyHealth(facts=BuoyFacts(buoy_id="b1"), last_seen_at=samples.START)]
    await bench.score(samples.score(buoys=buoys))
    await bench.alert(samples.alert("a1", -5))


async def download(bench: Bench, folder: Path, name: str, question: str = "", **settings: Any) -> Path:
    async with bench.visitor(publisher=PUBLISHER, **settings) as client:
        answer = await client.get(f"/erddap/tabledap/{name}?{question}")
    assert 200 == answer.status_code, answer.text
    assert "content-encoding" not in answer.headers
    path = folder / name.replace(".ncCF", "-series.nc")
    path.write_bytes(answer.content)
    return path


async def test_series_hold_each_station_apart(any_bench: Bench, samples: type[Samples], tmp_path: Path) -> None:
    await filled(any_bench, samples)
    path = await download(any_bench, tmp_path, "readings.ncCF", f"{SEA_WATER_TEMPERATURE},{SEA_WATER_TEMPERATURE}_flag")
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        assert ["north-wall/b1", "north-wall/b2", "south-wall/b3"] == list(opened["station"].values)
        assert [2, 2, 1] == list(opened["row_size"].values)
        assert [-8.5, -8.5, -9.25] == list(opened["latitude"].values)
        temperature = opened[SEA_WATER_TEMPERATURE]
        assert [28.25, 28.5, 31.0, 27.0] == list(temperature.dropna("obs").values)
        assert [1, 9, 1, 3, 1] == [int(flag) for flag in opened[f"{SEA_WATER_TEMPERATURE}_flag"].values]
        assert ("degC", SEA_WATER_TEMPERATURE) == (temperature.attrs["units"], temperature.attrs["standard_name"])
        assert "2026-11-29T11:30:00.000000000" == str(opened["time"].values[0])
        assert ("timeSeries", "CC-BY-4.0", "Save Nemo (2026): coral reef buoys") == (
            opened.attrs["featureType"],
            opened.attrs["license"],
            opened.attrs["citation"],
        )
        assert ("2026-11-29T11:00:00.000Z", -9.25) == (opened.attrs["time_coverage_start"], opened.attrs["geospatial_lat_min"])
    with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as opened:
        flags = opened[f"{SEA_WATER_TEMPERATURE}_flag"].attrs
        assert [1, 2, 3, 4, 9] == list(flags["flag_values"])
        assert "PASS NOT_EVALUATED SUSPECT FAIL MISSING" == flags["flag_meanings"]


async def test_flat_file_has_a_row_for_each_row(bench: Bench, samples: type[Samples], tmp_path: Path) -> None:
    await filled(bench, samples)
    path = await download(bench, tmp_path, "readings.nc")
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        assert 5 == opened.sizes["row"]
        assert ("point", "Point") == (opened.attrs["featureType"], opened.attrs["cdm_data_type"])
        assert [8.05] == list(opened["sea_water_ph_reported_on_total_scale"].dropna("row").values)
        assert ["b2", "b1", "b2", "b1", "b3"] == list(opened["buoy_id"].values)
    path = await download(
        bench, tmp_path, "readings.nc", "buoy_id,sea_water_temperature&orderByMax(%22buoy_id,sea_water_temperature%22)"
    )
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        assert [28.25, 31.0, 27.0] == list(opened[SEA_WATER_TEMPERATURE].values)
        assert "featureType" not in opened.attrs


async def test_parquet_has_types_and_metadata(any_bench: Bench, samples: type[Samples], tmp_path: Path) -> None:
    await filled(any_bench, samples)
    path = await download(any_bench, tmp_path, "readings.parquet")
    table = parquet.read_table(path)
    field = table.schema.field(SEA_WATER_TEMPERATURE)
    assert (b"degC", b"CC-BY-4.0") == (field.metadata[b"units"], table.schema.metadata[b"license"])
    assert ("timestamp[ms, tz=UTC]", "int8", "double") == (
        str(table.schema.field("time").type),
        str(table.schema.field(f"{SEA_WATER_TEMPERATURE}_flag").type),
        str(field.type),
    )
    assert 1 == table[SEA_WATER_TEMPERATURE].null_count
    found = rows_of(
        f"SELECT buoy_id, max({SEA_WATER_TEMPERATURE}) FROM '{path}' WHERE {SEA_WATER_TEMPERATURE}_flag <= 2"  # noqa: S608
        " GROUP BY buoy_id ORDER BY buoy_id"
    )
    assert [("b1", 28.25), ("b2", 28.5), ("b3", 27.0)] == found
    path = await download(any_bench, tmp_path, "readings.parquet", "buoy_id&distinct()")
    assert [("b1",), ("b2",), ("b3",)] == rows_of(f"FROM '{path}'")


def rows_of(sql: str) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def without_standard_name(dataset: str) -> set[str]:
    """What the CF table has no name for."""
    return {
        "readings": {f"{SEA_WATER_TEMPERATURE}_raw", f"{SEA_WATER_TEMPERATURE}_factor"}
        | {"revision", "received_time", "underwater_visibility"},
        "heat": {"hotspot", "dhw", "dhw_low", "dhw_high", "suspect_share"}
        | {f"{kind}_days" for kind in ("coverage", "whole", "filled", "missing", "suspect")},
        "alerts": {"severity", "raised_time", "data_age"},
        "buoys": {"report_interval", "expected_time"},
    }[dataset]


async def test_netcdf_passes_the_compliance_checker(bench: Bench, samples: type[Samples], tmp_path: Path) -> None:
    """CF without a remark. ACDD wants a standard name of everything that has a number; all else that it asks for is there.

    In a process of its own: it brings another HDF5 library.
    """
    await filled(bench, samples)
    quantities = ",".join(f"{quantity},{quantity}_flag" for quantity in UNITS)
    parts = ",".join(f"{SEA_WATER_TEMPERATURE}_{part}" for part in ("raw", "factor", "tests", "fault"))
    questions = {"readings": f"{quantities},{parts},reef_name,revision,received_time,time_source"}
    paths = {each: str(await download(bench, tmp_path, f"{each}.ncCF", questions.get(each, ""))) for each in DATASETS}
    report = tmp_path / "report.json"
    checker = Path(sys.executable).with_name("compliance-checker")
    tests = ("--test", "cf:1.8", "--test", "acdd:1.3", "--format", "json_new", "--output", str(report))
    checking = await asyncio.create_subprocess_exec(
        sys.executable, str(checker), *tests, *paths.values(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await checking.communicate()
    assert "Problem fetching" not in said.decode(), "it needs nobody's table but its own"
    reports = json.loads(report.read_text())
    for dataset, path in paths.items():
        cf, acdd = reports[path]["cf:1.8"], reports[path]["acdd:1.3"]
        assert [] == remarks(cf, "high_priorities") + remarks(cf, "medium_priorities") + remarks(cf, "low_priorities")
        asked = remarks(acdd, "high_priorities")
        assert [] == [each for each in asked if each[1] != ["standard_name"]]
        assert without_standard_name(dataset) >= {name.split('"')[1] for name, _ in asked}


def remarks(report: dict[str, Any], priority: str) -> list[tuple[str, list[str]]]:
    """Return what each check that was not passed is about, and what it says."""
    return [(each["name"], each["msgs"]) for each in report[priority] if each["value"][0] < each["value"][1]]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("form", ["nc", "ncCF", "parquet"])
async def test_every_dataset_has_every_file(
    bench: Bench, samples: type[Samples], tmp_path: Path, dataset: str, form: str
) -> None:
    await filled(bench, samples)
    path = await download(bench, tmp_path, f"{dataset}.{form}")
    if form == "parquet":
        assert parquet.read_table(path).num_rows > 0
    else:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            assert opened.sizes["obs" if form == "ncCF" else "row"] > 0


async def test_files_without_rows_and_too_large_ones_are_refused(bench: Bench, samples: type[Samples]) -> None:
    reef = samples.reef(name="Wall" * 50)
    for start in range(0, 3200, 400):
        await bench.readings(*(samples.reading(-minute, t=20.0) for minute in range(start, start + 400)), reef=reef)
    async with bench.visitor(downloads=DownloadLimits(seconds=300, megabytes=1)) as client:
        for form in ("nc", "ncCF", "parquet"):
            empty = await client.get(f"/erddap/tabledap/readings.{form}?time&time<1990-01-01")
            assert (404, True) == (empty.status_code, "nRows = 0" in empty.text)
        large = await client.get("/erddap/tabledap/readings.ncCF")
    assert (413, True) == (large.status_code, "1000000 bytes" in large.text)
    assert 0 == bench.downloads.under_way


async def test_service_without_the_extra_says_what_it_lacks(
    bench: Bench, samples: type[Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(bench, samples)
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    async with bench.visitor() as client:
        answer = await client.get("/erddap/tabledap/readings.parquet")
    assert (501, True) == (answer.status_code, "reefmesh-dashboard[files]" in answer.text)
