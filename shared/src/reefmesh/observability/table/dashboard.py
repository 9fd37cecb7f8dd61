"""What the dashboard counts."""

from typing import Final

from reefmesh.observability.table.rows import Counter

REQUESTS_REFUSED: Final = Counter(
    name="reefmesh_dashboard_requests_refused_total",
    unit="events",
    help="Requests that were not answered because their address had too many in five minutes.",
)
