"""``reefmesh replay``: an archive's days through the whole mesh, and the scores as a file."""

import asyncio
import csv
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.scores import DayScore, HeatStatus
from reefmesh.errors import ConfigurationError
from reefmesh_alerts.queries import export_alerts
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_scoring.queries import day_scores
from reefmesh_standalone.commands.context import (
    BrokerOption,
    ConfigOption,
    HomeOption,
    JoinOption,
    JsonOption,
    StoreOption,
    home_or_scratch,
    people,
    print_json,
    refuse_unfinished,
    run,
)
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
from reefmesh_standalone.commands.register import entry_of, open_register
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.following import Follower
from reefmesh_standalone.home import Home
from reefmesh_standalone.importing.destination import RECORDS_BEGIN_AT
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.telemetry import interval_of, only_values, telemetry_of, with_values
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import MeshSession, mesh_session
from reefmesh_standalone.whole_file import refuse_unwritable, replacing

COLUMNS: Final = (
    "date",
    "sst_celsius",
    "hotspot_celsius",
    "dhw_celsius_weeks",
    "level",
    "level_7day_max",
    "coverage_days",
    "status",
    "source",
    "day_status",
    "suspect_share",
    "whole_days",
    "filled_days",
    "missing_days",
    "suspect_days",
)
KEPT: Final = "what was sent is kept in the home; repeat the command to go on."
TEMPORARY: Final = "nothing is kept; with --home it would be, and the command could go on."


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive.", show_default=False)],
    reef: Annotated[str, typer.Option(help="Name of the reef: lower-case letters, digits, dots, dashes.")],
    out: Annotated[Path, typer.Option(help="Where to write the scores (CSV), one line a day.")],
    file_format: FormatOption = None,
    column: ColumnOption = None,
    unit: UnitOption = None,
    timezone: TimezoneOption = None,
    date_order: DateOrderOption = None,
    where: WhereOption = None,
    encoding: EncodingOption = None,
    mmm: Annotated[float | None, typer.Option(help="Maximum monthly mean in degC; default: the file's, else none.")] = None,
    longitude: Annotated[float | None, typer.Option(min=-180, max=180, help="Degrees east; sets the reef's night.")] = None,
    alerts: Annotated[Path | None, typer.Option(help="Where to write the alerts (JSON lines).")] = None,
    batch: Annotated[int, typer.Option(min=1, max=500, help="Readings a message.")] = 100,
    join: JoinOption = False,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a file's days through the whole mesh and write the scores.

    Without --home (or REEFMESH_HOME) the mesh lives in a folder that is removed afterwards. With a home in which
    'reefmesh up' is running, the telemetry goes there; a replay that was interrupted is continued by repeating it.
    Where services run at the --broker already, give --join: they believe each other and nobody else.

    Examples:
      reefmesh replay florida_keys.txt --format noaa-station --reef florida-keys --out scores.csv
      reefmesh replay logger.csv --timezone +08:00 --reef amed-wall --mmm 29.5 --longitude 115.6 --out scores.csv
    """
    with home_or_scratch(home, broker, store, config, purpose="replay") as place:

        async def main(stop: asyncio.Event) -> None:
            options = options_of(
                columns=column,
                units=unit,
                where=where,
                timezone=timezone,
                date_order=date_order,
                encoding=encoding,
                longitude_degrees=longitude,
                mmm_celsius=mmm,
            )
            archive = await read_beside(file, options, file_format=file_format, stop=stop, quiet=as_json)
            entries = await _entries(archive, reef, place, mmm=mmm, longitude=longitude)
            _refuse_targets(file, out, alerts)
            if join and place.embedded:
                raise ConfigurationError("--join is for services at a --broker; a mesh that is up in the home is joined anyway")
            async with mesh_session(place, clock=SystemClock(), run_services=not join, config=config) as session:
                await Register(session.stores[services.INGEST]).upsert(reefs=[entries[0]], buoys=[entries[1]])
                summary = await _send(session, archive, reef, batch, stop, quiet=as_json)
                refuse_unfinished(summary["complete"], session, kept=TEMPORARY if place.temporary else KEPT)
                days = [day async for day in day_scores(session.stores[services.SCORING], reef)]
                raised: Sequence[Alert] = [each async for each in export_alerts(session.stores[services.ALERTS], reef_id=reef)]
                _write(out, days, alerts, raised)
            summary |= {"days": len(days), "alerts": len(raised), "out": str(out)}
            if as_json:
                print_json(summary)
            else:
                _say(summary, days, alerts)

        run(main, alerts_in_log=False)


def _refuse_targets(file: Path, out: Path, alerts: Path | None) -> None:
    targets = [target for target in (out, alerts) if target is not None]
    for target in targets:
        if target.resolve() == file.resolve():
            raise ConfigurationError(f"{target} is the archive itself; name another file to write to")
        refuse_unwritable(target)
    if alerts is not None and alerts.resolve() == out.resolve():
        raise ConfigurationError(f"--out and --alerts both name {out}; name two files")


def _say(summary: dict[str, Any], days: Sequence[DayScore], alerts: Path | None) -> None:
    people.print(", ".join(f"{summary[kind]:,} {kind}" for kind in ("readings", "duplicates", "quarantined")))
    scored = [day for day in days if day.dhw_celsius_weeks is not None]
    said = "no day has a DHW: is the MMM known, and is there sea_water_temperature?"
    if scored:
        worst = max(scored, key=lambda day: day.dhw_celsius_weeks or 0.0)
        status = "" if worst.status is HeatStatus.OK else f" ({worst.status.value})"
        said = f"highest DHW {worst.dhw_celsius_weeks:.4f} degC-weeks on {worst.date}{status}"
    people.print(f"{len(days):,} days to {summary['out']}; {said}")
    people.print(f"{counted(summary['alerts'], 'alert')}" + (f" to {alerts}" if alerts else ""))


def buoy_of(reef_id: str) -> str:
    """Return the name of the buoy that stands for an archive of this reef."""
    return f"replay-{reef_id}"[:64]


async def _entries(
    archive: FileRecord, reef_id: str, place: Home, *, mmm: float | None, longitude: float | None
) -> tuple[ReefEntry, BuoyEntry]:
    """Return the reef and the buoy that stands for the archive; facts of the file and the options win over the register.

    Raises:
        ConfigurationError: no reef can be so.
    """
    known = None
    if place.exists():
        async with open_register(place) as register:
            known = register.reef(reef_id)
    facts: dict[str, Any] = known.entry.model_dump() if known else {"id": reef_id, "name": archive.facts.name or reef_id}
    stated = {
        "mmm_celsius": archive.facts.mmm_celsius if mmm is None else mmm,
        "latitude_degrees": archive.facts.latitude_degrees,
        "longitude_degrees": archive.facts.longitude_degrees if longitude is None else longitude,
    }
    facts |= {name: value for name, value in stated.items() if value is not None}
    facts.setdefault("latitude_degrees", 0.0)
    facts.setdefault("longitude_degrees", 0.0)
    buoy = {
        "id": buoy_of(reef_id),
        "reef": reef_id,
        "report_interval_seconds": round(interval_of(archive) / timedelta(seconds=1)),
        "earliest_observed_at": RECORDS_BEGIN_AT,
    }
    return entry_of(ReefEntry, facts), entry_of(BuoyEntry, buoy)


async def _send(
    session: MeshSession, archive: FileRecord, reef_id: str, batch: int, stop: asyncio.Event, *, quiet: bool
) -> dict[str, Any]:
    """Publish everything and follow it to the end of the mesh; ``complete`` is False when ``stop`` came first."""
    messages = list(
        telemetry_of(
            archive,
            with_values(archive),
            reading=only_values,
            sender=f"replay/{reef_id}",
            buoy_id=buoy_of(reef_id),
            reef_id=reef_id,
            readings_per_message=batch,
            sent_at=SystemClock().now(),
        )
    )
    follower = Follower(session.stores, [(message.event_id, reef_id) for message in messages])
    with bars(quiet=quiet) as add:
        sent = add("sent", len(messages))
        done = add("through the mesh", len(messages))
        await send_all(session.broker, messages, report=sent, stop=stop)
        complete = await follower.until_done(done, stop=stop, ended=session.ended)
    receipts = follower.receipts.values()
    return {
        "reef": reef_id,
        "complete": complete,
        "messages": len(messages),
        "readings": sum(receipt.readings_new + receipt.readings_merged for receipt in receipts),
        "duplicates": sum(receipt.readings_duplicate for receipt in receipts),
        "quarantined": sum(receipt.readings_quarantined for receipt in receipts),
    }


def _write(out: Path, days: Sequence[DayScore], alerts: Path | None, raised: Sequence[Alert]) -> None:
    """Write both files completely before either takes its name."""
    with ExitStack() as files:
        scores = files.enter_context(replacing(out))
        ledger = None if alerts is None else files.enter_context(replacing(alerts))
        writer = csv.writer(scores, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_row(day) for day in days)
        scores.flush()
        if ledger is not None:
            ledger.writelines(alert.model_dump_json() + "\n" for alert in raised)


def _row(day: DayScore) -> Sequence[object]:
    return (
        day.date.isoformat(),
        _decimal(day.sst_celsius),
        _decimal(day.hotspot_celsius),
        _decimal(day.dhw_celsius_weeks),
        "" if day.level is None else int(day.level),
        "" if day.level_7day_max is None else int(day.level_7day_max),
        day.coverage_days,
        day.status.value,
        day.source,
        day.day_status,
        _decimal(day.suspect_share),
        *("" if count is None else count for count in (day.whole_days, day.filled_days, day.missing_days, day.suspect_days)),
    )


def _decimal(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
