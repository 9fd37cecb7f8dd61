"""Shared by ``reefmesh alerts``: opens the ledger of alerts, and the options and arguments that name what is in it."""

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final, get_args

import typer

from reefmesh.contracts import services
from reefmesh.contracts.alerts import Alert, Kind
from reefmesh.errors import ConfigurationError
from reefmesh.store.port import Store
from reefmesh_alerts import queries
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import open_stores

KINDS: Final = get_args(Kind)


def _kind(name: str) -> str:
    if name not in KINDS:
        raise typer.BadParameter(f"'{name}' is not one of {', '.join(KINDS)}.")
    return name


KindOption = Annotated[str | None, typer.Option("--kind", parser=_kind, metavar="KIND", help=f"One of {', '.join(KINDS)}.")]
AlertArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id, as listed; its first characters are enough.", show_default=False)
]
ByOption = Annotated[str | None, typer.Option("--by", help="Who does it; without it, the user of this machine.")]


@asynccontextmanager
async def open_alerts(place: Home) -> AsyncIterator[Store]:
    """Open the ledger of a home, beside a mesh that is up or without one.

    Raises:
        ConfigurationError: no mesh has run there.
    """
    place.require()
    async with open_stores(place, services=(services.ALERTS,)) as stores:
        yield stores[services.ALERTS]


async def alert_named(store: Store, beginning: str) -> Alert:
    """Return the alert whose id is, or begins like this.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    found = await queries.alerts_named(store, beginning) if beginning else []
    if len(found) > 1 and found[0].alert_id != beginning:
        raise ConfigurationError(f"several alerts have an id that begins with {beginning}; write more of it")
    if not found:
        raise ConfigurationError(f"there is no alert {beginning}; 'reefmesh alerts list' shows those that there are")
    return found[0]


def doer(by: str | None) -> str:
    """Return the name of the person who does something to alerts.

    Raises:
        ConfigurationError: nobody is named, and the user of this machine has no name.
    """
    if by is not None and by.strip():
        return by.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # the latter before Python 3.13
        raise ConfigurationError("this machine does not say who you are; say it with --by") from None
