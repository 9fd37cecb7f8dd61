"""``reefmesh alerts``: the history, what is open, failed deliveries, and single alerts with their deliveries."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from reefmesh.errors import ConfigurationError
from reefmesh.store.port import Store
from reefmesh_alerts import queries
from reefmesh_alerts.muting.ledger import Mutes, acknowledgements, open_acknowledgements
from reefmesh_alerts.muting.mute import Mute
from reefmesh_alerts.texts.letter import describe
from reefmesh_standalone.commands import alert_mutes, alert_targets, alert_unsubscribing
from reefmesh_standalone.commands.alert_ledger import AlertArgument, KindOption, alert_named, open_alerts
from reefmesh_standalone.commands.alert_lines import (
    acknowledged_lines,
    alert_document,
    by_alert,
    delivery_document,
    delivery_lines,
    episode_document,
    episode_line,
    head,
    mute_document,
    mute_line,
    show_entry,
)
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
from reefmesh_standalone.commands.help_page import Command
from reefmesh_standalone.commands.when import since_of

app: Final = typer.Typer(help="Alerts: history, what is open, deliveries, mutes, and tests of targets.", no_args_is_help=True)

LIST_LIMIT: Final = 100_000
DELIVERIES_LIMIT: Final = 10_000
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """What is listed: as JSON under ``name``, and for people, each entry a line and what belongs to it."""

    name: str
    if_none: str
    documents: Sequence[dict[str, Any]]
    entries: Sequence[tuple[str, Sequence[str]]]


@app.command("list", cls=Command)
def list_alerts(
    is_open: Annotated[bool, typer.Option("--open", help="What is in force: the open episodes.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Deliveries that failed or expired.")] = False,
    reef: Annotated[str | None, typer.Option(help="Only of this reef.")] = None,
    kind: KindOption = None,
    since: Annotated[str | None, typer.Option(help="Since then: 12h, 7d, a day (UTC), or an instant with its offset.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIST_LIMIT, help="At most so many.")] = 50,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List alerts, the newest first, and the mutes in force.

    Times are in UTC: when an alert was raised; with --open, since when it is so at the reef.

    Examples:
      reefmesh alerts list --since 7d
      reefmesh alerts list --open --reef amed-wall
      reefmesh alerts list --failed --json | jq -r '.deliveries[].last_error'
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        if is_open and failed:
            raise ConfigurationError("--open lists episodes and --failed deliveries; say one of them")
        now = datetime.now(UTC)
        first = EVER if since is None else since_of(since, now, option="--since")
        choice = queries.AlertChoice(reef_id=reef or "", kind=kind or "", since=first)
        async with open_alerts(place) as ledger:
            mutes = [mute for mute in await Mutes(ledger).in_force(now) if reef in (None, mute.reef_id)]
            held_back = [await queries.count_muted(ledger, mute.mute_id) for mute in mutes]
            if is_open:
                listing = await _open_episodes(ledger, choice, limit, mutes)
            elif failed:
                listing = await _failed_deliveries(ledger, choice, limit)
            else:
                listing = await _history(ledger, choice, limit)
        muted = list(zip(mutes, held_back, strict=True))
        if as_json:
            print_json({listing.name: listing.documents, "mutes": [mute_document(*each) for each in muted]})
            return
        for line, below in listing.entries:
            show_entry(results(), line, below)
        if not listing.entries:
            people.print(listing.if_none)
        if len(listing.entries) == limit:
            people.print(f"{limit} are shown; --limit shows more.")
        for each in muted:
            results().print(mute_line(*each))

    run(main)


@app.command(cls=Command)
def show(
    alert_id: AlertArgument,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one alert with its evidence, who takes care of it, and each delivery.

    Examples:
      reefmesh alerts show 0a6d0d0e
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_alerts(place) as ledger:
            alert = await alert_named(ledger, alert_id)
            known = by_alert(await acknowledgements(ledger, raised_since=alert.raised_at)).get(alert.alert_id, [])
            deliveries = await queries.list_deliveries(ledger, alert_id=alert.alert_id, limit=DELIVERIES_LIMIT)
        if as_json:
            print_json(alert_document(alert, known) | {"deliveries": [delivery_document(each) for each in deliveries]})
            return
        out = results()
        out.print(describe(alert))
        for line in acknowledged_lines(known):
            out.print(line)
        if not deliveries:
            people.print("No recipient's rule matches it.")
        for each in deliveries:
            show_entry(out, *delivery_lines(each))

    run(main)


async def _history(ledger: Store, choice: queries.AlertChoice, limit: int) -> _Listing:
    alerts = await queries.list_alerts(ledger, choice, limit=limit)
    oldest = min((alert.raised_at for alert in alerts), default=choice.since)
    known = by_alert(await acknowledgements(ledger, raised_since=oldest))
    return _Listing(
        name="alerts",
        if_none="No alert like that was raised.",
        documents=[alert_document(alert, known.get(alert.alert_id, ())) for alert in alerts],
        entries=[
            (
                head(alert.alert_id, alert.raised_at, alert.reef_id),
                [alert.summary, *acknowledged_lines(known.get(alert.alert_id, ()))],
            )
            for alert in alerts
        ],
    )


async def _open_episodes(ledger: Store, choice: queries.AlertChoice, limit: int, mutes: Sequence[Mute]) -> _Listing:
    known = by_alert(await open_acknowledgements(ledger))
    episodes = [
        each
        for each in await queries.open_episodes(ledger)
        if choice.reef_id in ("", each.reef_id) and choice.kind in ("", each.kind) and each.since >= choice.since
    ][:limit]
    return _Listing(
        name="episodes",
        if_none="No episode like that is open.",
        documents=[episode_document(each, known.get(each.alert_id, ()), mutes) for each in episodes],
        entries=[
            (
                head(each.alert_id, each.since, each.reef_id),
                [episode_line(each), *acknowledged_lines(known.get(each.alert_id, ()))],
            )
            for each in episodes
        ],
    )


async def _failed_deliveries(ledger: Store, choice: queries.AlertChoice, limit: int) -> _Listing:
    deliveries = await queries.failed_deliveries(ledger, choice, limit=limit)
    entries = []
    for each in deliveries:
        said, why = delivery_lines(each)
        entries.append((head(each.alert_id, each.created_at, each.reef_id), [each.summary, said, *why]))
    return _Listing(
        name="deliveries",
        if_none="No delivery like that failed.",
        documents=[delivery_document(each) for each in deliveries],
        entries=entries,
    )


app.command("test", cls=Command)(alert_targets.try_target)
app.command("check", cls=Command)(alert_targets.check_file)
app.command(cls=Command)(alert_unsubscribing.verify)
for command in (alert_mutes.mute, alert_mutes.unmute, alert_mutes.ack):
    app.command(cls=Command)(command)
