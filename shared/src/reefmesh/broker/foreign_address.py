"""Addresses of brokers as other clients write them: what is meant by them here."""

import re
from typing import Final

PLAIN: Final = frozenset({"tcp", "nio", "auto", "openwire", "stomp+nio", "activemq", "amq", "mqtt", "ws"})
WITH_TLS: Final = frozenset(
    {
        *("ssl", "tls", "nio+ssl", "auto+ssl", "stomp+nio+ssl", "stomps", "stomp+tls"),
        *("activemq+ssl", "amqp+ssl", "mqtt+ssl", "wss"),
    }
)
LISTS: Final = frozenset({"failover", "static", "fanout"})

_INNER: Final = re.compile(r"([a-z][a-z+]*)://([^,()?/\s]+)", re.IGNORECASE)
_HOST: Final = re.compile(r"\[[0-9a-f:.]+\]|[^:@\s]+", re.IGNORECASE)


def stomp_address(url: str) -> str | None:
    """Return this address as one of STOMP, without user and ports, for a hint; None: no client of ActiveMQ writes such.

    ``failover:(ssl://a:61617,ssl://b:61617)`` is ``stomp+ssl://a,b``: other protocols listen on other ports.
    """
    scheme = url.partition(":")[0].lower()
    if scheme not in PLAIN | WITH_TLS | LISTS | {"stomp", "stomp+ssl"}:
        return None
    parts = _INNER.findall(url) if scheme in LISTS else [(scheme, each) for each in _authority(url).split(",")]
    hosts = [found[0] for _, authority in parts if (found := _HOST.match(authority.rpartition("@")[2]))]
    if not hosts:
        return None
    tls = any(each.lower() in WITH_TLS | {"stomp+ssl"} for each, _ in parts)
    return f"{'stomp+ssl' if tls else 'stomp'}://{','.join(hosts)}"


def _authority(url: str) -> str:
    return url.partition("://")[2].partition("?")[0].partition("/")[0].rpartition("@")[2]
