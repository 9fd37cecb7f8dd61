"""Certificates of devices, as an operator asks for them: the authority, a device's files, the list of what was revoked."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reefmesh.contracts import services
from reefmesh.errors import ConfigurationError
from reefmesh_gateway.identities.certificates import CertificateLine
from reefmesh_gateway.identities.device import EnrolledDevice
from reefmesh_gateway.identities.enrolment import Enrolment
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
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import open_stores
from reefmesh_standalone.provisioning.authority import GATEWAY, Authority, IssuedCertificate, KeyType
from reefmesh_standalone.provisioning.card import Card
from reefmesh_standalone.provisioning.private_files import PRIVATE, PUBLIC, write_whole

MQTT_PORT: Final = 8883
"""The Nemo-Pi's firmware knows no other."""

AuthorityOption = Annotated[
    Path | None,
    typer.Option(
        "--authority", help="Folder of the certificate authority; without it, authority in the home.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateOrder:
    """What an operator asks for. ``name``: the common name, under which the device sends."""

    name: str
    host: str | None
    key_type: KeyType
    days: int
    into: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCertificate:
    """A device's folder, and what is in it."""

    folder: Path
    issued: IssuedCertificate

    @property
    def document(self) -> dict[str, Any]:
        return {
            "name": self.issued.name,
            "serial": self.issued.serial,
            "expires_at": self.issued.expires_at,
            "folder": str(self.folder),
        }


def authority_folder(place: Home, stated: Path | None) -> Path:
    return place.path / "authority" if stated is None else stated


def authority(
    server: Annotated[
        list[str] | None,
        typer.Option(help="A name or address of the MQTT broker, for its certificate; may be repeated.", show_default=False),
    ] = None,
    name: Annotated[str, typer.Option(help="What a new authority is called.")] = "reefmesh devices",
    authority: AuthorityOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make your certificate authority, and the files of the MQTT broker and the gateway; what is there stays.

    With --server the broker gets a new certificate. The list of revoked certificates is written anew each time.

    Examples:
      reefmesh devices authority --server mqtt.example.org
      reefmesh devices authority --server mqtt.example.org --server 203.0.113.7 --authority reef-authority
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        now, folder = datetime.now(UTC), authority_folder(place, authority)
        is_new = not (folder / "ca.key").exists()
        opened = Authority.create(folder, name=name, now=now) if is_new else Authority.open(folder)
        if server:
            opened.write_server(server, now=now)
        if not (folder / "gateway" / "gateway.key").exists():
            opened.write_gateway(now=now)
        if place.store_url is None:
            place.create()
        async with open_stores(place, services=(services.GATEWAY,)) as stores:
            await renew_revocation_list(Enrolment(stores[services.GATEWAY]), folder, now=now)
        if as_json:
            print_json({"folder": str(folder), "is_new": is_new, "fingerprint": opened.fingerprint})
            return
        results().print(str(folder), soft_wrap=True)
        if is_new:
            people.print(f"The key of the new authority is {folder / 'ca.key'}: keep a copy where no network reaches it.")
        if not (folder / "broker" / "server.pem").exists():
            people.print("The MQTT broker has no certificate yet: --server NAME gives it one.")

    run(main)


async def write_certificate(
    enrolment: Enrolment, folder: Path, device: EnrolledDevice, order: CertificateOrder
) -> WrittenCertificate:
    """Issue a certificate to a device, note it at the gateway, and write what its installer needs.

    Raises:
        ConfigurationError: there is no authority, the name is taken, or a file cannot be written.
    """
    if order.name == GATEWAY:
        raise ConfigurationError(f"no device can be called {GATEWAY}: the gateway's own certificate is")
    opened, now = Authority.open(folder), datetime.now(UTC)
    issued = opened.issue(order.name, purpose="device", days=order.days, now=now, key_type=order.key_type)
    line = CertificateLine(
        serial=issued.serial, name=order.name, device=device.device, created_at=now, expires_at=issued.expires_at
    )
    await enrolment.certify(device, line, now=now)
    into = (order.into or folder / "devices") / order.name
    card = Card(
        name=order.name,
        reef_id=device.reef_id,
        host=order.host,
        port=MQTT_PORT,
        serial=issued.serial,
        expires_at=issued.expires_at,
        authority_fingerprint=opened.fingerprint,
    )
    values = {"cert_b64": issued.certificate_base64, "key_b64": issued.key_base64, "mqtt_host": order.host}
    write_whole(into / f"{order.name}.key", issued.key_pem, mode=PRIVATE)
    write_whole(into / f"{order.name}.pem", issued.certificate_pem, mode=PUBLIC)
    write_whole(into / f"{order.name}.fskv.json", json.dumps(values, indent=1).encode(), mode=PRIVATE)
    write_whole(into / "ca.pem", opened.certificate_pem, mode=PUBLIC)
    write_whole(into / f"{order.name}.svg", card.svg().encode(), mode=PUBLIC)
    return WrittenCertificate(folder=into, issued=issued)


async def renew_revocation_list(enrolment: Enrolment, folder: Path, *, now: datetime) -> Path | None:
    """Write the list of revoked certificates for the MQTT broker; return its file, or None where there is no authority.

    Raises:
        ConfigurationError: it cannot be written.
    """
    if not (folder / "ca.key").exists():
        return None
    revoked: Sequence[tuple[str, datetime]] = [
        (each.serial, each.revoked_at)
        for line in await enrolment.devices()
        for each in line.certificates
        if each.revoked_at is not None and now < each.expires_at
    ]
    return Authority.open(folder).write_revocation_list(revoked, now=now)
