"""Lines for the journal of systemd: a level as sd-daemon(3) has it, and one line of text. Secrets are never among it."""

import sys


def say(level: str, text: str) -> None:
    """``level``: 3 error, 4 warning, 5 notice, 6 information."""
    sys.stderr.write(f"<{level}>{' '.join(text.split())}\n")
    sys.stderr.flush()
