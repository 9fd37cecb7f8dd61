"""``reefmesh quarantine``: telemetry that could not be understood, why, and sending it again after a mend."""

import asyncio
import base64
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.padding import Padding
from rich.table import Table

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_ingest.domain.decode.refusals import Reason
from reefmesh_ingest.domain.decode.values import instant_of
from reefmesh_ingest.quarantine.review import DISCARD_BATCH, Quarantine
from reefmesh_ingest.quarantine.rows import ROW_ID_CHARACTERS, QuarantineRow
from reefmesh_ingest.quarantine.stored import StoredEntry, StoredMessage
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
    results,
    run,
)
from reefmesh_standalone.commands.help_page import Command
from reefmesh_standalone.commands.reef_table import ROOMY_COLUMNS, age, table_of, words
from reefmesh_standalone.commands.replaying import counted, open_quarantine, send_again

app: Final = typer.Typer(help="Telemetry that could not be understood.", no_args_is_help=True)

LIST_LIMIT: Final = 100_000

ReefOption = Annotated[str | None, typer.Option("--reef", help="Only of this reef.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Only of this device.")]
QuantityOption = Annotated[str | None, typer.Option("--quantity", help="Only of this quantity or sensor.")]
ReasonOption = Annotated[Reason | None, typer.Option("--reason", help="Only with this reason.")]


IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Rows or entries.", show_default=False)]
EverythingOption = Annotated[bool, typer.Option("--all", help="All open entries (of --reef, --device, --quantity, --reason).")]


@app.command("list", cls=Command)
def list_rows(
    reef: ReefOption = None,
    device: DeviceOption = None,
    quantity: QuantityOption = None,
    reason: ReasonOption = None,
    entries: Annotated[bool, typer.Option("--entries", help="Each entry by itself, with its id and what is wrong.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Each entry, replayed and discarded ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=LIST_LIMIT, help="At most so many.")] = 100,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List telemetry that could not be understood, a row for each device, quantity and reason, the newest first.

    Examples:
      reefmesh quarantine list
      reefmesh quarantine list --reason unknown-device --json | jq -r '.[].example'
      reefmesh quarantine list --entries --device 867740030000003 --json | jq -r '.[].detail'
    """
    place = home_of(home, broker, store, config)
    each_one = entries or everything

    async def main(_: asyncio.Event) -> None:
        async with open_quarantine(place) as quarantine:
            rows = (
                []
                if each_one
                else await quarantine.rows(limit=limit, reef_id=reef, device=device, quantity=quantity, reason=reason)
            )
            single = (
                await quarantine.list(
                    limit=limit,
                    status=None if everything else "open",
                    reef_id=reef,
                    device=device,
                    quantity=quantity,
                    reason=reason,
                    newest_first=True,
                )
                if each_one
                else []
            )
        if as_json:
            print_json([*(_document(entry) for entry in single), *(_row_document(row) for row in rows)])
            return
        if not rows and not single:
            asked = reef or device or quantity or reason
            people.print("Nothing like that is in quarantine." if asked else "Nothing is in quarantine.")
            return
        if rows:
            out = results()
            out.print(_rows_table(rows, datetime.now(UTC), width=out.width))
        for entry in single:
            _show_entry(entry)
        if len(rows) + len(single) == limit:
            people.print(f"The newest {limit} are shown; --limit shows more.")
        if rows:
            people.print("'reefmesh quarantine list --entries' says what is wrong with each; 'replay' and 'discard' end a row.")

    run(main)


@app.command(cls=Command)
def show(
    quarantine_id: Annotated[str, typer.Argument(help="Id, as listed.", show_default=False)],
    raw: Annotated[bool, typer.Option("--raw", help="Only the payload, byte for byte.")] = False,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Show one entry with its message exactly as it was received, as JSON; of one that was cut, its first bytes, its length
    and its SHA-256.

    Examples:
      reefmesh quarantine show 8c0f4c7e-1f0b-5a53-9d0e-0c7a2f1b6a11 --raw > report.json
    """
    place = home_of(home, broker, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_quarantine(place) as quarantine:
            shown = await quarantine.show(quarantine_id)
        if shown is None:
            raise ConfigurationError(f"there is no entry {quarantine_id}; 'reefmesh quarantine list' shows those that are")
        if raw:
            if shown.message.is_cut:
                people.print(
                    f"Only its first {len(shown.message.payload):,} of {shown.message.payload_bytes:,} bytes were kept."
                )
            sys.stdout.buffer.write(shown.message.payload)
            sys.stdout.buffer.flush()
            return
        print_json(_document(shown.entry) | {"headers": shown.message.headers} | _payload(shown.message))

    run(main)


@app.command(cls=Command)
def replay(
    ids: IdsArgument = None,
    everything: EverythingOption = False,
    reef: ReefOption = None,
    device: DeviceOption = None,
    quantity: QuantityOption = None,
    reason: ReasonOption = None,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Send quarantined messages again, after the cause was mended; 'list' shows afterwards what is still wrong.

    They go to the mesh that is up in the home; without one, the mesh runs for as long as it takes.

    Examples:
      reefmesh quarantine replay --all --reason unknown-device
      reefmesh quarantine replay --all --device 100000000000000a
      reefmesh quarantine replay 3f9a0c51d2e7
      reefmesh quarantine replay 8c0f4c7e-1f0b-5a53-9d0e-0c7a2f1b6a11
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        if bool(ids) == everything:
            raise ConfigurationError("name the rows or entries to replay, or say --all")
        async with open_quarantine(place) as quarantine:
            if everything:
                found = await quarantine.list(limit=LIST_LIMIT, reef_id=reef, device=device, quantity=quantity, reason=reason)
                chosen = [entry.quarantine_id for entry in found]
            else:
                chosen = await _entries_named(quarantine, ids or ())
        if not chosen:
            people.print("Nothing like that is in quarantine.")
            return
        await send_again(place, config, lambda quarantine: quarantine.replay(chosen), stop)

    run(main)


@app.command("discard", cls=Command)
def discard_entries(
    ids: IdsArgument = None,
    everything: EverythingOption = False,
    reef: ReefOption = None,
    device: DeviceOption = None,
    quantity: QuantityOption = None,
    reason: ReasonOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Close quarantined telemetry for good: it is not replayed any more. The accounting keeps its count.

    Examples:
      reefmesh quarantine discard 3f9a0c51d2e7
      reefmesh quarantine discard 8c0f4c7e-1f0b-5a53-9d0e-0c7a2f1b6a11
      reefmesh quarantine discard --all --device 100000000000000a --reason not-json
    """
    place = home_of(home, None, store, config)

    async def main(stop: asyncio.Event) -> None:
        if bool(ids) == everything:
            raise ConfigurationError("name the rows or entries to discard, or say --all (with --device, --quantity, --reason)")
        discarded = 0
        async with open_quarantine(place) as quarantine:
            if everything:
                found = await quarantine.list(limit=LIST_LIMIT, reef_id=reef, device=device, quantity=quantity, reason=reason)
                chosen = [entry.quarantine_id for entry in found]
            else:
                chosen = await _entries_named(quarantine, ids or (), cut_too=True)
            for first in range(0, len(chosen), DISCARD_BATCH):
                if stop.is_set():
                    people.print(f"Interrupted: {counted(discarded, 'entry', 'entries')} of {len(chosen):,} discarded so far.")
                    raise Outcome(130)
                discarded += await quarantine.discard(chosen[first : first + DISCARD_BATCH])
        results().print(f"{counted(discarded, 'entry', 'entries')} discarded")

    run(main)


async def _entries_named(quarantine: Quarantine, ids: Sequence[str], *, cut_too: bool = False) -> list[str]:
    """Return the open entries that are meant: an entry by its own id, those of a row by the row's.

    Raises:
        ConfigurationError: nothing like that is open; a mistake in a copied id must not go unnoticed. Without ``cut_too``, also
            of an entry of which only the first bytes were kept.
    """
    row_ids = [each for each in ids if len(each) == ROW_ID_CHARACTERS]
    of_rows = await quarantine.entries_of_rows(row_ids) if row_ids else {}
    chosen: list[str] = []
    for each in ids:
        if each in row_ids:
            if each not in of_rows:
                raise ConfigurationError(f"there is no row {each} with open entries; 'reefmesh quarantine list' shows those")
            chosen += of_rows[each]
        else:
            await _refuse_unknown(quarantine, each, cut_too=cut_too)
            chosen.append(each)
    return list(dict.fromkeys(chosen))


async def _refuse_unknown(quarantine: Quarantine, quarantine_id: str, *, cut_too: bool) -> None:
    shown = await quarantine.show(quarantine_id)
    if shown is None:
        raise ConfigurationError(
            f"there is no entry {quarantine_id}; 'reefmesh quarantine list --entries' shows those that are"
        )
    if shown.entry.status != "open":
        raise ConfigurationError(f"entry {quarantine_id} is not open any more: it was {shown.entry.status}")
    if shown.message.is_cut and not cut_too:
        raise ConfigurationError(f"entry {quarantine_id} cannot be replayed: only the first bytes of its message were kept")


def _rows_table(rows: Sequence[QuarantineRow], now: datetime, *, width: int) -> Table:
    """Return the rows for a terminal of ``width`` columns; a narrow one gets ages without the instants."""
    roomy = width >= ROOMY_COLUMNS
    times = ("first (UTC)", "last (UTC)", "age") if roomy else ("first", "last")
    table = table_of(
        "Quarantine", "row", "device", "quantity", "reason", "entries", *times, numbers=("entries", "age"), whole=("row",)
    )
    for each in rows:
        first, last = instant_of(each.first_us), instant_of(each.last_us)
        ages = (f"{age(first, now)} ago", f"{age(last, now)} ago")
        table.add_row(
            each.row_id if each.entries else "only counted",
            plain(each.device or "no device"),
            plain(words(each.channel) if each.channel else f"whole {each.scope}"),
            each.reason,
            f"{each.entries or each.counted:,}",
            *((f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}", age(last, now)) if roomy else ages),
        )
    return table


def _show_entry(entry: StoredEntry) -> None:
    """Print lines instead of a table: a wrapped id cannot be copied, and a cut reason is hard to understand."""
    out = results()
    received = f"{instant_of(entry.received_us):%Y-%m-%d %H:%M}"
    about = f"value of {entry.channel}" if entry.channel else entry.scope
    replayed = "" if entry.status == "open" else f" ({entry.status})"
    out.print(plain(f"{entry.quarantine_id}  {received}  {entry.device or 'no device'}"))
    said = f"{entry.reason}, {about}, {counted(entry.readings, 'reading')}{replayed}: {entry.detail}"
    out.print(Padding(plain(said), (0, 0, 0, 4)))


def _document(entry: StoredEntry) -> dict[str, Any]:
    document = asdict(entry)
    del document["received_us"], document["example"]
    return {
        **document,
        "received_at": instant_of(entry.received_us).isoformat(),
        "example": entry.example.decode(errors="replace"),
    }


def _row_document(row: QuarantineRow) -> dict[str, Any]:
    """``counted``: beyond the quota, so that there is nothing to replay or discard; ``example`` and ``detail`` are of the
    newest entry."""
    return {
        "row_id": row.row_id if row.entries else None,
        "device": row.device,
        "quantity": row.channel,
        "scope": row.scope,
        "reason": row.reason,
        "status": "open" if row.entries else "counted",
        "entries": row.entries,
        "counted": row.counted,
        "readings": row.readings,
        "cut": row.cut,
        "first_at": instant_of(row.first_us).isoformat(),
        "last_at": instant_of(row.last_us).isoformat(),
        "reef_id": row.reef_id,
        "quarantine_id": row.newest_id,
        "detail": row.detail,
        "example": row.example.decode(errors="replace"),
    }


def _payload(message: StoredMessage) -> dict[str, Any]:
    cut = {"payload_bytes": message.payload_bytes, "payload_sha256": message.payload_sha256} if message.is_cut else {}
    try:
        return {"payload": message.payload.decode(), **cut}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(message.payload).decode(), **cut}
