"""What the addresses of brokers on the network have in common: endpoints, TLS, user and password, and how all of it is read.

Each engine reads its own URL with these parts (``activemq/url.py``, ``rabbitmq/url.py``).
"""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

from reefmesh.broker.name_lookup import is_address
from reefmesh.errors import ConfigurationError

PORTS_LIMIT: Final = 65_536
PORT_DIGITS_LIMIT: Final = 5
ONLY_WITH_TLS: Final = ("ca", "server_name")
MILLISECONDS_LEAST, MILLISECONDS_MOST = 10, 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAddress:
    """``endpoints`` are tried in turn. ``ca_file``: a PEM file of authorities instead of the system's; ``server_name``: the
    name that the certificate must have, when it is not the host's; ``heartbeat_seconds``: silence is noticed within two of
    these; ``connect_timeout_seconds``: for one endpoint, TLS and login included; ``confirm_timeout_seconds``: how long the
    broker may take to confirm anything."""

    endpoints: tuple[Endpoint, ...]
    tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    server_name: str | None = None
    heartbeat_seconds: float = 10.0
    connect_timeout_seconds: float = 10.0
    confirm_timeout_seconds: float = 60.0

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


def endpoint_of(text: str, default_port: int, *, example: str) -> Endpoint:
    """``example``: an address with two hosts, for whoever writes the scheme twice. Raises ConfigurationError."""
    if "://" in text:
        raise ConfigurationError(f"broker URL: the scheme stands once, before the first host: {example}")
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
            f"broker URL: {text!r} is not a host and port; an IPv6 address stands in brackets: [::1]:{default_port}"
        )
    elif ":" in text:
        host, _, port = text.partition(":")
    if not (is_address(host) or _is_name(host)):
        raise ConfigurationError(f"broker URL: {text!r} is not a host and port")
    if not port:
        return Endpoint(host=host, port=default_port)
    if not (port.isascii() and port.isdigit() and len(port) <= PORT_DIGITS_LIMIT and 0 < int(port) < PORTS_LIMIT):
        raise ConfigurationError(f"broker URL: {port!r} is not a port")
    return Endpoint(host=host, port=int(port))


def credential_of(kind: str, text: str, *, bytes_limit: int, broker: str) -> str:
    """Return a user name or password without its percent signs. Raises ConfigurationError."""
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError(f"broker URL: the {kind} is not UTF-8 behind its percent signs") from None
    if any(character in plain for character in "\r\n\0"):  # lines of STOMP; NUL separates the two in AMQP's PLAIN
        raise ConfigurationError(f"broker URL: the {kind} cannot hold line breaks or NUL")
    if len(plain.encode()) > bytes_limit:
        raise ConfigurationError(f"broker URL: the {kind} has more than {bytes_limit} bytes, too many for {broker}")
    return plain


def parameters_of(
    query: str, *, known: Sequence[str], meant: Mapping[str, str], tls: bool, tls_scheme: str
) -> Iterator[tuple[str, str]]:
    """Yield each parameter with its value. ``meant``: what other clients call the known ones, or what to do instead.

    Raises:
        ConfigurationError: one is unknown, is empty, stands twice, or needs TLS.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    for name, value in pairs:
        if name in known and not value:
            raise ConfigurationError(f"broker URL: {name}= is empty")
        if sum(name == other for other, _ in pairs) > 1:
            raise ConfigurationError(f"broker URL: {name}= stands twice")
        if name in ONLY_WITH_TLS and not tls:
            raise ConfigurationError(f"broker URL: {name}= is for {tls_scheme}:// only")
        if name not in known:
            raise ConfigurationError(f"broker URL: unknown parameter {name[:80]!r}; {_parameter_meant(name, known, meant)}")
        yield name, str(Path(value).expanduser()) if name == "ca" else value


def number_of(name: str, value: str, least: int, most: int, unit: str = "") -> int:
    """Raises ConfigurationError."""
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(most)) and least <= int(value) <= most):
        of_unit = f" of {unit}" if unit else ""
        raise ConfigurationError(f"broker URL: {name}={value[:40]!r} must be a whole number{of_unit} from {least} to {most}")
    return int(value)


def milliseconds_of(name: str, value: str, *, least: int = MILLISECONDS_LEAST) -> int:
    """Raises ConfigurationError."""
    return number_of(name, value, least, MILLISECONDS_MOST, "milliseconds")


def _is_name(host: str) -> bool:
    if any(character.isascii() and not (character.isalnum() or character in "-._") for character in host):
        return False
    try:
        return bool(host.encode("idna"))
    except UnicodeError:  # a part is empty or longer than 63, or has a character that no name has
        return False


def _parameter_meant(name: str, known: Sequence[str], meant: Mapping[str, str]) -> str:
    word = name.rpartition(".")[2].lower()  # Java clients have prefixes like "transport."
    nearest = meant.get(word) or next(iter(get_close_matches(word, known, n=1)), None)
    if nearest is None:
        return f"there are {', '.join(known)}"
    return f"is {nearest} meant?" if nearest in known else nearest
