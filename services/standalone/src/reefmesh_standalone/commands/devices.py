"""``reefmesh devices``: who may send to the gateway, and with which tokens and certificates."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import TypeAdapter, ValidationError

from reefmesh.contracts import services
from reefmesh.contracts.channels import UNREGISTERED
from reefmesh.contracts.contract import BuoyId, ReefId
from reefmesh.errors import ConfigurationError
from reefmesh_gateway.identities.certificates import CertificateLine, RefusedLine
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
from reefmesh_standalone.commands.device_certificates import (
    AuthorityOption,
    CertificateOrder,
    authority,
    authority_folder,
    renew_revocation_list,
    write_certificate,
)
from reefmesh_standalone.commands.help_page import Command
from reefmesh_standalone.commands.reef_table import table_of
from reefmesh_standalone.commands.register import open_register
from reefmesh_standalone.commands.when import duration_of
from reefmesh_standalone.gateway_devices import device_of
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import open_stores
from reefmesh_standalone.provisioning.authority import KeyType

OVERLAP_LIMIT: Final = timedelta(days=366)

app: Final = typer.Typer(
    help="Enroll devices at the gateway: tokens and certificates, their rotation and their end.", no_args_is_help=True
)
app.command(cls=Command)(authority)

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
    certificate: Annotated[
        bool, typer.Option("--certificate", help="For MQTT: a certificate by your authority, and a card, instead of a token.")
    ] = False,
    broker_host: Annotated[
        str | None, typer.Option(help="Where the device connects to MQTT, for its card.", show_default=False)
    ] = None,
    key: Annotated[KeyType, typer.Option(help="Kind of its key.")] = "rsa",
    days: Annotated[int, typer.Option(min=1, max=7300, help="For so long the certificate is valid.")] = 1825,
    into: Annotated[
        Path | None, typer.Option(help="Folder for its files; without it, devices beside the authority.", show_default=False)
    ] = None,
    authority: AuthorityOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a device its token, which is shown this once and kept nowhere, or a certificate for MQTT; gateways follow at once.

    Its reef, its other names and its report interval come from the register. A device that is not registered yet may be
    enrolled: what it sends is quarantined until it is.

    Examples:
      reefmesh devices enroll 867740030000003
      reefmesh devices enroll agent-1 --json | jq -r .token
      reefmesh devices enroll 867740030000003 --certificate --broker-host mqtt.example.org
      reefmesh devices enroll agent-1 --reef pemuteran --interval 600 --store postgresql://gateway@host/reefmesh
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        if interval is not None and reef is None:
            raise ConfigurationError("--interval goes with --reef; without it, the register says how often the device reports")
        known = await _asked(place, device) if reef is None else _stated(device, reef, interval)
        if certificate:
            order = CertificateOrder(name=device, host=broker_host, key_type=key, days=days, into=into)
            async with _enrolment(place) as enrolment:
                written = await write_certificate(enrolment, authority_folder(place, authority), known, order)
            if as_json:
                print_json({**_device(known), **written.document})
                return
            results().print(str(written.folder), soft_wrap=True)
            people.print(f"{device} is enrolled at {known.reef_id}: its key, its certificate and its card are in that folder.")
            return
        if broker_host is not None or into is not None:
            raise ConfigurationError("--broker-host and --into go with --certificate")
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
    """List the enrolled devices, their tokens and certificates, and when each was used last.

    Examples:
      reefmesh devices list
      reefmesh devices list --json | jq '.[] | select(.last_used_at == null) | .device'
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with _enrolment(place) as enrolment:
            lines, refused = await enrolment.devices(), {each.name: each for each in await enrolment.refused()}
        now = datetime.now(UTC)
        if as_json:
            print_json([_line(line, refused, now) for line in lines])
            return
        if not lines:
            people.print("No device is enrolled; 'reefmesh devices enroll' gives one its token.")
            return
        table = table_of("", "device", "reef", "kind", "id", "state", "last used (UTC)", whole=("device", "reef", "id"))
        for line in lines:
            shown: list[tuple[str, str, CredentialLine | CertificateLine]] = [
                *(("token", each.credential_id, each) for each in line.credentials),
                *((f"mqtt {each.name}", each.serial, each) for each in line.certificates),
            ]
            for kind, identifier, either in shown:
                used = "never" if either.last_used_at is None else utc(either.last_used_at)
                table.add_row(line.device.device, line.device.reef_id, kind, identifier, _state(either, now), used)
        results().print(table)
        for name, each in refused.items():
            what = f"{each.reports} reports refused over MQTT, the last at {utc(each.last_at)} UTC: {each.reason}"
            people.print(f"{name or '(no device)'}: {what}")

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
    certificate: Annotated[
        str | None, typer.Option("--certificate", metavar="SERIAL", help="Only this one.", show_default=False)
    ] = None,
    authority: AuthorityOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the tokens and certificates of a device; within ten seconds no gateway takes them any more.

    Of certificates the list for the MQTT broker is written anew too, where the authority is; there it is read within seconds.

    Examples:
      reefmesh devices revoke agent-1
      reefmesh devices revoke agent-1 --token 5c1f6e2b0a5c
      reefmesh devices revoke 867740030000003 --certificate 4d2a19
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        now, folder = datetime.now(UTC), authority_folder(place, authority)
        async with _enrolment(place) as enrolment:
            tokens: Sequence[str] = ()
            certificates: Sequence[str] = ()
            if certificate is None:
                tokens = await enrolment.revoke(device, credential_id=token, now=now)
            if token is None:
                certificates = await enrolment.revoke_certificates(device, serial=certificate, now=now)
            revocation_list = await renew_revocation_list(enrolment, folder, now=now) if certificates else None
        if as_json:
            written = None if revocation_list is None else str(revocation_list)
            document = {"device": device, "revoked": list(tokens), "revoked_certificates": list(certificates)}
            print_json(document | {"revocation_list": written})
            return
        ended = ", ".join((*tokens, *certificates))
        results().print(f"{device}: {f'revoked: {ended}' if ended else 'nothing was valid'}", soft_wrap=True)
        if certificates and revocation_list is None:
            people.print(
                f"There is no authority in {folder}: gateways take nothing of these certificates any more, but the MQTT broker"
                " lets them in until 'reefmesh devices authority' has written its list, where the authority is."
            )

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


def _line(line: DeviceLine, refused: Mapping[str, RefusedLine], now: datetime) -> dict[str, Any]:
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
    certificates = [
        {
            "serial": each.serial,
            "name": each.name,
            "state": _state(each, now),
            "created_at": each.created_at,
            "expires_at": each.expires_at,
            "revoked_at": each.revoked_at,
            "last_used_at": each.last_used_at,
        }
        for each in line.certificates
    ]
    return {
        **_device(line.device),
        "last_used_at": line.last_used_at,
        "tokens": tokens,
        "certificates": certificates,
        "refused_over_mqtt": sum(refused[name].reports for name in line.device.names if name in refused),
    }


def _state(line: CredentialLine | CertificateLine, now: datetime) -> str:
    if line.revoked_at is not None:
        return "revoked"
    if line.expires_at is None:
        return "valid"
    return f"valid until {utc(line.expires_at)}" if line.is_valid(now) else "expired"
