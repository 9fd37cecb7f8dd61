"""Severities: what orders the states inside a kind, and the names that people write for them."""

from typing import Final, get_args

from reefmesh.contracts.alerts import Kind
from reefmesh.contracts.scores import Level

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

DIVE: Final = {"good": 0, "fair": 1, "poor": 2, "experienced_only": 3, "no_go": 4, "unknown": 5}
"""Unknown comes last: a site of which nothing is known is no site to take people to."""

CHEMISTRY: Final = {"good": 0, "adequate": 1, "low": 2, "marginal": 3}

EPISODE: Final = {"closed": 0, "open": 1}
"""Of the kinds that are either there or not: silence, drift, battery, sensor fault."""

_NAMES: Final[dict[str, dict[str, int]]] = {
    "heat": {level.title.casefold(): level.value for level in Level},
    "dive": DIVE,
    "chemistry": CHEMISTRY,
}


def severity_of(kind: str, name: str) -> int:
    """Return the severity that a person calls ``name`` (``Alert Level 1``, ``no_go``, ``low``).

    Raises:
        ValueError: this kind has no such state; the message lists those it has.
    """
    names = _NAMES.get(kind, EPISODE)
    try:
        return names[name.strip().casefold()]
    except KeyError:
        raise ValueError(f"{name!r} is not one of {', '.join(names)}") from None


def highest_severity(kind: str) -> int:
    return max(_NAMES.get(kind, EPISODE).values())
