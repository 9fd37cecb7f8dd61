"""``REEFMESH_`` variables that nobody reads: a typo must not leave a default in force that the operator believes to be changed.

A service alone does not know the settings of the others, whose variables it may be given too (one file of variables for all
containers). It refuses what is under its own name, and what looks like one of its settings. The ``reefmesh`` command knows all
settings and refuses whatever else there is.
"""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from reefmesh.errors import ConfigurationError

PREFIX: Final = "REEFMESH_"
CONFIG_VARIABLE: Final = "REEFMESH_CONFIG"

OF_TOOLS: Final = frozenset(
    {
        "REEFMESH_ACTIVEMQ_URL",
        "REEFMESH_ACTIVEMQ_VERSION",
        "REEFMESH_CACHE",
        "REEFMESH_POSTGRESQL_FSYNC",
        "REEFMESH_POSTGRESQL_URL",
        "REEFMESH_REQUIRE",
        "REEFMESH_SCHEDULES",
    }
)
"""What the tests and the tools of the repository read."""

_ALIKE: Final = 0.8
"""One letter of five is another one."""
_OF_KUBERNETES: Final = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
_ADDRESS: Final = re.compile(r"^(tcp|udp|sctp)://")


def refuse_misspelt(
    environment: Mapping[str, str], known: Collection[str], *, own_prefix: str, prefixes_of_others: Sequence[str]
) -> None:
    """Refuse what is under a service's own name and is no setting of it, and what looks like one of its settings.

    Raises:
        ConfigurationError: one line with each such variable and the nearest name.
    """
    strange = [
        name
        for name in _unread(environment, known)
        if name.startswith(own_prefix) or not name.startswith(tuple(prefixes_of_others))
    ]
    _refuse([name for name in strange if name.startswith(own_prefix) or _nearest(name, known, _ALIKE)], known)


def refuse_unread(environment: Mapping[str, str], known: Collection[str]) -> None:
    """Refuse every variable that is not among ``known``, where those are all that anybody reads.

    Raises:
        ConfigurationError: one line with each such variable and the nearest name.
    """
    _refuse(_unread(environment, known), known)


def unread(environment: Mapping[str, str], known: Collection[str]) -> Sequence[str]:
    """Return the variables that are not among ``known``; those that Kubernetes sets for its Services are nobody's typo."""
    return _unread(environment, known)


def _unread(environment: Mapping[str, str], known: Collection[str]) -> list[str]:
    readable = {CONFIG_VARIABLE, *OF_TOOLS, *known}
    return sorted(
        name
        for name, value in environment.items()
        if name.startswith(PREFIX) and name.partition("__")[0] not in readable and not _is_of_kubernetes(name, value)
    )


def _is_of_kubernetes(name: str, value: str) -> bool:
    """Whether Kubernetes says with it where a Service of such a name is: ``reefmesh-ingest`` gives REEFMESH_INGEST_PORT."""
    return bool(_OF_KUBERNETES.search(name)) or (name.endswith("_PORT") and bool(_ADDRESS.match(value)))


def _nearest(name: str, known: Collection[str], cutoff: float) -> str | None:
    """Compare what stands behind the prefix, which all have in common."""
    words = sorted(each.removeprefix(PREFIX) for each in known)
    found = difflib.get_close_matches(name.removeprefix(PREFIX), words, n=1, cutoff=cutoff)
    return f"{PREFIX}{found[0]}" if found else None


def _refuse(names: Sequence[str], known: Collection[str]) -> None:
    if names:
        told = [f"{name} is read by nobody; {_hint(_nearest(name, known, 0.6))}" for name in names]
        raise ConfigurationError("; ".join(told))


def _hint(near: str | None) -> str:
    return "remove it" if near is None else f"is {near} meant?"
