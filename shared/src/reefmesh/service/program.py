"""From a line in the list of services to its code."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

from reefmesh.contracts.services import ServiceEntry
from reefmesh.errors import ConfigurationError
from reefmesh.service.assembly import Blueprint
from reefmesh.settings import ServiceSettings
from reefmesh.store.migrations import MigrationSet

Kind = TypeVar("Kind", bound=ServiceSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Generic[Kind]):
    """A service as code. Each service's ``bootstrap`` has one, as ``PROGRAM``; ``migrations`` are also what opens its database
    without running it."""

    entry: ServiceEntry
    settings: type[Kind]
    blueprint: Callable[[Kind], Blueprint]
    migrations: Sequence[MigrationSet] = ()


def load_program(entry: ServiceEntry) -> Program[Any]:
    """Import the service's package and return its program.

    Raises:
        ConfigurationError: the package is not installed here.
    """
    try:
        module = import_module(f"{entry.package}.bootstrap")
    except ModuleNotFoundError as error:
        if error.name != entry.package:  # one of its own imports is missing: that is a bug
            raise
        raise ConfigurationError(
            f"the service {entry.name} is not installed here; install its package {entry.package}"
        ) from None
    program: Program[Any] = module.PROGRAM
    return program
