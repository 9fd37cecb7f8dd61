"""The broker URL of this engine: endpoints, user, and the settings of the connection."""

from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, unquote

from reefmesh.broker.network_address import (
    NetworkAddress,
    credential_of,
    endpoint_of,
    milliseconds_of,
    number_of,
    parameters_of,
)
from reefmesh.errors import ConfigurationError

TLS_SCHEME: Final = "amqps"
PORTS: Final = {"amqp": 5672, TLS_SCHEME: 5671}
SHARDS_LIMIT: Final = 256
CREDENTIAL_BYTES_LIMIT: Final = 255
"""A user name of AMQP has 255 bytes at most; no password needs more."""
VIRTUAL_HOST: Final = "/"
PARAMETERS: Final = ("ca", "server_name", "heartbeat_ms", "connect_timeout_ms", "confirm_timeout_ms", "shards")
HEARTBEAT_MS_LEAST: Final = 1_000
"""AMQP counts heart-beats in whole seconds."""
MEANT: Final = {
    **dict.fromkeys(("cafile", "ca_file", "cacertfile", "capath", "cadata", "sslrootcert", "tls_ca"), "ca"),
    **dict.fromkeys(("sni", "verifyhostname", "servername", "server_name_indication"), "server_name"),
    **dict.fromkeys(("vhost", "virtualhost", "host"), "the virtual host is the path of the URL: amqp://host/name"),
    **dict.fromkeys(("heartbeat", "requested_heartbeat"), "heartbeat_ms"),
    **dict.fromkeys(("connection_timeout", "timeout"), "connect_timeout_ms"),
    **dict.fromkeys(("channel_max", "name", "reconnect_interval", "fail_fast"), "leave it out: the engine sets it by itself"),
    **dict.fromkeys(
        ("no_verify_ssl", "verify", "sslmode"), "the certificate is always checked: name its authority with ca=FILE"
    ),
    "auth": "user name and password are sent (PLAIN): leave it out",
}
"""What other clients call these parameters, or what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitMQAddress(NetworkAddress):
    """``amqps://user:password@host-1:5671,host-2:5671/vhost?ca=FILE&shards=64`` and the like.

    Without a path the virtual host is ``/``. Parameters beside those of every network address: ``shards`` into how many queues
    the reefs of a subscription are spread; all clients of a broker name the same number. ``heartbeat_ms`` is in whole seconds.
    ``confirm_timeout_ms`` does not run while the broker says that it is blocked.
    """

    user: str = "guest"
    password: str = field(default="guest", repr=False)
    virtual_host: str = VIRTUAL_HOST
    shards: int = 64

    @classmethod
    def parse(cls, url: str) -> "RabbitMQAddress":
        """Raises ConfigurationError in one line that names what is wrong, never with the password in it."""
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in PORTS:
            raise ConfigurationError("a broker URL of RabbitMQ is amqp://host:5672 or amqps://user@host:5671/virtual-host")
        place, _, query = rest.partition("?")
        if "@" in query.partition("&")[0].partition("=")[0]:
            raise ConfigurationError("broker URL: write a ? in the user name or password as %3F")
        credentials, at, hosts = place.rpartition("@")
        if "/" in credentials:
            raise ConfigurationError("broker URL: write a / in the user name or password as %2F")
        if "@" in credentials:
            raise ConfigurationError(
                "broker URL: user name and password stand once, before the first host (a , or @ in them is %2C or %40)"
            )
        hosts, _, path = hosts.partition("/")
        user, colon, password = credentials.partition(":")
        tls = scheme == TLS_SCHEME
        given: dict[str, Any] = _settings(query, tls=tls)
        if at:
            given |= {"user": _credential("user name", user), "password": _credential("password", password) if colon else ""}
        return cls(
            endpoints=tuple(
                endpoint_of(host, PORTS[scheme], example="amqps://host-1:5671,host-2:5671") for host in hosts.split(",")
            ),
            tls=tls,
            virtual_host=_virtual_host(path),
            **given,
        )

    def with_password(self, password: str) -> "RabbitMQAddress":
        """Raises ConfigurationError as ``parse``."""
        return replace(self, password=_credential("password", quote(password, safe="")))


def _credential(kind: str, text: str) -> str:
    """Raises ConfigurationError."""
    plain = credential_of(kind, text, bytes_limit=CREDENTIAL_BYTES_LIMIT, broker="RabbitMQ")
    if kind == "user name" and not plain:
        raise ConfigurationError("broker URL: there is an @ and no user name before it")
    return plain


def _virtual_host(path: str) -> str:
    """Raises ConfigurationError."""
    if not path:
        return VIRTUAL_HOST
    if "/" in path:
        raise ConfigurationError("broker URL: a / within the name of the virtual host is written %2F")
    try:
        name = unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError("broker URL: the virtual host is not UTF-8 behind its percent signs") from None
    if len(name.encode()) > CREDENTIAL_BYTES_LIMIT or not name.isprintable():
        raise ConfigurationError("broker URL: the virtual host is not a name of at most 255 printable characters")
    return name


def _settings(query: str, *, tls: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in parameters_of(query, known=PARAMETERS, meant=MEANT, tls=tls, tls_scheme=TLS_SCHEME):
        match name:
            case "ca":
                settings["ca_file"] = value
            case "server_name":
                settings["server_name"] = value
            case "heartbeat_ms":
                settings["heartbeat_seconds"] = _heartbeat_seconds(value)
            case "shards":
                settings["shards"] = number_of(name, value, 1, SHARDS_LIMIT, "queues")
            case _:
                settings[f"{name.removesuffix('_ms')}_seconds"] = milliseconds_of(name, value) / 1000
    return settings


def _heartbeat_seconds(value: str) -> int:
    milliseconds = milliseconds_of("heartbeat_ms", value, least=HEARTBEAT_MS_LEAST)
    if milliseconds % 1000:
        raise ConfigurationError(f"broker URL: heartbeat_ms={value!r}: RabbitMQ counts heart-beats in whole seconds")
    return milliseconds // 1000
