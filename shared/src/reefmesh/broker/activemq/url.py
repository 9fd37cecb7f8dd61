"""The broker URL of this engine: endpoints, user, and the settings of the connection."""

import ssl
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

from reefmesh.broker.activemq.name_lookup import is_address
from reefmesh.errors import ConfigurationError

SUBSCRIPTIONS_LIMIT: Final = 1024
PORTS: Final = {"stomp": 61613, "stomp+ssl": 61614}
TRIMMED_UP_TO: Final = " "
"""Java's ``trim``, which ActiveMQ does to each header of CONNECT, takes away all characters up to this one."""
CREDENTIAL_BYTES_LIMIT: Final = 4096
"""A line of CONNECT may have 10 KiB, and each backslash stands there twice."""
PARAMETERS: Final = ("ca", "server_name", "host", "heartbeat_ms", "connect_timeout_ms", "confirm_timeout_ms", "subscriptions")
MEANT: Final = {
    **dict.fromkeys(("cafile", "ca_file", "cacert", "sslrootcert", "truststore", "tls_ca"), "ca"),
    **dict.fromkeys(("sni", "verifyhostname", "servername"), "server_name"),
    **dict.fromkeys(("vhost", "virtualhost"), "host"),
    **dict.fromkeys(("randomize", "maxreconnectattempts", "prioritybackup"), "leave it out: each host is tried, without end"),
    **dict.fromkeys(("trustall", "verify", "sslmode"), "the certificate is always checked: name its authority with ca=FILE"),
}
"""What other clients call these parameters, or what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveMQAddress:
    """``stomp+ssl://user:password@host-1:61614,host-2:61614?ca=FILE&heartbeat_ms=10000`` and the like.

    Endpoints are tried in turn (of an active/standby pair only one listens). Parameters:
    ``ca`` a PEM file of authorities instead of the system's; ``server_name`` the name the certificate must have, when it is not
    the host's; ``heartbeat_ms`` silence is noticed within two of these; ``connect_timeout_ms`` for one endpoint, TLS and login
    included; ``confirm_timeout_ms`` how long the broker may take to confirm anything; ``host`` the virtual host;
    ``subscriptions`` how many shared subscriptions a consumer of numbered messages has at most: with fewer than lanes, each
    has several messages sent ahead.
    """

    endpoints: tuple[Endpoint, ...]
    tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    server_name: str | None = None
    virtual_host: str | None = None
    heartbeat_seconds: float = 10.0
    connect_timeout_seconds: float = 10.0
    confirm_timeout_seconds: float = 60.0
    subscriptions: int = 8

    @classmethod
    def parse(cls, url: str) -> "ActiveMQAddress":
        """Raises ConfigurationError in one line that names what is wrong, never with the password in it."""
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in PORTS:
            raise ConfigurationError("a broker URL of ActiveMQ is stomp://host:61613 or stomp+ssl://user@host:61614")
        authority, _, query = rest.partition("?")
        authority = authority.rstrip("/")
        if "@" in query.partition("&")[0].partition("=")[0]:
            raise ConfigurationError("broker URL: write a ? in the user name or password as %3F")
        credentials, at, hosts = authority.rpartition("@")
        if "@" in credentials and "," in credentials:
            raise ConfigurationError(
                "broker URL: user name and password stand once, before the first host (a , or @ in them is %2C or %40)"
            )
        user, _, password = credentials.partition(":")
        tls = scheme == "stomp+ssl"
        settings = _settings(query, tls=tls)
        return cls(
            endpoints=tuple(_endpoint(host, PORTS[scheme]) for host in hosts.split(",")),
            tls=tls,
            user=_credential("user name", user) if at else "",
            password=_credential("password", password) if at else "",
            **settings,
        )

    def with_password(self, password: str) -> "ActiveMQAddress":
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
    """Raises ConfigurationError for what ActiveMQ would not read as it was written: it would refuse a right password."""
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError(f"broker URL: the {kind} is not UTF-8 behind its percent signs") from None
    if any(character in plain for character in "\r\n\0"):
        raise ConfigurationError(f"broker URL: the {kind} cannot hold line breaks or NUL")
    for place, character in (("begins", plain[:1]), ("ends", plain[-1:])):
        if character and character <= TRIMMED_UP_TO:
            named = "a blank" if character == " " else f"U+{ord(character):04X}"
            raise ConfigurationError(
                f"broker URL: the {kind} {place} with {named}, which ActiveMQ cuts off; choose another one"
            )
    if len(plain.encode()) > CREDENTIAL_BYTES_LIMIT:
        raise ConfigurationError(f"broker URL: the {kind} has more than {CREDENTIAL_BYTES_LIMIT} bytes, too many for ActiveMQ")
    return plain


def _endpoint(text: str, default_port: int) -> Endpoint:
    if "://" in text:
        raise ConfigurationError(
            "broker URL: the scheme stands once, before the first host: stomp+ssl://host-1:61614,host-2:61614"
        )
    host, port = text, ""
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ConfigurationError(f"broker URL: {text!r} is not a host and port")
        host, port = host.replace("%25", "%"), tail[1:]  # the zone of a link-local address
        if not is_address(host):
            raise ConfigurationError(f"broker URL: [{host}] is not an IPv6 address")
    elif text.count(":") > 1:
        raise ConfigurationError(
            f"broker URL: {text!r} is not a host and port; an IPv6 address stands in brackets: [::1]:61613"
        )
    elif ":" in text:
        host, _, port = text.partition(":")
    if not (is_address(host) or _is_name(host)):
        raise ConfigurationError(f"broker URL: {text!r} is not a host and port")
    if not port:
        return Endpoint(host=host, port=default_port)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
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
                raise ConfigurationError(f"broker URL: {name}= is for stomp+ssl:// only")
            case "ca":
                settings["ca_file"] = str(Path(value).expanduser())
            case "server_name":
                settings["server_name"] = value
            case "host":
                settings["virtual_host"] = value
            case "heartbeat_ms" | "connect_timeout_ms" | "confirm_timeout_ms":
                settings[f"{name.removesuffix('_ms')}_seconds"] = _seconds(name, value)
            case "subscriptions":
                settings["subscriptions"] = _subscriptions(value)
            case _:
                raise ConfigurationError(f"broker URL: unknown parameter {name[:80]!r}; {_parameter_meant(name)}")
    return settings


def _parameter_meant(name: str) -> str:
    word = name.rpartition(".")[2].lower()  # Java clients have prefixes like "transport."
    meant = MEANT.get(word) or next(iter(get_close_matches(word, PARAMETERS, n=1)), None)
    if meant is None:
        return f"there are {', '.join(PARAMETERS)}"
    return f"is {meant} meant?" if meant in PARAMETERS else meant


def _seconds(name: str, value: str) -> float:
    if not (value.isascii() and value.isdigit() and 10 <= int(value) <= 3_600_000):
        raise ConfigurationError(f"broker URL: {name}={value!r} must be a whole number of milliseconds from 10 to 3600000")
    return int(value) / 1000


def _subscriptions(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= SUBSCRIPTIONS_LIMIT):
        raise ConfigurationError(f"broker URL: subscriptions={value!r} must be a whole number from 1 to {SUBSCRIPTIONS_LIMIT}")
    return int(value)
