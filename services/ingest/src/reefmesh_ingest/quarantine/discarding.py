"""Entries that an operator discards: they keep their place in lists and books, and give up what takes room.

The refused value of each goes at once, and the message with its headers once no entry of it is open any more. Its length is
kept, so that it reads as one that was cut to nothing.
"""

from collections.abc import Iterable
from typing import Final

from reefmesh.store.port import Write

_MARK: Final = "UPDATE quarantine SET status = 'discarding' WHERE status = 'open' AND quarantine_id = ?"
_NOTE: Final = (
    "UPDATE receipts SET removed_entries = removed_entries"
    " + (SELECT COUNT(*) FROM quarantine WHERE quarantine.origin = receipts.origin AND status = 'discarding'),"
    " removed_readings = removed_readings + (SELECT COALESCE(SUM(readings), 0) FROM quarantine"
    " WHERE quarantine.origin = receipts.origin AND status = 'discarding' AND scope <> 'channel')"
    " WHERE counted = 1 AND origin IN (SELECT origin FROM quarantine WHERE status = 'discarding')"
)
_EMPTY_VALUES: Final = (
    "UPDATE quarantine SET stored_bytes = stored_bytes - LENGTH(example), example = ? WHERE status = 'discarding'"
)
_EMPTY_MESSAGES: Final = (
    "UPDATE quarantine_message SET payload_bytes = COALESCE(payload_bytes, LENGTH(payload)), payload = ?, headers_json = '{}'"
    " WHERE origin IN (SELECT origin FROM quarantine WHERE status = 'discarding') AND NOT EXISTS (SELECT 1 FROM quarantine"
    " WHERE quarantine.origin = quarantine_message.origin AND status = 'open')"
)
_MEASURE: Final = (
    "UPDATE quarantine SET stored_bytes = LENGTH(example) + LENGTH(detail)"
    " WHERE origin IN (SELECT origin FROM quarantine WHERE status = 'discarding') AND NOT EXISTS (SELECT 1 FROM quarantine"
    " AS other WHERE other.origin = quarantine.origin AND other.status = 'open')"
)
"""The message was part of what its first entry takes, whichever that was and whatever became of it."""

_DISCARD: Final = "UPDATE quarantine SET status = 'discarded' WHERE status = 'discarding'"


def discard_writes(quarantine_ids: Iterable[str]) -> list[Write]:
    """Return the statements that discard these entries as far as they are open, for one transaction. They stay, marked so,
    until they are removed for their age; the receipts note them, so the accounting stays exact."""
    return [
        *(Write(_MARK, (each,)) for each in quarantine_ids),
        Write(_NOTE, ()),
        Write(_EMPTY_VALUES, (b"",)),
        Write(_EMPTY_MESSAGES, (b"",)),
        Write(_MEASURE, ()),
        Write(_DISCARD, ()),
    ]
