"""The command line of a service that runs as a process of its own."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import reefmesh
from reefmesh.clock import Clock, SystemClock
from reefmesh.errors import ConfigurationError
from reefmesh.observability.health_check import OPTION, PAGES
from reefmesh.observability.logs import configure_logging
from reefmesh.observability.tracing import require_tracing
from reefmesh.observability.unblocked_output import unblocked_output
from reefmesh.secret_files import SUFFIX
from reefmesh.service.assembly import run_alone
from reefmesh.service.exit import explain, run_to_exit
from reefmesh.service.program import Kind, Program
from reefmesh.settings import ServiceSettings


def run_service(program: Program[Kind], *, arguments: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Parse the command line, read the settings, run until SIGTERM or SIGINT; return the exit code (see ``service.exit``).

    ``clock`` is the system's, except in a simulation.
    """
    name = program.entry.name
    parser = argparse.ArgumentParser(
        prog=f"reefmesh-{name}",
        description=program.entry.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_epilog(name, program.settings),
    )
    parser.add_argument("--config", type=Path, help="settings file (TOML) [env: REEFMESH_CONFIG]")
    parser.add_argument("--check", action="store_true", help="check the settings, say nothing, exit 0 or 78")
    # For the help alone: ``__main__`` answers a command line with this option before it imports this module.
    parser.add_argument(
        OPTION,
        nargs="?",
        const="live",
        choices=tuple(PAGES),
        help="ask the service that runs on this machine (its pages) and exit 0 or 1: live (default) or ready",
    )
    parser.add_argument("--version", action="version", version=f"reefmesh-{name} {reefmesh.__version__}")
    options = parser.parse_args(arguments)
    try:
        program.settings.refuse_misspelt_variables()
        settings = program.settings.load(config=options.config)
        blueprint = program.blueprint(settings)
        require_tracing(settings.tracing)
    except ConfigurationError as error:
        return explain(error)
    if options.check:
        return 0

    async def main(stop: asyncio.Event) -> None:
        await run_alone(blueprint, settings, stop, clock=clock or SystemClock())

    with unblocked_output():
        configure_logging(name, level=settings.log_level, log_format=settings.log_format)
        return run_to_exit(main)


def _epilog(name: str, kind: type[ServiceSettings]) -> str:
    lines = [f"settings (environment; also REEFMESH_{name.upper()}_<NAME> for this service alone):"]
    for setting, field in kind.model_fields.items():
        lines.append(f"  REEFMESH_{setting.upper():<28} {field.description or ''}")
        if setting in kind.secrets():
            lines.append(f"  REEFMESH_{f'{setting.upper()}{SUFFIX}':<28} the path of a file that holds it, instead")
    lines += [
        "",
        "example:",
        f"  REEFMESH_BROKER_URL=stomp+ssl://host-1:61614,host-2:61614 REEFMESH_BROKER_USERNAME={name}",
        "  REEFMESH_BROKER_PASSWORD_FILE=/run/secrets/broker REEFMESH_STORE_PASSWORD_FILE=/run/secrets/database",
        f"  REEFMESH_STORE_URL='postgresql://{name}@host/reefmesh?schema={name}' reefmesh-{name}",
        "",
        "as a container's health check:",
        f"  reefmesh-{name} {OPTION}",
        "",
        "exit codes: 0 drained, 65 too much poison, 70 bug, 75 broker or database away, 78 settings",
    ]
    return "\n".join(lines)
