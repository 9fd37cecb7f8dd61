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

from reefmesh.contracts.services import INGEST
from reefmesh.errors import ConfigurationError
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_ingest.domain.decode.refusals import Reason
from reefmesh_ingest.domain.decode.values import instant_of
from reefmesh_ingest.quarantine.discarding import discard
from reefmesh_ingest.quarantine.folded import Folded
from reefmesh_ingest.quarantine.review import Quarantine
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
from reefmesh_standalone.commands.quarantine_groups import groups_table, listed, quarantine_groups
from reefmesh_standalone.commands.replaying import counted, open_quarantine, send_again
from reefmesh_standalone.mesh import open_stores

app: Final = typer.Typer(help="Telemetry that could not be understood.", no_args_is_help=True)

LIST_LIMIT: Final = 100_000
DISCARDED_AT_ONCE: Final = 200

ReefOption = Annotated[str | None, typer.Option("--reef", help="Only of this reef.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Only of this device.")]
QuantityOption = Annotated[str | None, typer.Option("--quantity", help="Only of this quantity or sensor.")]
ReasonOption = Annotated[Reason | None, typer.Option("--reason", help="Only with this reason.")]


@app.command("list", cls=Command)
def list_entries(
    reef: ReefOption = None,
    device: DeviceOption = None,
    quantity: QuantityOption = None,
    reason: ReasonOption = None,
    entries: Annotated[bool, typer.Option("--entries", help="Each entry by itself, with its id and what is wrong.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Replayed entries too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=LIST_LIMIT, help="At most so many.")] = 100,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List telemetry that could not be understood by device, quantity and reason, the newest first.

    Examples:
      reefmesh quarantine list
      reefmesh quarantine list --reason unknown-device
      reefmesh quarantine list --entries --device 867740030000003 --json | jq -r '.[].detail'
    """
    place = home_of(home, broker, store, config)
    equal = {"status": None if everything else "open", "reef_id": reef, "device": device, "channel": quantity, "reason": reason}

    async def main(_: asyncio.Event) -> None:
        async with open_quarantine(place) as quarantine, open_stores(place, services=(INGEST,)) as stores:
            groups = [] if entries else await quarantine_groups(stores[INGEST], equal, limit=limit)
            single = await listed(stores[INGEST], equal, limit=limit, newest_first=True) if entries else []
            folded = [] if reef or quantity else await quarantine.list_folded(device=device, reason=reason)
        if as_json:
            shown = [*(_document(entry) for entry in single), *(group.document() for group in groups)]
            print_json([*shown, *(_folded_document(count) for count in folded)])
            return
        if not groups and not single and not folded:
            asked = reef or device or quantity or reason
            people.print("Nothing like that is in quarantine." if asked else "Nothing is in quarantine.")
            return
        if groups:
            out = results()
            out.print(groups_table(groups, datetime.now(UTC), width=out.width))
        for entry in single:
            _show_entry(entry)
        if len(groups) + len(single) == limit:
            people.print(f"The newest {limit} are shown; --limit shows more.")
        for count in folded[:limit]:
            results().print(plain(_folded_line(count)))
        if groups:
            people.print("'reefmesh quarantine list --entries' says what is wrong with each; 'replay' and 'discard' end it.")

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
    everything: Annotated[
        bool, typer.Option("--all", help="All open entries (of --reef, --device, --quantity, --reason).")
    ] = False,
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
      reefmesh quarantine replay 8c0f4c7e-1f0b-5a53-9d0e-0c7a2f1b6a11
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        if bool(quarantine_ids) == everything:
            raise ConfigurationError("name the entries to replay, or say --all")
        chosen = list(dict.fromkeys(quarantine_ids or ()))
        async with open_quarantine(place) as quarantine, open_stores(place, services=(INGEST,)) as stores:
            if everything:
                equal = {"status": "open", "reef_id": reef, "device": device, "channel": quantity, "reason": reason}
                chosen = [entry.quarantine_id for entry in await listed(stores[INGEST], equal, limit=LIST_LIMIT)]
            else:
                await _refuse_unknown(quarantine, chosen)
        if not chosen:
            people.print("Nothing like that is in quarantine.")
            return
        await send_again(place, config, lambda quarantine: quarantine.replay(chosen), stop)

    run(main)


@app.command("discard", cls=Command)
def discard_entries(
    quarantine_ids: Annotated[list[str] | None, typer.Argument(help="Ids, as listed.", show_default=False)] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All open entries (of --reef, --device, --quantity, --reason).")
    ] = False,
    reef: ReefOption = None,
    device: DeviceOption = None,
    quantity: QuantityOption = None,
    reason: ReasonOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Delete quarantined telemetry for good; the accounting keeps its count.

    Examples:
      reefmesh quarantine discard 8c0f4c7e-1f0b-5a53-9d0e-0c7a2f1b6a11
      reefmesh quarantine discard --all --device 100000000000000a --reason not-json
    """
    place = home_of(home, None, store, config)

    async def main(stop: asyncio.Event) -> None:
        if bool(quarantine_ids) == everything:
            raise ConfigurationError("name the entries to delete, or say --all (with --device, --quantity, --reason)")
        async with open_quarantine(place) as quarantine, open_stores(place, services=(INGEST,)) as stores:
            ingest, deleted = stores[INGEST], 0
            if everything:
                equal = {"status": "open", "reef_id": reef, "device": device, "channel": quantity, "reason": reason}
                chosen = await listed(ingest, equal, limit=LIST_LIMIT)
            else:
                ids = list(dict.fromkeys(quarantine_ids or ()))
                await _refuse_unknown(quarantine, ids, cut_too=True)
                chosen = [found.entry for each in ids if (found := await quarantine.show(each)) is not None]
            for first in range(0, len(chosen), DISCARDED_AT_ONCE):
                if stop.is_set():
                    people.print(f"Interrupted: {counted(deleted, 'entry', 'entries')} of {len(chosen):,} deleted so far.")
                    raise Outcome(130)
                deleted += await discard(ingest, chosen[first : first + DISCARDED_AT_ONCE])
        results().print(f"{counted(deleted, 'entry', 'entries')} deleted")

    run(main)


async def _refuse_unknown(quarantine: Quarantine, quarantine_ids: Sequence[str], *, cut_too: bool = False) -> None:
    """Do nothing if one of them cannot be chosen: a mistake in a copied id must not go unnoticed. ``cut_too``: also those of
    which only the first bytes were kept."""
    for quarantine_id in quarantine_ids:
        shown = await quarantine.show(quarantine_id)
        if shown is None:
            raise ConfigurationError(f"there is no entry {quarantine_id}; 'reefmesh quarantine list' shows those that are")
        if shown.entry.status != "open":
            raise ConfigurationError(f"entry {quarantine_id} is not open any more: it was replayed")
        if shown.message.is_cut and not cut_too:
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
