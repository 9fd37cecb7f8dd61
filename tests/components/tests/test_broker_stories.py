"""Why a broker ended stands in the report of the test that met it, although its folder is deleted."""

import subprocess
import sys
from pathlib import Path

import pytest

from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.broker_stories import take_stories, told

TEST = """
import os
import signal
from reefmesh_components.activemq import local_activemq

def test_that_meets_a_broker_which_somebody_else_ended():
    with local_activemq() as broker:
        pid = broker.pid
        os.kill(pid, signal.SIGTERM)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert broker.pid == pid
"""


def test_broker_that_ended_by_itself_tells_how_in_the_report_of_the_failure(
    activemq_process: ActivemqProcess, tmp_path: Path
) -> None:
    assert activemq_process.pid is not None  # there is a distribution, or this test is skipped
    (tmp_path / "test_broker.py").write_text(TEST)
    command = ("-p", "reefmesh_components.plugin", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path))
    done = subprocess.run([sys.executable, "-m", "pytest", *command], stdout=subprocess.PIPE, text=True, check=False)
    assert 1 == done.returncode
    assert "ENDED BY ITSELF with exit code" in done.stdout
    assert "is shutting down" in done.stdout


def test_story_of_a_broker_whose_context_a_failure_ended_is_told_once(activemq_process: ActivemqProcess) -> None:
    take_stories()  # of what failed before in this process, on purpose or not: told once
    always = len(take_stories())  # of the brokers of this run
    with told(activemq_process):
        assert always + 1 == len(take_stories())
    assert always == len(take_stories())
    with pytest.raises(ValueError, match="a failure"), told(activemq_process):
        raise ValueError("a failure")
    assert always + 1 == len(take_stories())
    assert always == len(take_stories())
