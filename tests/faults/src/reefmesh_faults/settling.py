"""When a run is over: everything that was sent is applied, published, heard and told. And what is still missing, in words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts import services
from reefmesh.contracts.channels import ALERTING, ALERTS, QUARANTINE, READINGS, SCORES, SCORING
from reefmesh.store.cursor import Cursor
from reefmesh.store.mesh_rows import cursor_from_json
from reefmesh.store.port import Store
from reefmesh_faults.history import Heard
from reefmesh_faults.recorder import newest_seqs
from reefmesh_standalone.mesh import Stores

SHOWN_LIMIT: Final = 3
_PUBLISHED_BY: Final = ((READINGS, "ingest"), (QUARANTINE, "ingest"), (SCORES, "scoring"), (ALERTS, "alerts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """What a run still waits for; ``heard`` gives what the recorder has, None where there is none yet."""

    stores: Stores
    sent: Callable[[], int]
    heard: Callable[[], Sequence[Heard]] | None = None

    async def missing(self) -> list[str]:
        """Return what is not there yet; empty: all is."""
        stores = self.stores
        receipts = int((await stores[services.INGEST].fetch("SELECT COUNT(*) FROM receipts"))[0][0])
        if (lacking := self.sent() - receipts) > 0:
            return [f"{lacking} messages without a receipt"]
        cursors = {entry.name: await _cursors(store) for entry, store in stores.items()}
        missing = _behind(cursors["ingest"], READINGS.name, cursors["scoring"], str(SCORING))
        missing += _behind(cursors["scoring"], SCORES.name, cursors["alerts"], str(ALERTING))
        if self.heard is not None:
            newest = newest_seqs(self.heard())
            for channel, service in _PUBLISHED_BY:
                for reef_id, cursor in cursors[service].items():
                    last, there = cursor.published.get(channel.name, 0), newest.get((channel.name, reef_id), 0)
                    if there < last:
                        missing.append(f"the recorder of {channel} heard {there} of {last} of {reef_id}")
        pending = int((await stores[services.ALERTS].fetch("SELECT COUNT(*) FROM deliveries WHERE status = 'pending'"))[0][0])
        if pending:
            missing.append(f"{pending} alerts not told yet")
        return missing


async def _cursors(store: Store) -> dict[str, Cursor]:
    return {
        reef_id: cursor_from_json(text) for reef_id, text in await store.fetch("SELECT reef_id, cursor_json FROM mesh_reef")
    }


def _behind(producer: Mapping[str, Cursor], channel: str, consumer: Mapping[str, Cursor], inbox: str) -> list[str]:
    behind = []
    for reef_id, cursor in producer.items():
        last, applied = cursor.published.get(channel, 0), consumer.get(reef_id, Cursor())
        done = applied.applied.get(inbox, 0)
        if done < last or applied.missing.get(inbox):
            behind.append(f"{inbox} applied {done} of {last} of {reef_id}, without {list(applied.missing.get(inbox, ()))[:5]}")
    return behind


def shown(missing: Sequence[str]) -> str:
    rest = len(missing) - SHOWN_LIMIT
    return "; ".join(missing[:SHOWN_LIMIT]) + (f"; and {rest} more" if rest > 0 else "")
