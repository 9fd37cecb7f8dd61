"""Versioned schema changes, on every database."""

import asyncio
import hashlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from reefmesh.errors import ConfigurationError
from reefmesh.store.connect import open_store
from reefmesh.store.migrations import Migration, MigrationSet, next_migration, read_migrations
from reefmesh.store.port import Store, Unit, Write, WriteRefused

OpenStore = Callable[..., Awaitable[Store]]
MakeUnit = Callable[..., Unit]


def migration_set(*scripts: str, name: str = "service") -> MigrationSet:
    migrations = tuple(Migration(version=n, name=f"step_{n}", script=script) for n, script in enumerate(scripts, start=1))
    return MigrationSet(name=name, migrations=migrations)


OWN = [("store", 1), ("store", 2)]
"""The store's own migrations, as they are recorded beside a service's."""

FIRST = "CREATE TABLE first (x BIGINT NOT NULL);\nINSERT INTO first (x) VALUES (1);"
SECOND = "-- a comment; with a semicolon\nCREATE TABLE second (y TEXT NOT NULL);\nINSERT INTO second (y) VALUES ('a;b -- c')"
BROKEN = "CREATE TABLE half (x BIGINT);\nCREATE TABLE first (x BIGINT);"


async def reopen(url: str, *sets: MigrationSet) -> list[tuple[str, int]]:
    """Open and close; returns what is recorded."""
    store = open_store(url, migrations=sets)
    await store.open()
    try:
        return [
            tuple(row) for row in await store.fetch("SELECT set_name, version FROM mesh_migration ORDER BY set_name, version")
        ]
    finally:
        await store.close()


async def test_migrations_are_applied_once_in_order_and_recorded(shared_database_url: str) -> None:
    assert await reopen(shared_database_url, migration_set(FIRST)) == [("service", 1), *OWN]

    store = open_store(shared_database_url, migrations=[migration_set(FIRST, SECOND)])
    await store.open()
    assert await store.fetch("SELECT x, y FROM first, second") == [(1, "a;b -- c")]
    await store.close()

    assert await reopen(shared_database_url, migration_set(FIRST, SECOND)) == [("service", 1), ("service", 2), *OWN]


async def test_processes_that_start_together_migrate_once(shared_database_url: str) -> None:
    steps = [f"CREATE TABLE step_{n} (x BIGINT);" for n in range(6)]

    records = await asyncio.gather(*(reopen(shared_database_url, migration_set(*steps)) for _ in range(6)))

    assert records == [[*(("service", n) for n in range(1, 7)), *OWN]] * 6


async def test_database_newer_than_the_program_is_refused(shared_database_url: str) -> None:
    await reopen(shared_database_url, migration_set(FIRST, SECOND))

    with pytest.raises(ConfigurationError, match=r"newer than this program \('service' is at migration 0002\)") as refusal:
        await reopen(shared_database_url, migration_set(FIRST))

    assert "\n" not in str(refusal.value)
    assert "p4ss" not in str(refusal.value)


async def test_applied_migration_that_was_edited_is_refused(shared_database_url: str) -> None:
    await reopen(shared_database_url, migration_set(FIRST))
    await reopen(shared_database_url, migration_set(FIRST.replace("\n", "\r\n")))  # only a checkout's line ends

    with pytest.raises(ConfigurationError, match="another migration 0001_step_1 of 'service'"):
        await reopen(shared_database_url, migration_set(FIRST + "\nCREATE TABLE more (x BIGINT);"))


async def test_database_of_another_service_is_refused(shared_database_url: str) -> None:
    await reopen(shared_database_url, migration_set(FIRST, name="ingest"))

    with pytest.raises(ConfigurationError, match="'ingest', which this program does not know"):
        await reopen(shared_database_url, migration_set(FIRST, name="scoring"))


async def test_failing_migration_leaves_nothing_of_itself(shared_database_url: str) -> None:
    with pytest.raises(WriteRefused):
        await reopen(shared_database_url, migration_set(FIRST, BROKEN))

    mended = migration_set(FIRST, "CREATE TABLE half (x BIGINT);")
    assert await reopen(shared_database_url, mended) == [("service", 1), ("service", 2), *OWN]


async def test_store_that_could_not_open_opens_later(shared_database_url: str) -> None:
    await reopen(shared_database_url, migration_set(FIRST, SECOND))
    newer = open_store(shared_database_url, migrations=[migration_set(FIRST, SECOND, "CREATE TABLE third (x BIGINT)")])
    older = open_store(shared_database_url, migrations=[migration_set(FIRST)])
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            await older.open()
    await older.close()

    await newer.open()
    await newer.close()


async def test_running_older_process_survives_the_migration_of_a_newer_one(
    shared_database_url: str, opened: OpenStore, unit: MakeUnit
) -> None:
    """A rolling upgrade adds a column while an older process is at work with prepared statements."""
    old = await opened(shared_database_url, [migration_set(FIRST)])
    insert = Write("INSERT INTO first (x) VALUES (?)", (2,))
    await old.commit(unit("reef-a", 1, writes=[insert]))
    await old.fetch("SELECT x FROM first")

    await reopen(shared_database_url, migration_set(FIRST, "ALTER TABLE first ADD COLUMN z BIGINT;"))

    await old.commit(unit("reef-a", 2, writes=[insert]))
    assert await old.fetch("SELECT x FROM first ORDER BY x") == [(1,), (2,), (2,)]


def test_statements_are_split_where_sql_ends_them() -> None:
    script = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;\nSELECT ';';\n\n-- the end;\n"
    statements = list(Migration(version=1, name="x", script=script).statements())
    assert [statement.split()[0] for statement in statements] == ["CREATE", "SELECT"]


def test_numbers_with_a_gap_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="without a gap"):
        MigrationSet(name="x", migrations=(Migration(version=2, name="x", script=""),))


def test_the_stores_own_migrations_are_package_data() -> None:
    own = read_migrations("store", "reefmesh.store")
    assert [migration.name for migration in own.migrations] == ["mesh", "outbox_of_a_reef"]
    assert next_migration([own], {}, database="it") == (own, own.migrations[0])


def package_with(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> str:
    """Make an importable package with these migrations; return its name."""
    package = folder / "wreck"
    (package / "migrations").mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, script in files.items():
        (package / "migrations" / f"{name.replace('__', '.')}.sql").write_text(script, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "wreck", raising=False)
    return "wreck"


async def test_change_with_a_file_for_each_database_is_applied_there_as_it_says(
    shared_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = package_with(
        tmp_path / "code",
        monkeypatch,
        **{
            "0001_first": FIRST,
            "0002_own__sqlite": "CREATE TABLE own (it TEXT);\nINSERT INTO own VALUES ('sqlite');",
            "0002_own__postgresql": "CREATE TABLE own (it TEXT);\nINSERT INTO own VALUES ('postgresql');",
        },
    )
    store = open_store(shared_database_url, migrations=[read_migrations("service", package)])
    await store.open()
    try:
        assert await store.fetch("SELECT it FROM own") == [(shared_database_url.partition(":")[0],)]
    finally:
        await store.close()
    assert await reopen(shared_database_url, read_migrations("service", package)) == [("service", 1), ("service", 2), *OWN]


@pytest.mark.parametrize("names", [("0001_a__sqlite",), ("0001_a__postgresql",), ("0001_a", "0001_a__sqlite")])
def test_change_without_a_file_for_one_of_the_databases_is_a_mistake(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = package_with(tmp_path, monkeypatch, **dict.fromkeys(names, "SELECT 1;"))
    with pytest.raises(ValueError, match="0001_a needs one file for both databases, or one for each"):
        read_migrations("service", package)


def test_checksum_covers_the_scripts_of_both_databases() -> None:
    made = Migration(version=1, name="x", script="SELECT 1;", postgresql="SELECT 2;")
    other = Migration(version=1, name="x", script="SELECT 1;", postgresql="SELECT 3;")
    assert made.checksum != other.checksum
    assert Migration(version=1, name="x", script=FIRST).checksum == hashlib.sha256(FIRST.encode()).hexdigest()
