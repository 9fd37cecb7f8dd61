"""Who asks: the address behind the proxies that we trust."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from reefmesh.observability.page_connections import peer_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
UNKNOWN: Final = "unknown"
HOPS_LIMIT: Final = 10


def networks(text: str) -> Sequence[Network]:
    """Return the networks in a list like ``10.0.0.0/8, 192.0.2.7``.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())


def client_of(scope: Scope, trusted: Sequence[Network]) -> str:
    """Return what a request is counted under: the last address in ``X-Forwarded-For`` that no trusted proxy has, if a trusted
    proxy sends it, else that of the connection. What stands before it was written by the client, who may write anything."""
    client = scope.get("client")
    address = client[0] if client else UNKNOWN
    if not _is_trusted(address, trusted):
        return _counted(address)
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")[-HOPS_LIMIT:]
    for hop in reversed([each.strip() for each in forwarded if each.strip()]):
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            break
        address = hop
        if not _is_trusted(hop, trusted):
            break
    return _counted(address)


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in trusted)


def _counted(address: str) -> str:
    """Whoever has one IPv6 address has its whole /64."""
    try:
        return peer_of(address)
    except ValueError:
        return UNKNOWN
