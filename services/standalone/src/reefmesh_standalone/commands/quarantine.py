"""``reefmesh quarantine``: telemetry that could not be understood, why, and sending it again after a mend."""

import asyncio
import base64
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
from rich.padding import Padding

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_ingest.domain.decode.values import instant_of
from reefmesh_ingest.quarantine.folded import Folded
from reefmesh_ingest.quarantine.review import Quarantine
from reefmesh_ingest.quarantine.stored import StoredEntry, StoredMessage
from reefmesh_standalone.commands.context import (
    BrokerOption,
    ConfigOption,
    HomeOption,
    JsonOption,
    StoreOption,
    home_of,
    people,
    print_json,
    results,
    run,
)
from reefmesh_standalone.commands.help_page import Command
from reefmesh_standalone.commands.replaying import counted, open_quarantine, send_again

app: Final = typer.Typer(help="Telemetry that could not be understood.", no_args_is_help=True)

LIST_LIMIT: Final = 100_000


@app.command("list", cls=Command)
def list_entries(
    reef: Annotated[str | None, typer.Option(help="Only of this reef.")] = None,
    device: Annotated[str | None, typer.Option(help="Only of this device.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only with this reason, e.g. unknown-device.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Replayed entries too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=LIST_LIMIT, help="At most so many.")] = 100,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List telemetry that could not be understood, the oldest first.

    Examples:
      reefmesh quarantine list --reason unknown-device
    """
    place = home_of(home, broker, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_quarantine(place) as quarantine:
            status = None if everything else "open"
            entries = await quarantine.list(limit=limit, status=status, reef_id=reef, device=device, reason=reason)
            folded = [] if reef else await quarantine.list_folded(device=device, reason=reason)
        if as_json:
            print_json([*(_document(entry) for entry in entries), *(_folded_document(count) for count in folded)])
            return
        if not entries and not folded:
            people.print("Nothing like that is in quarantine." if reef or device or reason else "Nothing is in quarantine.")
            return
        for entry in entries:
            _show_entry(entry)
        if len(entries) == limit:
            people.print(f"The oldest {limit} are shown; --limit shows more.")
        for count in folded[:limit]:
            results().print(plain(_folded_line(count)))

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
    quarantine_ids: Annotated[list[str] | None, typer.Argument(help="Ids, as listed.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All open entries (of --reef, --device, --reason).")] = False,
    reef: Annotated[str | None, typer.Option(help="Only of this reef.")] = None,
    device: Annotated[str | None, typer.Option(help="Only of this device.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only with this reason.")] = None,
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
      reefmesh quarantine replay 8c0f4c7e-1f0b-5a53-9d0e-0c7a2f1b6a11
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        if bool(quarantine_ids) == everything:
            raise ConfigurationError("name the entries to replay, or say --all")
        chosen = list(dict.fromkeys(quarantine_ids or ()))
        async with open_quarantine(place) as quarantine:
            if everything:
                found = await quarantine.list(limit=LIST_LIMIT, reef_id=reef, device=device, reason=reason)
                chosen = [entry.quarantine_id for entry in found]
            else:
                await _refuse_unknown(quarantine, chosen)
        if not chosen:
            people.print("Nothing like that is in quarantine.")
            return
        await send_again(place, config, lambda quarantine: quarantine.replay(chosen), stop)

    run(main)


async def _refuse_unknown(quarantine: Quarantine, quarantine_ids: Sequence[str]) -> None:
    """Send none if one of them cannot be sent: a mistake in a copied id must not go unnoticed."""
    for quarantine_id in quarantine_ids:
        shown = await quarantine.show(quarantine_id)
        if shown is None:
            raise ConfigurationError(f"there is no entry {quarantine_id}; 'reefmesh quarantine list' shows those that are")
        if shown.entry.status != "open":
            raise ConfigurationError(f"entry {quarantine_id} is not open any more: it was replayed")
        if shown.message.is_cut:
            raise ConfigurationError(f"entry {quarantine_id} cannot be replayed: only the first bytes of its message were kept")


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


def _folded_line(count: Folded) -> str:
    first, last = (f"{instant_of(us):%Y-%m-%d %H:%M}" for us in (count.first_us, count.last_us))
    about = f"{count.reason}, {count.scope}"
    return f"{count.entries:,} more of {count.device or 'no device'} were only counted ({about}), from {first} to {last}"


def _folded_document(count: Folded) -> dict[str, Any]:
    document = asdict(count)
    first_us, last_us = document.pop("first_us"), document.pop("last_us")
    return {
        **document,
        "status": "counted",
        "first_at": instant_of(first_us).isoformat(),
        "last_at": instant_of(last_us).isoformat(),
    }


def _payload(message: StoredMessage) -> dict[str, Any]:
    cut = {"payload_bytes": message.payload_bytes, "payload_sha256": message.payload_sha256} if message.is_cut else {}
    try:
        return {"payload": message.payload.decode(), **cut}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(message.payload).decode(), **cut}
