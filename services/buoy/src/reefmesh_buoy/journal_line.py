"""Lines for the journal of systemd: a level as sd-daemon(3) has it, and one line of text. Secrets are never among it."""

import os
import sys


def say(level: str, text: str) -> None:
    """``level``: 3 error, 4 warning, 5 notice, 6 information."""
    mark = f"<{level}>" if "JOURNAL_STREAM" in os.environ else ""  # a person at a terminal needs none
    sys.stderr.write(f"{mark}{' '.join(text.split())}\n")
    sys.stderr.flush()
