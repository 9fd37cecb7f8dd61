"""Alerts over the services that the library Apprise speaks to: messengers, chats, SMS."""

import asyncio
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.targets.apprise_services import INSTALL, NTFY, is_ntfy_topic
from reefmesh_alerts.targets.entries import AppriseEntry
from reefmesh_alerts.targets.port import Notice, SendResult, Sent, TryAgain
from reefmesh_alerts.targets.proxy import DIRECT, Proxies

if TYPE_CHECKING:
    from apprise import NotifyBase

LOGGER: Final = "apprise"
REASON_CHARACTERS: Final = 300
SECRET_CHARACTERS: Final = 5
"""Parts of the address of this length or more are hidden in what the library says."""


class AppriseTarget:
    """Sends in threads of its own, for the library blocks. A thread whose time is up keeps its place until it ends: there are
    never more than ``concurrency`` of them, and nothing is sent long after it was given up."""

    def __init__(self, entry: AppriseEntry, *, proxies: Proxies = DIRECT) -> None:
        """``proxies``: the only way to the service; none of the environment is used.

        Raises:
        ConfigurationError: the library is not installed, or does not understand the address.
        """
        self._timeout_seconds = entry.timeout_seconds
        self._url = _written_out(entry.url.get_secret_value())
        self._proxies = proxies
        self._words = _Said(self._url, proxies.secrets)
        self._words.begin()
        try:
            self._service()
        except ConfigurationError:
            self._words.end()
            raise
        self._room = asyncio.Semaphore(entry.concurrency)
        self._threads = ThreadPoolExecutor(max_workers=entry.concurrency, thread_name_prefix=f"target-{entry.name}")

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:  # noqa: ARG002 - the port's signature
        await self._room.acquire()
        sending = asyncio.get_running_loop().run_in_executor(self._threads, self._send, notice)
        sending.add_done_callback(lambda _: self._room.release())
        return await asyncio.shield(sending)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._words.end()

    def _send(self, notice: Notice) -> SendResult:
        from reefmesh_alerts.targets.apprise_proxy import posting_through  # noqa: PLC0415 - what it needs comes with Apprise

        with self._words.of_this_thread() as lines, posting_through(self._proxies):
            try:
                service = self._service()
                title, body = _fitting(notice, service)
                if service.notify(body=body, title=title):
                    return Sent()
            except Exception as error:  # noqa: BLE001 - over a hundred modules of others: whatever they raise is their failure
                lines.append(f"{type(error).__name__}: {error}")
        reason = "; ".join(lines) or "the service did not take it"
        return TryAgain(reason=plain(self._words.without_secrets(reason))[:REASON_CHARACTERS])

    def _service(self) -> "NotifyBase":
        """Return the service; one for each message, since it keeps what it sends in itself."""
        try:
            import apprise  # noqa: PLC0415 - not installed everywhere, and slow to import
        except ImportError:
            raise ConfigurationError(INSTALL) from None
        asset = apprise.AppriseAsset(app_id="reefmesh", app_desc="reefmesh", app_url="", http_redirects=False)
        service: Any = apprise.Apprise.instantiate(self._url, asset=asset, suppress_exceptions=True)
        if service is None:
            raise ConfigurationError(
                "url: Apprise does not understand this address; its page on the service says how to write it"
            )
        service.socket_connect_timeout = service.socket_read_timeout = self._timeout_seconds / 2
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
        checked: NotifyBase = service
        return checked


class _Said:
    """What the library logs while it sends, by thread, without the parts of the address: it is the only reason that it gives.

    Nothing of it reaches our own log.
    """

    def __init__(self, url: str, secrets: frozenset[str]) -> None:
        parts = {part for part in re.split(r"[^A-Za-z0-9._~-]+", url) if len(part) >= SECRET_CHARACTERS}
        self._secrets = sorted(parts | secrets, key=len, reverse=True)
        self._handler = _ByThread()

    def begin(self) -> None:
        logger = logging.getLogger(LOGGER)
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        logger.addHandler(self._handler)

    def end(self) -> None:
        logging.getLogger(LOGGER).removeHandler(self._handler)

    def of_this_thread(self) -> "_ByThread":
        return self._handler

    def without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _ByThread(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines = threading.local()

    def __enter__(self) -> list[str]:
        lines: list[str] = []
        self._lines.now = lines
        return lines

    def __exit__(self, *_: object) -> None:
        del self._lines.now

    def emit(self, record: logging.LogRecord) -> None:
        lines: list[str] | None = getattr(self._lines, "now", None)
        if lines is not None:
            lines.append(record.getMessage())


def _written_out(url: str) -> str:
    """Say which ntfy is meant: the library would take a topic with a dot for a host."""
    scheme, _, rest = url.partition("://")
    if scheme.casefold() not in NTFY:
        return url
    mode = "cloud" if is_ntfy_topic(url) else "private"
    return f"{url}{'&' if '?' in rest else '?'}mode={mode}"


def _fitting(notice: Notice, service: "NotifyBase") -> tuple[str, str]:
    """Return title and body: the whole text, or where that does not fit (SMS) only the line of each alert."""
    room = service.body_maxlen - (0 if service.title_maxlen else len(notice.subject) + 2)
    if len(notice.text) <= room:
        return notice.subject, notice.text
    lines = dict.fromkeys([notice.subject, *(alert.summary for alert in notice.alerts)])
    return "", "\n".join(lines)
