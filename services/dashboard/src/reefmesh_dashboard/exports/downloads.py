"""Limits of downloads: how many at once, for how long, and how large a temporary file."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from reefmesh_dashboard.exports.rows import RowPages

DEFAULT_SECONDS: Final = 25.0
DEFAULT_MEGABYTES: Final = 256
DEFAULT_AT_ONCE: Final = 4
MEGABYTE: Final = 1_000_000

DownloadLimit = Literal["all", "time", "size"]
"""A value of the metric's label."""


class DownloadTooLong(Exception):
    """It took longer than a download may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took longer than {seconds:g} s")
        self.seconds = seconds


class TooManyDownloads(Exception):
    """As many as there may be are under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """``seconds``: from the question to the last row; ``megabytes``: of a temporary file; ``at_once``: of all clients."""

    seconds: float = DEFAULT_SECONDS
    megabytes: int = DEFAULT_MEGABYTES
    at_once: int = DEFAULT_AT_ONCE

    @property
    def bytes_limit(self) -> int:
        return self.megabytes * MEGABYTE


class Downloads:
    """Counts the downloads that are under way. ``refused`` is called for each that reaches a limit, with which one."""

    def __init__(self, limits: DownloadLimits, *, refused: Callable[[DownloadLimit], None]) -> None:
        self.limits = limits
        self.refused = refused
        self.under_way = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Raises TooManyDownloads."""
        if self.under_way >= self.limits.at_once:
            self.refused("all")
            raise TooManyDownloads
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def in_time(self, pages: RowPages) -> RowPages:
        """Yield pages; the time counts from the first one that is asked for. Raises DownloadTooLong."""
        deadline = asyncio.get_running_loop().time() + self.limits.seconds
        async with aclosing(pages):
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        page = await anext(pages, None)
                except TimeoutError:
                    self.refused("time")
                    raise DownloadTooLong(self.limits.seconds) from None
                if page is None:
                    return
                yield page
