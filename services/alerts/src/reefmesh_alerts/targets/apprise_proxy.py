"""Which proxy the library Apprise uses.

It posts by ``requests``, which follows ``HTTPS_PROXY`` of the environment whatever our setting says; neither library takes a
session or a proxy of ours. So this sets what ``requests`` uses, for the threads of Apprise targets alone.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from reefmesh_alerts.targets.proxy import Proxies

_thread = threading.local()
_installing = threading.Lock()


@contextmanager
def posting_through(proxies: Proxies) -> Iterator[None]:
    """Let what this thread posts by ``requests`` go through these proxies and no other while the context lasts."""
    _install()
    _thread.proxies = proxies
    try:
        yield
    finally:
        del _thread.proxies


def _install() -> None:
    """Put our choice behind that of ``requests``, once in a process; other threads keep theirs."""
    with _installing:
        original = requests.Session.merge_environment_settings
        if getattr(original, "__wrapped__", None) is not None:
            return

        @functools.wraps(original)
        def merge(session: requests.Session, url: str, *arguments: Any, **options: Any) -> dict[str, Any]:
            settings = dict(original(session, url, *arguments, **options))
            ours: Proxies | None = getattr(_thread, "proxies", None)
            if ours is not None:
                proxy = ours.to(url)
                address = None if proxy is None else proxy.url.get_secret_value()
                settings["proxies"] = {} if address is None else {"http": address, "https": address}
            return settings

        requests.Session.merge_environment_settings = merge  # type: ignore[method-assign,assignment]  # it takes no other way
