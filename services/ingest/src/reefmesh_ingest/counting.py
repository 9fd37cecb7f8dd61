"""The metrics of ingest's handler."""

from reefmesh.clock import Clock
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh_ingest.domain.decode.values import us_of
from reefmesh_ingest.writing import Written


class Counting:
    """``metrics`` None: nothing is counted (a service in a test)."""

    def __init__(self, *, clock: Clock, metrics: Metrics | None) -> None:
        self._clock = clock
        self._metrics = metrics

    def lag(self, reef_id: str, newest_us: int | None) -> None:
        """Set how old the newest reading of a reef's buoy is."""
        if self._metrics is not None and newest_us is not None:
            self._metrics.set(table.READING_LAG_SECONDS, (us_of(self._clock.now()) - newest_us) / 1e6, reef_id)

    def count(self, written: Written) -> None:
        """Count a message that is safe in the store."""
        if self._metrics is None:
            return
        receipt = written.receipt
        counted = {
            "accepted": receipt.readings_new + receipt.readings_merged,
            "duplicate": receipt.readings_duplicate,
            "quarantined": receipt.readings_quarantined,
        }
        for outcome, readings in counted.items():
            if readings:
                self._metrics.count(table.READINGS, outcome, amount=readings)
        for part in written.refused:
            self._metrics.count(table.QUARANTINED, part.reason.value)
            if receipt.folded is not None:
                self._metrics.count(table.QUARANTINE_FOLDED, part.reason.value)
