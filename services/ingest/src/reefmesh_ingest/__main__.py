"""``python -m reefmesh_ingest``: the ingest service as a process of its own."""

import sys

from reefmesh.observability.health_check import check_health, is_asked_for


def main() -> int:
    """Run the service, or ask the one that runs how it is; return the exit code."""
    if is_asked_for(sys.argv[1:]):
        return check_health("ingest", sys.argv[1:])
    from reefmesh.service.command import run_service
    from reefmesh_ingest.bootstrap import blueprint
    from reefmesh_ingest.settings import IngestSettings

    return run_service(IngestSettings, blueprint, description="Decode telemetry, control its quality, publish readings.")


if __name__ == "__main__":
    sys.exit(main())
