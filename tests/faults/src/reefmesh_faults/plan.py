"""The plan of what goes wrong, from a seed: the same seed gives the same plan.

What a fault hits is chosen among what there is at that moment, by a number of the plan. Each fault lasts for a bounded time and
is healed; faults overlap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from reefmesh_faults.tcp_proxy import Weather

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """``weight``: how often it comes, relative to the others; it lasts from ``least_seconds`` to ``most_seconds``."""

    weight: int
    least_seconds: float = 0.0
    most_seconds: float = 0.0


PROCESS_KINDS: Final[Mapping[str, Kind]] = {
    "kill": Kind(weight=14),
    "terminate": Kind(weight=8),
    "pause": Kind(weight=9, least_seconds=0.5, most_seconds=12.0),
    "clock_jump": Kind(weight=4, least_seconds=2.0, most_seconds=10.0),
}
DISK_KINDS: Final[Mapping[str, Kind]] = {"disk_full": Kind(weight=5, least_seconds=0.5, most_seconds=6.0)}
"""Of a process that keeps its journal and databases in files of its own."""

SCALE_KINDS: Final[Mapping[str, Kind]] = {"scale_out": Kind(weight=5), "scale_in": Kind(weight=5)}
LINK_KINDS: Final[Mapping[str, Kind]] = {
    "delay": Kind(weight=4, least_seconds=2.0, most_seconds=8.0),
    "cut": Kind(weight=4),
    "reset": Kind(weight=4),
    "refuse": Kind(weight=2, least_seconds=1.0, most_seconds=5.0),
    "silent_there": Kind(weight=3, least_seconds=1.0, most_seconds=9.0),
    "silent_back": Kind(weight=3, least_seconds=1.0, most_seconds=9.0),
    "silent_both": Kind(weight=3, least_seconds=1.0, most_seconds=9.0),
    "throttle": Kind(weight=3, least_seconds=2.0, most_seconds=8.0),
    "split": Kind(weight=3, least_seconds=2.0, most_seconds=8.0),
    "merge": Kind(weight=3, least_seconds=2.0, most_seconds=8.0),
}
LOG_KINDS: Final[Mapping[str, Kind]] = {"log_stall": Kind(weight=4, least_seconds=4.0, most_seconds=9.0)}
"""Nobody reads a process's log, which says much meanwhile."""

BROKER_KINDS: Final[Mapping[str, Kind]] = {
    "broker_kill": Kind(weight=4, most_seconds=2.0),
    "broker_restart": Kind(weight=2, most_seconds=1.0),
    "broker_pause": Kind(weight=2, least_seconds=0.5, most_seconds=8.0),
    "broker_full": Kind(weight=2, least_seconds=2.0, most_seconds=5.0),
    "broker_alarm": Kind(weight=2, least_seconds=2.0, most_seconds=10.0),
    "broker_nameless": Kind(weight=3, least_seconds=1.0, most_seconds=9.0),
}
BROKER_KINDS_OF: Final[Mapping[str, frozenset[str]]] = {
    "activemq": frozenset(BROKER_KINDS) - {"broker_alarm"},
    "rabbitmq": frozenset(BROKER_KINDS) - {"broker_full"},
}
"""ActiveMQ refuses what exceeds its store; RabbitMQ reads nothing more from whoever publishes."""

PURGE_KINDS: Final[Mapping[str, Kind]] = {"purge": Kind(weight=3, least_seconds=2.0, most_seconds=7.0)}
STORE_KINDS: Final[Mapping[str, Kind]] = {
    "store_kill": Kind(weight=4, most_seconds=2.0),
    "store_restart": Kind(weight=2),
    "store_crowded": Kind(weight=3, least_seconds=2.0, most_seconds=6.0),
    "store_reads_only": Kind(weight=3, least_seconds=1.0, most_seconds=8.0),
    "store_failover": Kind(weight=3, least_seconds=1.0, most_seconds=8.0),
}
POOLER_KINDS: Final[Mapping[str, Kind]] = {
    "pooler_kill": Kind(weight=3, most_seconds=2.0),
    "pooler_restart": Kind(weight=2, most_seconds=1.0),
    "pooler_servers_reset": Kind(weight=3),
}
"""Of PgBouncer in transaction mode, through which every other process reaches PostgreSQL."""

RECEIVER_KINDS: Final[Mapping[str, Kind]] = {"receiver_away": Kind(weight=2, least_seconds=1.0, most_seconds=6.0)}
ALL_KINDS: Final[Mapping[str, Kind]] = {
    **PROCESS_KINDS,
    **DISK_KINDS,
    **SCALE_KINDS,
    **LINK_KINDS,
    **LOG_KINDS,
    **BROKER_KINDS,
    **PURGE_KINDS,
    **STORE_KINDS,
    **POOLER_KINDS,
    **RECEIVER_KINDS,
}

DISK_BYTES_LIMIT: Final = 4 * 1024 * 1024
"""A full disk: no file of a process may grow beyond a size below this. What a file holds already may be written again."""

CLOCK_JUMP_SECONDS_LIMIT: Final = 900.0
"""Beyond an hour of quiet a day of heat counts as over, and what is right would depend on when a message came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong: ``at_seconds`` after the beginning, for ``seconds``. ``target`` and ``strength`` are from 0 to
    1: which of those that can be hit, and how hard where that can be chosen."""

    number: int
    at_seconds: float
    kind: str
    seconds: float
    target: float
    strength: float


def make_plan(*, seed: int, faults: int, spacing_seconds: float, kinds: Mapping[str, Kind]) -> list[Fault]:
    """Return so many faults, about one each ``spacing_seconds``. Every kind comes by its weight: a plan that is long enough has
    all of them, whatever the seed."""
    chance = Random(f"plan/{seed}")
    deck: list[str] = []
    plan: list[Fault] = []
    for number in range(1, faults + 1):
        if not deck:
            deck = [name for name, kind in kinds.items() for _ in range(kind.weight)]
            chance.shuffle(deck)
        name = deck.pop()
        kind = kinds[name]
        plan.append(
            Fault(
                number=number,
                at_seconds=round((number - 1 + chance.random()) * spacing_seconds, 3),
                kind=name,
                seconds=round(chance.uniform(kind.least_seconds, kind.most_seconds), 3),
                target=chance.random(),
                strength=chance.random(),
            )
        )
    return plan


def weather(fault: Fault) -> Weather:
    """Return what a fault of a link makes of it."""
    match fault.kind:
        case "delay":
            return Weather(delay_seconds=0.02 + 0.4 * fault.strength)
        case "refuse":
            return Weather(refuses=True)
        case "silent_there":
            return Weather(silent=frozenset({"there"}))
        case "silent_back":
            return Weather(silent=frozenset({"back"}))
        case "silent_both":
            return Weather(silent=frozenset({"there", "back"}))
        case "throttle":
            return Weather(bytes_per_second=2_000 + 30_000 * fault.strength)
        case "split":
            return Weather(splits=True)
        case "merge":
            return Weather(merges_seconds=0.01 + 0.2 * fault.strength)
        case other:
            raise ValueError(f"{other} is no fault of a link")


def chosen(among: Sequence[T], target: float) -> T:
    """Return the one that a number from 0 to 1 (excluded) names."""
    return among[int(target * len(among))]
