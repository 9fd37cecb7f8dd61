"""``python -m reefmesh_alerts``: the alerts service as a process of its own."""

import sys

from reefmesh.observability.health_check import check_health, is_asked_for


def main() -> int:
    """Run the service, or ask the one that runs how it is; return the exit code."""
    if is_asked_for(sys.argv[1:]):
        return check_health("alerts", sys.argv[1:])
    from reefmesh.service.command import run_service
    from reefmesh_alerts.bootstrap import blueprint
    from reefmesh_alerts.settings import AlertsSettings

    return run_service(AlertsSettings, blueprint, description="Watch the scores, keep episodes, tell people.")


if __name__ == "__main__":
    sys.exit(main())
