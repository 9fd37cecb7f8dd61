"""Folded entries: what was refused beyond the quota stands in the receipts as a count by scope and reason."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from reefmesh.store.port import Store
from reefmesh_ingest.domain.decode.refusals import RefusedPart

_LIST: Final = (
    "SELECT device, folded, COUNT(*), MIN(received_us), MAX(received_us) FROM receipts WHERE folded IS NOT NULL AND counted = 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Entries of one claimed device, scope and reason that were only counted, from the first to the last of them."""

    device: str | None
    scope: str
    reason: str
    entries: int
    readings: int
    first_us: int
    last_us: int


def folded_text(parts: Sequence[RefusedPart]) -> str:
    """Return the counts of one message's parts: equal trouble gives equal text, by which the store groups."""
    counts: dict[str, tuple[int, int]] = {}
    for part in parts:
        kind = f"{part.scope}/{part.reason.value}"
        entries, readings = counts.get(kind, (0, 0))
        counts[kind] = (entries + 1, readings + part.readings)
    return " ".join(f"{kind}={entries}:{readings}" for kind, (entries, readings) in sorted(counts.items()))


async def list_folded(store: Store, *, device: str | None = None, reason: str | None = None) -> list[Folded]:
    """Return the folded entries of ``device`` (None: of all) with ``reason``, the device with most first."""
    where, asked = ("", ()) if device is None else (" AND device = ?", (device,))
    rows = await store.fetch(f"{_LIST}{where} GROUP BY device, folded", asked)
    sums: dict[tuple[str | None, str, str], Folded] = {}
    for owner, text, messages, first_us, last_us in rows:
        for count in text.split(" "):
            kind, _, numbers = count.partition("=")
            scope, _, why = kind.partition("/")
            entries, _, readings = numbers.partition(":")
            if reason is not None and why != reason:
                continue
            found = Folded(
                device=owner,
                scope=scope,
                reason=why,
                entries=int(entries) * int(messages),
                readings=int(readings) * int(messages),
                first_us=int(first_us),
                last_us=int(last_us),
            )
            key = (owner, scope, why)
            sums[key] = _both(sums[key], found) if key in sums else found
    return sorted(sums.values(), key=lambda each: (-each.entries, each.device or "", each.scope, each.reason))


def _both(one: Folded, other: Folded) -> Folded:
    return replace(
        one,
        entries=one.entries + other.entries,
        readings=one.readings + other.readings,
        first_us=min(one.first_us, other.first_us),
        last_us=max(one.last_us, other.last_us),
    )
