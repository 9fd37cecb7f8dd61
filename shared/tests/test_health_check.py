"""``--check-health``: what a container's health check says and exits with, asked of real pages."""

import asyncio
import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from reefmesh.observability.health import Check, Health
from reefmesh.observability.health_check import check_health, is_asked_for, where
from reefmesh.observability.http import pages, serve
from reefmesh.observability.progress import Progress
from reefmesh.settings import ServiceSettings

LIVE, READY = ["--check-health"], ["--check-health=ready"]


class ScoringSettings(ServiceSettings):
    SECTION = "scoring"


async def asked(health: Health, *command_lines: list[str]) -> list[tuple[int, str]]:
    """Serve the pages of this health; return exit code and line of each command line."""
    answers = []
    async with serve(pages([health], [])) as address:
        for arguments in command_lines:
            said = io.StringIO()
            environment = {"REEFMESH_HTTP_PORT": str(address.port)}
            code = await asyncio.to_thread(check_health, "scoring", arguments, environment=environment, output=said)
            answers.append((code, said.getvalue()))
    return answers


async def test_service_that_is_well_is_live_and_ready() -> None:
    assert [(0, "scoring: live\n"), (0, "scoring: ready\n")] == await asked(Health("scoring", Progress()), LIVE, READY)


async def test_service_without_its_store_is_live_and_not_ready() -> None:
    """A database that is away is not mended by starting every container again."""
    health = Health("scoring", Progress())

    async def store() -> Check:
        return Check(name="store", status="failing", reason="connection\nrefused")

    health.add("store", store)
    assert await asked(health, LIVE, READY, ["--check-health", "ready"]) == [
        (0, "scoring: live\n"),
        (1, "scoring: not ready: store: connection refused\n"),
        (1, "scoring: not ready: store: connection refused\n"),
    ]


async def test_service_whose_lane_is_stuck_is_not_live() -> None:
    seconds = 0.0
    progress = Progress(stall_after_seconds=60, now=lambda: seconds)
    progress.received("scoring@reef.readings", 0, reef_id="atoll", event_id="e1")
    seconds = 61.0
    ((code, line),) = await asked(Health("scoring", progress), LIVE)
    assert (code, line.startswith("scoring: not live: progress: 1 in flight")) == (1, True)


def test_nobody_on_the_port_is_not_live() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = io.StringIO()
    assert check_health("scoring", LIVE, environment={"REEFMESH_HTTP_PORT": str(port)}, output=said) == 1
    assert said.getvalue().startswith(f"scoring: not live: 127.0.0.1:{port}: ")


@pytest.mark.parametrize("port", ["0", "no", "70000"])
def test_port_that_is_not_fixed_is_an_operators_mistake_in_one_line(port: str) -> None:
    said = io.StringIO()
    assert check_health("scoring", LIVE, environment={"REEFMESH_HTTP_PORT": port}, output=said) == 78
    assert f"REEFMESH_HTTP_PORT is '{port}'; set it to a port from 1 to 65535\n" in said.getvalue()


def test_unknown_kind_is_an_operators_mistake_in_one_line() -> None:
    said = io.StringIO()
    assert check_health("scoring", ["--check-health=green"], environment={}, output=said) == 78
    assert said.getvalue() == "scoring: --check-health=green is not known; say live or ready\n"


@pytest.mark.parametrize(
    ("environment", "file"),
    [
        ({}, ""),
        ({"REEFMESH_HTTP_PORT": "9001"}, "http_port = 9002\n"),
        ({"REEFMESH_HTTP_PORT": "9001", "REEFMESH_SCORING_HTTP_PORT": "9003"}, ""),
        ({"reefmesh_http_port": "9001"}, ""),
        ({}, "http_port = 9002\n[scoring]\nhttp_port = 9004\n"),
        ({}, "http_port = 9002\n[ingest]\nhttp_port = 9005\n"),
        ({"REEFMESH_HTTP_PORT": "9001"}, "[scoring]\nhttp_port = 9004\nhttp_host = '::1'\n"),
    ],
)
def test_pages_are_found_where_the_settings_put_them(environment: dict[str, str], file: str, tmp_path: Path) -> None:
    """The check reads the settings in its own, quick way: it must not come to another answer than the service."""
    config = tmp_path / "reefmesh.toml"
    config.write_text(file, encoding="utf-8")
    settings = ScoringSettings.load(
        environment=environment, config=config, overrides={"broker_url": "embedded://", "store_url": "sqlite:////tmp/s.db"}
    )
    assert where("scoring", environment, config=config) == (settings.http_host, settings.http_port)


@pytest.mark.parametrize(("listens", "asked_at"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])  # noqa: S104 - nobody listens
def test_service_on_all_addresses_is_asked_on_the_loopback(listens: str, asked_at: str) -> None:
    assert where("scoring", {"REEFMESH_HTTP_HOST": listens}) == (asked_at, 8080)


def test_other_command_lines_are_the_services_own() -> None:
    assert [False, False, True, True] == [is_asked_for(each) for each in ([], ["--check"], LIVE, READY)]


def test_check_loads_nothing_but_the_standard_library_and_itself() -> None:
    """It runs every few seconds on machines with a quarter of a processor."""
    program = (
        "import sys; before = set(sys.modules); import reefmesh.observability.health_check;"
        " new = {name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names);"
        " print(sorted(new))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['reefmesh']\n"
