"""TLS to a real PostgreSQL: what is checked, and what an operator reads when it is not what the URL asks for."""

import datetime
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from reefmesh.clock import SystemClock
from reefmesh.errors import ConfigurationError
from reefmesh.service.exit import explain
from reefmesh.store.connect import inspect_store, open_store
from reefmesh.store.port import Store, StoreUnavailable
from reefmesh_components.certificates import ServerCertificate, make_server_certificate
from reefmesh_components.postgresql import PostgresqlProcess, local_postgresql
from reefmesh_components.requirement import ComponentMissing, give_up

EXIT_UNAVAILABLE, EXIT_CONFIGURATION = 75, 78


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsServer:
    process: PostgresqlProcess
    certificate: ServerCertificate

    def url(self, *, host: str = "localhost", mode: str = "verify-full", ca: Path | None = None) -> str:
        address = self.process.url.replace("127.0.0.1", host)
        return f"{address}?sslmode={mode}&sslrootcert={quote(str(ca or self.certificate.ca_file))}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """Its certificate names localhost alone, and not the address that it listens at."""
    certificate = make_server_certificate(tmp_path_factory.mktemp("authority"), names=("localhost",))
    try:
        with local_postgresql(certificate) as process:
            yield TlsServer(process=process, certificate=certificate)
    except ComponentMissing as missing:
        give_up(missing)


async def opened(url: str) -> Store:
    store = open_store(url, migrations=())
    await store.open()
    return store


async def end_of_start(url: str) -> tuple[int, str]:
    """Open the store as a service does at its start; return the exit code and the one line."""
    said = io.StringIO()
    with pytest.raises((ConfigurationError, StoreUnavailable)) as refusal:
        await opened(url)
    code = explain(refusal.value, stderr=said)
    assert (said.getvalue().count("\n"), "p4ss" in said.getvalue()) == (1, False)
    return code, said.getvalue()


async def test_server_that_the_authority_vouches_for_is_used_over_tls(server: TlsServer) -> None:
    store = await opened(server.url())
    rows = await store.fetch("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", ())
    await store.close()
    seen = await inspect_store(server.url(), migrations=(), clock=SystemClock())
    assert (list(rows), seen.made) == ([(True,)], True)


async def test_server_of_another_authority_is_refused_and_names_sslrootcert(server: TlsServer, tmp_path: Path) -> None:
    other = make_server_certificate(tmp_path, names=("localhost",))
    code, line = await end_of_start(server.url(ca=other.ca_file))
    assert (code, "sslrootcert" in line) == (EXIT_CONFIGURATION, True)


async def test_server_under_another_name_is_refused_and_names_sslmode(server: TlsServer) -> None:
    code, line = await end_of_start(server.url(host="127.0.0.1"))
    assert (code, "sslmode=verify-full" in line, "another host" in line) == (EXIT_CONFIGURATION, True, True)


async def test_server_under_another_name_is_taken_where_the_name_is_not_asked_for(server: TlsServer) -> None:
    store = await opened(server.url(host="127.0.0.1", mode="verify-ca"))
    await store.close()


async def test_server_without_tls_is_refused_and_names_sslmode(postgresql_url: str, server: TlsServer) -> None:
    address = postgresql_url.replace("127.0.0.1", "localhost")
    ca = quote(str(server.certificate.ca_file))
    code, line = await end_of_start(f"{address}?sslmode=verify-full&sslrootcert={ca}")
    assert (code, "the server has no TLS" in line, "sslmode" in line) == (EXIT_CONFIGURATION, True, True)


async def test_certificate_that_has_ended_may_be_renewed(tmp_path: Path) -> None:
    ended = make_server_certificate(tmp_path, names=("localhost",), valid_for=datetime.timedelta(days=-1))
    try:
        with local_postgresql(ended) as process:
            code, line = await end_of_start(TlsServer(process=process, certificate=ended).url())
    except ComponentMissing as missing:
        give_up(missing)
    assert (code, "certificate has expired" in line) == (EXIT_UNAVAILABLE, True)


@pytest.mark.parametrize("parameter", ["sslrootcert", "sslcrl", "sslcert", "sslkey"])
async def test_missing_file_is_named_with_its_parameter(parameter: str) -> None:
    code, line = await end_of_start(f"postgresql://u:p4ss@h/d?sslmode=verify-full&{parameter}=/no/such.pem")
    assert code == EXIT_CONFIGURATION
    assert line == f"reefmesh: {parameter} in the PostgreSQL URL: cannot read /no/such.pem: no such file or directory\n"


async def test_file_that_is_no_certificate_is_named_with_its_parameter(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    code, line = await end_of_start(f"postgresql://u:p4ss@h/d?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem")
    assert (code, f"{tmp_path}/ca.pem holds no certificate" in line) == (EXIT_CONFIGURATION, True)


@pytest.mark.parametrize("mode", ["", "sslmode=prefer&", "sslmode=disable&"])
async def test_authority_that_would_not_be_asked_is_refused(server: TlsServer, mode: str) -> None:
    """Who names an authority believes that it is checked; by libpq's rules it would not be."""
    code, line = await end_of_start(f"postgresql://u:p4ss@h/d?{mode}sslrootcert={server.certificate.ca_file}")
    assert (code, "add sslmode=verify-full" in line) == (EXIT_CONFIGURATION, True)


async def test_default_authority_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    code, line = await end_of_start("postgresql://u:p4ss@127.0.0.1:1/d?sslmode=verify-full")
    assert (code, "root.crt" in line) == (EXIT_CONFIGURATION, True)
