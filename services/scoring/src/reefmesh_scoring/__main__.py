"""``python -m reefmesh_scoring``: the scoring service as a process of its own."""

import sys

from reefmesh.service.command import run_service
from reefmesh_scoring.bootstrap import blueprint
from reefmesh_scoring.settings import ScoringSettings


def main() -> int:
    """Run the service; return the exit code."""
    return run_service(
        ScoringSettings, blueprint, description="Score every reef: heat stress, carbonate chemistry, dive conditions."
    )


if __name__ == "__main__":
    sys.exit(main())
