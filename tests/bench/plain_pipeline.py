"""The pipeline that reefmesh is measured beside: three processes on stomp.py alone, on a fresh broker of the same make."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess, password_of
from reefmesh_components.ports import HOST

STAGE_SCRIPT: Final = Path(__file__).with_name("plain_stage.py")
USER: Final = "operator"
ENTRY: Final = "/queue/plain.telemetry"
EXIT: Final = "/topic/plain.alerts"
PLACES: Final = (ENTRY, "/queue/plain.readings", "/queue/plain.scores", EXIT)
STAGES: Final = ("decode", "score", "alert")
END_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPipeline:
    broker: ActivemqProcess
    stages: dict[str, "subprocess.Popen[bytes]"]

    def pids(self) -> dict[str, int]:
        pids = {name: stage.pid for name, stage in self.stages.items()}
        if self.broker.pid is not None:
            pids["broker"] = self.broker.pid
        return pids


@contextmanager
def plain_pipeline(*, heap: str) -> Iterator[PlainPipeline]:
    with local_activemq(heap=heap) as broker:
        stages: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name, source, target in zip(STAGES, PLACES, PLACES[1:], strict=False):
                stages[name] = subprocess.Popen(
                    [sys.executable, str(STAGE_SCRIPT), HOST, str(broker.ports.stomp), USER, source, target, name],
                    stdout=subprocess.PIPE,
                    env={**os.environ, "PLAIN_PASSWORD": password_of(USER)},
                )
            for name, stage in stages.items():
                if stage.stdout is None or stage.stdout.readline().strip() != b"up":
                    raise RuntimeError(f"stage {name} did not come up; its words are above")
            yield PlainPipeline(broker=broker, stages=stages)
        finally:
            for stage in stages.values():
                _end(stage)


def _end(stage: "subprocess.Popen[bytes]") -> None:
    stage.terminate()
    try:
        stage.communicate(timeout=END_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        stage.kill()
        stage.communicate()
