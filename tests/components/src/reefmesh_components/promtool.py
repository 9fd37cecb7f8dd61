"""Prometheus' own checker of rules, expressions and pages."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from reefmesh_components.requirement import ComponentMissing

COMMAND: Final = "apt-get install prometheus (Debian, Ubuntu), or put promtool of a Prometheus release on the PATH"


def promtool() -> Path:
    """Return the program. Raises ComponentMissing."""
    found = shutil.which("promtool")
    if found is None:
        raise ComponentMissing("promtool", why="it is not on the PATH", command=COMMAND)
    return Path(found)


def run_promtool(*arguments: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run it, with ``given`` as its input. Raises ComponentMissing."""
    command = [str(promtool()), *(str(each) for each in arguments)]
    return subprocess.run(command, input=given, text=True, capture_output=True, check=False)
