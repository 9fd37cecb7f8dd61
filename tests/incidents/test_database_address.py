"""Addresses of a database as libpq has them: they work, or one line has the parameter's name."""

import os
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from reefmesh.errors import ConfigurationError
from reefmesh.store.connect import open_store
from reefmesh_components.ports import free_port

NAMELESS = 54321

PARAMETERS = (
    "connect_timeout=3",
    "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=20000",
    "channel_binding=prefer&gssencmode=disable&sslsni=1&fallback_application_name=x",
    "client_encoding=utf8",
    "target_session_attrs=primary",
    "options=-c%20statement_timeout%3D30s",
    "application_name=mine",
)
REFUSED = (
    ("channel_binding=require", "channel_binding"),
    ("client_encoding=latin1", "client_encoding"),
    ("connect_timeout=soon", "connect_timeout"),
    ("keepalives_idle=-1", "keepalives_idle"),
    ("hostaddr=127.0.0.1", "hostaddr"),
    ("target_session_attrs=standby", "target_session_attrs"),
    ("pooling=statement", "pooling"),
    ("sslmode=verify-full&sslrootcert=system", "sslrootcert"),
    ("sslmode=sometimes", "sslmode"),
    ("conect_timeout=3", "conect_timeout"),
)


async def opens(url: str) -> None:
    store = open_store(url, migrations=())
    try:
        await store.open()
    finally:
        await store.close()


async def refusal_of(url: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        await opens(url)
    line = str(refused.value)
    assert ("\n" in line, "p4ss" in line, "check the user and the password" in line) == (False, False, False)
    return line


@pytest.mark.row(9)
async def test_parameters_of_libpq_work(postgresql_schema_url: str, measured: Callable[[str], None]) -> None:
    for parameters in PARAMETERS:
        await opens(f"{postgresql_schema_url}&{parameters}")
    measured(f"{len([part for each in PARAMETERS for part in each.split('&')])} parameters of libpq work")


@pytest.mark.row(9)
async def test_several_hosts_are_tried_in_their_order(postgresql_schema_url: str, measured: Callable[[str], None]) -> None:
    parts = urlsplit(postgresql_schema_url)
    credentials, _, host = parts.netloc.rpartition("@")
    for hosts in (f"{host},127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()},{host}"):
        await opens(parts._replace(netloc=f"{credentials}@{hosts}").geturl())
    measured("so do several hosts")


@pytest.mark.row(9)
async def test_what_the_driver_cannot_do_is_named(postgresql_schema_url: str, measured: Callable[[str], None]) -> None:
    for parameters, name in REFUSED:
        assert name in await refusal_of(f"{postgresql_schema_url}&{parameters}"), parameters
    measured(f"{len(REFUSED)} wrong ones are one line (78) with the parameter's name")


@pytest.mark.row(9)
async def test_missing_file_of_a_variable_is_named(monkeypatch: pytest.MonkeyPatch, measured: Callable[[str], None]) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", "/no/such.pem")
    assert await refusal_of("postgresql://u:p4ss@h/d?sslmode=verify-full") == (
        "PGSSLROOTCERT: cannot read /no/such.pem: no such file or directory"
    )
    measured("a missing file of a variable is named with it")


@pytest.mark.row(9)
async def test_process_under_a_user_id_without_a_name_asks_for_a_user(
    monkeypatch: pytest.MonkeyPatch, measured: Callable[[str], None]
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: NAMELESS)
    assert "names no user" in await refusal_of("postgresql://127.0.0.1/d")
    measured("no user in the URL under a nameless user id: one line asks for one")
