"""``python -m reefmesh_standalone.simulator.late_service SERVICE FILE``: a service as it is, by the demonstration's clock.

The demonstration lives through its last days in a minute; services that run as processes of their own hear of its time through
a file.
"""

import sys
from pathlib import Path

from reefmesh.clock import SystemClock
from reefmesh.service.command import run_service
from reefmesh_alerts import bootstrap as alerts
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_ingest import bootstrap as ingest
from reefmesh_ingest.settings import IngestSettings
from reefmesh_scoring import bootstrap as scoring
from reefmesh_scoring.settings import ScoringSettings
from reefmesh_standalone.simulator.late_clock import ToldClock


def main() -> int:
    """Run the service; return the exit code."""
    service, file = sys.argv[1:]
    clock = ToldClock(SystemClock(), Path(file))
    said = f"The {service} service by a simulation's clock."
    match service:
        case "ingest":
            return run_service(IngestSettings, ingest.blueprint, description=said, arguments=[], clock=clock)
        case "scoring":
            return run_service(ScoringSettings, scoring.blueprint, description=said, arguments=[], clock=clock)
        case _:
            return run_service(AlertsSettings, alerts.blueprint, description=said, arguments=[], clock=clock)


if __name__ == "__main__":
    sys.exit(main())
