"""The installed command's first module: it imports next to nothing, so that Ctrl-C ends quietly while the rest is imported."""

import signal
import sys


def main() -> None:
    """Run the command; exits with its code."""
    try:
        from reefmesh_standalone.__main__ import main as command  # noqa: PLC0415 - see above

        command()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
