"""``reefmesh alerts mute``, ``unmute`` and ``ack``: what people say about alerts, written into the ledger."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from reefmesh.contracts import services
from reefmesh.errors import ConfigurationError
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.muting.ledger import Mutes, acknowledge
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.commands.alert_ledger import AlertArgument, ByOption, KindOption, alert_named, doer, open_alerts
from reefmesh_standalone.commands.alert_lines import utc
from reefmesh_standalone.commands.context import ConfigOption, HomeOption, StoreOption, home_of, results, run
from reefmesh_standalone.commands.when import duration_of, instant_of
from reefmesh_standalone.mesh import open_stores

LIMIT: Final = timedelta(days=366)
"""Longer than that, a recipient's rule in the subscriptions file is what is meant."""
TEXT_CHARACTERS: Final = 300

ReefArgument = Annotated[str, typer.Argument(help="Name of the reef.", show_default=False)]


def mute(
    reef: ReefArgument,
    reason: Annotated[str, typer.Option(help="Why; everybody sees it.", show_default=False)],
    duration: Annotated[str | None, typer.Option("--for", help="For so long: 90m, 2h, 3d, 1w.")] = None,
    until: Annotated[str | None, typer.Option(help="Until this instant, with its offset, or this day (UTC) begins.")] = None,
    kind: KindOption = None,
    by: ByOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Send nobody messages about a reef for a while. Alerts are raised, published and kept as ever.

    Heat from Alert Level 1 on is sent all the same, unless --kind heat says that it is meant. At the end each recipient gets
    once what is in force and it does not know. Every process that delivers follows at its next delivery.

    Examples:
      reefmesh alerts mute amed-wall --for 2h --reason "buoy on deck for cleaning"
      reefmesh alerts mute amed-wall --kind sensor_fault --until 2026-03-31T08:00+08:00 --reason "new probe on its way"
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        now = datetime.now(UTC)
        ends_at = _end_of(duration, until, now)
        why, who = _text(reason, option="--reason"), doer(by)
        if not why:
            raise ConfigurationError("--reason is empty; say why, for those who wait for messages")
        place.require()
        async with open_stores(place, services=(services.INGEST, services.ALERTS)) as stores:
            register = Register(stores[services.INGEST])
            await register.refresh()
            if register.reef(reef) is None:
                raise ConfigurationError(f"reef {reef} is not registered; 'reefmesh reefs list' shows those that are")
            mutes = Mutes(stores[services.ALERTS])
            made = await mutes.mute(reef, kind or "", now=now, until=ends_at, reason=why, made_by=who)
        results().print(f"Muted until {utc(ends_at)} UTC: {made.what}")

    run(main)


def unmute(
    reef: ReefArgument,
    kind: KindOption = None,
    by: ByOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """End the mutes of a reef now, all of them or those of one kind; what is in force is told as at any end.

    Examples:
      reefmesh alerts unmute amed-wall
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        now, who = datetime.now(UTC), doer(by)
        async with open_alerts(place) as ledger:
            mutes = Mutes(ledger)
            ended = [each for each in await mutes.in_force(now) if each.reef_id == reef and (kind is None or each.kind == kind)]
            if not ended:
                raise ConfigurationError(f"nothing like that is muted at {reef}; 'reefmesh alerts list' shows what is")
            await mutes.lift(ended, now=now, lifted_by=who)
        for each in ended:
            results().print(f"Not muted any more: {each.what}")

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
