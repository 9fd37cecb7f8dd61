"""``reefmesh exclude`` and ``reefmesh include``: periods in which values of a buoy do not count, and taking that back."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.padding import Padding

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.contracts.exclusion import REASON_CHARACTERS_LIMIT, ExclusionRequest
from reefmesh.contracts.quantities import UNITS
from reefmesh.errors import ConfigurationError
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_ingest.domain.decode.values import clean_text, instant_of, us_of
from reefmesh_ingest.domain.reading_json import instant_text
from reefmesh_ingest.exclusions.table import MadeExclusion, RequestState, list_exclusions
from reefmesh_ingest.readings_table import count_between
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
    results,
    run,
)
from reefmesh_standalone.commands.progress import bars
from reefmesh_standalone.commands.register import open_register
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.excluding import send_request, until_applied, until_scored
from reefmesh_standalone.exporting.period import end_us_of, first_us_of
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import open_stores
from reefmesh_standalone.records.mistake import shown
from reefmesh_standalone.session import mesh_session

SECOND_US: Final = 1_000_000
KEPT: Final = "the request is safe in the broker and takes effect; 'reefmesh exclude --list' shows when."

FromOption = Annotated[str | None, typer.Option("--from", help="First day of UTC (2026-03-01), or an instant with its offset.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last day, or an instant with its offset, itself not included.")]
AtOption = Annotated[
    str | None, typer.Option("--at", help="One value: its instant; written without a fraction, the whole second.")
]
QuantityOption = Annotated[str | None, typer.Option(help="Only this quantity, e.g. sea_water_temperature; default: all.")]
TimeoutOption = Annotated[float, typer.Option(min=0.1, help="Seconds to wait while ingest does nothing for the request.")]


def exclude(
    buoy: Annotated[str | None, typer.Argument(metavar="BUOY", help="Name of the buoy.", show_default=False)] = None,
    first: FromOption = None,
    last: ToOption = None,
    at: AtOption = None,
    quantity: QuantityOption = None,
    reason: Annotated[str | None, typer.Option(help="Why they do not count, e.g. cleaned.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List what is excluded, of all buoys or of this one.")] = False,
    timeout: TimeoutOption = 60.0,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say in which period values of a buoy do not count: it was out of the water, was cleaned, or a value is wrong.

    Nothing is deleted. The values stay, flagged as failed with the reason, and what arrives later for that period is excluded
    too; 'reefmesh include' takes it back.

    The request goes to the mesh that is up in the home; without one, the mesh runs for as long as it takes.

    Examples:
      reefmesh exclude wall-1 --from 2026-03-01T08:00+08:00 --to 2026-03-01T11:30+08:00 --reason cleaned
      reefmesh exclude wall-1 --at 2026-03-02T00:30:00Z --quantity sea_water_temperature --reason "power-on value"
      reefmesh exclude --list
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        if listing:
            await _list(place, buoy, as_json=as_json)
            return
        if buoy is None:
            raise ConfigurationError("name the buoy: reefmesh exclude BUOY --from ... --to ... --reason ...")
        if reason is None or not (why := clean_text(" ".join(reason.split()), REASON_CHARACTERS_LIMIT)):
            raise ConfigurationError("say why these values do not count: --reason cleaned")
        from_us, until_us = period_of(first, last, at)
        buoy_id, reef_id = await _buoy(place, buoy)
        request = ExclusionRequest(
            action="exclude",
            buoy_id=buoy_id,
            from_at=instant_of(from_us),
            until_at=instant_of(until_us),
            quantity=_known(quantity),
            reason=why,
        )
        await _send(place, request, reef_id, config, stop, timeout=timeout, as_json=as_json)

    run(main, alerts_in_log=False)


def include(
    named: Annotated[
        str, typer.Argument(metavar="BUOY|ID", help="The buoy, or the id that 'exclude' printed.", show_default=False)
    ],
    first: FromOption = None,
    last: ToOption = None,
    at: AtOption = None,
    quantity: QuantityOption = None,
    timeout: TimeoutOption = 60.0,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an exclusion back: its values count as quality control judges them.

    Name it by its id, or by buoy, period and quantity as they were excluded; of a buoy with one exclusion the name is enough.

    Examples:
      reefmesh include 8c0f4c7e-1f0b-5a53-9d0e-0c7a2f1b6a11
      reefmesh include wall-1 --from 2026-03-01T08:00+08:00 --to 2026-03-01T11:30+08:00
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        period = None if first is None and last is None and at is None else period_of(first, last, at)
        made = await _in_force(place, named, period, _known(quantity))
        each = made.exclusion
        buoy_id, reef_id = await _buoy(place, each.buoy_id)
        request = ExclusionRequest(
            action="include",
            buoy_id=buoy_id,
            from_at=instant_of(each.from_us),
            until_at=instant_of(each.until_us),
            quantity=each.quantity,
            reason=each.reason,
        )
        await _send(place, request, reef_id, config, stop, timeout=timeout, as_json=as_json)

    run(main, alerts_in_log=False)


def period_of(first: str | None, last: str | None, at: str | None) -> tuple[int, int]:
    """Return the first instant of a period and the first after it, in UTC microseconds.

    Raises:
        ConfigurationError: no period is named, two are, or it ends before it begins.
    """
    if at is not None:
        if first is not None or last is not None:
            raise ConfigurationError("give --at for one value, or --from and --to for a period, not both")
        if "T" not in at.strip().upper() and " " not in at.strip():
            raise ConfigurationError(f"--at {shown(at)} is no instant; write it like 2026-03-31T08:00:00Z; a day is --from")
        from_us = first_us_of(at, option="--at")
        return from_us, from_us + (1 if from_us % SECOND_US else SECOND_US)
    if first is None or last is None:
        raise ConfigurationError("name the period by --from and --to, or one value by --at")
    from_us, until_us = first_us_of(first), end_us_of(last)
    if from_us >= until_us:
        raise ConfigurationError(f"the period ends before it begins: --from {first} --to {last}")
    return from_us, until_us


def _known(quantity: str | None) -> str | None:
    if quantity is not None and quantity not in UNITS:
        raise ConfigurationError(f"--quantity {shown(quantity)} is none of {', '.join(sorted(UNITS))}")
    return quantity


async def _buoy(place: Home, name: str) -> tuple[str, str]:
    async with open_register(place) as register:
        known = register.buoy(name)
        if known is None:
            raise ConfigurationError(f"buoy {name} is not registered; 'reefmesh buoys list' shows those that are")
        return known.entry.id, known.entry.reef


async def _in_force(place: Home, named: str, period: tuple[int, int] | None, quantity: str | None) -> MadeExclusion:
    """Return the exclusion that is meant.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    place.require()
    async with open_stores(place, services=(services.INGEST,)) as stores:
        known = await list_exclusions(stores[services.INGEST])
    by_id = [made for made in known if made.exclusion.exclusion_id == named]
    if by_id:
        return by_id[0]
    async with open_register(place) as register:
        buoy = register.buoy(named)
    buoy_id = named if buoy is None else buoy.entry.id
    of_buoy = [made for made in known if made.exclusion.buoy_id == buoy_id]
    if not of_buoy:
        raise ConfigurationError(f"nothing of {named} is excluded; 'reefmesh exclude --list' shows what is")
    if period is None:
        meant = of_buoy if quantity is None else [made for made in of_buoy if made.exclusion.quantity == quantity]
    else:
        meant = [made for made in of_buoy if _is_meant(made, period, quantity)]
    if len(meant) != 1:
        many = "more than one exclusion" if len(meant) > 1 else "no exclusion"
        raise ConfigurationError(f"{many} of {buoy_id} is meant; name its id, as 'reefmesh exclude --list {buoy_id}' shows it")
    return meant[0]


def _is_meant(made: MadeExclusion, period: tuple[int, int], quantity: str | None) -> bool:
    each = made.exclusion
    return (each.from_us, each.until_us, each.quantity) == (*period, quantity)


async def _list(place: Home, buoy: str | None, *, as_json: bool) -> None:
    place.require()
    buoy_id = None if buoy is None else (await _buoy(place, buoy))[0]
    async with open_stores(place, services=(services.INGEST,)) as stores:
        known = await list_exclusions(stores[services.INGEST], buoy_id=buoy_id)
    if as_json:
        print_json([_document(made) for made in known])
        return
    if not known:
        people.print("Nothing is excluded." if buoy is None else f"Nothing of {buoy} is excluded.")
    _show(known)


def _show(known: Sequence[MadeExclusion]) -> None:
    """Print lines instead of a table: a wrapped id cannot be copied."""
    out = results()
    for made in known:
        each = made.exclusion
        out.print(plain(f"{each.exclusion_id}  {each.buoy_id}  {each.quantity or 'all quantities'}"))
        period = f"from {instant_text(each.from_us)} to {instant_text(each.until_us)}, itself not included"
        out.print(
            Padding(plain(f"{period}: {each.reason} (excluded {instant_of(made.made_us):%Y-%m-%d %H:%M} UTC)"), (0, 0, 0, 4))
        )


def _document(made: MadeExclusion) -> dict[str, Any]:
    each = made.exclusion
    return {
        "exclusion_id": each.exclusion_id,
        "buoy_id": each.buoy_id,
        "reef_id": made.reef_id,
        "from_at": instant_text(each.from_us),
        "until_at": instant_text(each.until_us),
        "quantity": each.quantity,
        "reason": each.reason,
        "made_at": instant_text(made.made_us),
    }


async def _send(
    place: Home,
    request: ExclusionRequest,
    reef_id: str,
    config: Path | None,
    stop: asyncio.Event,
    *,
    timeout: float,  # of what stands still, not of the whole
    as_json: bool,
) -> None:
    begin_us, end_us = us_of(request.from_at), us_of(request.until_at)
    async with mesh_session(place, clock=SystemClock(), run_services=place.embedded, config=config) as session:
        total = await count_between(session.stores[services.INGEST], request.buoy_id, begin_us, end_us)
        with bars(quiet=as_json) as add:
            moved = add("readings looked at", total)
            request_id = await send_request(session, request, reef_id=reef_id)
            done = await until_applied(session, request_id, report=moved, stop=stop, patience_seconds=timeout)
        if done is None:
            refuse_unfinished(False, session, kept=KEPT)
            raise Outcome(130)
        is_scored = await until_scored(session, reef_id, stop=stop, patience_seconds=timeout)
    if as_json:
        print_json(_outcome(request, done, is_scored=is_scored))
        return
    _say(request, done, is_scored=is_scored)


def _outcome(request: ExclusionRequest, done: RequestState, *, is_scored: bool) -> dict[str, Any]:
    return {
        **request.model_dump(mode="json", exclude={"request_id", "resume_at"}),
        "exclusion_id": done.exclusion_id,
        "readings_in_period": done.readings_looked_at,
        "readings_changed": done.readings_changed,
        "neighbours_changed": done.neighbours_changed,
        "scored": is_scored,
    }


def _say(request: ExclusionRequest, done: RequestState, *, is_scored: bool) -> None:
    out = results()
    what = "excluded" if request.action == "exclude" else "included again"
    out.print(plain(f"{done.exclusion_id}  {request.buoy_id}  {request.quantity or 'all quantities'}"))
    said = f"{done.readings_changed:,} of {counted(done.readings_looked_at, 'reading')} in the period {what}"
    if done.neighbours_changed:
        said += f"; {counted(done.neighbours_changed, 'neighbour')} judged anew"
    if done.readings_looked_at and not done.readings_changed:
        said += ": nothing changed"
    people.print(plain(f"{said}."))
    if request.action == "exclude":
        people.print(plain(f"'reefmesh include {done.exclusion_id}' takes it back."))
    if not is_scored:
        people.print("The scores have not followed yet: scoring or alerts do not run, or work off what came before.")
