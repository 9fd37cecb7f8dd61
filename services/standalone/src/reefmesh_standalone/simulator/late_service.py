"""``python -m reefmesh_standalone.simulator.late_service SERVICE FILE``: a service as it is, by the demonstration's clock.

The demonstration lives through its last days in a minute; services that run as processes of their own read its time from a
file.
"""

import sys
from pathlib import Path

from reefmesh.clock import SystemClock
from reefmesh.contracts.services import service_named
from reefmesh.service.command import run_service
from reefmesh.service.program import load_program
from reefmesh_standalone.simulator.late_clock import ToldClock


def main() -> int:
    """Run the service; return the exit code."""
    name, file = sys.argv[1:]
    return run_service(load_program(service_named(name)), arguments=[], clock=ToldClock(SystemClock(), Path(file)))


if __name__ == "__main__":
    sys.exit(main())
