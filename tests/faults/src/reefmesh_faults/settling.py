"""When a run is over: everything that was sent is applied, published, heard and told. And what is still missing, in words."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts import services
from reefmesh.contracts.channels import ALERTING, ALERTS, QUARANTINE, READINGS, SCORES, SCORING, Subscription
from reefmesh.store.cursor import Cursor
from reefmesh.store.mesh_rows import cursor_from_json
from reefmesh.store.port import Store
from reefmesh_faults.history import Heard, Purged
from reefmesh_faults.recorder import newest_seqs
from reefmesh_standalone.mesh import Stores

SHOWN_LIMIT: Final = 3
_PUBLISHED_BY: Final = ((READINGS, "ingest"), (QUARANTINE, "ingest"), (SCORES, "scoring"), (ALERTS, "alerts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """What a run still waits for; ``heard`` gives what the recorder has, None where there is none yet. ``purged``: what does
    not come, because an operator took it out of its queue."""

    stores: Stores
    sent: Callable[[], int]
    purged: Sequence[Purged] = ()
    heard: Callable[[], Sequence[Heard]] | None = None

    async def missing(self) -> list[str]:
        """Return what is not there yet; empty: all is."""
        stores = self.stores
        if (lacking := self.sent() - await self._received()) > 0:
            return [f"{lacking} messages without a receipt"]
        cursors = {entry.name: await _cursors(store) for entry, store in stores.items()}
        missing = behind(cursors["ingest"], cursors["scoring"], SCORING, self._numbers(SCORING))
        missing += behind(cursors["scoring"], cursors["alerts"], ALERTING, self._numbers(ALERTING))
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

    async def _received(self) -> int:
        """Return how many messages ingest had, or never will have."""
        gone = {each.event_id for each in self.purged if each.service == services.INGEST.name}
        if not gone:
            return int((await self.stores[services.INGEST].fetch("SELECT COUNT(*) FROM receipts"))[0][0])
        return len(gone | {row[0] for row in await self.stores[services.INGEST].fetch("SELECT event_id FROM receipts")})

    def _numbers(self, subscription: Subscription) -> Mapping[str, Set[int]]:
        """Return the numbers that were purged there, by reef."""
        numbers: dict[str, set[int]] = defaultdict(set)
        for each in self.purged:
            if each.service == subscription.service and each.seq is not None:
                numbers[each.reef_id].add(each.seq)
        return numbers


async def _cursors(store: Store) -> dict[str, Cursor]:
    return {
        reef_id: cursor_from_json(text) for reef_id, text in await store.fetch("SELECT reef_id, cursor_json FROM mesh_reef")
    }


def behind(
    producer: Mapping[str, Cursor], consumer: Mapping[str, Cursor], subscription: Subscription, purged: Mapping[str, Set[int]]
) -> list[str]:
    """Return what a subscription has not applied of what its producer published, apart from the numbers in ``purged``."""
    inbox, found = str(subscription), []
    for reef_id, cursor in producer.items():
        last, applied = cursor.published.get(subscription.channel.name, 0), consumer.get(reef_id, Cursor())
        done = applied.applied.get(inbox, 0)
        missing = {*range(done + 1, last + 1), *applied.missing.get(inbox, ())} - purged.get(reef_id, frozenset())
        if missing:
            found.append(f"{inbox} applied {done} of {last} of {reef_id}, without {sorted(missing)[:5]}")
    return found


def shown(missing: Sequence[str]) -> str:
    rest = len(missing) - SHOWN_LIMIT
    return "; ".join(missing[:SHOWN_LIMIT]) + (f"; and {rest} more" if rest > 0 else "")
