"""``reefmesh devices``, as an operator types it."""

import asyncio
import base64
import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from reefmesh.store.connect import open_store
from reefmesh_components.command_in_process import CommandInProcess
from reefmesh_components.reefmesh_command import Ended
from reefmesh_gateway.bootstrap import MIGRATIONS
from reefmesh_gateway.domain.token import Token
from reefmesh_gateway.identities.known import KnownIdentities, KnownSender

IMEI = "867740030000003"
REEFS = ("--name", "Amed", "--latitude", "-8.33", "--longitude", "115.64")


@pytest.fixture
def reefmesh(tmp_path: Path) -> CommandInProcess:
    command = CommandInProcess(home=tmp_path / "home")
    for reef in ("amed", "tulamben"):
        good(command("reefs", "set", reef, *REEFS))
    good(command("buoys", "set", "agent-1", "reef=amed", 'aliases=["867740030000003"]', "report_interval_seconds=600"))
    return command


def good(ended: Ended) -> Ended:
    assert 0 == ended.code, ended.err
    return ended


def identity_of(reefmesh: CommandInProcess, token: str) -> KnownSender | None:
    """Return what a gateway finds behind a token."""

    async def find() -> KnownSender | None:
        store = open_store(f"sqlite:///{reefmesh.home / 'gateway.db'}", migrations=MIGRATIONS)
        await store.open()
        try:
            parsed = Token.parse(token)
            return None if parsed is None else await KnownIdentities(store).identify(parsed, at=datetime.now(UTC))
        finally:
            await store.close()

    return asyncio.run(find())


def test_token_is_all_that_standard_output_shows_and_opens_the_door_for_the_buoy_of_any_of_its_names(
    reefmesh: CommandInProcess,
) -> None:
    ended = good(reefmesh("devices", "enroll", "867740030000003"))
    identity = identity_of(reefmesh, ended.out.strip())
    assert identity is not None
    device = identity.device
    assert ("agent-1", "amed", 600) == (device.device, device.reef_id, device.report_interval_seconds)
    assert {"agent-1", "867740030000003"} == device.names


def test_rotated_and_revoked_tokens_are_listed_with_their_state_and_never_with_their_secret(reefmesh: CommandInProcess) -> None:
    first = good(reefmesh("devices", "enroll", "agent-1", "--json")).document
    second = good(reefmesh("devices", "rotate", "agent-1", "--overlap", "2h", "--json")).document
    good(reefmesh("devices", "revoke", "agent-1", "--token", second["token_id"]))
    listed = good(reefmesh("devices", "list", "--json"))
    (line,) = listed.document
    states = {each["token_id"]: each["state"].split()[0] for each in line["tokens"]}
    assert {first["token_id"]: "valid", second["token_id"]: "revoked"} == states
    assert None is line["last_used_at"]
    shown = listed.out + good(reefmesh("devices", "list")).out
    assert not [each for each in (first, second) if each["token"].split("_", 2)[2] in shown]
    assert (True, False) == tuple(identity_of(reefmesh, each["token"]) is not None for each in (first, second))


def test_device_that_nobody_registered_is_enrolled_and_follows_its_registration(reefmesh: CommandInProcess) -> None:
    ended = good(reefmesh("devices", "enroll", "agent-2"))
    assert "is not registered" in ended.err
    before = identity_of(reefmesh, ended.out.strip())
    good(reefmesh("buoys", "set", "agent-2", "reef=tulamben"))
    after = identity_of(reefmesh, ended.out.strip())
    assert ("unregistered", "tulamben") == (before and before.device.reef_id, after and after.device.reef_id)
    assert "nothing" in good(reefmesh("devices", "follow")).out


def test_reef_and_interval_can_be_stated_where_the_register_cannot_be_read(tmp_path: Path) -> None:
    command = CommandInProcess(home=tmp_path / "elsewhere")
    ended = good(command("devices", "enroll", "agent-3", "--reef", "amed", "--interval", "60", "--json"))
    assert ("amed", 60) == (ended.document["reef"], ended.document["report_interval_seconds"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("enroll", "agent-1"), "is enrolled already"),
        (("enroll", "agent-2", "--interval", "5"), "--interval goes with --reef"),
        (("rotate", "agent-9"), "is not enrolled"),
        (("rotate", "agent-1", "--overlap", "soon"), "is no duration"),
        (("rotate", "agent-1", "--overlap", "9999d"), "is more than 366 days"),
        (("revoke", "agent-1", "--token", "none"), "has no token"),
        (("revoke", "agent-9"), "is not enrolled"),
        (("enroll", "a b", "--reef", "amed"), "can be no name of a device"),
        (("enroll", "agent-4", "--reef", "Amed!"), "can be no name of a reef"),
    ],
)
def test_mistake_is_one_line_and_exit_code_78(reefmesh: CommandInProcess, arguments: tuple[str, ...], said: str) -> None:
    good(reefmesh("devices", "enroll", "agent-1"))
    ended = reefmesh("devices", *arguments)
    assert (78, "", 1) == (ended.code, ended.out, len(ended.err.splitlines()))
    assert said in ended.err


def test_certificate_is_written_with_a_card_that_holds_no_secret_and_a_key_for_its_owner_alone(
    reefmesh: CommandInProcess,
) -> None:
    good(reefmesh("devices", "authority", "--server", "mqtt.example.org", "--server", "203.0.113.7"))
    ended = good(
        reefmesh("devices", "enroll", IMEI, "--certificate", "--key", "ec", "--broker-host", "mqtt.example.org", "--json")
    )
    folder = Path(ended.document["folder"])
    names = {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}
    private, public = {f"{IMEI}.key", f"{IMEI}.fskv.json"}, {f"{IMEI}.pem", f"{IMEI}.svg", "ca.pem"}
    assert dict.fromkeys(private, 0o600) | dict.fromkeys(public, 0o644) == names
    key_pem = (folder / f"{IMEI}.key").read_text()
    secret = "".join(key_pem.splitlines()[1:-1])
    card = (folder / f"{IMEI}.svg").read_text()
    assert secret[:40] not in card + ended.out
    ElementTree.fromstring(card)  # noqa: S314 - our own
    assert all(each in card for each in (IMEI, "amed", "mqtt.example.org:8883", ended.document["serial"]))
    values = json.loads((folder / f"{IMEI}.fskv.json").read_text())
    assert ("mqtt.example.org", secret) == (values["mqtt_host"], values["key_b64"])
    certificate = x509.load_pem_x509_certificate((folder / f"{IMEI}.pem").read_bytes())
    assert certificate.public_bytes(Encoding.DER) == base64.b64decode(values["cert_b64"])
    assert IMEI == certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes()))


def test_certificate_of_a_device_is_listed_and_its_end_is_in_the_list_for_the_broker(reefmesh: CommandInProcess) -> None:
    good(reefmesh("devices", "authority"))
    revocation_list = reefmesh.home / "authority" / "broker" / "crl.pem"
    assert [] == serials(revocation_list)
    first, second = (
        good(reefmesh("devices", "enroll", IMEI, "--certificate", "--key", "ec", "--json")).document["serial"] for _ in range(2)
    )
    good(reefmesh("devices", "revoke", IMEI, "--certificate", first))
    assert [first] == serials(revocation_list)
    (line,) = good(reefmesh("devices", "list", "--json")).document
    assert "agent-1" == line["device"]
    assert {first: "revoked", second: "valid"} == {each["serial"]: each["state"].split()[0] for each in line["certificates"]}
    assert first in good(reefmesh("devices", "list")).out
    good(reefmesh("devices", "revoke", "agent-1"))
    assert {first, second} == set(serials(revocation_list))
    revocation_list.unlink()
    good(reefmesh("devices", "authority"))  # writes it anew, and changes nothing else
    assert {first, second} == set(serials(revocation_list))


def test_authority_that_is_there_stays_and_its_key_is_for_its_owner_alone(reefmesh: CommandInProcess) -> None:
    first = good(reefmesh("devices", "authority", "--json")).document
    second = good(reefmesh("devices", "authority", "--server", "localhost", "--json")).document
    assert (True, False, first["fingerprint"]) == (first["is_new"], second["is_new"], second["fingerprint"])
    folder = Path(first["folder"])
    private = [folder / "ca.key", folder / "broker" / "server.key", folder / "gateway" / "gateway.key"]
    assert [0o700, 0o600, 0o600, 0o600] == [stat.S_IMODE(each.stat().st_mode) for each in (folder, *private)]


def test_certificate_is_refused_in_one_line_without_an_authority_and_for_the_gateways_own_name(
    reefmesh: CommandInProcess,
) -> None:
    without = reefmesh("devices", "enroll", IMEI, "--certificate")
    assert (78, True) == (without.code, "reefmesh devices authority" in without.err)
    good(reefmesh("devices", "authority"))
    taken = reefmesh("devices", "enroll", "gateway", "--reef", "amed", "--certificate")
    assert (78, True) == (taken.code, "no device can be called gateway" in taken.err)
    astray = reefmesh("devices", "enroll", IMEI, "--broker-host", "mqtt.example.org")
    assert (78, True) == (astray.code, "--certificate" in astray.err)


def test_revocation_without_the_authority_says_what_is_left_to_do(reefmesh: CommandInProcess, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    good(reefmesh("devices", "authority", "--authority", elsewhere))
    good(reefmesh("devices", "enroll", IMEI, "--certificate", "--key", "ec", "--authority", elsewhere))
    ended = good(reefmesh("devices", "revoke", IMEI))
    assert "There is no authority in" in ended.err
    assert [] == serials(elsewhere / "broker" / "crl.pem")
    good(reefmesh("devices", "authority", "--authority", elsewhere))
    assert 1 == len(serials(elsewhere / "broker" / "crl.pem"))


def serials(revocation_list: Path) -> list[str]:
    """Return the serial numbers in a list of revoked certificates."""
    return [f"{each.serial_number:x}" for each in x509.load_pem_x509_crl(revocation_list.read_bytes())]
