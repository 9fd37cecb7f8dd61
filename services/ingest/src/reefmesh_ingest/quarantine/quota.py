"""The quota of quarantine: how much is kept, of one claimed device and in all; beyond it refused telemetry is only counted.

It bounds what is *kept*, never what is accepted: a device whose name somebody else uses up is served as before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from reefmesh_ingest.domain.decode.refusals import RefusedPart

SAMPLE_BYTES_LIMIT: Final = 1024
"""How much of a payload is kept as a sample of what is only counted, or of a payload that is too large."""

Kind = tuple[str, str]
"""Scope and reason of an entry."""


class Keeping(Enum):
    """What is kept of a refused message: all of it; its entries with the first bytes of its payload, as the first of its kind
    beyond the quota; or its count alone, in its receipt."""

    WHOLE = auto()
    SAMPLE = auto()
    COUNTED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The defaults are those of the settings. The first two bound the open entries of one claimed device, the next two all
    entries."""

    device_entries_limit: int = 1_000
    device_bytes_limit: int = 8 * 1024 * 1024
    entries_limit: int = 100_000
    bytes_limit: int = 200 * 1024 * 1024
    age_days_limit: float = 90.0


@dataclass(slots=True, kw_only=True)
class Usage:
    """What is kept now, and of which kinds there is an entry."""

    entries: int
    stored_bytes: int
    kinds: set[Kind]

    def has_room(self, entries: int, stored_bytes: int, *, entries_limit: int, bytes_limit: int) -> bool:
        return self.entries + entries <= entries_limit and self.stored_bytes + stored_bytes <= bytes_limit

    def add(self, kinds: Iterable[Kind], entries: int, stored_bytes: int) -> None:
        self.entries += entries
        self.stored_bytes += stored_bytes
        self.kinds.update(kinds)


def kinds_of(parts: Sequence[RefusedPart]) -> set[Kind]:
    return {(part.scope, part.reason.value) for part in parts}


def keeping_of(quota: Quota, *, own: Usage, total: Usage, parts: Sequence[RefusedPart], stored_bytes: int) -> Keeping:
    """Decide about one message, which would take ``stored_bytes``."""
    fits = total.has_room(len(parts), stored_bytes, entries_limit=quota.entries_limit, bytes_limit=quota.bytes_limit)
    if fits and own.has_room(
        len(parts), stored_bytes, entries_limit=quota.device_entries_limit, bytes_limit=quota.device_bytes_limit
    ):
        return Keeping.WHOLE
    sampled = own.kinds if fits else total.kinds
    return Keeping.COUNTED if kinds_of(parts) <= sampled else Keeping.SAMPLE
