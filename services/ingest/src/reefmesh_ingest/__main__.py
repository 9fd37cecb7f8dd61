"""``python -m reefmesh_ingest``: the ingest service as a process of its own."""

import sys

from reefmesh.service.command import run_service
from reefmesh_ingest.bootstrap import blueprint
from reefmesh_ingest.settings import IngestSettings


def main() -> int:
    """Run the service; return the exit code."""
    return run_service(IngestSettings, blueprint, description="Decode telemetry, control its quality, publish readings.")


if __name__ == "__main__":
    sys.exit(main())
