"""PostgreSQL's addresses, as libpq has them: several hosts, its parameters, and two of our own."""

import getpass
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast, get_args
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from reefmesh.errors import ConfigurationError
from reefmesh.store.postgresql_socket import Keepalive, keepalive_of
from reefmesh.store.postgresql_tls import check_tls_parameters

DEFAULT_SCHEMA: Final = "public"
DEFAULT_PORT: Final = "5432"
CONNECT_TIMEOUT_SECONDS: Final = 10.0
APPLICATION_NAME: Final = "reefmesh"

Pooling = Literal["session", "transaction"]
TARGETS: Final = ("read-write", "primary", "any")
"""Values of ``target_session_attrs`` with which a store can write; the first is the default."""

_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SAME_AS_HERE: Final[Mapping[str, tuple[str, ...] | None]] = {
    "channel_binding": ("disable", "prefer"),
    "client_encoding": ("utf8", "utf-8", "auto"),
    "fallback_application_name": None,
    "gssencmode": ("disable", "prefer"),
    "load_balance_hosts": ("disable",),
    "sslcompression": ("0",),
    "sslcertmode": ("allow",),
    "sslsni": ("1",),
}
"""Parameters of libpq that the driver does not know -> their values that ask for what it does anyway; None: all of them."""
_BEYOND_THE_DRIVER: Final = ("hostaddr", "replication", "require_auth", "requirepeer", "sslcrldir", "requiressl")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlAddress:
    """Where a database is, and how its connections are made.

    ``dsn`` is for the driver and may hold the password; ``name`` is for people. ``pooling``: what a pooler before the server
    does, if the address says it; None: to be found out.
    """

    dsn: str = field(repr=False)
    schema: str
    name: str
    target: str
    pooling: Pooling | None
    connect_timeout_seconds: float
    keepalive: Keepalive

    @classmethod
    def parse(cls, url: str) -> "PostgresqlAddress":
        """Return the address of a ``postgresql://`` URL.

        Raises:
            ConfigurationError: one line that names the part or the parameter that is wrong, and never a password.
        """
        try:
            parts = urlsplit(url)
            parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
        except ValueError:  # its text would quote a piece of the password
            raise _not_understood() from None
        credentials, _, netloc_hosts = parts.netloc.rpartition("@")
        if "@" in credentials:  # the driver would end the password at the first one
            raise _not_understood()
        hosts = _hosts(netloc_hosts) if netloc_hosts else []
        _check_ports(parameters.get("port", ""))
        schema = parameters.pop("schema", DEFAULT_SCHEMA)
        if not _SCHEMA.fullmatch(schema):
            raise ConfigurationError(f"'{schema}' cannot be a schema's name: write lower-case letters, digits and underscores")
        pooling = parameters.pop("pooling", None)
        if pooling is not None and pooling not in get_args(Pooling):
            raise _wrong("pooling", pooling, "session or transaction, as PgBouncer's pool_mode is")
        target = parameters.pop("target_session_attrs", None) or os.environ.get("PGTARGETSESSIONATTRS") or TARGETS[0]
        if target not in TARGETS:
            raise _wrong("target_session_attrs", target, f"{', '.join(TARGETS[:-1])} or {TARGETS[-1]}: a store writes")
        timeout_seconds = _connect_timeout(parameters.pop("connect_timeout", None) or os.environ.get("PGCONNECT_TIMEOUT"))
        keepalive = keepalive_of(parameters)
        _drop_what_is_the_same(parameters)
        check_tls_parameters(parameters)
        parameters.setdefault("application_name", APPLICATION_NAME)
        user = unquote(credentials.partition(":")[0]) or parameters.get("user") or _own_user(parameters)
        where = ",".join(hosts) or parameters.get("host") or os.environ.get("PGHOST") or f"localhost:{DEFAULT_PORT}"
        database = parts.path.removeprefix("/") or parameters.get("dbname") or user
        return cls(
            dsn=f"postgresql://{parts.netloc}{parts.path}{'?' if parameters else ''}{urlencode(parameters, quote_via=quote)}",
            schema=schema,
            name=f"the database {database} at {where}, schema {schema}",
            target=target,
            pooling=cast("Pooling | None", pooling),
            connect_timeout_seconds=timeout_seconds,
            keepalive=keepalive,
        )


def _hosts(netloc: str) -> list[str]:
    hosts = []
    for each in netloc.split(","):
        host, colon, port = (each, "", "") if each.endswith("]") else each.rpartition(":")
        if not colon:
            host, port = each, DEFAULT_PORT
        if not host or (":" in host.strip("[]") and not host.startswith("[")):
            raise _not_understood()
        _check_ports(port)
        hosts.append(f"{unquote(host)}:{port or DEFAULT_PORT}")
    return hosts


def _check_ports(ports: str) -> None:
    for port in filter(None, ports.split(",")):
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise _not_understood()  # what stands there may be a piece of a password


def _connect_timeout(text: str | None) -> float:
    if not text:
        return CONNECT_TIMEOUT_SECONDS
    try:
        seconds = int(text)
    except ValueError:
        raise _wrong("connect_timeout", text, "a whole number of seconds") from None
    return max(float(seconds), 2.0) if seconds > 0 else CONNECT_TIMEOUT_SECONDS  # libpq's own rules; it has no default


def _drop_what_is_the_same(parameters: dict[str, str]) -> None:
    """Take out what the driver would pass to the server as a setting, and the server would not know."""
    for name, values in _SAME_AS_HERE.items():
        value = parameters.pop(name, None)
        if value and values is not None and value.lower() not in values:
            raise _wrong(name, value, f"{' or '.join(values)}, or leave it out: the driver knows no other")
    for name in _BEYOND_THE_DRIVER:
        if name in parameters:
            raise ConfigurationError(f"{name} in the PostgreSQL URL is not for this driver: leave it out")


def _own_user(parameters: Mapping[str, str]) -> str:
    """Return the user whom libpq takes where the URL names none."""
    if "service" in parameters or os.environ.get("PGSERVICE"):
        return "of the service"
    if user := os.environ.get("PGUSER"):
        return user
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container that runs under a number
        raise ConfigurationError(
            "the PostgreSQL URL names no user, and this process runs under a user id without a name: "
            "write postgresql://user@host/database"
        ) from None


def _wrong(name: str, value: str, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"{name} in the PostgreSQL URL cannot be '{value}': write {allowed}")


def _not_understood() -> ConfigurationError:
    return ConfigurationError(
        "the PostgreSQL URL cannot be understood: write postgresql://user:password@host:port/database?schema=NAME "
        "(several hosts: host-1:5432,host-2:5432), and percent-encode what is not a letter or digit in user and password"
    )
