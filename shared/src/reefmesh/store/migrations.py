"""Versioned schema changes, read from a package's data: ``NNNN_name.sql``, numbered from 1 without a gap.

A change that the two databases cannot share (partitions, triggers) is two files, ``NNNN_name.sqlite.sql`` and
``NNNN_name.postgresql.sql``; statements of the service stay the same for both (ADR 0039).
Each is applied in a transaction of its own and recorded with its checksum. A released file is never edited: a further one is
added.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from sqlite3 import complete_statement
from typing import Final

from reefmesh.errors import ConfigurationError

RECORD_TABLE: Final = """
CREATE TABLE IF NOT EXISTS mesh_migration (
  set_name TEXT NOT NULL,
  version BIGINT NOT NULL,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_us BIGINT NOT NULL,
  PRIMARY KEY (set_name, version)
)
"""
SELECT_RECORDS: Final = "SELECT set_name, version, checksum FROM mesh_migration"
INSERT_RECORD: Final = "INSERT INTO mesh_migration (set_name, version, name, checksum, applied_us) VALUES (?, ?, ?, ?, ?)"

_FILE_NAME: Final = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)(?:\.(?P<database>sqlite|postgresql))?\.sql")

Records = Mapping[tuple[str, int], str]
"""The migrations that were applied to a database: (set, version) -> checksum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One change. ``postgresql``: the script for PostgreSQL, if ``script`` is for SQLite alone."""

    version: int
    name: str
    script: str
    postgresql: str | None = None

    @property
    def postgresql_script(self) -> str:
        return self.script if self.postgresql is None else self.postgresql

    @property
    def checksum(self) -> str:
        """SHA-256 of what both databases are given, the same for all line ends."""
        lines = [*self.script.splitlines(), *(self.postgresql or "").splitlines()]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def statements(self) -> Iterator[str]:
        """Yield SQLite's statements one by one; the last may lack its semicolon."""
        statement = ""
        for line in self.script.splitlines(keepends=True):
            statement += line
            if complete_statement(statement):
                yield statement
                statement = ""
        if any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines()):
            yield statement


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationSet:
    """All migrations of one owner (the store itself, or a service), in order."""

    name: str
    migrations: tuple[Migration, ...]

    def __post_init__(self) -> None:
        versions = [migration.version for migration in self.migrations]
        if versions != list(range(1, len(versions) + 1)):
            raise ValueError(f"the migrations of {self.name} must be numbered from 0001 without a gap, not {versions}")


def read_migrations(name: str, package: str, folder: str = "migrations") -> MigrationSet:
    """Return the set in ``folder`` of an importable package.

    Raises:
        ValueError: a file has a wrong name, a change has a file for one database alone, or the numbers have a gap (mistakes of
            a developer, found by any start).
    """
    scripts: dict[tuple[int, str], dict[str | None, str]] = {}
    for entry in resources.files(package).joinpath(folder).iterdir():
        if not entry.name.endswith(".sql"):
            continue
        if (match := _FILE_NAME.fullmatch(entry.name)) is None:
            raise ValueError(f"{package}/{folder}/{entry.name} is not named NNNN_name.sql")
        known = scripts.setdefault((int(match["version"]), match["name"]), {})
        known[match["database"]] = entry.read_text(encoding="utf-8")
    migrations = []
    for (version, change), by_database in sorted(scripts.items()):
        if set(by_database) not in ({None}, {"sqlite", "postgresql"}):
            raise ValueError(f"{package}/{folder}/{version:04}_{change} needs one file for both databases, or one for each")
        shared = by_database.get(None)
        script = by_database["sqlite"] if shared is None else shared
        migrations.append(Migration(version=version, name=change, script=script, postgresql=by_database.get("postgresql")))
    return MigrationSet(name=name, migrations=tuple(migrations))


def next_migration(sets: Sequence[MigrationSet], applied: Records, *, database: str) -> tuple[MigrationSet, Migration] | None:
    """Return the first migration that the database lacks; None if it is up to date.

    ``database`` is its name in errors, without a password.

    Raises:
        ConfigurationError: the database is newer than this program, belongs to another service, or was migrated with another
            version of a file.
    """
    known = {(each.name, migration.version): migration for each in sets for migration in each.migrations}
    for (name, version), checksum in sorted(applied.items()):
        migration = known.get((name, version))
        if migration is None and not any(each.name == name for each in sets):
            raise ConfigurationError(
                f"{database} holds tables of '{name}', which this program does not know: give each service its own"
            )
        if migration is None:
            raise ConfigurationError(
                f"{database} is newer than this program ('{name}' is at migration {version:04}): start the newer version, "
                "or restore a backup made before the upgrade"
            )
        if migration.checksum != checksum:
            raise ConfigurationError(
                f"{database} was made with another migration {version:04}_{migration.name} of '{name}' than this program has: "
                "install the version that made it, or start with a new database"
            )
    for each in sets:
        for migration in each.migrations:
            if (each.name, migration.version) not in applied:
                return each, migration
    return None
