"""``reefmesh devices``: who may send to the gateway, and with which tokens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer
from pydantic import TypeAdapter, ValidationError

from reefmesh.contracts import services
from reefmesh.contracts.channels import UNREGISTERED
from reefmesh.contracts.contract import BuoyId, ReefId
from reefmesh.errors import ConfigurationError
from reefmesh_gateway.identities.device import REPORT_INTERVAL_SECONDS, EnrolledDevice
from reefmesh_gateway.identities.enrolment import CredentialLine, DeviceLine, Enrolment
from reefmesh_standalone.commands.alert_lines import utc
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
from reefmesh_standalone.commands.reef_table import table_of
from reefmesh_standalone.commands.register import open_register
from reefmesh_standalone.commands.when import duration_of
from reefmesh_standalone.gateway_devices import device_of
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import open_stores

OVERLAP_LIMIT: Final = timedelta(days=366)

app: Final = typer.Typer(help="Enroll devices at the gateway: tokens, their rotation and their end.", no_args_is_help=True)

DeviceArgument = Annotated[str, typer.Argument(help="IMEI, serial number or name of the device.", show_default=False)]


@app.command(cls=Command)
def enroll(
    device: DeviceArgument,
    reef: Annotated[
        str | None, typer.Option(help="Its reef, without asking the register (which needs its database).", show_default=False)
    ] = None,
    interval: Annotated[
        int | None, typer.Option(min=1, max=86_400, help="Seconds between two reports, with --reef.", show_default=False)
    ] = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a device its token, which is shown this once and kept nowhere; running gateways follow within seconds.

    Its reef, its other names and its report interval come from the register. A device that is not registered yet may be
    enrolled: what it sends is quarantined until it is.

    Examples:
      reefmesh devices enroll 867740030000003
      reefmesh devices enroll agent-1 --json | jq -r .token
      reefmesh devices enroll agent-1 --reef pemuteran --interval 600 --store postgresql://gateway@host/reefmesh
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        if interval is not None and reef is None:
            raise ConfigurationError("--interval goes with --reef; without it, the register says how often the device reports")
        known = await _asked(place, device) if reef is None else _stated(device, reef, interval)
        async with _enrolment(place) as enrolment:
            token = await enrolment.enroll(known, now=datetime.now(UTC))
        if as_json:
            print_json({**_device(known), "token_id": token.credential_id, "token": token.text})
            return
        results().print(token.text, soft_wrap=True)
        people.print(f"{known.device} is enrolled at {known.reef_id}. This is its token; it is not shown again.")

    run(main)


@app.command("list", cls=Command)
def list_devices(
    home: HomeOption = None, store: StoreOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the enrolled devices, their tokens and when each was used last.

    Examples:
      reefmesh devices list
      reefmesh devices list --json | jq '.[] | select(.last_used_at == null) | .device'
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with _enrolment(place) as enrolment:
            lines = await enrolment.devices()
        now = datetime.now(UTC)
        if as_json:
            print_json([_line(line, now) for line in lines])
            return
        if not lines:
            people.print("No device is enrolled; 'reefmesh devices enroll' gives one its token.")
            return
        table = table_of("", "device", "reef", "token", "state", "last used (UTC)", whole=("device", "reef", "token"))
        for line in lines:
            for each in line.credentials:
                used = "never" if each.last_used_at is None else utc(each.last_used_at)
                table.add_row(line.device.device, line.device.reef_id, each.credential_id, _state(each, now), used)
        results().print(table)

    run(main)


@app.command(cls=Command)
def rotate(
    device: DeviceArgument,
    overlap: Annotated[str, typer.Option(help="For so long the tokens before it stay valid: 90m, 2h, 3d, 1w.")] = "7d",
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a device a further token, shown this once; the ones before it end after the overlap.

    Examples:
      reefmesh devices rotate agent-1
      reefmesh devices rotate agent-1 --overlap 2h --json
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        span = duration_of(overlap, option="--overlap")
        if span > OVERLAP_LIMIT:
            raise ConfigurationError(f"--overlap {overlap} is more than {OVERLAP_LIMIT.days} days")
        async with _enrolment(place) as enrolment:
            token, until = await enrolment.rotate(device, overlap=span, now=datetime.now(UTC))
        if as_json:
            print_json({"device": device, "token_id": token.credential_id, "token": token.text, "others_end_at": until})
            return
        results().print(token.text, soft_wrap=True)
        people.print(f"This is the new token of {device}; it is not shown again. The ones before it end at {utc(until)} UTC.")

    run(main)


@app.command(cls=Command)
def revoke(
    device: DeviceArgument,
    token: Annotated[
        str | None, typer.Option("--token", metavar="ID", help="Only this one; 'devices list' shows ids.", show_default=False)
    ] = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the tokens of a device; within ten seconds no gateway takes them any more.

    Examples:
      reefmesh devices revoke agent-1
      reefmesh devices revoke agent-1 --token 5c1f6e2b0a5c
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with _enrolment(place) as enrolment:
            ended = await enrolment.revoke(device, credential_id=token, now=datetime.now(UTC))
        if as_json:
            print_json({"device": device, "revoked": list(ended)})
            return
        tokens = "no token was valid" if not ended else f"revoked: {', '.join(ended)}"
        results().print(f"{device}: {tokens}")

    run(main)


@app.command(cls=Command)
def follow(
    home: HomeOption = None, store: StoreOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Take over from the register where the enrolled devices are now; 'buoys set' and 'reefs load' do so by themselves.

    Only where whoever changes the register has no right to the gateway's database, this is a step of its own, by somebody who
    may use both.

    Examples:
      reefmesh devices follow --store postgresql://admin@host/reefmesh
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_register(place) as register:
            registered = [device_of(each.entry) for each in register.buoys()]
        async with _enrolment(place) as enrolment:
            changed = await enrolment.follow(registered)
        if as_json:
            print_json({"changed": list(changed)})
            return
        results().print(f"changed: {', '.join(changed) or 'nothing'}", soft_wrap=True)

    run(main)


@asynccontextmanager
async def _enrolment(place: Home) -> AsyncIterator[Enrolment]:
    if place.store_url is None:
        place.create()
    async with open_stores(place, services=(services.GATEWAY,)) as stores:
        yield Enrolment(stores[services.GATEWAY])


async def _asked(place: Home, device: str) -> EnrolledDevice:
    """Return what the register says of a device; of one that it does not know, that it is unregistered."""
    if place.exists():
        async with open_register(place) as register:
            if (known := register.buoy(device)) is not None:
                return device_of(known.entry)
    people.print(f"{device} is not registered: what it sends is quarantined until 'reefmesh buoys set {device}' registers it.")
    return _stated(device, UNREGISTERED, None)


def _stated(device: str, reef: str, interval: int | None) -> EnrolledDevice:
    """Raises ConfigurationError for what can be no name."""
    for name, kind, taken in ((device, BuoyId, "device"), (reef, ReefId, "reef")):
        try:
            TypeAdapter(kind).validate_python(name)
        except ValidationError:
            raise ConfigurationError(f"{name!r} can be no name of a {taken}") from None
    return EnrolledDevice(
        device=device,
        reef_id=reef,
        names=frozenset({device}),
        report_interval_seconds=interval or REPORT_INTERVAL_SECONDS,
    )


def _device(device: EnrolledDevice) -> dict[str, Any]:
    return {
        "device": device.device,
        "reef": device.reef_id,
        "names": sorted(device.names),
        "report_interval_seconds": device.report_interval_seconds,
    }


def _line(line: DeviceLine, now: datetime) -> dict[str, Any]:
    tokens = [
        {
            "token_id": each.credential_id,
            "state": _state(each, now),
            "created_at": each.created_at,
            "expires_at": each.expires_at,
            "revoked_at": each.revoked_at,
            "last_used_at": each.last_used_at,
        }
        for each in line.credentials
    ]
    return {**_device(line.device), "last_used_at": line.last_used_at, "tokens": tokens}


def _state(line: CredentialLine, now: datetime) -> str:
    if line.revoked_at is not None:
        return "revoked"
    if line.expires_at is None:
        return "valid"
    return f"valid until {utc(line.expires_at)}" if line.is_valid(now) else "expired"
