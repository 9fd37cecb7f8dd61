"""``reefmesh repair``: a reef's place in its channels, as each service knows it, and how to mend it after a restore."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from uuid import uuid4

import typer

from reefmesh.contracts.services import EVERY_SERVICE, ServiceEntry
from reefmesh.errors import ConfigurationError
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Committed, ReefRow, Store, Unit
from reefmesh_standalone.commands.context import (
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
from reefmesh_standalone.commands.reef_table import table_of
from reefmesh_standalone.mesh import open_stores

INBOX: Final = "repair"
"""What the units of work of this command are named after."""

NUMBER_LIMIT: Final = 2**53
"""Above any honest number, and exact wherever JSON is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """What is to change in one service's cursor of a reef. ``applied``: the number after which the service is to go on;
    ``published``: channel -> the last number given out."""

    applied: int | None = None
    published: tuple[str, int] | None = None
    forgets_missing: bool = False
    forgets_parked: bool = False

    @property
    def is_empty(self) -> bool:
        return self == Mend()


def mended(cursor: Cursor, inbox: str, mend: Mend) -> Cursor:
    """Return the cursor after a mend. Whoever sets ``applied`` says where the truth is, so the events of the numbers, and what
    is missing above it, are not remembered any more."""
    if mend.applied is not None:
        missing = tuple(number for number in cursor.missing.get(inbox, ()) if number <= mend.applied)
        cursor = replace(
            cursor,
            applied={**cursor.applied, inbox: mend.applied},
            missing={**cursor.missing, inbox: missing},
            hashes=_without(cursor.hashes, inbox),
        )
    if mend.published is not None:
        channel, number = mend.published
        cursor = replace(cursor, published={**cursor.published, channel: number})
    if mend.forgets_missing:
        cursor = replace(cursor, missing=_without(cursor.missing, inbox))
    if mend.forgets_parked:
        cursor = replace(cursor, parked=_without(cursor.parked, inbox))
    return cursor


def repair(
    reef: Annotated[str, typer.Argument(help="Reef id.", show_default=False)],
    service: Annotated[str | None, typer.Option(help=f"The service to mend: {', '.join(map(str, EVERY_SERVICE))}.")] = None,
    applied: Annotated[
        int | None, typer.Option(min=0, max=NUMBER_LIMIT, help="Number after which the service goes on.", show_default=False)
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(metavar="CHANNEL=NUMBER", help="Last number that the service gave out.", show_default=False),
    ] = None,
    forget_missing: Annotated[bool, typer.Option("--forget-missing", help="Wait for no missing number any more.")] = False,
    forget_parked: Annotated[
        bool, typer.Option("--forget-parked", help="Count no message as parked: later ones are not parked behind it.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Write it; without this the command only shows it.")] = False,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a reef's place in its channels, as each service knows it; mend one service's after a restore.

    Stop the service before a mend is written, and start it again afterwards: it remembers reefs. Numbers above the one of
    --applied are handled again when their messages come or are replayed.

    Examples:
      reefmesh repair amed-wall
      reefmesh repair amed-wall --service ingest --published reef.readings=1260
      reefmesh repair amed-wall --service scoring --applied 1200 --apply
      reefmesh repair amed-wall --service scoring --forget-missing --forget-parked --apply
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        mend = Mend(
            applied=applied,
            published=None if published is None else _published_of(published),
            forgets_missing=forget_missing,
            forgets_parked=forget_parked,
        )
        entry = _entry_of(service, mend, writes=apply)
        place.require()
        async with open_stores(place) as stores:
            rows = {each: await store.load(reef) for each, store in stores.items()}
            if not any(row.version for row in rows.values()):
                raise ConfigurationError(f"no service knows the reef {reef}; 'reefmesh status' shows those that are known")
            if entry is None:
                _show(rows, as_json=as_json)
                return
            after = _after(entry, rows[entry], mend)
            if apply:
                await _write(stores[entry], entry, rows[entry], after)
        _show(rows | {entry: replace(rows[entry], cursor=after)}, as_json=as_json)
        if apply:
            people.print(f"Written. Start {entry} again if it runs.")
        else:
            people.print("Nothing was written; --apply writes it.")

    run(main)


def _published_of(text: str) -> tuple[str, int]:
    channel, _, number = text.partition("=")
    if not number.isdecimal() or len(number) > len(str(NUMBER_LIMIT)) or int(number) > NUMBER_LIMIT:
        raise ConfigurationError(f"--published takes CHANNEL=NUMBER, for example reef.readings=1260, and not {text!r}")
    return channel, int(number)


def _entry_of(service: str | None, mend: Mend, *, writes: bool) -> ServiceEntry | None:
    """Return the service to mend; None when the reef is only to be shown."""
    if mend.is_empty:
        if writes:
            raise ConfigurationError(
                "--apply has nothing to write; say --applied, --published, --forget-missing or --forget-parked"
            )
        return None
    entry = next((each for each in EVERY_SERVICE if each.name == service), None)
    names = ", ".join(map(str, EVERY_SERVICE))
    if entry is None:
        raise ConfigurationError(f"name the service to mend with --service, one of {names}")
    if mend.applied is not None and not any(channel.numbered for channel in entry.consumes):
        raise ConfigurationError(f"{entry} takes no numbered messages, so --applied says nothing to it")
    numbered = [channel.name for channel in entry.publishes if channel.numbered]
    if mend.published is not None and mend.published[0] not in numbered:
        raise ConfigurationError(f"{entry} gives out numbers of {', '.join(numbered)}, not of {mend.published[0]}")
    return entry


def _after(entry: ServiceEntry, row: ReefRow, mend: Mend) -> Cursor:
    if not row.version:
        raise ConfigurationError(f"{entry} does not know the reef {row.reef_id}: there is nothing to mend")
    (subscription,) = entry.subscriptions
    return mended(row.cursor, str(subscription), mend)


async def _write(store: Store, entry: ServiceEntry, row: ReefRow, after: Cursor) -> None:
    unit = Unit(
        reef_id=row.reef_id,
        inbox=INBOX,
        event_id=uuid4().hex,
        expected_version=row.version,
        cursor=after,
        state=row.state or b"",
    )
    if not isinstance(await store.commit(unit), Committed):
        raise ConfigurationError(f"{entry} has changed the reef meanwhile, nothing was written; stop it and try again")


def _show(rows: Mapping[ServiceEntry, ReefRow], *, as_json: bool) -> None:
    lines = [_line(entry, row.cursor) for entry, row in rows.items() if row.version]
    behind = _behind({entry: row.cursor for entry, row in rows.items()})
    if as_json:
        print_json({"services": lines, "behind": behind})
        return
    table = table_of("", "service", "subscription", "applied", "missing", "parked", "published", numbers=("applied", "parked"))
    for line in lines:
        published = ", ".join(f"{channel} {number}" for channel, number in line["published"].items())
        table.add_row(
            line["service"],
            line["subscription"],
            str(line["applied"] or ""),
            _numbers(line["missing"]),
            str(line["parked"]),
            published,
        )
    results().print(table)
    for text in behind:
        people.print(text, soft_wrap=True)


def _line(entry: ServiceEntry, cursor: Cursor) -> dict[str, Any]:
    (subscription,) = entry.subscriptions
    inbox = str(subscription)
    return {
        "service": entry.name,
        "subscription": inbox,
        "applied": cursor.applied.get(inbox),
        "missing": list(cursor.missing.get(inbox, ())),
        "parked": cursor.parked.get(inbox, 0),
        "published": dict(cursor.published),
    }


def _behind(cursors: Mapping[ServiceEntry, Cursor]) -> list[str]:
    """Return a line for each publisher that will give numbers a second time: its database is older than its consumer's."""
    found = []
    for publisher, cursor in cursors.items():
        for consumer, other in cursors.items():
            for subscription in consumer.subscriptions:
                channel = subscription.channel
                last, applied = cursor.published.get(channel.name, 0), other.applied.get(str(subscription), 0)
                if channel.numbered and channel in publisher.publishes and last < applied:
                    found.append(
                        f"{publisher} will give {applied - last} numbers again: its last of {channel.name} is {last}, "
                        f"{consumer} has applied {applied}. Mend: --service {publisher} --published {channel.name}={applied}"
                    )
    return found


def _numbers(numbers: Sequence[int]) -> str:
    """Return the first of many numbers, and how many there are."""
    shown = ", ".join(map(str, numbers[:3]))
    return shown if len(numbers) <= 3 else f"{shown} and {len(numbers) - 3} more"


def _without(parts: Mapping[str, Any], inbox: str) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if name != inbox}
