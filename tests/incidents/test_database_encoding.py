"""A database that cannot hold every name: LATIN1, and SQL_ASCII, which holds bytes that it does not know."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from reefmesh.clock import SystemClock
from reefmesh_incidents.lone_service import SERVICE, lone_service
from reefmesh_standalone.doctor.examination import Examination

EXIT_CONFIGURATION, LIMIT_SECONDS = 78, 30.0


@pytest.fixture(params=["LATIN1", pytest.param("SQL_ASCII", marks=pytest.mark.incidents)])
def database(request: pytest.FixtureRequest, postgresql_url: str) -> Iterator[tuple[str, str]]:
    """The encoding, and the URL of a database in it."""
    encoding, name = request.param, f"encoded_{uuid.uuid4().hex[:8]}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(postgresql_url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"))
    yield encoding, urlsplit(postgresql_url)._replace(path=f"/{name}").geturl()
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.mark.row(11)
def test_database_in_another_encoding_is_refused_at_the_start_and_by_doctor(
    database: tuple[str, str], tmp_path: Path, measured: Callable[[str], None]
) -> None:
    encoding, url = database
    with lone_service(tmp_path, f"{url}?schema={SERVICE}") as process:
        code = process.wait_until_ended(LIMIT_SECONDS)
    line = process.last_words()
    assert (code, f"is in {encoding}" in line, "ENCODING 'UTF8'" in line, " | " in line) == (
        EXIT_CONFIGURATION,
        True,
        True,
        False,
    )

    examination = Examination(lambda _: None, clock=SystemClock())
    asyncio.run(examination.examine_databases({SERVICE: (f"{url}?schema={SERVICE}", ())}))
    (finding,) = examination.findings
    assert (finding.verdict, f"is in {encoding}" in finding.said) == ("fail", True)
    measured(f"{encoding}: exit {code} with how to create one in UTF-8; doctor says fail with the same line")
