"""The subscriptions in force, and the file behind them."""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from reefmesh.errors import ConfigurationError
from reefmesh.service.stop_event import is_set_within
from reefmesh_alerts.subscriptions.entries import ChannelEntry, SubscriptionEntry, SubscriptionsFile
from reefmesh_alerts.subscriptions.file import CONSOLE_ALONE, read_subscriptions

log = structlog.get_logger()

LOOK_EVERY_SECONDS: Final = 5.0


class Subscriptions:
    """What the file said when it was last in order; without a file, ``CONSOLE_ALONE``.

    A changed file takes effect between two messages, for alerts raised from then on, and for the channels at their next
    round. A file that has become wrong changes nothing: that is logged in one line, once, and the old content stays in
    force. At the start a wrong file is a ConfigurationError.
    """

    def __init__(self, path: Path | None, *, environment: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._environment = environment
        self._digest = None if path is None else _digest(path)
        self._file = CONSOLE_ALONE if path is None else read_subscriptions(path, environment=environment)

    @classmethod
    def fixed(cls, file: SubscriptionsFile) -> "Subscriptions":
        """Return subscriptions that no file stands behind."""
        subscriptions = cls(None)
        subscriptions.replace(file)
        return subscriptions

    def replace(self, file: SubscriptionsFile) -> None:
        """Put other content in force, from the next message on."""
        self._file = file

    @property
    def entries(self) -> Sequence[SubscriptionEntry]:
        return self._file.subscription

    @property
    def channels(self) -> Sequence[ChannelEntry]:
        return self._file.channel

    def named(self, name: str) -> SubscriptionEntry | None:
        return next((entry for entry in self._file.subscription if entry.name == name), None)

    def look(self) -> bool:
        """Read the file again if its content changed; True when new content is in force."""
        if self._path is None:
            return False
        digest = _digest(self._path)
        if digest == self._digest:
            return False
        self._digest = digest
        try:
            self._file = read_subscriptions(self._path, environment=self._environment)
        except ConfigurationError as error:
            log.error("subscriptions not reloaded, the old ones stay in force", reason=str(error))  # noqa: TRY400 - one line
            return False
        log.info("subscriptions reloaded", subscriptions=len(self.entries), channels=len(self.channels))
        return True

    async def run(self, stop: asyncio.Event) -> None:
        """Look at the file again and again until ``stop``."""
        while not stop.is_set():
            await asyncio.to_thread(self.look)
            await is_set_within(stop, LOOK_EVERY_SECONDS)


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
