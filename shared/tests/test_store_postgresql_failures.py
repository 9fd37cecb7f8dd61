"""What a person is told when PostgreSQL cannot be used."""

import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from reefmesh.errors import ConfigurationError
from reefmesh.store.connect import open_store
from reefmesh.store.port import Committed, Store, StoreUnavailable, Unit

OpenStore = Callable[..., Awaitable[Store]]
MakeUnit = Callable[..., Unit]

SECRET = "s3cr3t"


async def failure_of(url: str) -> Exception:
    """Try to open; return the error, whose text is one line without the password."""
    store = open_store(url, migrations=())
    with pytest.raises((ConfigurationError, StoreUnavailable)) as failure:
        await store.open()
    await store.close()
    text = f"{failure.value} {failure.value.__cause__}"
    assert "\n" not in str(failure.value)
    assert SECRET not in text
    assert "p4ss" not in text
    return failure.value


@pytest.fixture
async def admin(postgresql_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(postgresql_url)
    yield connection
    await connection.close()


async def test_wrong_password_says_what_to_check(postgresql_url: str) -> None:
    host = postgresql_url.split("@")[1]
    failure = await failure_of(f"postgresql://reefmesh:{SECRET}@{host}")
    assert isinstance(failure, ConfigurationError)
    assert "check the user and the password" in str(failure)


async def test_unknown_database_says_what_to_create(postgresql_url: str) -> None:
    failure = await failure_of(postgresql_url.rsplit("/", 1)[0] + "/no_such_database")
    assert isinstance(failure, ConfigurationError)
    assert "create the database" in str(failure)


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        failure = await failure_of(f"postgresql://reefmesh:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/reefmesh")
    assert isinstance(failure, StoreUnavailable)
    assert "cannot be reached" in str(failure)


async def test_user_without_rights_says_what_to_grant(postgresql_url: str, admin: "asyncpg.Connection[asyncpg.Record]") -> None:
    role = f"guest_{uuid.uuid4().hex[:8]}"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
    try:
        host = postgresql_url.split("@")[1]
        failure = await failure_of(f"postgresql://{role}:{SECRET}@{host}?schema=not_for_{role}")
    finally:
        await admin.execute(f"DROP ROLE {role}")
    assert isinstance(failure, ConfigurationError)
    assert "right to create the schema" in str(failure)


async def test_server_out_of_connections_is_unavailable_until_there_is_one(
    postgresql_schema_url: str, admin: "asyncpg.Connection[asyncpg.Record]", unit: MakeUnit
) -> None:
    role = f"limited_{uuid.uuid4().hex[:8]}"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}' CONNECTION LIMIT 1 SUPERUSER")
    await admin.execute(f"ALTER ROLE {role} NOSUPERUSER")  # superusers have no limit; the schema is made by the admin
    schema = postgresql_schema_url.rsplit("=", 1)[1]
    await admin.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {role}")
    url = f"postgresql://{role}:{SECRET}@{postgresql_schema_url.split('@')[1]}"
    try:
        failure = await failure_of(url)
        assert isinstance(failure, StoreUnavailable)
        assert "too many connections" in str(failure)

        await admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT 4")
        store = open_store(url, migrations=())
        await store.open()
        assert await store.commit(unit("reef-a", 1, writes=[])) == Committed(1)
        await store.close()
    finally:
        await admin.execute(f"DROP OWNED BY {role} CASCADE")
        await admin.execute(f"DROP ROLE {role}")
