"""The subscriptions file in the words of version 0.1: ``[[channel]]`` for a target, ``channels`` for a recipient's targets.

They are still read, so that an upgrade stops no alerts; one warning per reading names each place and the new word.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from reefmesh.errors import ConfigurationError

log = structlog.get_logger()

PLACES_LIMIT: Final = 20
"""The warning names at most this many places."""


def with_new_words(tables: Mapping[str, Any], *, name: str) -> tuple[dict[str, Any], Sequence[str]]:
    """Return the file's tables in the new words, and for each target its place in the file (``channel 2``).

    ``name`` is the file's name in messages.

    Raises:
        ConfigurationError: a target, or a recipient's targets, are given in both words.
    """
    new = {key: value for key, value in tables.items() if key != "channel"}
    warnings: list[str] = []
    targets, places = _targets(tables, name, warnings)
    if targets is not None:
        new["target"] = targets
    if isinstance(subscriptions := tables.get("subscription"), list):
        new["subscription"] = [
            _recipient(entry, f"subscription {number}", name, warnings) for number, entry in enumerate(subscriptions, start=1)
        ]
    if warnings:
        more = len(warnings) - PLACES_LIMIT
        shown = [*warnings[:PLACES_LIMIT], *([f"{more} more"] if more > 0 else [])]
        log.warning("the subscriptions file uses old words, write the new ones", file=name, change="; ".join(shown))
    return new, places


def _targets(tables: Mapping[str, Any], name: str, warnings: list[str]) -> tuple[Any, list[str]]:
    targets, channels = tables.get("target"), tables.get("channel")
    if channels is None:
        return targets, [] if not isinstance(targets, list) else [f"target {at}" for at in range(1, len(targets) + 1)]
    if not isinstance(channels, list) or not isinstance(targets, list | None):
        raise ConfigurationError(f"{name}: write each target as a table of its own, [[target]]")
    targets = targets or []
    named = {_name(target) for target in targets} - {None}
    for number, channel in enumerate(channels, start=1):
        if (called := _name(channel)) in named:
            raise ConfigurationError(
                f"{name}: channel {number} ({called}): there is a [[target]] of this name too, remove the [[channel]]"
            )
        warnings.append(f"channel {number}{_called(channel)}: [[channel]] is now [[target]]")
    places = [f"target {at}" for at in range(1, len(targets) + 1)] + [f"channel {at}" for at in range(1, len(channels) + 1)]
    return [*targets, *channels], places


def _recipient(entry: Any, place: str, name: str, warnings: list[str]) -> Any:
    if not isinstance(entry, dict) or "channels" not in entry:
        return entry
    place += _called(entry)
    if "targets" in entry:
        raise ConfigurationError(f"{name}: {place}: it has targets and channels, remove channels")
    warnings.append(f"{place}: channels is now targets")
    return {("targets" if key == "channels" else key): value for key, value in entry.items()}


def _name(entry: object) -> str | None:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else None


def _called(entry: object) -> str:
    return f" ({name})" if (name := _name(entry)) is not None else ""
