"""The password of the database is changed there, and the running service has the old one."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from reefmesh.observability.health import REFUSED_SECONDS, Health
from reefmesh.observability.progress import Progress
from reefmesh.store.connect import open_store
from reefmesh_incidents.lone_service import lone_service, page_of, seconds_until

OLD, NEW = "old-secret", "new-secret"
READY, LIVE = "/health/ready", "/health/live"


@dataclass(frozen=True, slots=True)
class Role:
    """A database role of this test's own, which has the schema of its name."""

    name: str
    address: str  # the server's, without a user
    admin: "asyncpg.Connection[asyncpg.Record]"

    def url(self, password: str = "") -> str:
        return f"postgresql://{self.name}{password and f':{password}'}@{self.address}?schema={self.name}"

    async def change_password(self, password: str) -> None:
        """Change it, and cut the connections that were made with the one before."""
        await self.admin.execute(f"ALTER ROLE {self.name} PASSWORD '{password}'")
        await self.admin.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", self.name)


@pytest.fixture
async def role(postgresql_url: str) -> AsyncIterator[Role]:
    admin = await asyncpg.connect(postgresql_url)
    name = f"rotated_{uuid.uuid4().hex[:8]}"
    await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{OLD}'; CREATE SCHEMA {name} AUTHORIZATION {name}")
    parts = urlsplit(postgresql_url)
    role = Role(name=name, address=f"{parts.netloc.rpartition('@')[2]}{parts.path}", admin=admin)
    yield role
    await admin.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", name)
    await admin.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")
    await admin.close()


@pytest.mark.row(5)
async def test_changed_password_in_a_file_is_read_without_a_restart(
    role: Role, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    file = tmp_path / "password"
    file.write_text(OLD)
    with lone_service(tmp_path, role.url(), environment={"REEFMESH_STORE_PASSWORD_FILE": str(file)}) as process:
        await asyncio.to_thread(process.wait_until_healthy)
        await role.change_password(NEW)
        refused = await asyncio.to_thread(page_of, process, READY)
        file.write_text(NEW)
        seconds = await asyncio.to_thread(seconds_until, process.is_healthy, limit_seconds=60)
    assert refused[0] == 503
    measured(f"database's password in a file: ready {seconds:.1f} s after the file had the new one, without a restart")


@pytest.mark.row(5)
async def test_refused_login_asks_for_a_restart_after_the_patience_of_a_start(
    role: Role, measured: Callable[[str], None]
) -> None:
    seconds = 0.0
    store = open_store(role.url(OLD), migrations=())
    await store.open()
    try:
        health = Health("ingest", Progress(), store=store, now=lambda: seconds)
        before = await health.report()
        await role.change_password(NEW)
        await health.report()  # learns that its connection was cut
        refused = await health.report()
        seconds = REFUSED_SECONDS
        patient = await health.report()
        seconds += 1
        impatient = await health.report()
        await role.change_password(OLD)
        afterwards = await health.report()
    finally:
        await store.close()
    reports = (before, refused, patient, impatient, afterwards)
    assert [report.status for report in reports] == ["ok", "failing", "failing", "failing", "ok"]
    assert [report.alive for report in reports] == [True, True, True, False, True]
    assert ("check the user and the password" in refused.reasons[0], OLD in impatient.reasons[0]) == (True, False)
    measured("in a variable: ready 503 at once, with the server's words")


@pytest.mark.row(5)
@pytest.mark.incidents
async def test_changed_password_of_a_variable_ends_in_a_restart_by_the_platform(
    role: Role, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    environment = {"REEFMESH_STORE_PASSWORD": OLD}
    with lone_service(tmp_path, role.url(), environment=environment) as process:
        await asyncio.to_thread(process.wait_until_healthy)
        await role.change_password(NEW)

        def is_dead() -> bool:
            return page_of(process, LIVE)[0] == 503

        seconds = await asyncio.to_thread(seconds_until, is_dead, limit_seconds=REFUSED_SECONDS + 30)
    assert seconds >= REFUSED_SECONDS
    measured(f"live 503 after {seconds:.0f} s, and a platform starts it with the new one")
