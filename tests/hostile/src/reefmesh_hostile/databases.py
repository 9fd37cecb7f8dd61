"""The services' own databases, read past them: SQLite files, or schemas of one PostgreSQL."""

import asyncio
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import asyncpg

Row = Sequence[Any]


class Databases(Protocol):
    def rows(self, service: str, query: str, parameters: Sequence[str | int] = ()) -> list[Row]:
        """Return what a query finds (``?`` for parameters); nothing while its tables are not there yet."""
        ...

    def size_bytes(self, service: str) -> int: ...


class SqliteDatabases:
    """One file a service, in ``home``."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def rows(self, service: str, query: str, parameters: Sequence[str | int] = ()) -> list[Row]:
        file = self._home / f"{service}.db"
        if not file.exists():
            return []
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10.0)) as connection:
            try:
                return connection.execute(query, tuple(parameters)).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def size_bytes(self, service: str) -> int:
        return sum(file.stat().st_size for file in self._home.glob(f"{service}.db*"))


class PostgresqlDatabases:
    """One schema a service, of the database at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, service: str, query: str, parameters: Sequence[str | int] = ()) -> list[Row]:
        numbers = iter(range(1, len(parameters) + 1))
        numbered = re.sub(r"\?", lambda _: f"${next(numbers)}", query)
        return asyncio.run(self._fetch(service, numbered, parameters))

    def size_bytes(self, service: str) -> int:
        query = (
            "SELECT COALESCE(SUM(pg_total_relation_size(format('%I.%I', schemaname, tablename)::regclass)), 0)"
            " FROM pg_tables WHERE schemaname = ?"
        )
        return int(self.rows(service, query, (service,))[0][0])

    async def _fetch(self, service: str, query: str, parameters: Sequence[str | int]) -> list[Row]:
        connection = await asyncpg.connect(self._url, server_settings={"search_path": service})
        try:
            return [tuple(record) for record in await connection.fetch(query, *parameters)]
        except asyncpg.UndefinedTableError:
            return []
        finally:
            await connection.close()
