"""From which address a request came, where proxies that an operator named stand between."""

import ipaddress
from collections.abc import Sequence
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
HOPS_LIMIT: Final = 16
UNKNOWN: Final = "unknown"


def networks_of(text: str) -> tuple[Network, ...]:
    """Read addresses and networks with commas between them. Raises ValueError."""
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())


def sender_address(peer: str | None, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Return what requests of this sender are counted under: an IPv4 address, or the /64 network of an IPv6 address.

    ``forwarded_for`` (X-Forwarded-For) is believed from the right, as far as trusted proxies wrote it: what stands before the
    first address that is none of theirs, the sender may have written.
    """
    address = _address(peer or "")
    if address is None:
        return UNKNOWN
    for hop in reversed(forwarded_for.split(",")[-HOPS_LIMIT:] if forwarded_for else []):
        if not any(address in network for network in trusted):
            break
        before = _address(hop.strip())
        if before is None:
            break
        address = before
    return _counted_under(address)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _counted_under(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
