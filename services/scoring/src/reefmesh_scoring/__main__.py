"""``python -m reefmesh_scoring``: the scoring service as a process of its own."""

import sys

from reefmesh.observability.health_check import check_health, is_asked_for


def main() -> int:
    """Run the service, or ask the one that runs how it is; return the exit code."""
    if is_asked_for(sys.argv[1:]):
        return check_health("scoring", sys.argv[1:])
    from reefmesh.service.command import run_service
    from reefmesh_scoring.bootstrap import blueprint
    from reefmesh_scoring.settings import ScoringSettings

    return run_service(
        ScoringSettings, blueprint, description="Score every reef: heat stress, carbonate chemistry, dive conditions."
    )


if __name__ == "__main__":
    sys.exit(main())
