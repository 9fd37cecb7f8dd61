"""The agent is killed, often while it sends: each reading has its effect once. More kills: ``kill_story.py --kills 200``."""

import subprocess
import sys
from pathlib import Path

STORY = Path(__file__).with_name("kill_story.py")


def test_agent_that_is_killed_loses_and_doubles_nothing() -> None:
    ended = subprocess.run([sys.executable, STORY, "--kills", "20", "--seed", "1"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("20 kills, seed 1: 8 before the answer")
