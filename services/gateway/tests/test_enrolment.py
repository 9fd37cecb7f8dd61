"""What an operator does with devices, and what a running gateway then knows; on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reefmesh.errors import ConfigurationError
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_gateway.bootstrap import MIGRATIONS
from reefmesh_gateway.domain.token import Token
from reefmesh_gateway.identities.device import EnrolledDevice
from reefmesh_gateway.identities.enrolment import CREDENTIALS_LIMIT, Enrolment
from reefmesh_gateway.identities.known import KnownIdentities
from reefmesh_gateway.identities.last_use import LastUse

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
WEEK = timedelta(days=7)
DEVICE = EnrolledDevice(device="agent-1", reef_id="menjangan", names=frozenset({"agent-1", "867740030000003"}))


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = (
        f"sqlite:///{tmp_path / 'gateway.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("postgresql_schema_url")
    )
    store = open_store(url, migrations=MIGRATIONS)
    await store.open()
    yield store
    await store.close()


async def test_life_of_a_device(store: Store) -> None:
    enrolment, known = Enrolment(store), KnownIdentities(store, now=lambda: 0.0)
    first = await enrolment.enroll(DEVICE, now=NOW)
    assert None is await known.identify(Token.new(), at=NOW)
    second, until = await enrolment.rotate("867740030000003", overlap=WEEK, now=NOW)
    identities = KnownIdentities(store)
    at_once = [await identities.identify(token, at=NOW) for token in (first, second)]
    after = [await identities.identify(token, at=until) for token in (first, second)]
    assert [DEVICE, DEVICE] == [each.device for each in at_once if each]
    assert [None, second.credential_id] == [each and each.credential_id for each in after]
    assert [first.credential_id] == await enrolment.revoke("agent-1", credential_id=first.credential_id, now=NOW)
    assert [second.credential_id] == await enrolment.revoke("agent-1", now=NOW)
    assert [None, None] == [await KnownIdentities(store).identify(token, at=NOW) for token in (first, second)]
    assert [] == await enrolment.revoke("agent-1", now=NOW)
    again = await enrolment.enroll(DEVICE, now=NOW)
    assert None is not await KnownIdentities(store).identify(again, at=NOW)


async def test_database_and_representation_hold_no_secret(store: Store) -> None:
    token = await Enrolment(store).enroll(DEVICE, now=NOW)
    rows = [await store.fetch("SELECT * FROM gateway_device"), await store.fetch("SELECT * FROM gateway_credential")]
    assert (False, False, False) == (token.secret in str(rows), token.text in str(rows), token.secret in repr(token))


async def test_mistakes_are_one_line_each(store: Store) -> None:
    enrolment = Enrolment(store)
    await enrolment.enroll(DEVICE, now=NOW)
    under_its_other_name = EnrolledDevice(device="867740030000003", reef_id="menjangan", names=frozenset({"867740030000003"}))
    for device in (DEVICE, under_its_other_name):
        with pytest.raises(ConfigurationError, match="is enrolled already"):
            await enrolment.enroll(device, now=NOW)
    with pytest.raises(ConfigurationError, match="is not enrolled"):
        await enrolment.rotate("agent-2", overlap=WEEK, now=NOW)
    with pytest.raises(ConfigurationError, match="has no token"):
        await enrolment.revoke("agent-1", credential_id="000000000000", now=NOW)
    for _ in range(CREDENTIALS_LIMIT - 1):
        await enrolment.rotate("agent-1", overlap=WEEK, now=NOW)
    with pytest.raises(ConfigurationError, match=f"has {CREDENTIALS_LIMIT} valid tokens"):
        await enrolment.rotate("agent-1", overlap=WEEK, now=NOW)
    await enrolment.revoke("agent-1", now=NOW)
    with pytest.raises(ConfigurationError, match="has no valid token"):
        await enrolment.rotate("agent-1", overlap=WEEK, now=NOW)


async def test_rotation_makes_no_token_live_longer_than_it_would(store: Store) -> None:
    enrolment = Enrolment(store)
    await enrolment.enroll(DEVICE, now=NOW)
    await enrolment.rotate("agent-1", overlap=timedelta(hours=1), now=NOW)
    await enrolment.rotate("agent-1", overlap=WEEK, now=NOW)
    (line,) = await enrolment.devices()
    assert {NOW + timedelta(hours=1), NOW + WEEK, None} == {each.expires_at for each in line.credentials}


async def test_gateway_follows_a_buoy_that_moves_to_another_reef(store: Store) -> None:
    enrolment, seconds = Enrolment(store), [0.0]
    token = await enrolment.enroll(DEVICE, now=NOW)
    known = KnownIdentities(store, now=lambda: seconds[0])
    await known.identify(token, at=NOW)
    moved = EnrolledDevice(device="agent-1", reef_id="pemuteran", names=DEVICE.names, report_interval_seconds=600)
    stranger = EnrolledDevice(device="agent-9", reef_id="pemuteran", names=frozenset({"agent-9"}))
    assert (["agent-1"], []) == (await enrolment.follow([moved, stranger]), await enrolment.follow([moved]))
    seconds[0] = 2.0
    identity = await known.identify(token, at=NOW)
    assert moved == (identity and identity.device)


async def test_last_use_is_written_once_a_minute_and_listed(store: Store) -> None:
    enrolment, uses = Enrolment(store), LastUse(store)
    token = await enrolment.enroll(DEVICE, now=NOW)
    for seconds in (0, 30, 61):
        uses.note(token.credential_id, NOW + timedelta(seconds=seconds))
        await uses.write()
        (line,) = await enrolment.devices()
        assert NOW + timedelta(seconds={0: 0, 30: 0, 61: 61}[seconds]) == line.last_used_at
