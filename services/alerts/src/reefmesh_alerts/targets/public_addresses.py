"""Requests to public addresses alone: whoever may write a webhook's URL must not reach what only this machine reaches.

Behind loopback, private and link-local addresses are the pages of services, databases' consoles, and the clouds' metadata
services, which give out credentials. The check is of the address that is connected to, at each connection: a name may resolve
to something else a second after it was checked.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import httpx

ADDRESSES_LIMIT: Final = 8
"""Addresses of one name that are tried."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""Networks without IPv4 reach an IPv4 address as one of these (RFC 6052)."""

UNRESOLVED_HERE: Final = (
    "; behind a proxy, too, we resolve it to check its addresses (allow_private = true leaves it to the proxy)"
)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses, best first.

Raises:
    OSError: the name does not resolve.
"""


class ForbiddenAddress(httpx.RequestError):
    """The host of a request is, or resolves to, an address that is not public."""


def is_public(address: str) -> bool:
    """Whether an address is neither private, loopback, link-local, multicast, unspecified nor otherwise reserved, as it stands
    or as the IPv4 address inside it."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False  # with a zone (fe80::1%eth0), or none of the forms that a resolver returns
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system, as any program does."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class PublicAddressTransport(httpx.AsyncBaseTransport):
    """Resolves the host, refuses it if one of its addresses is not public, and connects to the very address that it checked.

    The request keeps its Host header, and the certificate is checked against the name. ``behind_proxy``: the inner transport
    asks a proxy, which resolves the name itself; it is asked by name, for proxies judge by it, once the addresses were checked.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        resolver: Resolve = resolve,
        permitted: Callable[[str], bool] = is_public,
        behind_proxy: bool = False,
    ) -> None:
        self._inner = inner
        self._behind_proxy = behind_proxy
        self._resolve = resolver
        self._permitted = permitted

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            addresses = await self._resolve(url.host, port)
        except (OSError, UnicodeError) as error:
            unresolved = f"{url.host} does not resolve: {error}{UNRESOLVED_HERE if self._behind_proxy else ''}"
            raise httpx.ConnectError(unresolved, request=request) from error
        for address in addresses:
            if not self._permitted(address):
                raise ForbiddenAddress(refusal(url.host, address), request=request)
        if self._behind_proxy and addresses:
            return await self._inner.handle_async_request(request)
        failure = httpx.ConnectError(f"{url.host} has no address", request=request)
        for address in addresses[:ADDRESSES_LIMIT]:
            there = httpx.Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": url.host},
            )
            try:
                return await self._inner.handle_async_request(there)
            except httpx.ConnectError as error:  # nothing was sent yet
                failure = error
        raise failure

    async def aclose(self) -> None:
        await self._inner.aclose()


def refusal(host: str, address: str) -> str:
    where = host if host == address else f"{host} resolves to {address}, which"
    return f"{where} is no public address; set allow_private = true for this target if it is meant"
