"""The sites of a demonstration in a browser, until Ctrl-C; and no read model where nobody could look at it."""

import asyncio
import io
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from reefmesh.clock import SystemClock
from reefmesh.contracts.services import DASHBOARD
from reefmesh.errors import ConfigurationError
from reefmesh_standalone.commands.demo import demonstrate
from reefmesh_standalone.commands.demo_pages import USUAL_PORT, served_sites
from reefmesh_standalone.home import Home
from reefmesh_standalone.session import mesh_session
from reefmesh_standalone.simulator.fleet import demonstration
from reefmesh_standalone.simulator.late_clock import LateClock

ENDS_AT = datetime(2026, 11, 1, tzinfo=UTC)


class Said(io.StringIO):
    """What is written to standard error; ``stays`` is set once it is said how to end the command."""

    def __init__(self) -> None:
        super().__init__()
        self.stays = asyncio.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if "until Ctrl-C" in self.getvalue():
            self.stays.set()
        return written


@asynccontextmanager
async def shown(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Run a short demonstration with its pages; yield their address once it says that they are complete, then stop it."""
    said, stop = Said(), asyncio.Event()
    monkeypatch.setattr("sys.stderr", said)
    fleet = demonstration(ENDS_AT, days=3)
    place = Home(path=path, temporary=True)
    running = asyncio.create_task(
        demonstrate(place, LateClock(SystemClock()), None, fleet, stop, pages=True, port=0, as_json=True)
    )
    staying = asyncio.create_task(said.stays.wait())
    await asyncio.wait({running, staying}, return_when=asyncio.FIRST_COMPLETED)
    staying.cancel()
    if not running.done():
        address = re.search(r"http://\S+/(?= until)", said.getvalue())
        assert address is not None
        yield address[0]
    stop.set()
    await running


@pytest.mark.timeout(120)
async def test_sites_of_the_fleet_are_served_with_its_own_time_until_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shown(tmp_path, monkeypatch) as sites, httpx.AsyncClient(base_url=sites) as client:
        page = (await client.get("/")).text
        for name in ("Menjangan North", "Crystal Bay", "Tulamben"):
            assert name in page
        assert 'As of <time datetime="2026-11-01T00:' in page
        reefs = (await client.get("/api/v1/reefs")).json()["features"]
        assert {"menjangan-north", "crystal-bay"} < {reef["id"] for reef in reefs}
        readings = (await client.get("/api/v1/reefs/crystal-bay/readings")).json()["readings"]
        assert len(readings) > 10


async def test_usual_port_that_is_taken_is_another_one_and_a_named_port_is_a_mistake(tmp_path: Path) -> None:
    async with mesh_session(Home(path=tmp_path, temporary=True), clock=SystemClock(), pages=True) as session:
        assert session.mesh is not None
        with socket.socket() as taken:
            with suppress(OSError):  # another program has it: then it is taken, too
                taken.bind(("127.0.0.1", USUAL_PORT))
                taken.listen()
            async with served_sites(session.mesh, port=None) as sites, httpx.AsyncClient(base_url=sites) as client:
                assert f":{USUAL_PORT}/" not in sites
                assert (await client.get("/")).status_code == 200
            with pytest.raises(ConfigurationError, match="the port is in use"):
                async with served_sites(session.mesh, port=USUAL_PORT):
                    raise AssertionError("it was served")


@pytest.mark.parametrize(("temporary", "pages", "runs"), [(True, False, False), (True, True, True), (False, False, True)])
async def test_dashboard_runs_unless_its_home_is_deleted_before_anybody_looks(
    temporary: bool, pages: bool, runs: bool, tmp_path: Path
) -> None:
    async with mesh_session(Home(path=tmp_path, temporary=temporary), clock=SystemClock(), pages=pages) as session:
        assert session.mesh is not None
        assert runs == (DASHBOARD in session.mesh.services)
