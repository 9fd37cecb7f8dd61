"""``python -m reefmesh_alerts``: the alerts service as a process of its own."""

import sys

from reefmesh.service.command import run_service
from reefmesh_alerts.bootstrap import blueprint
from reefmesh_alerts.settings import AlertsSettings


def main() -> int:
    """Run the service; return the exit code."""
    return run_service(AlertsSettings, blueprint, description="Watch the scores, keep episodes, tell people.")


if __name__ == "__main__":
    sys.exit(main())
