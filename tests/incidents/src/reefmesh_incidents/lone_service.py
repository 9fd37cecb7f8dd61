"""One service as a process, on an embedded broker of its own: for incidents of its database."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from reefmesh_components.service_process import ServiceProcess

SERVICE: Final = "ingest"
LOOK_SECONDS: Final = 0.1


@contextmanager
def lone_service(
    folder: Path,
    store_url: str,
    *,
    broker_url: str | None = None,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
) -> Iterator[ServiceProcess]:
    """Start ``ingest``; it is killed at the end where it still runs. ``command``: what Python runs instead."""
    process = ServiceProcess(
        SERVICE,
        name=SERVICE,
        broker_url=broker_url or f"embedded://{folder / 'journal'}",
        store_url=store_url,
        folder=folder,
        environment=environment,
        command=command,
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()


def page_of(process: ServiceProcess, path: str) -> tuple[int, Any]:
    """Return the status and the content of one of its pages."""
    try:
        with urllib.request.urlopen(f"{process.url}{path}", timeout=5) as answer:  # noqa: S310 - an address of ours
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def seconds_until(condition: Callable[[], bool], *, limit_seconds: float) -> float:
    """Return how long it took until the condition was true.

    Raises:
        TimeoutError: it did not become true.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > limit_seconds:
            raise TimeoutError(f"not within {limit_seconds:g} s")
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began
