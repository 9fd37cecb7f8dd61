"""What the dashboard counts."""

from typing import Final

from reefmesh.observability.table.rows import Counter, Gauge, Label

REQUESTS_REFUSED: Final = Counter(
    name="reefmesh_dashboard_requests_refused_total",
    unit="events",
    help="Requests that were not answered because their address had too many in five minutes.",
)

LISTENERS: Final = Gauge(
    name="reefmesh_dashboard_listeners",
    unit="events",
    help="Open streams of changes: pages that follow, and programs.",
)
LISTENERS_REFUSED: Final = Counter(
    name="reefmesh_dashboard_listeners_refused_total",
    unit="events",
    help="Streams that were refused: too many are open in all, or from one address.",
    labels=(Label("why", values=("all", "address")),),
)
CHANGES_SENT: Final = Counter(
    name="reefmesh_dashboard_changes_sent_total",
    unit="events",
    help="Changed reefs that were sent, once for each stream.",
)
RELOADS_SENT: Final = Counter(
    name="reefmesh_dashboard_reloads_sent_total",
    unit="events",
    help="Streams that were told to read everything anew, because more changed than one of them holds.",
)
DOWNLOADS_REFUSED: Final = Counter(
    name="reefmesh_dashboard_downloads_refused_total",
    unit="events",
    help="Downloads of open data that were refused or broken off: too many at once, too long, too large a temporary file.",
    labels=(Label("why", values=("all", "time", "size")),),
)
