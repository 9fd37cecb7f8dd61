"""Shared by all sub-commands: common options, the home, the run to an exit code, and the output for people and machines."""

import asyncio
import json
import logging
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from reefmesh.errors import ConfigurationError
from reefmesh.observability.logs import LogLevel, configure_logging
from reefmesh.observability.unblocked_output import unblocked_output
from reefmesh.service.exit import explain, run_to_exit
from reefmesh_alerts.targets import console
from reefmesh_standalone.home import Home
from reefmesh_standalone.session import MeshSession
from reefmesh_standalone.settings import DEFAULT_HOME, StandaloneSettings
from reefmesh_standalone.variables import refuse_unread_variables

people: Final = Console(stderr=True, highlight=False, markup=False)
"""Progress and remarks; standard output is for results."""

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of the journal and the databases \\[env: REEFMESH_HOME].", show_default=False),
]
BrokerOption = Annotated[
    str | None,
    typer.Option("--broker", help="Broker address; without it the embedded engine in the home \\[env: REEFMESH_BROKER_URL]."),
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="PostgreSQL address; without it SQLite files in the home \\[env: REEFMESH_STORE_URL]."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Settings file (TOML) \\[env: REEFMESH_CONFIG].", show_default=False)
]
HostOption = Annotated[
    str,
    typer.Option(envvar="REEFMESH_HTTP_HOST", show_envvar=False, help="Address of the pages \\[env: REEFMESH_HTTP_HOST]."),
]
PortOption = Annotated[
    int,
    typer.Option(
        min=0,
        max=65535,
        envvar="REEFMESH_HTTP_PORT",
        show_envvar=False,
        help="Port of the pages; 0: any free one \\[env: REEFMESH_HTTP_PORT].",
    ),
]
JoinOption = Annotated[
    bool, typer.Option("--join", help="The services run at the --broker already, as processes of their own: run none here.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def home_of(home: Path | None, broker: str | None = None, store: str | None = None, config: Path | None = None) -> Home:
    """Return the home that options, environment and settings file name; a mistake in them ends the command with one line."""
    try:
        refuse_unread_variables(config)
        settings = StandaloneSettings.load(config=config, overrides={"home": home, "broker_url": broker, "store_url": store})
        return Home.of(settings)
    except ConfigurationError as error:
        raise typer.Exit(explain(error)) from None


@contextmanager
def home_or_scratch(
    home: Path | None, broker: str | None, store: str | None, config: Path | None, *, purpose: str
) -> Iterator[Home]:
    """Yield the home that was named; if none was, a new folder, which is removed however the command ends."""
    named = home_of(home, broker, store, config)
    if home is not None or "REEFMESH_HOME" in os.environ or named.path != default_home().path:
        yield named
        return
    try:
        scratch = tempfile.TemporaryDirectory(prefix=f"reefmesh-{purpose}-", ignore_cleanup_errors=True)
    except OSError as error:
        mistake = ConfigurationError(f"there is no folder for a mesh ({error.strerror or error}); give one with --home")
        raise typer.Exit(explain(mistake)) from None
    with scratch as path:
        yield replace(home_of(Path(path), broker, store, config), temporary=True)


def default_home() -> Home:
    """Return the home that is used when no option, variable or file names one."""
    return Home(path=DEFAULT_HOME.expanduser().absolute())


def run(
    main: Callable[[asyncio.Event], Awaitable[None]],
    *,
    log_level: LogLevel = "warning",
    alerts_in_log: bool = True,
    serves: bool = False,
) -> None:
    """Run a command's coroutine to its exit code; an ``Outcome`` that it raises chooses another code.

    ``alerts_in_log`` False: the command shows alerts itself; log lines would run through its progress bars. ``serves``: it
    prints no result, and must go on when nobody reads what it says.
    """
    outcome = 0

    async def guarded(stop: asyncio.Event) -> None:
        nonlocal outcome
        try:
            await main(stop)
        except Outcome as chosen:
            outcome = chosen.code

    with unblocked_output() if serves else nullcontext():
        configure_logging("reefmesh", level=log_level)
        logging.getLogger(console.__name__).setLevel(logging.NOTSET if alerts_in_log else logging.ERROR)
        code = run_to_exit(guarded)
    raise typer.Exit(code or outcome)


class Outcome(Exception):
    """Ends a command with an exit code, after the command has printed the reason."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


async def until_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Run work that has nothing to finish once somebody no longer waits for it: at the first Ctrl-C it is cancelled.

    Raises:
        Outcome: it was.
    """
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return await working
        working.cancel()
        await asyncio.wait({working})
    finally:
        stopping.cancel()
    people.print("Interrupted.")
    raise Outcome(130)


def refuse_unfinished(complete: bool, session: MeshSession, *, kept: str) -> None:
    """End a command that did not wait for its work to end: with 130 when it was stopped. When the mesh in this process ended by
    a fault, the end of the session raises that fault.

    Raises:
        Outcome: it is not ``complete``.
    """
    if complete:
        return
    if not session.ended.is_set():
        people.print(f"Interrupted: {kept}")
    raise Outcome(130)


def print_json(document: Any) -> None:
    """Print for a machine: one document, one line, UTF-8."""
    sys.stdout.write(json.dumps(document, default=str, ensure_ascii=False) + "\n")


def results() -> Console:
    """Return the console for results that people read, on standard output; without markup, since names come from devices."""
    return Console(highlight=False, markup=False)
