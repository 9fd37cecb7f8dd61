"""What the tests of the command share."""

from pathlib import Path

import pytest

from reefmesh_components.reefmesh_command import ReefmeshCommand


@pytest.fixture
def reefmesh(tmp_path: Path) -> ReefmeshCommand:
    """The command on an empty home, with a temporary folder of its own."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return ReefmeshCommand(home=tmp_path / "home", environment={"TMPDIR": str(scratch)})
