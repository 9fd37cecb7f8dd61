"""``python -m reefmesh_dashboard``: the dashboard as a process of its own."""

import sys

from reefmesh.observability.health_check import check_health, is_asked_for


def main() -> int:
    """Run the service, or check the health of the one that runs; return the exit code."""
    if is_asked_for(sys.argv[1:]):
        return check_health("dashboard", sys.argv[1:])
    from reefmesh.service.command import run_service
    from reefmesh_dashboard.bootstrap import PROGRAM

    return run_service(PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
