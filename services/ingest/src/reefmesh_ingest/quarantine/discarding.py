"""An operator deletes entries for good: they stay counted in the receipts as removed."""

from collections.abc import Sequence
from typing import Final

from reefmesh.store.port import Store, Write
from reefmesh_ingest.quarantine.stored import StoredEntry, fetch_entry

# The first statement locks what a replay that is handled at the same time would close.
_MARK: Final = "UPDATE quarantine SET status = 'removed' WHERE quarantine_id = ? AND status = 'open'"
_NOTE: Final = (
    "UPDATE receipts SET removed_entries = removed_entries"
    " + (SELECT COUNT(*) FROM quarantine WHERE quarantine.origin = receipts.origin AND status = 'removed'),"
    " removed_readings = removed_readings + (SELECT COALESCE(SUM(readings), 0) FROM quarantine"
    " WHERE quarantine.origin = receipts.origin AND status = 'removed' AND scope <> 'channel')"
    " WHERE origin = ? AND counted = 1"
)
# The message counts on its first entry: another one takes that over, so that the quota stays right.
_TAKE_OVER: Final = (
    "UPDATE quarantine SET stored_bytes = stored_bytes + (SELECT COALESCE(SUM(gone.stored_bytes - LENGTH(gone.example)"
    " - LENGTH(gone.detail)), 0) FROM quarantine AS gone WHERE gone.origin = quarantine.origin AND gone.status = 'removed')"
    " WHERE quarantine_id = (SELECT MIN(kept.quarantine_id) FROM quarantine AS kept WHERE kept.origin = ?"
    " AND kept.status <> 'removed')"
)
_DELETE: Final = "DELETE FROM quarantine WHERE origin = ? AND status = 'removed'"
_DELETE_MESSAGE: Final = (
    "DELETE FROM quarantine_message WHERE origin = ? AND NOT EXISTS (SELECT 1 FROM quarantine"
    " WHERE quarantine.origin = quarantine_message.origin)"
)


async def discard(store: Store, entries: Sequence[StoredEntry]) -> int:
    """Delete these entries as far as they are still open, and messages that have none left; return how many were deleted.

    Each message is one transaction: after an interruption the same call goes on. Raises StoreUnavailable.
    """
    by_origin: dict[str, list[str]] = {}
    for entry in entries:
        by_origin.setdefault(entry.origin, []).append(entry.quarantine_id)
    for origin, quarantine_ids in by_origin.items():
        marks = [Write(_MARK, (each,)) for each in quarantine_ids]
        await store.write([*marks, *(Write(text, (origin,)) for text in (_NOTE, _TAKE_OVER, _DELETE, _DELETE_MESSAGE))])
    left = [await fetch_entry(store, entry.quarantine_id) for entry in entries]
    return left.count(None)
