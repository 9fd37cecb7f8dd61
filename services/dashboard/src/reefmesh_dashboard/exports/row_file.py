"""Rows in a temporary database on disk: to be ordered, made distinct and counted, within a number of bytes."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from reefmesh_dashboard.exports.variable import CellRow, Variable

BATCH_ROWS: Final = 5000


class FileTooLarge(Exception):
    """A temporary file has reached its limit."""

    def __init__(self, bytes_limit: int) -> None:
        super().__init__(f"more than {bytes_limit} bytes")
        self.bytes_limit = bytes_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """``distinct``: equal rows are one. ``by``: places of the columns to order by, the first one first; empty: as they came.

    ``keep``: of the rows that are equal in all of ``by`` but its last column, only the one with the greatest or the least of
    that column.
    """

    distinct: bool = False
    by: tuple[int, ...] = ()
    descending: bool = False
    keep: Literal["all", "greatest", "least"] = "all"

    def moved(self, columns: Sequence[Variable], others: Sequence[Variable]) -> "Ordering":
        """Return the same over other columns, which have all of these."""
        names = [variable.name for variable in others]
        return replace(self, by=tuple(names.index(columns[place].name) for place in self.by))


class RowFile:
    """Rows of some columns in a file in ``folder``. Its calls block: they belong into a thread, one at a time.

    Sorting takes as much again in SQLite's own temporary files, at most.
    """

    def __init__(self, folder: Path, variables: Sequence[Variable], *, bytes_limit: int) -> None:
        self._path = folder / "rows.db"
        self._bytes_limit = bytes_limit
        self._columns = len(variables)
        self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA temp_store = FILE")
        names = ", ".join(f"c{place}" for place in range(self._columns))
        self._connection.execute(f"CREATE TABLE kept ({names})")
        self._insert = f"INSERT INTO kept VALUES ({', '.join('?' * self._columns)})"  # noqa: S608  # question marks

    def add(self, rows: Sequence[CellRow]) -> None:
        """Raises FileTooLarge."""
        self._connection.execute("BEGIN")
        self._connection.executemany(self._insert, rows)
        self._connection.execute("COMMIT")
        self._refuse_larger()

    def ordered(self, ordering: Ordering) -> Iterator[list[CellRow]]:
        """Iterate over batches of rows."""
        cursor = self._connection.execute(_select(self._columns, ordering))
        while batch := cursor.fetchmany(BATCH_ROWS):
            yield batch

    def arrange(self, ordering: Ordering) -> None:
        """Let the rows be those of ``ordered``, in that order. Raises FileTooLarge."""
        self._connection.execute(f"CREATE TABLE arranged AS {_select(self._columns, ordering)}")
        self._connection.execute("DROP TABLE kept")
        self._connection.execute("ALTER TABLE arranged RENAME TO kept")
        self._refuse_larger()

    def count(self) -> int:
        ((count,),) = self._connection.execute("SELECT COUNT(*) FROM kept")
        return int(count)

    def series(self, columns: Sequence[int]) -> Sequence[tuple[CellRow, int]]:
        """Return each combination of these columns with the number of its rows, in order."""
        names = _names(columns)
        sql = f"SELECT {names}, COUNT(*) FROM kept GROUP BY {names} ORDER BY {names}"  # noqa: S608  # names made of numbers
        return [(tuple(cells), count) for *cells, count in self._connection.execute(sql)]

    def extremes(self, column: int) -> tuple[float, float] | None:
        """Return the least and the greatest number of a column; None: it has none."""
        sql = f"SELECT MIN(c{column}), MAX(c{column}) FROM kept"  # noqa: S608  # a number
        ((low, high),) = self._connection.execute(sql)
        return None if low is None else (low, high)

    def close(self) -> None:
        """Idempotent. The file stays; it is its folder's."""
        self._connection.close()

    def _refuse_larger(self) -> None:
        if self._path.stat().st_size > self._bytes_limit:
            raise FileTooLarge(self._bytes_limit)


def _names(columns: Sequence[int]) -> str:
    return ", ".join(f"c{place}" for place in columns)


def _select(columns: int, ordering: Ordering) -> str:
    """Return the query; it consists of constants and the numbers of columns."""
    names = _names(range(columns))
    direction = " DESC" if ordering.descending else ""
    order = ", ".join(f"c{place}{direction}" for place in ordering.by)
    source = "kept"
    if ordering.keep != "all":
        *group, last = ordering.by
        partition = f"PARTITION BY {_names(group)} " if group else ""
        greatest = " DESC" if ordering.keep == "greatest" else ""
        place = f"ROW_NUMBER() OVER ({partition}ORDER BY c{last} IS NULL, c{last}{greatest}, rowid) AS place"
        source = f"(SELECT *, {place} FROM kept) WHERE place = 1"  # noqa: S608  # numbers alone
    distinct = "DISTINCT " if ordering.distinct else ""
    if not order:
        order = names if ordering.distinct else "rowid" if source == "kept" else ""
    return f"SELECT {distinct}{names} FROM {source}" + (f" ORDER BY {order}" if order else "")  # noqa: S608  # numbers alone
