"""Quarantine folded: one line for each device, quantity and reason, however many entries there are."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from rich.table import Table

from reefmesh.store.port import Store
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_ingest.domain.decode.values import instant_of
from reefmesh_ingest.quarantine.stored import StoredEntry, list_entries
from reefmesh_standalone.commands.reef_table import ROOMY_COLUMNS, age, table_of, words

_GROUPS: Final = (
    "SELECT device, channel, scope, reason, status, COUNT(*), SUM(readings), MIN(received_us), MAX(received_us), MIN(detail)"
    " FROM quarantine WHERE {where} GROUP BY device, channel, scope, reason, status"
    " ORDER BY MAX(received_us) DESC, COUNT(*) DESC, device, channel, reason LIMIT ?"
)

_COLUMNS: Final = {"status": "quarantine.status", "reef_id": "quarantine.reef_id"}
"""Entries are joined with their messages, which have columns of the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineGroup:
    """Entries of one device, quantity and reason. ``quantity`` is None of whole messages; ``detail`` is that of one of them."""

    device: str | None
    quantity: str | None
    scope: str
    reason: str
    status: str
    entries: int
    readings: int
    first_us: int
    last_us: int
    detail: str

    def document(self) -> dict[str, Any]:
        document = asdict(self)
        first, last = (instant_of(document.pop(name)).isoformat() for name in ("first_us", "last_us"))
        return document | {"first_at": first, "last_at": last}


async def quarantine_groups(store: Store, equal: dict[str, str | None], *, limit: int) -> list[QuarantineGroup]:
    """Return the groups of the entries whose columns are ``equal`` to these (None: any), the newest first.

    Raises StoreUnavailable.
    """
    asked = {column: value for column, value in equal.items() if value is not None}
    where = " AND ".join(f"{column} = ?" for column in asked) or "1 = 1"
    rows = await store.fetch(_GROUPS.format(where=where), (*asked.values(), limit))
    return [
        QuarantineGroup(
            device=device,
            quantity=channel,
            scope=scope,
            reason=reason,
            status=status,
            entries=int(entries),
            readings=int(readings),
            first_us=int(first_us),
            last_us=int(last_us),
            detail=detail,
        )
        for device, channel, scope, reason, status, entries, readings, first_us, last_us, detail in rows
    ]


async def listed(
    store: Store, equal: dict[str, str | None], *, limit: int, newest_first: bool = False
) -> Sequence[StoredEntry]:
    """Return single entries whose columns are ``equal`` to these (None: any), oldest first; with ``newest_first`` the newest.

    Raises StoreUnavailable.
    """
    asked = {_COLUMNS.get(column, column): value for column, value in equal.items() if value is not None}
    return await list_entries(store, asked, limit=limit, newest_first=newest_first)


def groups_table(groups: Sequence[QuarantineGroup], now: datetime, *, width: int) -> Table:
    """Return the groups for a terminal of ``width`` columns; a narrow one gets ages without the instants."""
    roomy = width >= ROOMY_COLUMNS
    times = ("first (UTC)", "last (UTC)", "age") if roomy else ("first", "last")
    table = table_of("Quarantine", "device", "quantity", "reason", "entries", *times, numbers=("entries", "age"))
    for each in groups:
        first, last = instant_of(each.first_us), instant_of(each.last_us)
        status = "" if each.status == "open" else f" ({each.status})"
        ages = (f"{age(first, now)} ago", f"{age(last, now)} ago")
        table.add_row(
            plain(each.device or "no device"),
            plain(words(each.quantity) if each.quantity else f"whole {each.scope}"),
            f"{each.reason}{status}",
            f"{each.entries:,}",
            *((f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}", age(last, now)) if roomy else ages),
        )
    return table
