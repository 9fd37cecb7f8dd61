"""This machine itself, as a host."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine itself."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
