"""What the tests of the command share."""

from pathlib import Path

import pytest

from reefmesh_components.command_in_process import CommandInProcess
from reefmesh_components.reefmesh_command import ReefmeshCommand


@pytest.fixture
def reefmesh_process(tmp_path: Path) -> ReefmeshCommand:
    """The command on an empty home, with a temporary folder of its own; each call is a process."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return ReefmeshCommand(home=tmp_path / "home", environment={"TMPDIR": str(scratch)})


@pytest.fixture
def reefmesh(reefmesh_process: ReefmeshCommand) -> CommandInProcess:
    """The same, called in the tests' process: for what a command says and does, not for how its process starts and ends."""
    return CommandInProcess(home=reefmesh_process.home, environment={"COLUMNS": "100", **reefmesh_process.environment})
