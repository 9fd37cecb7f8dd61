"""Every service is installable with nothing but ``shared``: built, put into an empty environment, started, stopped."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reefmesh.contracts.services import EVERY_SERVICE

ROOT = Path(__file__).parents[2]
NAMES = [each.name for each in EVERY_SERVICE]
UV = Path(sys.executable).with_name("uv")
DEADLINE_SECONDS = 60.0
NETWORK_DOWN = re.compile(r"error sending request|dns error|Failed to fetch|timed out|connectivity is disabled", re.IGNORECASE)


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=cwd, text=True, capture_output=True, check=False)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Member -> its wheel, as it would be published: what the wheel lacks, the service lacks."""
    folder = tmp_path_factory.mktemp("wheels")

    def build(member: str) -> Path:
        # Built from a copy, so that nothing is written into the checkout.
        copy = folder / "source" / member
        shutil.copytree(ROOT / member, copy, ignore=shutil.ignore_patterns("__pycache__", "tests", "dist"))
        target = folder / "built" / member
        built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target, cwd=copy)
        assert built.returncode == 0, built.stderr
        (wheel,) = target.glob("*.whl")
        return wheel

    members = ["shared", *(f"services/{name}" for name in (*NAMES, "standalone"))]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(members, pool.map(build, members), strict=True))


def empty_environment(folder: Path, *wheels: Path) -> Path:
    """Return the Python of a new environment with these wheels and, by hash, what they declare; nothing else."""
    python = folder / "bin" / "python"
    made = run(UV, "--no-config", "venv", "--quiet", "--python", sys.executable, folder)
    assert made.returncode == 0, made.stderr
    install: list[str | Path] = [
        UV,
        "--no-config",
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--constraint",
        "constraints.txt",
        *wheels,
    ]
    installed = run(*install, "--offline")  # what uv has in its cache is enough, and quick
    if installed.returncode:
        installed = run(*install)
    if installed.returncode and NETWORK_DOWN.search(installed.stderr) and not os.environ.get("REEFMESH_REQUIRE"):
        pytest.skip("no package index can be reached and uv's cache does not hold the dependencies; connect, then run again")
    assert installed.returncode == 0, installed.stderr
    return python


def distributions(python: Path) -> set[str]:
    listed = run(UV, "--no-config", "pip", "freeze", "--python", python)
    assert listed.returncode == 0, listed.stderr
    return {line.partition("==")[0] for line in listed.stdout.splitlines() if "==" in line}


@contextmanager
def started(python: Path, service: str, home: Path) -> Iterator[tuple[subprocess.Popen[str], list[str], str]]:
    """Start a service on an embedded broker and SQLite; yields the process, its log so far, and the address of its pages."""
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "REEFMESH_BROKER_URL": f"embedded://{home}/broker",
        "REEFMESH_STORE_URL": f"sqlite:///{home}/{service}.db",
        "REEFMESH_HTTP_PORT": "0",
        "REEFMESH_LOG_FORMAT": "json",
    }
    process = subprocess.Popen(
        [str(python), "-I", "-m", f"reefmesh_{service}"], cwd=home, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    watchdog = threading.Timer(DEADLINE_SECONDS, process.kill)  # ends the reading below too
    watchdog.start()
    log: list[str] = []
    try:
        for line in process.stderr:
            log.append(line)
            if line.startswith("{") and json.loads(line)["event"] == "pages served":
                yield process, log, json.loads(line)["url"]
                return
        pytest.fail(f"{service} ended with {process.wait()} before it served its pages:\n{''.join(log)}")
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def page(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - the address is the service's own
        found: dict[str, Any] = json.load(answer)
    return found


@pytest.mark.parametrize("service", NAMES)
def test_service_with_nothing_but_shared_starts_answers_and_drains(
    service: str, wheels: dict[str, Path], tmp_path: Path
) -> None:
    python = empty_environment(tmp_path / "venv", wheels["shared"], wheels[f"services/{service}"])
    others = {f"reefmesh-{other}" for other in NAMES if other != service} | {"reefmesh"}
    assert distributions(python).isdisjoint(others)
    helped = run(python, "-I", "-m", f"reefmesh_{service}", "--help", cwd=tmp_path)
    assert (helped.returncode, "REEFMESH_BROKER_URL" in helped.stdout) == (0, True), helped.stderr
    with started(python, service, tmp_path / "home") as (process, log, address):
        health = page(f"{address}/health")
        assert (health["service"], health["status"]) == (service, "ok")
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0, "".join(log) + rest


@pytest.mark.parametrize("service", NAMES)
def test_service_without_settings_says_in_one_line_what_to_set(service: str, tmp_path: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-m", f"reefmesh_{service}"], cwd=tmp_path, env={}, text=True, capture_output=True, check=False
    )
    assert started.returncode == 78
    assert len(started.stderr.splitlines()) == 1
    assert "REEFMESH_BROKER_URL is not set" in started.stderr


def test_command_installs_from_wheels_and_tells_its_version(wheels: dict[str, Path], tmp_path: Path) -> None:
    python = empty_environment(tmp_path / "venv", *wheels.values())
    told = run(python.with_name("reefmesh"), "--version", cwd=tmp_path)
    assert (told.returncode, told.stdout.startswith("reefmesh ")) == (0, True), told.stderr


def test_everything_an_installation_pulls_is_pinned(wheels: dict[str, Path], tmp_path: Path) -> None:
    python = empty_environment(tmp_path / "venv", *wheels.values())
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE))
    ours = {wheel.name.split("-")[0].replace("_", "-") for wheel in wheels.values()}
    assert distributions(python) - pinned - ours == set(), "run `make lock`"
