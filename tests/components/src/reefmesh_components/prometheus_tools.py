"""Prometheus' and Alertmanager's own checkers, where they are installed."""

import shutil
import subprocess
from dataclasses import dataclass

from reefmesh_components.requirement import ComponentMissing

PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """A checker that is there; ``check`` runs it and returns its exit code and all that it said."""

    path: str

    def check(self, *arguments: str, text: str | None = None) -> tuple[int, str]:
        done = subprocess.run([self.path, *arguments], input=text, capture_output=True, text=True, timeout=240, check=False)
        return done.returncode, done.stdout + done.stderr


def checker(name: str) -> Checker:
    """Return ``promtool`` or ``amtool``. Raises ComponentMissing."""
    path = shutil.which(name)
    if path is None:
        raise ComponentMissing(name, why=f"no {name} on the PATH", command=f"apt-get install {PACKAGES[name]}")
    return Checker(path=path)
