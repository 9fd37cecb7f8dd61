"""What ingest counts, and what its quarantine holds."""

from typing import Final

from reefmesh.observability.table.labels import REASON, REEF
from reefmesh.observability.table.rows import Counter, Gauge, Label

READINGS: Final = Counter(
    name="reefmesh_readings_total",
    unit="readings",
    labels=(Label("outcome", values=("accepted", "duplicate", "quarantined")),),
    help="Readings received, by what became of them; the three add up to all.",
)
QUARANTINED: Final = Counter(
    name="reefmesh_quarantined_total",
    unit="events",
    labels=(REASON,),
    help="Quarantine entries: messages, readings or single values that could not be understood.",
)
QUARANTINE_FOLDED: Final = Counter(
    name="reefmesh_quarantine_folded_total",
    unit="events",
    labels=(REASON,),
    help="Of the quarantine entries those that were only counted, because the quota of their device or of all was used up.",
)
QUARANTINE_REMOVED: Final = Counter(
    name="reefmesh_quarantine_removed_total",
    unit="messages",
    help="Messages whose quarantine entries were removed for their age, or were replayed and made room.",
)
QUARANTINE_ENTRIES: Final = Gauge(
    name="reefmesh_quarantine_entries", unit="events", help="Entries that quarantine holds, replayed ones included."
)
QUARANTINE_ENTRIES_LIMIT: Final = Gauge(
    name="reefmesh_quarantine_entries_limit", unit="events", help="Entries that quarantine may hold."
)
QUARANTINE_BYTES: Final = Gauge(
    name="reefmesh_quarantine_bytes", unit="bytes", help="Bytes of the payloads, headers and examples that quarantine holds."
)
QUARANTINE_BYTES_LIMIT: Final = Gauge(
    name="reefmesh_quarantine_bytes_limit", unit="bytes", help="Bytes that quarantine may hold."
)
READING_LAG_SECONDS: Final = Gauge(
    name="reefmesh_reading_lag_seconds",
    unit="seconds",
    labels=(REEF,),
    help="From the observation to the handling of a reef's newest reading, when it was handled.",
)
