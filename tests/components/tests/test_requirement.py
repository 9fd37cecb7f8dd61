"""A missing component is a loud skip, or a failure where it is required."""

import os
import subprocess
import sys
from pathlib import Path

from reefmesh_components.requirement import required

TEST = """
import pytest
from reefmesh_components.requirement import ComponentMissing, give_up

@pytest.fixture
def database():
    try:
        raise ComponentMissing("postgresql", why="nothing here", command="make it so")
    except ComponentMissing as missing:
        give_up(missing)

def test_with_it(database):
    pass
"""


def run(folder: Path, require: str, *options: str) -> tuple[int, str]:
    """Run a test that needs a component nobody can provide, in a process of its own."""

    (folder / "test_component.py").write_text(TEST)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "reefmesh_components.plugin",
            "-q",
            "-c",
            "/dev/null",
            "--rootdir",
            str(folder),
            *options,
            str(folder),
        ],
        env={**os.environ, "REEFMESH_REQUIRE": require},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_missing_component_is_skipped_and_said_at_the_end(tmp_path: Path) -> None:
    code, output = run(tmp_path, "")
    assert code == 0
    assert "1 skipped" in output
    assert "NOT TESTED on a real component. no postgresql: nothing here; to provide it: make it so" in output


def test_what_several_test_processes_could_not_test_is_said_once_at_the_end(tmp_path: Path) -> None:
    code, output = run(tmp_path, "", "-n", "2")
    assert code == 0
    assert output.count("NOT TESTED on a real component. no postgresql: nothing here; to provide it: make it so") == 1


def test_missing_required_component_fails(tmp_path: Path) -> None:
    code, output = run(tmp_path, "activemq, PostgreSQL")
    assert code == 1
    assert "REEFMESH_REQUIRE requires postgresql" in output
    assert "make it so" in output


def test_unknown_component_stops_the_run_at_once(tmp_path: Path) -> None:
    code, output = run(tmp_path, "postgres")
    assert code == 4
    known = "activemq, amtool, chromium, namespaces, pgbouncer, postgresql, promtool"
    assert f"names unknown components postgres; known: {known}" in output


def test_nothing_is_required_by_default() -> None:
    assert required({}) == frozenset()
