"""The forward proxy that targets over HTTP are reached through, where it is the only way out.

Nothing is sent through a proxy unless the setting says so: a variable of the environment alone must not lead alerts, with
their keys, through another machine.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.targets.loopback import is_loopback

NONE: Final = "none"
ENVIRONMENT: Final = "environment"
EXAMPLE: Final = "http://user:password@proxy.example.org:3128"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """``url`` may hold a user name and a password; ``name`` (host and port) is for logs and reasons."""

    url: SecretStr

    @property
    def name(self) -> str:
        return urlsplit(self.url.get_secret_value()).netloc.rpartition("@")[2]

    @property
    def secrets(self) -> frozenset[str]:
        """What must never be shown, as written and as sent."""
        parts = urlsplit(self.url.get_secret_value())
        written = {part for part in (parts.username, parts.password) if part}
        return frozenset(written | {unquote(part) for part in written})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The proxy of each scheme of a target's address, and the hosts that are reached without one (``NO_PROXY``: names with all
    below them, addresses, networks like 10.0.0.0/8, or * for all, with commas)."""

    https: Proxy | None = None
    http: Proxy | None = None
    exceptions: str = ""

    def to(self, url: str) -> Proxy | None:
        """Return the proxy through which this address is asked. This machine is never asked through one."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if is_loopback(host) or any(_covers(each.strip(), host) for each in self.exceptions.split(",")):
            return None
        return self.https if parts.scheme == "https" else self.http

    @property
    def secrets(self) -> frozenset[str]:
        return frozenset(secret for proxy in (self.https, self.http) if proxy is not None for secret in proxy.secrets)


DIRECT: Final = Proxies()


def checked_proxy(setting: SecretStr) -> SecretStr:
    """Return a value of the setting that can be used: ``none``, ``environment`` or a proxy's address.

    Raises:
        ValueError: it is none of them; the message never holds it.
    """
    value = setting.get_secret_value()
    if value not in (NONE, ENVIRONMENT):
        _refuse(value)
    return setting


def proxies_of(setting: SecretStr, environment: Mapping[str, str] | None = None) -> Proxies:
    """Return the proxies that a checked value of the setting means; the environment is read once, here.

    Raises:
        ConfigurationError: a variable of the environment has no address of a proxy that we speak to.
    """
    value = setting.get_secret_value()
    if value == NONE:
        return DIRECT
    if value != ENVIRONMENT:
        return Proxies(https=Proxy(url=setting), http=Proxy(url=setting))
    environment = os.environ if environment is None else environment
    return Proxies(
        https=_from_variable(environment, "HTTPS_PROXY"),
        http=_from_variable(environment, "HTTP_PROXY"),
        exceptions=_variable(environment, "NO_PROXY"),
    )


def _from_variable(environment: Mapping[str, str], name: str) -> Proxy | None:
    value = _variable(environment, name)
    if not value:
        return None
    url = value if "://" in value else f"http://{value}"
    try:
        _refuse(url)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error} (REEFMESH_ALERTS_PROXY=environment reads it)") from None
    return Proxy(url=SecretStr(url))


def _variable(environment: Mapping[str, str], name: str) -> str:
    """In lower case it wins, as for curl."""
    return (environment.get(name.lower()) or environment.get(name) or "").strip()


def _covers(exception: str, host: str) -> bool:
    if exception == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(exception.strip("[]"), strict=False)
    except ValueError:  # one of them is a name
        name = exception.casefold().removeprefix("*").removeprefix(".")
        return bool(name) and (host.casefold() == name or host.casefold().endswith(f".{name}"))


def _refuse(url: str) -> None:
    """Raise ValueError unless it is an address of an HTTP proxy."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        known = False
    if not known or parts.path.strip("/") or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise ValueError(f"write a proxy's address like {EXAMPLE}, with http or https")
