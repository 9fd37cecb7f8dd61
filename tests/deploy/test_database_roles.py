"""``deploy/postgresql/roles.sql`` on a real PostgreSQL: each service works as its role and reaches nothing of another's."""

import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import pytest

from reefmesh.contracts.services import EVERY_SERVICE, ServiceEntry
from reefmesh.service.program import load_program
from reefmesh.store.connect import open_store
from reefmesh_components.postgresql import PostgresqlProcess, local_postgresql, psql_program
from reefmesh_components.requirement import ComponentMissing, give_up

SCRIPT: Final = Path(__file__).parents[2] / "deploy" / "postgresql" / "roles.sql"
WITH_DATABASE: Final = [each for each in EVERY_SERVICE if each.has_database]
PASSWORDS: Final = {f"STORE_PASSWORD_{name.upper()}": f"s3cr3t '{name}" for name in (*map(str, WITH_DATABASE), "reader")}
OTHERS: Final = [(own, other) for own in WITH_DATABASE for other in WITH_DATABASE if own is not other]

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlProcess]:
    """A server of this module's own: roles belong to a whole server."""
    try:
        psql_program()
        with local_postgresql() as process:
            yield process
    except ComponentMissing as missing:
        give_up(missing)


@pytest.fixture
async def database(server: PostgresqlProcess) -> str:
    """The superuser's address of a new, empty database."""
    name = f"reefmesh_{uuid.uuid4().hex[:8]}"
    async with session(server.url) as superuser:
        await superuser.execute(f'CREATE DATABASE "{name}"')
    return f"{server.url.rpartition('/')[0]}/{name}"


@pytest.fixture
async def with_roles(database: str) -> str:
    """A database over which roles.sql was run, and whose schemas the services have filled with their tables."""
    run_script(database)
    for entry in WITH_DATABASE:
        await start(entry, address_as(database, entry.name))
    return database


@asynccontextmanager
async def session(url: str) -> AsyncIterator[Session]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def address_as(database: str, role: str) -> str:
    parts = urlsplit(database)
    return f"postgresql://{role}:s3cr3t%20%27{role}@127.0.0.1:{parts.port}{parts.path}"


def run_script(database: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [psql_program(), "--no-psqlrc", f"--file={SCRIPT}", database],
        env=os.environ | PASSWORDS | changes,
        text=True,
        capture_output=True,
        check=False,
    )


async def start(entry: ServiceEntry, url: str) -> None:
    """Open the store of a service in its schema, as its start does, migrations included."""
    store = open_store(f"{url}?schema={entry}", migrations=load_program(entry).migrations)
    await store.open()
    await store.close()


async def owners(superuser: Session, schema: str) -> set[str]:
    rows = await superuser.fetch("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = $1::regnamespace", schema)
    return {row[0] for row in rows}


async def test_each_service_makes_and_owns_its_tables_as_its_role(with_roles: str) -> None:
    async with session(with_roles) as superuser:
        assert [{str(each)} for each in WITH_DATABASE] == [await owners(superuser, str(each)) for each in WITH_DATABASE]
        rights = (
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = $1"
        )
        assert {False} == {await superuser.fetchval(rights, name) for name in (*map(str, WITH_DATABASE), "reader")}


@pytest.mark.parametrize(("own", "other"), OTHERS, ids=str)
async def test_service_neither_reads_nor_writes_nor_makes_anything_in_the_schema_of_another(
    with_roles: str, own: ServiceEntry, other: ServiceEntry
) -> None:
    async with session(address_as(with_roles, own.name)) as intruder:
        for statement in (
            f"SELECT 1 FROM {other}.mesh_migration",  # noqa: S608 - names of our own list
            f"DELETE FROM {other}.mesh_migration",  # noqa: S608 - likewise
            f"DROP TABLE {other}.mesh_migration",
            f"CREATE TABLE {other}.planted (x int)",
            f"GRANT {other} TO {own}",
            f"SET ROLE {other}",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await intruder.execute(statement)


@pytest.mark.parametrize("entry", WITH_DATABASE, ids=str)
async def test_service_makes_nothing_outside_its_schema(with_roles: str, entry: ServiceEntry) -> None:
    async with session(address_as(with_roles, entry.name)) as role:
        for statement in (
            "CREATE TABLE public.planted (x int)",
            "CREATE SCHEMA planted",
            "CREATE TEMPORARY TABLE planted (x int)",
            "CREATE ROLE planted",
            "ALTER ROLE reader PASSWORD 'planted'",
            "COPY (SELECT 1) TO PROGRAM 'true'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await role.execute(statement)


async def test_reader_reads_every_schema_and_writes_none(with_roles: str) -> None:
    async with session(address_as(with_roles, "reader")) as reader:
        for entry in WITH_DATABASE:
            assert await reader.fetchval(f"SELECT count(*) FROM {entry}.mesh_migration") > 0  # noqa: S608 - likewise
        await reader.execute("SET default_transaction_read_only = off")
        for statement in ("DELETE FROM ingest.mesh_migration", "CREATE TABLE ingest.planted (x int)"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(statement)


async def test_role_that_nobody_named_does_not_even_connect(with_roles: str) -> None:
    async with session(with_roles) as superuser:
        await superuser.execute("DROP ROLE IF EXISTS stranger")
        await superuser.execute("CREATE ROLE stranger LOGIN PASSWORD 's3cr3t ''stranger'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with session(address_as(with_roles, "stranger")):
            pass


async def test_database_of_one_superuser_is_handed_over_with_its_rows_and_rights(database: str) -> None:
    """As compose made it before there were roles, and with rights that somebody granted on top."""
    for entry in WITH_DATABASE:
        await start(entry, database)
    async with session(database) as superuser:
        before = await superuser.fetch("SELECT * FROM scoring.mesh_migration ORDER BY 1, 2")
        await superuser.execute("GRANT USAGE ON SCHEMA scoring TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA scoring TO PUBLIC")
        await superuser.execute("CREATE TABLE scoring.extra (id bigserial PRIMARY KEY); CREATE SEQUENCE scoring.counter")
        await superuser.execute("CREATE VIEW scoring.seen AS SELECT 1 AS one")

    runs = [run_script(database) for _ in range(2)]

    assert [(0, "", "")] * 2 == [(each.returncode, each.stdout, each.stderr) for each in runs]
    async with session(database) as superuser:
        assert [{str(each)} for each in WITH_DATABASE] == [await owners(superuser, str(each)) for each in WITH_DATABASE]
        assert before == await superuser.fetch("SELECT * FROM scoring.mesh_migration ORDER BY 1, 2")
    async with session(address_as(database, "alerts")) as intruder:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await intruder.fetch("SELECT * FROM scoring.mesh_migration")
    for entry in WITH_DATABASE:
        await start(entry, address_as(database, entry.name))


async def test_main_user_of_a_managed_database_runs_it_without_being_superuser(server: PostgresqlProcess) -> None:
    name = f"managed_{uuid.uuid4().hex[:8]}"
    async with session(server.url) as superuser:
        for role in (*map(str, WITH_DATABASE), "reader"):  # of other tests: a server that has been used for nothing yet
            await superuser.execute(f"ALTER ROLE {role} RENAME TO {role}_{name}") if await known(superuser, role) else None
        await superuser.execute(f"CREATE ROLE {name} LOGIN CREATEROLE CREATEDB PASSWORD 's3cr3t ''{name}'")
        await superuser.execute(f"CREATE DATABASE {name} OWNER {name}")
    managed = address_as(f"{server.url.rpartition('/')[0]}/{name}", name)

    runs = [run_script(managed) for _ in range(2)]

    assert [(0, "")] * 2 == [(each.returncode, each.stderr) for each in runs]
    for entry in WITH_DATABASE:
        await start(entry, address_as(managed, entry.name))


async def known(superuser: Session, role: str) -> bool:
    return bool(await superuser.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role))


async def test_missing_password_changes_nothing_and_names_the_variable(database: str) -> None:
    refused = run_script(database, STORE_PASSWORD_ALERTS="")
    assert (refused.returncode, "STORE_PASSWORD_ and the name" in refused.stderr, "role alerts" in refused.stderr) == (
        3,
        True,
        True,
    )
    async with session(database) as superuser:
        assert not await superuser.fetchval("SELECT true FROM pg_namespace WHERE nspname = 'ingest'")


async def test_passwords_are_in_no_log_of_the_server(server: PostgresqlProcess, database: str) -> None:
    async with session(database) as superuser:
        await superuser.execute("ALTER SYSTEM SET log_statement = 'all'")
        await superuser.execute("SELECT pg_reload_conf()")
    done = run_script(database, STORE_PASSWORD_READER="unlogged")
    async with session(database) as superuser:
        await superuser.execute("ALTER SYSTEM RESET log_statement")
        await superuser.execute("SELECT pg_reload_conf()")
    assert (done.returncode, "set_config('log_statement'" in server.log()) == (0, True)
    assert "unlogged" not in server.log()
