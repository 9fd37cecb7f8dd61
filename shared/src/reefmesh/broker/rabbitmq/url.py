"""The broker URL of this engine: endpoints, user, and the settings of the connection."""

import ssl
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

from reefmesh.broker.activemq.name_lookup import is_address
from reefmesh.errors import ConfigurationError

PORTS: Final = {"amqp": 5672, "amqps": 5671}
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
class Endpoint:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitMQAddress:
    """``amqps://user:password@host-1:5671,host-2:5671/vhost?ca=FILE&shards=64`` and the like.

    Endpoints are tried in turn. Without a path the virtual host is ``/``. Parameters:
    ``ca`` a PEM file of authorities instead of the system's; ``server_name`` the name the certificate must have, when it is not
    the host's; ``heartbeat_ms`` silence is noticed within two of these, in whole seconds; ``connect_timeout_ms`` for one
    endpoint, TLS and login included; ``confirm_timeout_ms`` how long the broker may take to confirm anything, unless it says
    that it is blocked; ``shards`` into how many queues the reefs of a subscription are spread. All clients of a broker name the
    same number.
    """

    endpoints: tuple[Endpoint, ...]
    tls: bool
    user: str = "guest"
    password: str = field(default="guest", repr=False)
    virtual_host: str = VIRTUAL_HOST
    ca_file: str | None = None
    server_name: str | None = None
    heartbeat_seconds: float = 10.0
    connect_timeout_seconds: float = 10.0
    confirm_timeout_seconds: float = 60.0
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
        tls = scheme == "amqps"
        given: dict[str, Any] = _settings(query, tls=tls)
        if at:
            given |= {"user": _credential("user name", user), "password": _credential("password", password) if colon else ""}
        return cls(
            endpoints=tuple(_endpoint(host, PORTS[scheme]) for host in hosts.split(",")),
            tls=tls,
            virtual_host=_virtual_host(path),
            **given,
        )

    def with_password(self, password: str) -> "RabbitMQAddress":
        """Raises ConfigurationError as ``parse``."""
        return replace(self, password=_credential("password", quote(password, safe="")))

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return a context that verifies chain and name, or None without TLS. Raises ConfigurationError."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except FileNotFoundError:
            raise ConfigurationError(f"ca={self.ca_file}: there is no such file") from None
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(f"ca={self.ca_file}: not a readable PEM file of certificates ({error.strerror})") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def _credential(kind: str, text: str) -> str:
    """Raises ConfigurationError."""
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError(f"broker URL: the {kind} is not UTF-8 behind its percent signs") from None
    if any(character in plain for character in "\r\n\0"):  # NUL separates the two in PLAIN
        raise ConfigurationError(f"broker URL: the {kind} cannot hold line breaks or NUL")
    if len(plain.encode()) > CREDENTIAL_BYTES_LIMIT:
        raise ConfigurationError(f"broker URL: the {kind} has more than {CREDENTIAL_BYTES_LIMIT} bytes, too many for RabbitMQ")
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


def _endpoint(text: str, default_port: int) -> Endpoint:
    if "://" in text:
        raise ConfigurationError("broker URL: the scheme stands once, before the first host: amqps://host-1:5671,host-2:5671")
    host, port = text, ""
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ConfigurationError(f"broker URL: {text!r} is not a host and port")
        host, port = host.replace("%25", "%"), tail[1:]  # the zone of a link-local address
        if not is_address(host):
            raise ConfigurationError(f"broker URL: [{host}] is not an IPv6 address")
    elif text.count(":") > 1:
        raise ConfigurationError(f"broker URL: {text!r} is not a host and port; an IPv6 address stands in brackets: [::1]:5672")
    elif ":" in text:
        host, _, port = text.partition(":")
    if not (is_address(host) or _is_name(host)):
        raise ConfigurationError(f"broker URL: {text!r} is not a host and port")
    if not port:
        return Endpoint(host=host, port=default_port)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ConfigurationError(f"broker URL: {port!r} is not a port")
    return Endpoint(host=host, port=int(port))


def _is_name(host: str) -> bool:
    if any(character.isascii() and not (character.isalnum() or character in "-._") for character in host):
        return False
    try:
        return bool(host.encode("idna"))
    except UnicodeError:  # a part is empty or longer than 63, or has a character that no name has
        return False


def _settings(query: str, *, tls: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    pairs = parse_qsl(query, keep_blank_values=True)
    for name, value in pairs:
        if name in PARAMETERS and not value:
            raise ConfigurationError(f"broker URL: {name}= is empty")
        if sum(name == other for other, _ in pairs) > 1:
            raise ConfigurationError(f"broker URL: {name}= stands twice")
        match name:
            case "ca" | "server_name" if not tls:
                raise ConfigurationError(f"broker URL: {name}= is for amqps:// only")
            case "ca":
                settings["ca_file"] = str(Path(value).expanduser())
            case "server_name":
                settings["server_name"] = value
            case "heartbeat_ms":
                settings["heartbeat_seconds"] = _heartbeat_seconds(value)
            case "connect_timeout_ms" | "confirm_timeout_ms":
                settings[f"{name.removesuffix('_ms')}_seconds"] = _number(name, value, 10, 3_600_000, "milliseconds") / 1000
            case "shards":
                settings["shards"] = _number(name, value, 1, SHARDS_LIMIT, "queues")
            case _:
                raise ConfigurationError(f"broker URL: unknown parameter {name[:80]!r}; {_parameter_meant(name)}")
    return settings


def _parameter_meant(name: str) -> str:
    word = name.rpartition(".")[2].lower()
    meant = MEANT.get(word) or next(iter(get_close_matches(word, PARAMETERS, n=1)), None)
    if meant is None:
        return f"there are {', '.join(PARAMETERS)}"
    return f"is {meant} meant?" if meant in PARAMETERS else meant


def _heartbeat_seconds(value: str) -> int:
    milliseconds = _number("heartbeat_ms", value, HEARTBEAT_MS_LEAST, 3_600_000, "milliseconds")
    if milliseconds % 1000:
        raise ConfigurationError(f"broker URL: heartbeat_ms={value!r}: RabbitMQ counts heart-beats in whole seconds")
    return milliseconds // 1000


def _number(name: str, value: str, least: int, most: int, unit: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(most)) and least <= int(value) <= most):
        raise ConfigurationError(f"broker URL: {name}={value[:40]!r} must be a whole number of {unit} from {least} to {most}")
    return int(value)
