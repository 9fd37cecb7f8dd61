"""``reefmesh alerts mute``, ``unmute`` and ``ack``: what people say about alerts, written into the ledger."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from reefmesh.contracts import services
from reefmesh.errors import ConfigurationError
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.muting.ledger import Mutes, acknowledge, new_mutes
from reefmesh_alerts.muting.mute import Mute
from reefmesh_alerts.queries import count_muted
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.commands.alert_ledger import AlertArgument, ByOption, KindOption, alert_named, doer, open_alerts
from reefmesh_standalone.commands.alert_lines import mute_document, utc
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
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.commands.when import duration_of, instant_of
from reefmesh_standalone.mesh import open_stores

LIMIT: Final = timedelta(days=366)
"""Longer than that, a recipient's rule in the subscriptions file is what is meant."""
TEXT_CHARACTERS: Final = 300

ReefsArgument = Annotated[list[str] | None, typer.Argument(metavar="REEF...", help="Names of reefs.", show_default=False)]
AllReefsOption = Annotated[bool, typer.Option("--all-reefs", help="Every reef of the register.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done, and of how many reefs.")]


def mute(
    reason: Annotated[str, typer.Option(help="Why; everybody sees it.", show_default=False)],
    reefs: ReefsArgument = None,
    all_reefs: AllReefsOption = False,
    duration: Annotated[str | None, typer.Option("--for", help="For so long: 90m, 2h, 3d, 1w.")] = None,
    until: Annotated[str | None, typer.Option(help="Until this instant, with its offset, or this day (UTC) begins.")] = None,
    kind: KindOption = None,
    by: ByOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Send nobody messages about reefs for a while. Alerts are raised, published and kept as ever.

    Heat from Alert Level 1 on is sent all the same, unless --kind heat says that it is meant. At the end each recipient gets
    once what is in force and it does not know. Every process that delivers follows at its next delivery.

    Examples:
      reefmesh alerts mute amed-wall --for 2h --reason "buoy on deck for cleaning"
      reefmesh alerts mute amed-wall tulamben --for 1d --reason "the boat that serves both is in dock"
      reefmesh alerts mute --all-reefs --for 4h --reason "the provider's network is down" --dry-run
      reefmesh alerts mute amed-wall --kind sensor_fault --until 2026-03-31T08:00+08:00 --reason "new probe on its way"
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        now = datetime.now(UTC)
        ends_at = _end_of(duration, until, now)
        why, who = _text(reason, option="--reason"), doer(by)
        if not why:
            raise ConfigurationError("--reason is empty; say why, for those who wait for messages")
        asked = _asked(reefs, all_reefs=all_reefs)
        place.require()
        async with open_stores(place, services=(services.INGEST, services.ALERTS)) as stores:
            register = Register(stores[services.INGEST])
            await register.refresh()
            named = _registered(register, asked)
            made = new_mutes(named, kind or "", now=now, until=ends_at, reason=why, made_by=who)
            if not dry_run:
                await Mutes(stores[services.ALERTS]).add(made)
        if as_json:
            print_json({"dry_run": dry_run, "mutes": [mute_document(each, 0) for each in made]})
            return
        _show(f"{'Would be muted' if dry_run else 'Muted'} until {utc(ends_at)} UTC", made, dry_run=dry_run)

    run(main)


def unmute(
    reefs: ReefsArgument = None,
    all_reefs: AllReefsOption = False,
    kind: KindOption = None,
    by: ByOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """End the mutes of reefs now, all of them or those of one kind; what is in force is told as at any end.

    Examples:
      reefmesh alerts unmute amed-wall
      reefmesh alerts unmute --all-reefs
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        now, who, asked = datetime.now(UTC), doer(by), _asked(reefs, all_reefs=all_reefs)
        async with open_alerts(place) as ledger:
            mutes = Mutes(ledger)
            alike = [each for each in await mutes.in_force(now) if kind in (None, each.kind)]
            ended = [each for each in alike if asked is None or each.reef_id in asked]
            muted = {each.reef_id for each in ended}
            unknown = [each for each in asked or () if each not in muted]
            if unknown or not ended:
                where = "at any reef" if asked is None else f"at {', '.join(unknown)}"
                raise ConfigurationError(f"nothing like that is muted {where}; 'reefmesh alerts list' shows what is")
            held_back = [await count_muted(ledger, each.mute_id) for each in ended]
            if not dry_run:
                await mutes.lift(ended, now=now, lifted_by=who)
        if as_json:
            shown = ended if dry_run else [replace(each, ends_at=now) for each in ended]
            documents = [mute_document(each, held) for each, held in zip(shown, held_back, strict=True)]
            print_json({"dry_run": dry_run, "mutes": documents})
            return
        _show("Would not be muted any more" if dry_run else "Not muted any more", ended, dry_run=dry_run)

    run(main)


def ack(
    alert_id: AlertArgument,
    note: Annotated[str, typer.Option(help="What is done about it.")] = "",
    by: ByOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Acknowledge an alert: say that somebody has seen it and takes care of it. It changes no delivery.

    Examples:
      reefmesh alerts ack 0a6d0d0e --note "boat leaves at noon"
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        said, who = _text(note, option="--note"), doer(by)
        async with open_alerts(place) as ledger:
            alert = await alert_named(ledger, alert_id)
            await acknowledge(ledger, alert.alert_id, now=datetime.now(UTC), made_by=who, note=said)
        results().print(f"Acknowledged: {plain(alert.summary)}")

    run(main)


def _asked(reefs: Sequence[str] | None, *, all_reefs: bool) -> list[str] | None:
    """Return the reefs that are named, each once; None: all of them."""
    if all_reefs == bool(reefs):
        raise ConfigurationError("say either which reefs are meant, or --all-reefs")
    return None if all_reefs else list(dict.fromkeys(reefs or ()))


def _registered(register: Register, asked: Sequence[str] | None) -> Sequence[str]:
    """Return the reefs that are asked for; one that is not registered is a mistake, and nothing is done."""
    if asked is None:
        known = [each.entry.id for each in register.reefs()]
        if not known:
            raise ConfigurationError("no reef is registered; 'reefmesh reefs set' adds one")
        return known
    if unknown := [each for each in asked if register.reef(each) is None]:
        are = "is" if len(unknown) == 1 else "are"
        what = "reef" if len(unknown) == 1 else "reefs"
        raise ConfigurationError(
            f"{what} {', '.join(unknown)} {are} not registered; 'reefmesh reefs list' shows those that are"
        )
    return asked


def _show(what: str, mutes: Sequence[Mute], *, dry_run: bool) -> None:
    """Print a line for each mute; where there are several, or none is written, people read how many reefs these are."""
    for each in mutes:
        results().print(f"{what}: {each.what}", soft_wrap=True)
    number = len({each.reef_id for each in mutes})
    if dry_run:
        people.print(f"{counted(number, 'reef')}; nothing was changed.")
    elif number > 1:
        people.print(f"{counted(number, 'reef')}.")


def _end_of(duration: str | None, until: str | None, now: datetime) -> datetime:
    if (duration is None) == (until is None):
        raise ConfigurationError("say either for how long (--for 2h) or until when (--until 2026-03-31T08:00+08:00)")
    ends_at = now + duration_of(duration, option="--for") if duration is not None else instant_of(until or "", option="--until")
    if not now < ends_at <= now + LIMIT:
        raise ConfigurationError(
            f"a mute ends in the future, within {LIMIT.days} days; for longer, change the recipients' rules"
        )
    return ends_at


def _text(text: str, *, option: str) -> str:
    said = plain(text)
    if len(said) > TEXT_CHARACTERS:
        raise ConfigurationError(f"{option} has {len(said)} characters; at most {TEXT_CHARACTERS} are kept")
    return said
