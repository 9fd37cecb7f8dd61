"""``reefmesh devices``, as an operator types it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reefmesh.store.connect import open_store
from reefmesh_components.command_in_process import CommandInProcess
from reefmesh_components.reefmesh_command import Ended
from reefmesh_gateway.bootstrap import MIGRATIONS
from reefmesh_gateway.domain.token import Token
from reefmesh_gateway.identities.known import KnownIdentities, KnownSender

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
