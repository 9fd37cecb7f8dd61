"""The socket of a connection to PostgreSQL: libpq's parameters of keep-alives, which the driver does not know."""

import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Final

from reefmesh.errors import ConfigurationError

_OPTIONS: Final[Mapping[str, str]] = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}
"""libpq's parameter -> the socket's option, where the system has it; each in the unit of libpq."""

_SECONDS_LIMIT: Final = 32_767
_LIMITS: Final[Mapping[str, int]] = {"keepalives_count": 127, "tcp_user_timeout": (1 << 31) - 1}
"""What Linux takes, where that is not the limit of seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """``options``: names of TCP's options -> values; what is not in it stays as the system has it."""

    enabled: bool
    options: Mapping[str, int]

    def apply(self, connection: socket.socket) -> None:
        """Set the options of a TCP connection; another socket has none."""
        if connection.family not in (socket.AF_INET, socket.AF_INET6):
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(self.enabled))
        for name, value in self.options.items():
            if (option := getattr(socket, name, None)) is not None:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)


def keepalive_of(parameters: MutableMapping[str, str]) -> Keepalive:
    """Take the parameters of keep-alives out of a URL's; as in libpq, they are on unless ``keepalives=0``.

    Raises:
        ConfigurationError: one of them is no number.
    """
    numbers = {name: _number(name, parameters.pop(name)) for name in ("keepalives", *_OPTIONS) if name in parameters}
    options = {option: numbers[name] for name, option in _OPTIONS.items() if numbers.get(name)}  # 0: the system's
    return Keepalive(enabled=numbers.get("keepalives", 1) != 0, options=options)


def _number(name: str, text: str) -> int:
    limit = _LIMITS.get(name, _SECONDS_LIMIT)
    if text.isascii() and text.isdigit() and int(text) <= limit:
        return int(text)
    raise ConfigurationError(f"{name} in the PostgreSQL URL cannot be '{text}': write a whole number from 0 to {limit}")
