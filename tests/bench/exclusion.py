"""What excluding a long period costs, and whether another reef waits for it: all services in one process, a new home.

python tests/bench/exclusion.py                       # 500,000 readings
python tests/bench/exclusion.py --readings 50000
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Final
from uuid import uuid4

from processes import peak_megabytes
from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.exclusion import ExclusionRequest
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh.observability.logs import configure_logging
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.excluding import send_request, until_applied, until_scored
from reefmesh_standalone.following import Follower
from reefmesh_standalone.home import Home
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import MeshSession, mesh_session

STEP: Final = timedelta(minutes=15)
BEGINS_AT: Final = datetime(2010, 1, 1, tzinfo=UTC)
READINGS_PER_MESSAGE: Final = 500
MESSAGES_AT_ONCE: Final = 20
REPORT_EVERY_SECONDS: Final = 0.25
LOOK_EVERY_SECONDS: Final = 0.005
QUIET_SECONDS: Final = 20.0
PATIENCE_SECONDS: Final = 600.0


@dataclass(slots=True, kw_only=True)
class Neighbour:
    """Another reef whose buoy reports all the time; ``waits_seconds`` is from each report to its judged score; ``number``
    counts the reports."""

    session: MeshSession
    number: int = 0
    waits_seconds: list[float] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.number += 1
            began = perf_counter()
            message = _message("other", self.number, self.number - 1, 1)
            await send_all(self.session.broker, [message], report=lambda _: None, stop=asyncio.Event())
            follower = Follower(self.session.stores, [(message.event_id, "other")])
            await follower.until_done(
                lambda _: None, stop=asyncio.Event(), ended=self.session.ended, look_every_seconds=LOOK_EVERY_SECONDS
            )
            waited = perf_counter() - began
            self.waits_seconds.append(waited)
            try:
                await asyncio.wait_for(stop.wait(), max(0.0, REPORT_EVERY_SECONDS - waited))
            except TimeoutError:
                continue

    def figures(self) -> dict[str, float]:
        waits = sorted(self.waits_seconds)
        return {
            "reports": len(waits),
            "median_seconds": round(waits[len(waits) // 2], 3),
            "p99_seconds": round(waits[int(len(waits) * 0.99)], 3),
            "longest_seconds": round(waits[-1], 3),
        }


def _message(reef: str, seq: int, first: int, count: int) -> Envelope:
    readings = [
        {
            "observed_at": (BEGINS_AT + step * STEP).isoformat(),
            "channels": {SEA_WATER_TEMPERATURE: round(28.0 + step % 96 / 96 + step % 7 / 100, 2)},
        }
        for step in range(first, first + count)
    ]
    sent_at = (BEGINS_AT + (first + count) * STEP).isoformat()
    body = {"schema": TELEMETRY_1, "buoy_id": f"{reef}-1", "seq": seq, "sent_at": sent_at, "readings": readings}
    return Envelope(
        event_id=str(uuid4()),
        reef_id=reef,
        schema_id=TELEMETRY_1,
        produced_at=datetime.now(UTC),
        headers={},
        body=json.dumps(body).encode(),
    )


def _record(readings: int) -> Iterator[list[Envelope]]:
    per_part = READINGS_PER_MESSAGE * MESSAGES_AT_ONCE
    for first in range(0, readings, per_part):
        yield [
            _message("amed", 1 + at // READINGS_PER_MESSAGE, at, READINGS_PER_MESSAGE)
            for at in range(first, min(first + per_part, readings), READINGS_PER_MESSAGE)
        ]


async def _fill(session: MeshSession, readings: int) -> None:
    for messages in _record(readings):
        await send_all(session.broker, messages, report=lambda _: None, stop=asyncio.Event())
        follower = Follower(session.stores, [(each.event_id, each.reef_id) for each in messages])
        if not await follower.until_done(lambda _: None, stop=asyncio.Event(), ended=session.ended):
            raise RuntimeError("the mesh ended by a fault")


async def _exclude(session: MeshSession, readings: int, action: str) -> dict[str, float]:
    stop = asyncio.Event()
    request = ExclusionRequest.model_validate(
        {
            "action": action,
            "buoy_id": "amed-1",
            "from_at": BEGINS_AT,
            "until_at": BEGINS_AT + readings * STEP,
            "quantity": SEA_WATER_TEMPERATURE,
            "reason": "bench",
        }
    )
    began, cpu = perf_counter(), process_time()
    request_id = await send_request(session, request, reef_id="amed")
    done = await until_applied(session, request_id, report=lambda _: None, stop=stop, patience_seconds=PATIENCE_SECONDS)
    applied = perf_counter() - began
    scored = await until_scored(session, "amed", stop=stop, patience_seconds=PATIENCE_SECONDS)
    if done is None or not scored:
        raise RuntimeError("the exclusion did not end")
    return {
        "readings_changed": done.readings_changed,
        "applied_seconds": round(applied, 1),
        "scored_seconds": round(perf_counter() - began, 1),
        "cpu_seconds": round(process_time() - cpu, 1),
    }


async def measure(home: Home, readings: int) -> dict[str, object]:
    home.create()
    async with mesh_session(home, clock=SystemClock()) as session:
        place = {"latitude_degrees": -8.3, "longitude_degrees": 115.6, "mmm_celsius": 29.0}
        await Register(session.stores[services.INGEST]).upsert(
            reefs=[ReefEntry(id=reef, name=reef, **place) for reef in ("amed", "other")],
            buoys=[BuoyEntry(id=f"{reef}-1", reef=reef, report_interval_seconds=900) for reef in ("amed", "other")],
        )
        began = perf_counter()
        await _fill(session, readings)
        figures: dict[str, object] = {
            "readings": readings,
            "filled_seconds": round(perf_counter() - began, 1),
            "peak_megabytes_before": round(peak_megabytes(os.getpid())),
        }
        neighbour = Neighbour(session=session)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(neighbour.run(stop))
            await asyncio.sleep(QUIET_SECONDS)
            stop.set()
        figures["neighbour_quiet"] = neighbour.figures()
        for action in ("exclude", "include"):
            neighbour.waits_seconds.clear()
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(neighbour.run(stop))
                figures[action] = await _exclude(session, readings, action)
                stop.set()
            figures[f"neighbour_{action}"] = neighbour.figures()
        figures["peak_megabytes"] = round(peak_megabytes(os.getpid()))
        return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=500_000)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    configure_logging("exclusion", level="error")
    with tempfile.TemporaryDirectory(prefix="reefmesh-exclusion-") as folder:
        figures = asyncio.run(measure(Home(path=Path(folder)), arguments.readings))
    shown = json.dumps(figures, indent=2)
    print(shown)
    if arguments.json:
        arguments.json.write_text(shown + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
