"""The rule for tests that need a real component (a database, a broker).

Where the component cannot be had, such tests are skipped, loudly: the skip and the end of the run say what would provide
it. Where ``REEFMESH_REQUIRE`` names the component (``REEFMESH_REQUIRE=activemq,postgresql``), its absence is a failure:
a pipeline that promises to test on a real component can never go green without it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

import pytest

VARIABLE: Final = "REEFMESH_REQUIRE"
KNOWN: Final = ("activemq", "amtool", "chromium", "mosquitto", "namespaces", "pgbouncer", "postgresql", "promtool", "rabbitmq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A component that could not be had: why (one line for each place that was tried) and the command that provides it."""

    component: str
    why: str
    command: str

    def __str__(self) -> str:
        return f"no {self.component}: {self.why}; to provide it: {self.command}"


class ComponentMissing(Exception):
    """Raised by what starts a component when no place can provide it."""

    def __init__(self, component: str, *, why: str, command: str) -> None:
        self.absence = Absence(component=component, why=why, command=command)
        super().__init__(str(self.absence))


_absences: Final[dict[str, Absence]] = {}


def required(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return the components that must be there.

    Raises:
        pytest.UsageError: the variable names a component that nobody knows (a typing error would switch the rule off).
    """
    names = frozenset(name for part in environ.get(VARIABLE, "").split(",") if (name := part.strip().lower()))
    if unknown := sorted(names - set(KNOWN)):
        raise pytest.UsageError(f"{VARIABLE} names unknown components {', '.join(unknown)}; known: {', '.join(KNOWN)}")
    return names


def give_up(missing: ComponentMissing) -> NoReturn:
    """End the test or fixture: a failure where the component is required, otherwise a skip that says what to do."""
    absence = missing.absence
    note(absence)
    if absence.component in required():
        pytest.fail(f"{VARIABLE} requires {absence.component}. {absence}", pytrace=False)
    pytest.skip(str(absence))


def note(absence: Absence) -> None:
    """Keep it for the summary at the end of the run."""
    _absences[absence.component] = absence


def absences() -> tuple[Absence, ...]:
    """Return what this run could not have, for the summary at its end."""
    return tuple(_absences.values())
