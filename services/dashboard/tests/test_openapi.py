"""docs/openapi.json says what the API answers."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_document_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "openapi.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
