"""``--check-health``: a container's health check, which requests a page of the service in the same container.

It asks through a listener of its own (see ``own_listener``), so that whoever floods the pages cannot make a healthy service
look dead; where there is none (another system than Linux, another user), through the pages' address.

It runs every few seconds for as long as a container lives, so it loads nothing but the standard library, and of the settings
it reads only host and port of the pages.
"""

import http.client
import json
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from reefmesh.observability.own_listener import connect_beside, loopback_of

OPTION: Final = "--check-health"
PAGES: Final = {"live": "/health/live", "ready": "/health/ready"}
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080
TIMEOUT_SECONDS: Final = 5.0
"""The page itself takes 2 s at most."""
EXIT_WELL: Final = 0
EXIT_UNWELL: Final = 1
EXIT_CONFIGURATION: Final = 78  # of service.exit, which loads too much for us


def is_asked_for(arguments: Sequence[str]) -> bool:
    """Whether this command line runs the check instead of the service."""
    return any(argument == OPTION or argument.startswith(f"{OPTION}=") for argument in arguments)


def check_health(
    section: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    output: TextIO | None = None,
) -> int:
    """Request the page of ``section``'s service on this machine, print one line, return the exit code.

    ``--check-health`` (or ``=live``) is 1 when starting the process again is the likely cure, ``--check-health=ready`` also
    while it cannot work or drains; both are 1 when there is no answer within 5 s. 78: the settings give no host and port.
    """
    output = sys.stdout if output is None else output
    environment = os.environ if environment is None else environment
    kind = _value_of(OPTION, arguments) or "live"
    if kind not in PAGES:
        print(f"{section}: {OPTION}={kind} is not known; say {' or '.join(PAGES)}", file=output)
        return EXIT_CONFIGURATION
    try:
        config = _value_of("--config", arguments)
        host, port = where(section, environment, config=Path(config) if config else None)
    except (OSError, ValueError) as error:
        print(f"{section}: where to ask is not known: {error}", file=output)
        return EXIT_CONFIGURATION
    connection = _PagesConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", PAGES[kind])
        answer = connection.getresponse()
        reasons = _reasons(answer.read())
    except (OSError, http.client.HTTPException) as error:
        reason = f"no answer within {TIMEOUT_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
        print(f"{section}: not {kind}: {host}:{port}: {reason}", file=output)
        return EXIT_UNWELL
    finally:
        connection.close()
    well = answer.status == http.client.OK
    print(f"{section}: {'' if well else 'not '}{kind}{f': {reasons}' if reasons else ''}", file=output)
    return EXIT_WELL if well else EXIT_UNWELL


def where(section: str, environment: Mapping[str, str], *, config: Path | None = None) -> tuple[str, int]:
    """Return host and port of the pages, found as ``reefmesh.settings`` finds them; the loopback in place of a host that
    means all addresses.

    Raises:
        OSError: the settings file cannot be read.
        ValueError: it is no TOML, or the port is not a fixed one.
    """
    environment = {name.upper(): value for name, value in environment.items()}
    named = environment.get("REEFMESH_CONFIG")
    path = config or (Path(named) if named else None)
    file = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    own = file.get(section, {})

    def setting(name: str, default: object) -> str:
        upper = name.upper()
        places = (
            environment.get(f"REEFMESH_{section.upper()}_{upper}"),
            environment.get(f"REEFMESH_{upper}"),
            own.get(name) if isinstance(own, dict) else None,
            file.get(name),
        )
        return str(next((value for value in places if value is not None), default))

    host, port = setting("http_host", DEFAULT_HOST), setting("http_port", DEFAULT_PORT)
    if not port.strip().isdecimal() or not 1 <= int(port) <= 65_535:
        raise ValueError(f"REEFMESH_HTTP_PORT is {port!r}; set it to a port from 1 to 65535")
    return loopback_of(host), int(port)


class _PagesConnection(http.client.HTTPConnection):
    """HTTP through the listener of the check where there is one."""

    def connect(self) -> None:
        beside = connect_beside(self.host, self.port, timeout_seconds=TIMEOUT_SECONDS)
        if beside is None:
            super().connect()
        else:
            self.sock = beside


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    """Return the value of ``--option=value`` or ``--option value``."""
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
        if argument == option and place + 1 < len(arguments) and not arguments[place + 1].startswith("-"):
            return arguments[place + 1]
    return None


def _reasons(page: bytes) -> str:
    try:
        content = json.loads(page)
    except ValueError:
        return "the page is not ours"
    reasons = content.get("reasons", ()) if isinstance(content, dict) else ()
    return " ".join("; ".join(map(str, reasons)).split())
