"""What the store tells."""

from typing import Final

from reefmesh.observability.table.rows import Counter, Gauge

STORE_COMMITS: Final = Counter(
    name="reefmesh_store_commits_total", unit="events", help="Database transactions that were committed."
)
STORE_COMMIT_SECONDS: Final = Counter(
    name="reefmesh_store_commit_seconds_total",
    unit="seconds",
    help="Time that committed transactions took; divided by their number, what one takes.",
)
STORE_UNITS: Final = Counter(
    name="reefmesh_store_units_total",
    unit="units",
    help="Units of work committed; divided by the transactions, how many share one.",
)
STORE_FAILURES: Final = Counter(
    name="reefmesh_store_failures_total", unit="events", help="Transactions that failed; their units are tried again."
)
STORE_UNITS_WAITING: Final = Gauge(
    name="reefmesh_store_units_waiting", unit="units", help="Units of work that wait for a transaction."
)
