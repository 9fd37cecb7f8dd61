"""The clients that scientists have, against the running service: erddapy, pandas, xarray."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
import pytest
from erddapy import ERDDAP
from starlette.applications import Starlette

from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import BuoyHealth
from reefmesh.observability.http import serve
from reefmesh_dashboard.exports.downloads import DownloadLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.dashboard.tests.conftest import Bench, Samples

STATION = {
    "readings": ["north-wall/b1", "north-wall/b2"],
    "heat": ["north-wall"],
    "alerts": ["north-wall"],
    "buoys": ["north-wall/b1"],
}


@asynccontextmanager
async def served(bench: Bench, **settings: Any) -> AsyncIterator[str]:
    async with serve(Starlette(routes=list(bench.routes(**settings)))) as address:
        yield f"{address.url}/erddap"


async def filled(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(
        samples.reading(-60, buoy="b2", t=28.5),
        samples.reading(-30, t=28.25),
        samples.reading(-30, buoy="b2", t=31.0),
        samples.reading(0, t=None),
    )
    buoys = [BuoyHealth(facts=BuoyFacts(buoy_id="b1"), last_seen_at=samples.START)]
    await bench.score(samples.score(buoys=buoys))
    await bench.alert(samples.alert("a1", -5))


def client(address: str, dataset: str, **constraints: object) -> ERDDAP:
    made = ERDDAP(server=address, protocol="tabledap")
    made.dataset_id = dataset
    made.constraints = constraints or None
    return made


@pytest.mark.parametrize("dataset", list(STATION))
async def test_erddapy_reads_each_dataset_as_pandas_and_as_xarray(bench: Bench, samples: type[Samples], dataset: str) -> None:
    await filled(bench, samples)

    def read(address: str) -> tuple[pd.DataFrame, Any]:
        erddap = client(address, dataset)
        table = erddap.to_pandas(index_col="time (UTC)", parse_dates=True)
        with erddap.to_xarray() as opened:
            return table, opened.load()

    async with served(bench) as address:
        table, opened = await asyncio.to_thread(read, address)
    assert "datetime64" in str(table.index.dtype)
    assert STATION[dataset] == list(opened["station"].values)
    assert len(table) == opened.sizes["obs"] == int(opened["row_size"].sum())
    assert sorted(table.index.tz_localize(None)) == sorted(opened["time"].to_index().round("ms"))


async def test_erddapy_asks_with_constraints_of_every_kind(bench: Bench, samples: type[Samples]) -> None:
    await filled(bench, samples)

    def read(address: str) -> list[list[str]]:
        found = []
        for constraints in (
            {"time>=": "2026-11-29T11:30:00Z"},
            {"time>=": "max(time)-30minutes"},
            {"reef_id=": "north-wall", "buoy_id=": "b2"},
            {"buoy_id=~": "(b1|b3)"},
            {f"{SEA_WATER_TEMPERATURE}>": 28.25},
        ):
            erddap = client(address, "readings", **constraints)
            erddap.variables = ["buoy_id", "time"]
            found.append(list(erddap.to_pandas()["buoy_id"]))
        erddap = client(address, "readings", **{"time>=": "2026-01-01"})
        erddap.variables = ["reef_id"]
        found.append(list(erddap.to_pandas(distinct=True)["reef_id"]))
        return found

    async with served(bench) as address:
        found = await asyncio.to_thread(read, address)
    assert [["b1", "b2", "b1"], ["b1", "b2", "b1"], ["b2", "b2"], ["b1", "b1"], ["b2", "b2"], ["north-wall"]] == found


async def test_erddapy_finds_variables_and_datasets(bench: Bench, samples: type[Samples]) -> None:
    await filled(bench, samples)

    def read(address: str) -> tuple[list[str], list[str], list[str]]:
        erddap = client(address, "readings")
        times = erddap.get_var_by_attr(dataset_id="readings", axis="T")
        temperatures = erddap.get_var_by_attr(dataset_id="readings", standard_name=SEA_WATER_TEMPERATURE)
        search = erddap.get_search_url(search_for="heat", response="csv")
        return times, temperatures, list(pd.read_csv(search)["Dataset ID"])

    async with served(bench) as address:
        times, temperatures, found = await asyncio.to_thread(read, address)
    assert (["time"], [SEA_WATER_TEMPERATURE], ["heat", "alerts"]) == (times, temperatures, found)


async def test_erddapy_shows_our_errors(bench: Bench, samples: type[Samples]) -> None:
    await filled(bench, samples)

    def read(address: str) -> None:
        client(address, "readings", **{"depth>": 3}).to_pandas()

    async with served(bench) as address:
        with pytest.raises(OSError, match="there is no such variable"):
            await asyncio.to_thread(read, address)


async def test_pandas_reads_csv_and_csvp_with_missing_values_and_times(bench: Bench, samples: type[Samples]) -> None:
    await filled(bench, samples)

    def read(address: str) -> list[pd.DataFrame]:
        asked = f"{address}/tabledap/readings.%s?time,{SEA_WATER_TEMPERATURE},sea_water_temperature_fault"
        return [
            pd.read_csv(asked % "csvp", parse_dates=[0]).set_axis(["time", "t", "fault"], axis="columns"),
            pd.read_csv(asked % "csv", skiprows=[1], parse_dates=[0]).set_axis(["time", "t", "fault"], axis="columns"),
        ]

    async with served(bench) as address:
        tables = await asyncio.to_thread(read, address)
    for table in tables:
        assert [28.5, 28.25, 31.0] == list(table["t"].dropna())
        assert 1 == table["t"].isna().sum()
        assert pd.Timestamp(samples.START) == table["time"].max()


async def test_answer_that_breaks_off_looks_whole_to_nobody(bench: Bench, samples: type[Samples]) -> None:
    """What has begun has no place for an error: the connection ends before the answer does."""
    for start in range(0, 4000, 400):
        await bench.readings(*(samples.reading(-minute, t=20.0) for minute in range(start, start + 400)))
    fetch, pages = bench.store.fetch, 0

    async def slower(sql: str, parameters: Any = ()) -> Any:
        nonlocal pages
        pages += "FROM readings" in sql
        if pages > 2:
            await asyncio.Event().wait()  # until the time is up
        return await fetch(sql, parameters)

    class Slower:
        """The store, which stops to answer after two pages."""

    Slower.fetch = staticmethod(slower)  # type: ignore[attr-defined]  # the part of it that is used
    bench.store = Slower()  # type: ignore[assignment]  # likewise
    async with served(bench, downloads=DownloadLimits(seconds=1.0)) as address, httpx.AsyncClient() as visitor:
        with pytest.raises(httpx.RemoteProtocolError):
            await visitor.get(f"{address}/tabledap/readings.csv?time")
    assert 0 == bench.downloads.under_way


async def test_visitor_who_leaves_ends_the_download(bench: Bench, samples: type[Samples]) -> None:
    for start in range(0, 4000, 400):
        await bench.readings(*(samples.reading(-minute, t=20.0) for minute in range(start, start + 400)))
    fetch, gone = bench.store.fetch, asyncio.Event()

    class Watched:
        """The store; a query that is given up says so."""

        async def fetch(self, sql: str, parameters: Any = ()) -> Any:
            if "FROM readings" in sql and parameters[3] > 0:  # the second page
                try:
                    await asyncio.Event().wait()
                finally:
                    gone.set()
            return await fetch(sql, parameters)

    bench.store = Watched()  # type: ignore[assignment]  # the part of it that is used
    async with served(bench) as address, httpx.AsyncClient() as visitor:
        async with visitor.stream("GET", f"{address}/tabledap/readings.csv?time") as answer:
            async for _ in answer.aiter_bytes():
                break
        async with asyncio.timeout(60):
            await gone.wait()
    assert 0 == bench.downloads.under_way
