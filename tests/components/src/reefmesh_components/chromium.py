"""Debian's Chromium, where it is installed: Playwright drives it, and brings no browser of its own."""

import shutil
from typing import Final

from reefmesh_components.requirement import ComponentMissing

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable")


def chromium_path() -> str:
    """Return the browser's path. Raises ComponentMissing."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise ComponentMissing("chromium", why=f"none of {', '.join(NAMES)} on the PATH", command="apt-get install chromium")
