"""What a new service costs: its package and one entry in a list of services. Here both are made up on the spot."""

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels, services
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh.contracts.services import SERVICES, ServiceEntry
from reefmesh.errors import ConfigurationError
from reefmesh.observability.http import pages, serve
from reefmesh.service.program import load_program
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_ingest.settings import IngestSettings
from reefmesh_standalone.commands.service_table import ServiceLine, service_lines
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import open_mesh, open_stores

TIDE = ServiceEntry(
    name="tide",
    package="reefmesh_tide",
    description="Count what is published about each reef.",
    consumes=(channels.READINGS, channels.SCORES),
)
WITH_TIDE = (*SERVICES, TIDE)
PACKAGE = {
    "__init__.py": "",
    "settings.py": """
from typing import ClassVar

from pydantic import Field

from reefmesh.settings import ServiceSettings


class TideSettings(ServiceSettings):
    SECTION: ClassVar[str] = "tide"

    store_url: str = Field(default="sqlite://", description="a database's address; unset: in memory, for one run")
    greeting: str = Field(default="hello", description="a word")
""",
    "handler.py": """
import json

from reefmesh.service.handler import Change


class Counting:
    def __init__(self, channel):
        self.name = channel.name

    async def load(self, reef_id, state):
        return json.loads(state) if state else {}

    def dump(self, state):
        return json.dumps(state).encode()

    async def handle(self, message, state):
        return Change(state=state | {self.name: state.get(self.name, 0) + 1})
""",
    "bootstrap.py": """
import json

from starlette.responses import JSONResponse
from starlette.routing import Route

from reefmesh.contracts import channels
from reefmesh.contracts.services import ServiceEntry
from reefmesh.service.assembly import Blueprint
from reefmesh.service.program import Program
from reefmesh_tide.handler import Counting
from reefmesh_tide.settings import TideSettings

TIDE = ServiceEntry(  # a service of the real list imports its entry
    name="tide",
    package="reefmesh_tide",
    description="Count what is published about each reef.",
    consumes=(channels.READINGS, channels.SCORES),
)


def blueprint(settings):
    def routes(parts):
        async def page(request):
            row = await parts.store.load(request.path_params["reef"])
            return JSONResponse({"greeting": settings.greeting, "counts": json.loads(row.state or b"{}")})

        return [Route("/tide/{reef}", page)]

    handlers = {each: (lambda parts, channel=each.channel: Counting(channel)) for each in TIDE.subscriptions}
    return Blueprint(name=TIDE.name, handlers=handlers, routes=routes)


PROGRAM = Program(entry=TIDE, settings=TideSettings, blueprint=blueprint)
""",
}


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The service's package, importable for one test."""
    folder = tmp_path / "installed" / TIDE.package
    folder.mkdir(parents=True)
    for name, source in PACKAGE.items():
        (folder / name).write_text(source)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield
    for name in [each for each in sys.modules if each.partition(".")[0] == TIDE.package]:
        del sys.modules[name]


def settings_file(folder: Path, text: str) -> Path:
    file = folder / "reefmesh.toml"
    file.write_text(text)
    return file


def report(number: int) -> Publication:
    now = datetime.now(UTC)
    reading = {
        "observed_at": (now - timedelta(minutes=20 - number)).isoformat(),
        "channels": {"sea_water_temperature": 29.3},
    }
    body = {"schema": TELEMETRY_1, "buoy_id": "agent-1", "seq": number, "sent_at": now.isoformat(), "readings": [reading]}
    message = Envelope(
        event_id=f"report-{number}",
        reef_id="atoll",
        schema_id=TELEMETRY_1,
        produced_at=now,
        body=json.dumps(body).encode(),
        headers={"device": "agent-1", "received-at": now.isoformat()},
    )
    return Publication(channel=channels.TELEMETRY.name, message=message)


async def test_new_service_runs_in_the_mesh_with_its_settings_its_pages_and_its_line_of_status(tmp_path: Path) -> None:
    home = Home(path=tmp_path / "home")
    config = settings_file(tmp_path, "lanes = 3\n[tide]\ngreeting = 'ahoy'\n")
    stop, ended = asyncio.Event(), asyncio.Event()
    async with open_mesh(home, clock=SystemClock(), config=config, services=WITH_TIDE) as mesh:
        reef = ReefEntry(id="atoll", name="Atoll", latitude_degrees=-8.1, longitude_degrees=114.5, mmm_celsius=28.0)
        await Register(mesh.stores[services.INGEST]).upsert(reefs=[reef], buoys=[BuoyEntry(id="agent-1", reef="atoll")])
        running = asyncio.create_task(mesh.run(stop))
        await mesh.broker.publish([report(number) for number in range(1, 6)])
        assert await mesh.until_idle(stop=stop, ended=ended)
        app = pages(mesh.healths, mesh.metrics, routes=mesh.routes)
        async with serve(app) as address, httpx.AsyncClient(base_url=address.url) as client:
            own, health, metrics = [(await client.get(path)) for path in ("/tide/atoll", "/health", "/metrics")]
        stop.set()
        await running
    assert {"greeting": "ahoy", "counts": {"reef.readings": 5, "reef.scores": 5}} == own.json()
    assert [each.name for each in WITH_TIDE] == list(health.json()["services"])
    assert 'reefmesh_messages_received_total{service="tide",subscription="tide@reef.scores"} 5.0' in metrics.text
    async with open_stores(home, services=WITH_TIDE) as stores:
        lines = await service_lines(stores)
    assert [ServiceLine(service=each.name, reefs=int(bool(each.consumes)), outputs_waiting=0) for each in WITH_TIDE] == lines


def test_section_of_a_new_service_is_accepted_in_the_one_file_and_a_misspelt_one_is_not(tmp_path: Path) -> None:
    """By every program that reads the file, whichever service it is."""
    program = load_program(TIDE)
    assert TIDE == program.entry
    tide: Any = program.settings
    given = {"broker_url": "embedded://", "store_url": "sqlite://"}
    right = settings_file(tmp_path, "[tide]\ngreeting = 'ahoy'\nlanes = 2\n[ingest]\nlanes = 5\n")
    mine = tide.load(environment={}, config=right, overrides=given, services=WITH_TIDE)
    ingest = IngestSettings.load(environment={}, config=right, overrides=given, services=WITH_TIDE)
    assert ("ahoy", 2, 5) == (mine.greeting, mine.lanes, ingest.lanes)
    for text, complaint in (
        ("[tied]\nlanes = 2\n", r"unknown setting tied in .*; is tide meant\?"),
        ("[tide]\ngreting = 'ahoy'\n", r"unknown setting greting under \[tide\] in .*; is greeting meant\?"),
    ):
        with pytest.raises(ConfigurationError, match=complaint):
            tide.load(environment={}, config=settings_file(tmp_path, text), overrides=given, services=WITH_TIDE)
    with pytest.raises(ConfigurationError, match="unknown setting tide"):
        IngestSettings.load(environment={}, config=right, overrides=given)


async def test_new_service_without_a_database_of_its_own_leaves_nothing_behind(tmp_path: Path) -> None:
    home, storeless, stop = Home(path=tmp_path / "home"), replace(TIDE, has_database=False), asyncio.Event()
    async with open_mesh(home, clock=SystemClock(), services=(*SERVICES, storeless)) as mesh:
        running = asyncio.create_task(mesh.run(stop))
        assert await mesh.until_idle(stop=stop, ended=asyncio.Event())
        stop.set()
        await running
        assert set(SERVICES) == set(mesh.stores)
    assert {f"{each}.db" for each in SERVICES} == {file.name for file in home.path.glob("*.db")} - {"journal.db"}


async def test_service_whose_package_is_not_installed_is_an_operators_mistake_in_one_line(tmp_path: Path) -> None:
    missing = replace(TIDE, name="ebb", package="reefmesh_ebb")
    with pytest.raises(ConfigurationError, match="the service ebb is not installed here; install its package reefmesh_ebb"):
        async with open_mesh(Home(path=tmp_path), clock=SystemClock(), services=(*SERVICES, missing)):
            pass


@pytest.mark.parametrize("entry", SERVICES, ids=str)
def test_program_of_a_service_is_what_the_list_says_of_it(entry: ServiceEntry) -> None:
    program = load_program(entry)
    settings = program.settings.load(environment={}, overrides={"broker_url": "embedded://", "store_url": "sqlite://"})
    blueprint = program.blueprint(settings)
    assert (entry, entry.name, entry.name) == (program.entry, program.settings.SECTION, blueprint.name)
    assert entry.subscriptions == blueprint.subscriptions
    assert program.migrations == blueprint.migrations
    assert entry.has_database == bool(program.migrations)
