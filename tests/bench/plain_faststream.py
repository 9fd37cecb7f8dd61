"""The pipeline of three FastStream stages on a fresh broker, and whether it lost or reordered anything."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh_under_load import HEAP, RealBroker
from plain_faststream_stage import StageOrder
from plain_tuning import Shape
from plain_work import STAGES, decided, faults
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import password_of
from reefmesh_components.ports import HOST
from reefmesh_components.rabbitmq import local_rabbitmq
from reefmesh_components.rabbitmq_process import RabbitmqProcess

STAGE_SCRIPT: Final = Path(__file__).with_name("plain_faststream_stage.py")
USER: Final = "operator"
END_TIMEOUT_SECONDS: Final = 30.0
LAST: Final = list(STAGES)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSetup:
    broker: str
    shared_commits: bool
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFaststream:
    broker: RealBroker
    stages: dict[str, "subprocess.Popen[bytes]"]
    folder: Path
    setup: PlainSetup

    @property
    def url(self) -> str:
        return self.broker.url(USER)

    @property
    def entry(self) -> str:
        return "plain.telemetry" if self.setup.broker == "rabbitmq" else "/queue/plain.telemetry"

    def pids(self) -> dict[str, int]:
        pids = {name: stage.pid for name, stage in self.stages.items()}
        if self.broker.pid is not None:
            pids["broker"] = self.broker.pid
        return pids

    def decided(self) -> int:
        """Return how many messages have come to the end of the pipeline."""
        return decided(database_of(self.folder, LAST))

    def faults(self, *, reefs: int, turns: int) -> list[str]:
        """Return what any stage lost or took out of order."""
        return [
            f"{stage}: {fault}"
            for stage in STAGES
            for fault in faults(database_of(self.folder, stage), reefs=reefs, turns=turns)
        ]


@contextmanager
def plain_faststream(setup: PlainSetup) -> Iterator[PlainFaststream]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reefmesh-plain-")))
        broker: RealBroker
        if setup.broker == "rabbitmq":
            broker = stack.enter_context(local_rabbitmq(more_plugins=["rabbitmq_consistent_hash_exchange"]))
        else:
            broker = stack.enter_context(local_activemq(heap=HEAP))
        stages: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name in STAGES:
                order = StageOrder(
                    broker=setup.broker,
                    host=HOST,
                    port=broker.ports.amqp if isinstance(broker, RabbitmqProcess) else broker.ports.stomp,
                    user=USER,
                    password=password_of(USER),
                    stage=name,
                    database=database_of(folder, name),
                    shared_commits=setup.shared_commits,
                    width=setup.shape.width,
                    prefetch=setup.shape.prefetch,
                )
                command = [sys.executable, str(STAGE_SCRIPT), order.model_dump_json()]
                stages[name] = subprocess.Popen(command, stdout=subprocess.PIPE)
            for name, stage in stages.items():
                if stage.stdout is None or stage.stdout.readline().strip() != b"up":
                    raise RuntimeError(f"stage {name} did not come up; its words are above")
            yield PlainFaststream(broker=broker, stages=stages, folder=folder, setup=setup)
        finally:
            for stage in stages.values():
                _end(stage)


def database_of(folder: Path, stage: str) -> Path:
    return folder / f"{stage}.db"


def _end(stage: "subprocess.Popen[bytes]") -> None:
    stage.terminate()
    try:
        stage.communicate(timeout=END_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        stage.kill()
        stage.communicate()
