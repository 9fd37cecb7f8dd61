"""Where RabbitMQ is installed on this machine: its own scripts, not those that a system puts around them.

Debian's ``/usr/sbin/rabbitmq-server`` switches to the user and the folders of the system's service; the script that it calls in
the end takes all of that from its environment.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOME_VARIABLE: Final = "REEFMESH_RABBITMQ_HOME"
PLACES: Final = ("/usr/lib/rabbitmq/lib", "/usr/local/lib", "/opt")
FOLDER: Final = re.compile(r"rabbitmq_server-(\d+(?:\.\d+)+)")


class RabbitmqMissing(Exception):
    """There is none here; the text says what was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitmqDistribution:
    """``server``: the script that becomes the broker; ``epmd``: the program by which Erlang's nodes find each other."""

    version: str
    server: Path
    epmd: str


def rabbitmq_distribution() -> RabbitmqDistribution:
    """Return the newest RabbitMQ of this machine, or the one in the folder that ``REEFMESH_RABBITMQ_HOME`` names.

    Raises:
        RabbitmqMissing: it, or Erlang, is not installed.
    """
    epmd = shutil.which("epmd")
    if epmd is None:
        raise RabbitmqMissing("Erlang (epmd) is not installed")
    given = os.environ.get(HOME_VARIABLE)
    homes = [Path(given)] if given else [home for place in PLACES for home in Path(place).glob("rabbitmq_server-*")]
    found = [
        RabbitmqDistribution(version=match[1], server=server, epmd=epmd)
        for home in homes
        if (match := FOLDER.fullmatch(home.name)) and (server := home / "sbin" / "rabbitmq-server").is_file()
    ]
    if not found:
        raise RabbitmqMissing(f"no rabbitmq_server-VERSION with its scripts in {given or ', '.join(PLACES)}")
    return max(found, key=lambda each: [int(part) for part in each.version.split(".")])
