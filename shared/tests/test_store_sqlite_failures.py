"""What a person is told when a SQLite file cannot be used, and that the store works again once it can."""

import asyncio
import os
import resource
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reefmesh.clock import SystemClock
from reefmesh.errors import ConfigurationError
from reefmesh.store.connect import open_store
from reefmesh.store.database import DatabaseStore
from reefmesh.store.migrations import read_migrations
from reefmesh.store.port import Committed, Store, StoreUnavailable, Unit
from reefmesh.store.sqlite import SqliteDatabase
from reefmesh.store.sqlite_connection import connect_writer

OpenStore = Callable[..., Awaitable[Store]]
MakeUnit = Callable[..., Unit]

NOBODY = 65534


@pytest.fixture
async def impatient(tmp_path: Path) -> DatabaseStore:
    """A store that does not wait for locks, not yet open."""
    own = read_migrations("store", "reefmesh.store")
    database = SqliteDatabase(tmp_path / "store.db", migrations=[own], clock=SystemClock(), busy_timeout_seconds=0.05)
    return DatabaseStore(database, clock=SystemClock())


@contextmanager
def without_root() -> Iterator[None]:
    """Root may write anywhere; nobody may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that nobody can reach; pytest's own are private."""
    with TemporaryDirectory(prefix="reefmesh-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


async def refusal_of(path: Path) -> str:
    """Try to open; return the one line that says why not."""
    store = open_store(f"sqlite:///{path}", migrations=())
    with pytest.raises(ConfigurationError) as refusal:
        await store.open()
    await store.close()
    text = str(refusal.value)
    assert str(path) in text
    assert "\n" not in text
    return text


async def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert "there is no folder" in await refusal_of(tmp_path / "nowhere" / "store.db")
    assert not (tmp_path / "nowhere").exists()


async def test_folder_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "there is no folder" in await refusal_of(tmp_path / "file" / "store.db")


async def test_folder_instead_of_a_file_cannot_be_opened(tmp_path: Path) -> None:
    assert "cannot be opened" in await refusal_of(tmp_path)


async def test_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 400)

    assert "is no SQLite database" in await refusal_of(path)

    assert path.read_text() == "Dear reader, " * 400


async def test_folder_without_permission_to_write_says_what_to_grant(public_folder: Path) -> None:
    folder = public_folder / "read-only"
    folder.mkdir(mode=0o555)
    with without_root():
        assert "its folder" in await refusal_of(folder / "store.db")
    assert os.listdir(folder) == []


async def test_folder_out_of_reach_says_what_to_grant(public_folder: Path) -> None:
    (public_folder / "private" / "inner").mkdir(parents=True)
    (public_folder / "private").chmod(0o000)
    with without_root():
        assert "cannot be opened" in await refusal_of(public_folder / "private" / "inner" / "store.db")
    (public_folder / "private").chmod(0o700)


async def test_file_without_permission_to_write_says_what_to_grant(public_folder: Path, opened: OpenStore) -> None:
    path = public_folder / "store.db"
    await (await opened(f"sqlite:///{path}")).close()
    path.chmod(0o444)
    with without_root():
        assert "right" in await refusal_of(path)


async def test_file_without_permission_to_read_says_what_to_grant(public_folder: Path, opened: OpenStore) -> None:
    path = public_folder / "store.db"
    await (await opened(f"sqlite:///{path}")).close()
    path.chmod(0o000)
    with without_root():
        assert "cannot be opened" in await refusal_of(path)


async def test_locked_database_is_unavailable_until_it_is_free(
    impatient: DatabaseStore, tmp_path: Path, unit: MakeUnit
) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            await impatient.open()
        other.execute("ROLLBACK")

        await impatient.open()
        try:
            other.execute("BEGIN IMMEDIATE")
            units = [unit(f"reef-{n}", 1, writes=[]) for n in range(3)]
            answers = await asyncio.gather(*(impatient.commit(each) for each in units), return_exceptions=True)
            assert [type(answer) for answer in answers] == [StoreUnavailable] * 3
            assert (await impatient.load("reef-0")).version == 0  # reading goes on meanwhile
            other.execute("ROLLBACK")
            assert await asyncio.gather(*(impatient.commit(each) for each in units)) == [Committed(1)] * 3
        finally:
            await impatient.close()


async def test_wait_for_another_process_holds_up_nobody_else(tmp_path: Path, opened: OpenStore, unit: MakeUnit) -> None:
    """Law 2: statements run on the event loop, waiting for a lock must not."""
    store = await opened(f"sqlite:///{tmp_path / 'store.db'}")
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        committing = asyncio.create_task(store.commit(unit("reef-a", 1, writes=[])))
        for _ in range(10):  # a loop that waits for the lock could not read, and the lock is given back after this
            assert (await store.load("reef-a")).version == 0
        assert not committing.done()
        other.execute("ROLLBACK")
        async with asyncio.timeout(60):
            assert await committing == Committed(1)
    await store.close()


async def test_full_disk_is_unavailable_and_loses_nothing_confirmed(tmp_path: Path, opened: OpenStore, unit: MakeUnit) -> None:
    """A limit on the size of files stands for the disk's end: the journal cannot grow."""
    store = await opened(f"sqlite:///{tmp_path / 'store.db'}")
    number = 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "store.db-wal").stat().st_size + 200_000, hard))
    try:
        with pytest.raises(StoreUnavailable, match="disk"):  # noqa: PT012 - which unit meets the limit is SQLite's affair
            while number < 1000:
                assert await store.commit(unit("reef-a", number + 1, outputs=20)) == Committed(number + 1)
                number += 1
        with pytest.raises(StoreUnavailable, match="disk"):
            await store.commit(unit("reef-a", number + 1, outputs=20))
        assert (await store.load("reef-a")).version == number > 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert await store.commit(unit("reef-a", number + 1, outputs=20)) == Committed(number + 1)
    assert await store.fetch("SELECT COUNT(*) FROM reading") == [(number + 1,)]
    assert await store.fetch("PRAGMA integrity_check") == [("ok",)]


def test_processes_that_make_a_new_file_together_all_open_it(tmp_path: Path) -> None:
    """While the journal's mode changes, SQLite refuses the others at once, whatever time-out it was given: we wait instead."""
    together = 6
    barrier = threading.Barrier(together)

    def open_file(path: Path) -> str:
        barrier.wait()
        with closing(connect_writer(str(path), 5.0)) as connection:
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])

    with ThreadPoolExecutor(together) as threads:
        for number in range(150):
            modes = threads.map(open_file, [tmp_path / f"{number}.db"] * together)
            assert ["wal"] * together == list(modes)
