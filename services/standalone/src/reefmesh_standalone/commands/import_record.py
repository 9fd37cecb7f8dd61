"""``reefmesh import``: a file of a logger, a server or a station into the mesh, after saying how it was understood."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.errors import ConfigurationError
from reefmesh_ingest.domain.quality import DEFAULT_LIMITS
from reefmesh_standalone.commands.context import (
    BrokerOption,
    ConfigOption,
    HomeOption,
    JsonOption,
    Outcome,
    StoreOption,
    home_of,
    people,
    print_json,
    refuse_unfinished,
    run,
)
from reefmesh_standalone.commands.import_report import flags_document, show_flags, show_understanding
from reefmesh_standalone.commands.progress import bars
from reefmesh_standalone.commands.reading import (
    ColumnOption,
    DateOrderOption,
    EncodingOption,
    FormatOption,
    TimezoneOption,
    UnitOption,
    WhereOption,
    options_of,
    read_beside,
)
from reefmesh_standalone.commands.register import open_register
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.home import Home
from reefmesh_standalone.importing.destination import Destination, destination_of, refuse_too_early
from reefmesh_standalone.importing.flags import FlagCounts, expected_flags, stored_flags
from reefmesh_standalone.importing.known import Difference, compare
from reefmesh_standalone.importing.sending import send_places
from reefmesh_standalone.records.mistake import mistake
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.times import iso
from reefmesh_standalone.session import mesh_session

KEPT: Final = "what was sent is kept; repeat the command to complete it."


def import_record(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The record.", show_default=False)],
    buoy: Annotated[str | None, typer.Option(help="Registered buoy that measured it.")] = None,
    reef: Annotated[
        str | None, typer.Option(help="Registered reef where it was measured; 'records-REEF' is then its buoy.")
    ] = None,
    file_format: FormatOption = None,
    column: ColumnOption = None,
    unit: UnitOption = None,
    timezone: TimezoneOption = None,
    date_order: DateOrderOption = None,
    where: WhereOption = None,
    encoding: EncodingOption = None,
    keep_stored: Annotated[
        bool,
        typer.Option("--keep-stored", help="Where the mesh has another value for an instant, keep that and send the rest."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show how the file is understood and what quality control would say.")
    ] = False,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a record: HOBOware and HOBOconnect CSV, ERDDAP csv and csvp, NDBC text, NOAA stations, CSV, what 'export' wrote.

    Nothing is guessed: a time without a zone, a date that may be two, a column or a unit that is not clear is asked for in one
    line. What is known already is not sent again, so an import that was interrupted is completed by repeating it.
    Exit code 0: everything is in the mesh; 1: some was quarantined; 78: something must be said first.

    Examples:
      reefmesh import logger.csv --dry-run
      reefmesh import logger.csv --reef amed-wall --timezone Asia/Makassar
      reefmesh import export.csv --buoy 867740030000003 --column "Temp A"=sea_water_temperature --unit "Temp A"=degF
      reefmesh import 41009.txt --reef canaveral
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        destination = None
        if buoy is not None or reef is not None or not dry_run:
            destination = await _destination(place, buoy_id=buoy, reef_id=reef)
        options = options_of(
            columns=column,
            units=unit,
            where=where,
            timezone=timezone,
            date_order=date_order,
            encoding=encoding,
            longitude_degrees=None if destination is None else destination.reef.longitude_degrees,
            reef_mmm_celsius=None if destination is None else destination.reef.mmm_celsius,
            corrected=() if destination is None else tuple(destination.buoy.corrections),
        )
        record = await read_beside(file, options, file_format=file_format, stop=stop, quiet=as_json)
        if destination is not None:
            refuse_too_early(file, record, destination.buoy)
        about = _about(file, record, destination, dry_run=dry_run)
        if not as_json:
            for note in about["notes"]:
                people.print(note)
        if destination is None or dry_run:
            flags = await asyncio.to_thread(_expected, record, destination)
            if as_json:
                print_json(about | {"quantities": flags_document(flags)})
                return
            show_understanding(file, record)
            show_flags("What quality control would say", flags)
            people.print("Nothing was sent.")
            return
        done = await _import(file, record, destination, place, config, stop, keep_stored=keep_stored, quiet=as_json)
        if as_json:
            print_json(about | done.document())
        else:
            done.show(record, destination)
        if done.quarantined:
            raise Outcome(1)

    run(main, alerts_in_log=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Imported:
    """What became of the readings: ``known`` before; ``kept``: another value is in the mesh, and was kept."""

    new: int
    known: int
    kept: int
    quarantined: int
    messages: int
    flags: FlagCounts

    def document(self) -> dict[str, Any]:
        return {
            "new": self.new,
            "known": self.known,
            "kept": self.kept,
            "quarantined": self.quarantined,
            "messages": self.messages,
            "quantities": flags_document(self.flags),
        }

    def show(self, record: FileRecord, destination: Destination) -> None:
        counts = [
            (self.new, "new"),
            (self.known, "known before"),
            (self.kept, "with another value in the mesh, which was kept"),
        ]
        told = ", ".join(f"{number:,} {what}" for number, what in counts if number) or "none new"
        people.print(f"{counted(len(record), 'reading')} of buoy {destination.buoy.id} at {destination.reef.id}: {told}")
        if self.quarantined:
            people.print(f"{self.quarantined:,} in quarantine: 'reefmesh quarantine list' says why.")
        show_flags("Quality control", self.flags)


async def _destination(place: Home, *, buoy_id: str | None, reef_id: str | None) -> Destination:
    if not place.exists():
        facts = "name=... latitude_degrees=... longitude_degrees=..."
        raise ConfigurationError(f"{place.path} has no register yet; 'reefmesh reefs set REEF {facts}' begins one")
    async with open_register(place) as register:
        return destination_of(register, buoy_id=buoy_id, reef_id=reef_id)


def _expected(record: FileRecord, destination: Destination | None) -> FlagCounts:
    if destination is None:
        return expected_flags(record, DEFAULT_LIMITS, {})
    return expected_flags(record, destination.reef.limits_in_force(), destination.buoy.corrections)


def _about(file: Path, record: FileRecord, destination: Destination | None, *, dry_run: bool) -> dict[str, Any]:
    return {
        "file": str(file),
        "reef": None if destination is None else destination.reef.id,
        "buoy": None if destination is None else destination.buoy.id,
        "dry_run": dry_run,
        "readings": len(record),
        "first": iso(record.observed_us[0]),
        "last": iso(record.observed_us[-1]),
        "understood": record.understood.document(),
        "notes": _notes(record, destination),
    }


def _notes(record: FileRecord, destination: Destination | None) -> list[str]:
    """Return what a person should know before relying on the record."""
    mmm, reef = record.facts.mmm_celsius, None if destination is None else destination.reef
    if mmm is None or reef is None or reef.mmm_celsius == mmm:
        return []
    theirs = "unknown" if reef.mmm_celsius is None else f"{reef.mmm_celsius:g}"
    return [f"The MMM of the file is {mmm:g}, that of {reef.id} is {theirs}: its HotSpots will not be those of the file."]


async def _import(
    file: Path,
    record: FileRecord,
    destination: Destination,
    place: Home,
    config: Path | None,
    stop: asyncio.Event,
    *,
    keep_stored: bool,
    quiet: bool,
) -> _Imported:
    """Send what the mesh does not know, and wait until it is through.

    Raises:
        ConfigurationError: the mesh has other values for the same instants, and nobody said which to keep.
        Outcome: it was interrupted.
    """
    async with mesh_session(place, clock=SystemClock(), run_services=place.embedded, config=config) as session:
        store = session.stores[services.INGEST]
        compared = await compare(store, destination.buoy.id, record)
        if compared.first is not None and not keep_stored:
            raise _differs(file, record, destination, compared.first, compared.differing)
        with bars(quiet=quiet) as add:
            report = add("through the mesh", len(compared.to_send)) if compared.to_send else lambda _: None
            sent = await send_places(session, record, compared.to_send, destination, stop=stop, report=report)
        refuse_unfinished(sent.complete, session, kept=KEPT)
        return _Imported(
            new=sent.readings,
            known=compared.known + sent.known,
            kept=compared.differing,
            quarantined=sent.quarantined,
            messages=sent.messages,
            flags=await stored_flags(store, destination.buoy.id, record),
        )


def _differs(file: Path, record: FileRecord, destination: Destination, first: Difference, differing: int) -> ConfigurationError:
    value, at = record.values[first.quantity][first.place], iso(record.observed_us[first.place])
    what = f"{first.quantity} is {value:g} at {at}, and the mesh has {first.stored:g} of buoy {destination.buoy.id}"
    rest = f" ({differing:,} of {counted(len(record), 'reading')} differ)"
    said_to = "nothing was sent; --keep-stored keeps those and sends the rest, --buoy names another buoy"
    return mistake(file, f"{what}{rest}; {said_to}", line=record.lines[first.place])
