"""The recipients in force, and the file that they come from."""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from reefmesh.errors import ConfigurationError
from reefmesh.service.stop_event import is_set_within
from reefmesh_alerts.recipients.entries import RecipientEntry, SubscriptionsFile
from reefmesh_alerts.recipients.file import CONSOLE_ALONE, read_subscriptions
from reefmesh_alerts.targets.entries import TargetEntry

log = structlog.get_logger()

POLL_SECONDS: Final = 5.0


class Recipients:
    """The content of the last valid subscriptions file; without a file, ``CONSOLE_ALONE``.

    A changed file takes effect between two messages: its recipients for alerts raised from then on, its targets at their
    next round. A changed file with a mistake changes nothing: one log line names the mistake, and the old content stays in
    force. At the start a mistake is a ConfigurationError.
    """

    def __init__(self, path: Path | None, *, environment: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._environment = environment
        self._digest = None if path is None else _digest(path)
        self._file = CONSOLE_ALONE if path is None else read_subscriptions(path, environment=environment)

    @classmethod
    def fixed(cls, file: SubscriptionsFile) -> "Recipients":
        """Return recipients without a file on disk."""
        recipients = cls(None)
        recipients.replace(file)
        return recipients

    def replace(self, file: SubscriptionsFile) -> None:
        """Put other content in force, from the next message on."""
        self._file = file

    @property
    def entries(self) -> Sequence[RecipientEntry]:
        return self._file.subscription

    @property
    def targets(self) -> Sequence[TargetEntry]:
        return self._file.target

    def named(self, name: str) -> RecipientEntry | None:
        return next((entry for entry in self._file.subscription if entry.name == name), None)

    def reload(self) -> bool:
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
        log.info("subscriptions reloaded", subscriptions=len(self.entries), targets=len(self.targets))
        return True

    async def run(self, stop: asyncio.Event) -> None:
        """Check the file for changes every few seconds until ``stop``."""
        while not stop.is_set():
            await asyncio.to_thread(self.reload)
            await is_set_within(stop, POLL_SECONDS)


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
