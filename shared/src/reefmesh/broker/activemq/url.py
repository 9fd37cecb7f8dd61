"""The broker URL of this engine: endpoints, user, and the settings of the connection."""

from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from reefmesh.broker.network_address import (
    NetworkAddress,
    credential_of,
    endpoint_of,
    milliseconds_of,
    number_of,
    parameters_of,
)
from reefmesh.errors import ConfigurationError

SUBSCRIPTIONS_LIMIT: Final = 1024
TLS_SCHEME: Final = "stomp+ssl"
PORTS: Final = {"stomp": 61613, TLS_SCHEME: 61614}
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
class ActiveMQAddress(NetworkAddress):
    """``stomp+ssl://user:password@host-1:61614,host-2:61614?ca=FILE&heartbeat_ms=10000`` and the like.

    Of an active/standby pair of endpoints only one listens. Parameters beside those of every network address:
    ``host`` the virtual host; ``subscriptions`` how many shared subscriptions a consumer of numbered messages has at most: with
    fewer than lanes, each has several messages sent ahead.
    """

    virtual_host: str | None = None
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
        tls = scheme == TLS_SCHEME
        settings = _settings(query, tls=tls)
        example = "stomp+ssl://host-1:61614,host-2:61614"
        return cls(
            endpoints=tuple(endpoint_of(host, PORTS[scheme], example=example) for host in hosts.split(",")),
            tls=tls,
            user=_credential("user name", user) if at else "",
            password=_credential("password", password) if at else "",
            **settings,
        )

    def with_password(self, password: str) -> "ActiveMQAddress":
        """Raises ConfigurationError as ``parse``."""
        return replace(self, password=_credential("password", quote(password, safe="")))


def _credential(kind: str, text: str) -> str:
    """Raises ConfigurationError for what ActiveMQ would not read as it was written: it would refuse a right password."""
    plain = credential_of(kind, text, bytes_limit=CREDENTIAL_BYTES_LIMIT, broker="ActiveMQ")
    for place, character in (("begins", plain[:1]), ("ends", plain[-1:])):
        if character and character <= TRIMMED_UP_TO:
            named = "a blank" if character == " " else f"U+{ord(character):04X}"
            raise ConfigurationError(
                f"broker URL: the {kind} {place} with {named}, which ActiveMQ cuts off; choose another one"
            )
    return plain


def _settings(query: str, *, tls: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in parameters_of(query, known=PARAMETERS, meant=MEANT, tls=tls, tls_scheme=TLS_SCHEME):
        match name:
            case "ca":
                settings["ca_file"] = value
            case "server_name":
                settings["server_name"] = value
            case "host":
                settings["virtual_host"] = value
            case "subscriptions":
                settings["subscriptions"] = number_of(name, value, 1, SUBSCRIPTIONS_LIMIT)
            case _:
                settings[f"{name.removesuffix('_ms')}_seconds"] = milliseconds_of(name, value) / 1000
    return settings
