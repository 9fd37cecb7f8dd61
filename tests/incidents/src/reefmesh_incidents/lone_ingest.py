"""One ingest process on a broker, watched from outside as a platform watches it."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reefmesh.broker.port import Publication
from reefmesh.contracts.channels import TELEMETRY
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh_components.activemq_client import client
from reefmesh_components.service_process import ServiceProcess
from reefmesh_incidents.lone_service import page_of

PATIENCE_SECONDS: Final = 100.0
LOOK_SECONDS: Final = 0.02
HANDLED: Final = "reefmesh_messages_handled_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the pages say: the check ``broker`` and whether the process is *live*."""

    status: str
    reason: str
    live: bool


class LoneIngest:
    """Starts nothing by itself: see ``process``."""

    def __init__(self, *, broker_url: str, folder: Path, command: Sequence[str] = (), **environment: str) -> None:
        self.process = ServiceProcess(
            "ingest",
            name="ingest-1",
            broker_url=broker_url,
            store_url=f"sqlite:///{folder / 'ingest.db'}",
            folder=folder,
            environment={"REEFMESH_INGEST_MQTT_BRIDGE": "false", **environment},
            command=command,
        )
        self._sent = 0

    def seen(self) -> Seen:
        """Read the pages. Raises OSError while there are none."""
        live = page_of(self.process, "/health/live")[0] == 200  # asked first: the reason is never the older one
        check = page_of(self.process, "/health")[1]["checks"]["broker"]
        return Seen(status=check["status"], reason=check["reason"], live=live)

    def until(self, holds: Callable[[Seen], bool]) -> Seen:
        """Return what is seen as soon as ``holds`` is true of it. Raises AssertionError when the process ends before."""
        deadline, seen = time.monotonic() + PATIENCE_SECONDS, None
        look = threading.Event()
        while not look.wait(LOOK_SECONDS):
            assert self.process.pid is not None, self.process.last_words()
            assert time.monotonic() < deadline, f"{seen}; {self.process.last_words()}"
            seen = self.seen()
            if holds(seen):
                break
        assert seen is not None
        return seen

    async def handle_one(self, publisher_url: str) -> None:
        """Publish a message and return when the process has handled it."""
        before = self.process.metric(HANDLED)
        self._sent += 1
        message = Envelope(
            event_id=f"incident/{self._sent}",
            reef_id="reef-a",
            schema_id=TELEMETRY_1,
            produced_at=datetime.now(UTC),
            body=b"{}",
        )
        async with client(publisher_url) as publisher:
            await publisher.publish([Publication(channel=TELEMETRY.name, message=message)])
        deadline, look = time.monotonic() + PATIENCE_SECONDS, threading.Event()
        while self.process.metric(HANDLED) == before:
            assert time.monotonic() < deadline, self.process.last_words()
            look.wait(LOOK_SECONDS)
