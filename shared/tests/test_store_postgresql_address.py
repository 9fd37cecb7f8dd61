"""What is read out of a PostgreSQL URL, and what becomes of it at the socket."""

import socket

import pytest

from reefmesh.errors import ConfigurationError
from reefmesh.store.postgresql_address import PostgresqlAddress
from reefmesh.store.postgresql_session import Sessions
from reefmesh.store.postgresql_socket import keepalive_of


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql://u:s@h/d", "d at h:5432"),
        ("postgresql://u:s@h-1:5433,h-2/d", "d at h-1:5433,h-2:5432"),
        ("postgresql://u:s@[::1]:5433,[::2]/d", "d at [::1]:5433,[::2]:5432"),
        ("postgresql://u@/d?host=/run/postgresql", "d at /run/postgresql"),
        ("postgresql://%2Frun%2Fpostgresql/d?user=u", "d at /run/postgresql:5432"),
        ("postgresql:///?user=u", "u at localhost:5432"),
    ],
)
def test_name_says_where_the_database_is(url: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    assert PostgresqlAddress.parse(url).name == f"the database {where}, schema public"


@pytest.mark.parametrize("url", ["postgresql://u:s3@cr@h/d", "postgresql://u:s@h:1,s3cr:x/d", "postgresql://u@h/d?port=s3cr"])
def test_what_may_be_a_piece_of_a_password_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encode") as refusal:
        PostgresqlAddress.parse(url)
    assert "s3" not in str(refusal.value)


def test_password_is_not_shown_with_the_address() -> None:
    assert "s3cr3t" not in repr(PostgresqlAddress.parse("postgresql://u:s3cr3t@h/d"))


@pytest.mark.parametrize(("parameter", "seconds"), [("", 10), ("connect_timeout=1", 2), ("connect_timeout=25", 25)])
def test_time_out_of_a_connection_is_libpqs(parameter: str, seconds: float) -> None:
    address = PostgresqlAddress.parse(f"postgresql://u@h/d?{parameter}")
    assert (address.connect_timeout_seconds, "connect_timeout" in address.dsn) == (seconds, False)


async def test_keepalives_of_the_url_are_those_of_the_connection(postgresql_url: str) -> None:
    parameters = "keepalives_idle=31&keepalives_interval=7&keepalives_count=4&tcp_user_timeout=9000"
    connection = await Sessions(PostgresqlAddress.parse(f"{postgresql_url}?{parameters}")).connect()
    try:
        transport = connection._transport  # type: ignore[attr-defined]  # the driver does not show its socket
        plain = transport.get_extra_info("socket")
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [plain.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [31, 7, 4, 9000]
        assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    finally:
        await connection.close()


def test_keepalives_may_be_switched_off() -> None:
    with socket.socket() as plain:
        keepalive_of({"keepalives": "0"}).apply(plain)
        assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
