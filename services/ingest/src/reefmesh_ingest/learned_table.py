"""The ``buoy_learned`` table: one row for each buoy of which its reports showed something."""

from typing import Final

from pydantic import TypeAdapter

from reefmesh.store.port import Store, Write
from reefmesh_ingest.domain.learned import NOTHING_LEARNED, Learned

_PUT: Final = (
    "INSERT INTO buoy_learned (buoy_id, learned_json) VALUES (?, ?)"
    " ON CONFLICT (buoy_id) DO UPDATE SET learned_json = excluded.learned_json"
)
_LEARNED: Final = TypeAdapter(Learned)


def write_of(buoy_id: str, learned: Learned) -> Write:
    return Write(_PUT, (buoy_id, _LEARNED.dump_json(learned).decode()))


async def fetch(store: Store, buoy_id: str) -> Learned:
    """Raises StoreUnavailable."""
    rows = await store.fetch("SELECT learned_json FROM buoy_learned WHERE buoy_id = ?", (buoy_id,))
    return _LEARNED.validate_json(rows[0][0]) if rows else NOTHING_LEARNED
