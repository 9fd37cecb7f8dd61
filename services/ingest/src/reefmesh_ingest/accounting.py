"""The accounting that leaves no message and no reading unexplained.

The arithmetic. Every message leaves one receipt; a replay out of quarantine leaves another one of the same ``origin`` and
takes over its count, so exactly one receipt of each origin is ``counted``. Over counted receipts:

* messages: received = accepted + duplicates + quarantined. A message is accepted when at least one of its readings was
  used, else a duplicate when at least one was known already, else quarantined; it is also quarantined when it had values of
  which none could be read, although the device's own status in it was used.
* readings: received = new + merged + duplicates + quarantined. New made a row, merged completed or corrected one. A message
  that could not be decoded counts as one reading, because nobody knows how many it held.

Two sums are checked against other tables: ``new`` equals the rows of ``readings`` that are not withdrawn, and ``quarantined``
equals the readings that open quarantine entries stand for, those that were only counted because the quota of quarantine was
used up (``folded``), and those whose entries were removed for their age or discarded by an operator.
"""

from dataclasses import dataclass

from reefmesh.store.port import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """received = accepted + duplicates + quarantined; ``unexplained`` is what is left over, always 0."""

    received: int
    accepted: int
    duplicates: int
    quarantined: int

    @property
    def unexplained(self) -> int:
        return self.received - self.accepted - self.duplicates - self.quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """``stored_readings`` and ``readings_in_open_quarantine`` come from other tables than the tallies. ``discrepancies`` names
    each sum that does not agree (empty: all is explained). ``channels_quarantined`` counts single values of open entries.
    """

    messages: Tally
    readings: Tally
    readings_new: int
    readings_merged: int
    replays: int
    stored_readings: int
    readings_in_open_quarantine: int
    readings_folded: int
    readings_removed: int
    messages_folded: int
    entries_removed: int
    channels_quarantined: int
    quarantine_entries_open: int

    @property
    def discrepancies(self) -> tuple[str, ...]:
        found = []
        if self.messages.unexplained:
            found.append(f"{self.messages.unexplained} messages are unexplained")
        if self.readings.unexplained:
            found.append(f"{self.readings.unexplained} readings are unexplained")
        if self.stored_readings != self.readings_new:
            found.append(f"{self.stored_readings} readings are stored, {self.readings_new} were counted as new")
        open_, counted = self.readings_in_open_quarantine, self.readings.quarantined
        if open_ + self.readings_folded + self.readings_removed != counted:
            gone = f"{self.readings_folded} were only counted, {self.readings_removed} were removed"
            found.append(f"{open_} readings are in open quarantine entries, {gone}, {counted} were counted as quarantined")
        return tuple(found)


async def accounting(store: Store) -> Accounting:
    """Add everything up. Exact when nothing is being handled at the same time; costs a scan of the receipts."""
    rows = await store.fetch(
        "SELECT outcome, COUNT(*), SUM(readings_received), SUM(readings_new), SUM(readings_merged), SUM(readings_duplicate),"
        " SUM(readings_quarantined), SUM(folded_readings), SUM(removed_readings), SUM(removed_entries), COUNT(folded)"
        " FROM receipts WHERE counted = 1 GROUP BY outcome"
    )
    messages = {row[0]: int(row[1]) for row in rows}
    received, new, merged, duplicates, quarantined, folded, removed, entries_removed, messages_folded = (
        sum(int(row[column]) for row in rows) for column in range(2, 11)
    )
    replays = await store.fetch("SELECT COUNT(*) FROM receipts WHERE counted = 0")
    origins = await store.fetch("SELECT COUNT(*) FROM receipts WHERE replay_of IS NULL")
    stored = await store.fetch("SELECT COUNT(*) FROM readings WHERE withdrawn = 0")
    entries = await store.fetch("SELECT scope, COUNT(*), SUM(readings) FROM quarantine WHERE status = 'open' GROUP BY scope")
    held = {row[0]: int(row[2]) for row in entries}
    return Accounting(
        messages=Tally(
            received=int(origins[0][0]),
            accepted=messages.get("accepted", 0),
            duplicates=messages.get("duplicate", 0),
            quarantined=messages.get("quarantined", 0),
        ),
        readings=Tally(received=received, accepted=new + merged, duplicates=duplicates, quarantined=quarantined),
        readings_new=new,
        readings_merged=merged,
        replays=int(replays[0][0]),
        stored_readings=int(stored[0][0]),
        readings_in_open_quarantine=held.get("message", 0) + held.get("reading", 0),
        readings_folded=folded,
        readings_removed=removed,
        messages_folded=messages_folded,
        entries_removed=entries_removed,
        channels_quarantined=held.get("channel", 0),
        quarantine_entries_open=sum(int(row[1]) for row in entries),
    )
