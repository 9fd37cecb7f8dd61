"""*Live* turns false for what heals by a restart alone: here, an event loop that does not come back."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from reefmesh_components.service_process import ServiceProcess
from reefmesh_incidents import misbehaving_scoring


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    service = ServiceProcess(
        "scoring",
        name="scoring-1",
        broker_url="embedded://",
        store_url=f"sqlite:///{tmp_path}/scoring.db",
        folder=tmp_path,
        command=(misbehaving_scoring.__file__, "stands"),
    )
    service.start()
    service.wait_until_healthy()
    yield service
    service.kill()


def test_loop_that_stands_fails_the_check_of_health_within_its_time(service: ServiceProcess) -> None:
    """The pages are served by that same loop, so nothing has to notice: it is the silence that says it. The check waits 5 s for
    an answer; one that does not end within 30 s, on a busy machine, too, fails this test."""
    assert service.check_health() == 0
    assert service.pid is not None
    os.kill(service.pid, signal.SIGUSR1)

    assert service.check_health() == 1
