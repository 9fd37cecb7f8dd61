"""The URL of an embedded broker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from reefmesh.errors import ConfigurationError

ROLES: Final = ("owner", "publisher")
WINDOW_SLOTS: Final = 20_000
LIMIT_BYTES: Final = 64 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedAddress:
    """Where the journal is and how to open it.

    ``path`` None keeps the journal in memory. An ``owner`` consumes, one process at a time; a ``publisher`` publishes,
    and tends the parking, beside an owner or without one. ``limit_bytes`` bounds what the journal holds.
    ``window_slots`` bounds what one subscription keeps in memory (a message takes one slot and one for each KiB of body).
    ``visibility_timeout_seconds``: how long a lane may hold a message before another lane gets it; None: without limit,
    because the lanes live in this process and end with it.
    """

    path: Path | None = None
    role: str = "owner"
    limit_bytes: int = LIMIT_BYTES
    window_slots: int = WINDOW_SLOTS
    visibility_timeout_seconds: float | None = None

    @classmethod
    def parse(cls, url: str) -> "EmbeddedAddress":
        """Read ``embedded://`` (memory) or ``embedded:///absolute/path.db`` with ``?role=``, ``limit_bytes=``,
        ``window_slots=``, ``visibility_timeout_seconds=``.

        Raises:
            ConfigurationError: it is none.
        """
        parts = urlsplit(url)
        if parts.netloc:
            raise ConfigurationError(f"broker URL {url!r}: write three slashes before the path, embedded:///{parts.netloc}...")
        path = Path(unquote(parts.path)) if parts.path else None
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        role = given.pop("role", "owner")
        if role not in ROLES:
            raise ConfigurationError(f"broker URL {url!r}: role must be owner or publisher")
        if role == "publisher" and path is None:
            raise ConfigurationError(f"broker URL {url!r}: a publisher needs the path of the owner's journal")
        limit_bytes = _positive(url, given, "limit_bytes", LIMIT_BYTES)
        window_slots = _positive(url, given, "window_slots", WINDOW_SLOTS)
        visibility_timeout_seconds = _positive(url, given, "visibility_timeout_seconds", 0) or None
        if given:
            known = "role, limit_bytes, window_slots, visibility_timeout_seconds"
            raise ConfigurationError(f"broker URL {url!r}: unknown parameter {min(given)!r}; there are {known}")
        return cls(
            path=path,
            role=role,
            limit_bytes=limit_bytes,
            window_slots=window_slots,
            visibility_timeout_seconds=visibility_timeout_seconds,
        )


def _positive(url: str, given: dict[str, str], name: str, default: int) -> int:
    text = given.pop(name, None)
    if text is None:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise ConfigurationError(f"broker URL {url!r}: {name} must be a whole number above 0")
    return int(text)
