"""What the dashboard counts."""

from typing import Final

from reefmesh.observability.table.rows import Counter, Label

REQUESTS_REFUSED: Final = Counter(
    name="reefmesh_dashboard_requests_refused_total",
    unit="events",
    help="Requests that were not answered because their address had too many in five minutes.",
)
DOWNLOADS_REFUSED: Final = Counter(
    name="reefmesh_dashboard_downloads_refused_total",
    unit="events",
    help="Downloads of open data that were refused or broken off: too many at once, too long, too large a temporary file.",
    labels=(Label("why", values=("all", "time", "size")),),
)
