"""``reefmesh parked``: messages inside the mesh that a service could not handle and set aside."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, ParkedMessage
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.services import EVERY_SERVICE, SERVICES, subscriptions_of
from reefmesh.errors import ConfigurationError
from reefmesh_standalone.commands.context import (
    BrokerOption,
    ConfigOption,
    HomeOption,
    JsonOption,
    StoreOption,
    home_of,
    people,
    print_json,
    refuse_unfinished,
    results,
    run,
)
from reefmesh_standalone.commands.help_page import Command
from reefmesh_standalone.commands.reef_table import table_of
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.home import Home
from reefmesh_standalone.session import mesh_session

app: Final = typer.Typer(help="Messages that a service could not handle and set aside.", no_args_is_help=True)

LIST_LIMIT: Final = 10_000
CONSUMERS: Final = tuple(each for each in EVERY_SERVICE if each.subscriptions)
ServiceOption = Annotated[str | None, typer.Option(help=f"Only of this service: {', '.join(map(str, CONSUMERS))}.")]
ReefOption = Annotated[str | None, typer.Option(help="Only of this reef.")]


@app.command("list", cls=Command)
def list_parked(
    service: ServiceOption = None,
    reef: ReefOption = None,
    limit: Annotated[int, typer.Option(min=1, max=LIST_LIMIT, help="At most so many of each service.")] = 100,
    home: HomeOption = None,
    broker: BrokerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List parked messages, the oldest first.

    Examples:
      reefmesh parked list --service scoring
    """
    place = home_of(home, broker, None, config)

    async def main(_: asyncio.Event) -> None:
        async with _broker(place) as client:
            found = await _parked(client, service, reef, limit)
        if as_json:
            print_json([_document(parked) for parked in found])
            return
        if not found:
            people.print("Nothing is parked.")
            return
        table = table_of("", "id", "service", "reef", "seq", "parked (UTC)", "tries", "why", numbers=("seq", "tries"))
        for parked in found:
            message = parked.message
            place_of = (parked.parking_id, parked.subscription.service, message.reef_id, str(message.seq or ""))
            at = f"{datetime.fromisoformat(parked.parked_at):%Y-%m-%d %H:%M}"
            table.add_row(*place_of, at, str(parked.attempts), f"{parked.reason}: {parked.detail}")
        results().print(table)

    run(main)


@app.command(cls=Command)
def show(
    parking_id: Annotated[str, typer.Argument(help="Parking id, as listed.", show_default=False)],
    home: HomeOption = None,
    broker: BrokerOption = None,
    config: ConfigOption = None,
) -> None:
    """Show one parked message whole, as JSON.

    Examples:
      reefmesh parked show 17
    """
    place = home_of(home, broker, None, config)

    async def main(_: asyncio.Event) -> None:
        async with _broker(place) as client:
            found = [each for each in await _parked(client, None, None, LIST_LIMIT) if each.parking_id == parking_id]
        if not found:
            raise _unknown([parking_id])
        print_json(_document(found[0]) | _body(found[0].message.body))

    run(main)


@app.command(cls=Command)
def replay(
    parking_ids: Annotated[list[str] | None, typer.Argument(help="Parking ids, as listed.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All parked messages (of --service, of --reef).")] = False,
    service: ServiceOption = None,
    reef: ReefOption = None,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Send parked messages to their service again, in the order in which they were parked.

    They go to the mesh that is up in the home; without one, the mesh runs until it has handled them.

    Examples:
      reefmesh parked replay 17 18
      reefmesh parked replay --all --reef amed-wall
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        if bool(parking_ids) == everything:
            raise ConfigurationError("name the messages to replay, or say --all")
        async with _broker(place) as client:
            known = await _parked(client, service, reef, LIST_LIMIT)
        unknown = sorted(set(parking_ids or ()) - {each.parking_id for each in known})
        if unknown:
            raise _unknown(unknown)
        chosen = [each for each in known if everything or each.parking_id in (parking_ids or ())]
        if not chosen:
            people.print("Nothing like that is parked.")
            return
        async with mesh_session(place, clock=SystemClock(), run_services=place.embedded, config=config) as session:
            replayed = await _replay(session.broker, chosen)
            if session.mesh is None:
                results().print(f"{counted(replayed, 'message')} sent again to the mesh that is up")
                return
            idle = await session.mesh.until_idle(stop=stop, ended=session.ended)
            refuse_unfinished(idle, session, kept="what was sent again is safe in the broker.")
            still = len(await _parked(session.broker, service, reef, LIST_LIMIT)) - (len(known) - replayed)
        results().print(f"{counted(replayed, 'message')} sent again, {still} of them parked again")

    run(main)


@app.command(cls=Command)
def discard(
    parking_ids: Annotated[list[str] | None, typer.Argument(help="Parking ids, as listed.", show_default=False)] = None,
    reason: Annotated[str | None, typer.Option(help="All that were parked for this reason (of --service, of --reef).")] = None,
    service: ServiceOption = None,
    reef: ReefOption = None,
    home: HomeOption = None,
    broker: BrokerOption = None,
    config: ConfigOption = None,
) -> None:
    """Delete parked messages for good.

    Examples:
      reefmesh parked discard 17 18
      reefmesh parked discard --service ingest --reason bad-envelope
    """
    place = home_of(home, broker, None, config)

    async def main(_: asyncio.Event) -> None:
        if bool(parking_ids) == bool(reason):
            raise ConfigurationError("name the messages to delete, or say --reason")
        async with _broker(place) as client:
            known = await _parked(client, service, reef, LIST_LIMIT)
            unknown = sorted(set(parking_ids or ()) - {each.parking_id for each in known})
            if unknown:
                raise _unknown(unknown)
            chosen = [each for each in known if each.reason == reason or each.parking_id in (parking_ids or ())]
            discarded = await _discard(client, chosen)
        results().print(f"{counted(discarded, 'message')} deleted")

    run(main)


@asynccontextmanager
async def _broker(place: Home) -> AsyncIterator[Broker]:
    place.require()
    broker = open_broker(place.broker_address(publisher_only=True), clock=SystemClock())
    try:
        await broker.connect()
        yield broker
    finally:
        await broker.close()


async def _parked(broker: Broker, service: str | None, reef: str | None, limit: int) -> list[ParkedMessage]:
    found: list[ParkedMessage] = []
    for subscription in _subscriptions(service):
        found += await broker.parking(subscription).list(limit=limit, reef_id=reef)
    return found


async def _replay(broker: Broker, chosen: Sequence[ParkedMessage]) -> int:
    return sum([await broker.parking(each).replay(parking_ids) for each, parking_ids in _by_subscription(chosen)])


async def _discard(broker: Broker, chosen: Sequence[ParkedMessage]) -> int:
    return sum([await broker.parking(each).discard(parking_ids) for each, parking_ids in _by_subscription(chosen)])


def _by_subscription(chosen: Sequence[ParkedMessage]) -> list[tuple[Subscription, list[str]]]:
    found = [
        (subscription, [each.parking_id for each in chosen if each.subscription == subscription])
        for subscription in subscriptions_of(CONSUMERS)
    ]
    return [(subscription, parking_ids) for subscription, parking_ids in found if parking_ids]


def _subscriptions(service: str | None) -> list[Subscription]:
    """Without a service those that every mesh has: a broker need not know the parking of the others."""
    chosen = [each for each in subscriptions_of(SERVICES if service is None else CONSUMERS) if service in (None, each.service)]
    if not chosen:
        names = ", ".join(map(str, CONSUMERS))
        raise ConfigurationError(f"there is no service '{service}'; there are {names}")
    return chosen


def _unknown(parking_ids: Sequence[str]) -> ConfigurationError:
    named = ", ".join(parking_ids)
    return ConfigurationError(f"nothing is parked under {named}; 'reefmesh parked list' shows what is")


def _document(parked: ParkedMessage) -> dict[str, Any]:
    message = parked.message
    return {
        "parking_id": parked.parking_id,
        "service": parked.subscription.service,
        "channel": parked.subscription.channel.name,
        "reason": parked.reason,
        "detail": parked.detail,
        "attempts": parked.attempts,
        "parked_at": parked.parked_at,
        "sender": parked.sender,
        "headers": message.to_headers(),
        "body_bytes": len(message.body),
    }


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}
