"""The buoy to which a record belongs: one of the register, or one that stands for the records of a reef."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from reefmesh.errors import ConfigurationError
from reefmesh_ingest.domain.decode.values import us_of
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.records.mistake import mistake, shown
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.telemetry import interval_of
from reefmesh_standalone.records.times import iso

RECORDS_BEGIN_AT: Final = datetime(1900, 1, 1, tzinfo=UTC)
_NAME_CHARACTERS_LIMIT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """``buoy`` is not in the register yet if ``is_new``; its report interval is then the record's own."""

    reef: ReefEntry
    buoy: BuoyEntry
    is_new: bool = False

    def registered_with(self, record: FileRecord) -> BuoyEntry:
        """Return the entry of a new buoy that stands for the record."""
        seconds = round(interval_of(record) / timedelta(seconds=1))
        return self.buoy.model_copy(update={"report_interval_seconds": seconds})


def destination_of(register: Register, *, buoy_id: str | None, reef_id: str | None) -> Destination:
    """Find the buoy that ``--buoy`` names, or the one that stands for the records of ``--reef``.

    Raises:
        ConfigurationError: neither is stated, one is not registered, or the buoy's readings do not count there.
    """
    if buoy_id is None and reef_id is None:
        raise ConfigurationError("say whose record this is with --buoy or --reef; --dry-run alone needs neither")
    known = None if buoy_id is None else register.buoy(buoy_id)
    if buoy_id is not None and known is None:
        raise ConfigurationError(f"buoy {shown(buoy_id)} is not registered; 'reefmesh buoys set' registers it, or give --reef")
    if known is not None and reef_id is not None and known.entry.reef != reef_id:
        raise ConfigurationError(f"buoy {known.entry.id} is registered at reef {known.entry.reef}, not at {shown(reef_id)}")
    wanted = known.entry.reef if known is not None else str(reef_id)
    reef = register.reef(wanted)
    if reef is None:
        facts = "name=... latitude_degrees=... longitude_degrees=..."
        raise ConfigurationError(f"reef {shown(wanted)} is not registered; 'reefmesh reefs set REEF {facts}' registers it")
    stands_for = f"records-{reef.entry.id}"[:_NAME_CHARACTERS_LIMIT]
    known = known or register.buoy(stands_for)
    if known is None:
        entry = BuoyEntry(id=stands_for, reef=reef.entry.id, earliest_observed_at=RECORDS_BEGIN_AT)
        return Destination(reef=reef.entry, buoy=entry, is_new=True)
    if known.entry.reef != reef.entry.id:
        raise ConfigurationError(f"buoy {stands_for} is registered at reef {known.entry.reef}; name another one with --buoy")
    if not known.entry.deployed:
        raise ConfigurationError(f"buoy {known.entry.id} is registered as not deployed; its readings would not count")
    return Destination(reef=reef.entry, buoy=known.entry)


def refuse_too_early(path: Path, record: FileRecord, buoy: BuoyEntry) -> None:
    """Refuse a record that begins where the buoy's clock counts as broken.

    Raises:
        ConfigurationError: names the line and the setting.
    """
    first_us = record.observed_us[0]
    if first_us < us_of(buoy.earliest_observed_at):
        begins = f"{iso(first_us)} is before {buoy.earliest_observed_at:%Y-%m-%d}, where the times of buoy {buoy.id} begin"
        said_to = f"'reefmesh buoys set {buoy.id} earliest_observed_at={iso(first_us)}' lets them begin earlier"
        raise mistake(path, f"{begins}; {said_to}", line=record.lines[0])
