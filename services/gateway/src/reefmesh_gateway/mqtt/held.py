"""Reports of devices that send too often: held back in the database, and published when their limit allows, in their order.

The MQTT broker waits for acknowledgements, and its window is shared by all devices: a report that waited unacknowledged would
hold up everybody. So it is written down here and acknowledged. What is beyond a device's quota is refused: counted, with one
sample.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reefmesh.store.port import Store, Write
from reefmesh_gateway.identities.device import instant_of, us_of

REPORTS_LIMIT: Final = 500
"""Of one device: more than ten days of half-hourly reports."""
BYTES_LIMIT: Final = 4 * 1024 * 1024
"""Of one device."""
SAMPLE_BYTES_LIMIT: Final = 4096

_COUNT: Final = "SELECT name, COUNT(*), CAST(SUM(LENGTH(body)) AS BIGINT), MAX(place) FROM gateway_held GROUP BY name"
_OLDEST: Final = "SELECT cause, topic, received_us, body FROM gateway_held WHERE name = ? ORDER BY place LIMIT ?"
_PUT: Final = (
    "INSERT INTO gateway_held (cause, place, name, topic, received_us, body) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (cause) DO NOTHING"
)
_REMOVE: Final = "DELETE FROM gateway_held WHERE cause = ?"
_REFUSE: Final = (
    "INSERT INTO gateway_refused (name, reports, bytes, first_us, last_us, reason, sample) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (name) DO UPDATE SET reports = gateway_refused.reports + excluded.reports,"
    " bytes = gateway_refused.bytes + excluded.bytes, last_us = excluded.last_us, reason = excluded.reason,"
    " sample = excluded.sample"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReport:
    """``name``: the device's level of the topic."""

    name: str
    cause: str
    topic: str
    received_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedReport:
    name: str
    reason: str
    refused_at: datetime
    body: bytes


class HeldReports:
    """Methods that wait may raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reports: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._place = 0

    @property
    def total(self) -> int:
        return sum(self._reports.values())

    @property
    def names(self) -> Sequence[str]:
        """Of whom something is held."""
        return sorted(self._reports)

    def holds(self, name: str) -> bool:
        """Return whether something of a device waits, before which nothing newer may go."""
        return name in self._reports

    async def load(self) -> None:
        """Read what an earlier process held."""
        rows = await self._store.fetch(_COUNT)
        self._reports = Counter({name: int(reports) for name, reports, _, _ in rows})
        self._bytes = Counter({name: int(length) for name, _, length, _ in rows})
        self._place = max((int(place) for *_, place in rows), default=0)

    def reserve(self, name: str, length_bytes: int) -> bool:
        """Make room for one report, which ``keep`` must follow; return False beyond the device's quota."""
        if self._reports[name] >= REPORTS_LIMIT or self._bytes[name] + length_bytes > BYTES_LIMIT:
            return False
        self._reports[name] += 1
        self._bytes[name] += length_bytes
        return True

    async def keep(self, held: Sequence[HeldReport], refused: Sequence[RefusedReport]) -> None:
        """Write down what was reserved, and count what was refused. After StoreUnavailable call it again."""
        writes = []
        for each in held:
            self._place += 1
            parameters = (each.cause, self._place, each.name, each.topic, us_of(each.received_at), each.body)
            writes.append(Write(_PUT, parameters))
        writes += [
            Write(
                _REFUSE,
                (
                    each.name,
                    1,
                    len(each.body),
                    us_of(each.refused_at),
                    us_of(each.refused_at),
                    each.reason,
                    each.body[:SAMPLE_BYTES_LIMIT],
                ),
            )
            for each in refused
        ]
        if writes:
            await self._store.write(writes)

    async def oldest(self, name: str, limit: int) -> Sequence[HeldReport]:
        """Return the reports of a device that were held first. Not while a reservation waits for ``keep``."""
        rows = await self._store.fetch(_OLDEST, (name, limit))
        return [
            HeldReport(name=name, cause=cause, topic=topic, received_at=instant_of(us), body=bytes(body))
            for cause, topic, us, body in rows
        ]

    def forget(self, name: str) -> None:
        """Nothing of a device is held: a repeat had been reserved, and was there already."""
        self._reports.pop(name, None)
        self._bytes.pop(name, None)

    async def remove(self, reports: Sequence[HeldReport]) -> None:
        """Forget reports that the broker has confirmed."""
        await self._store.write([Write(_REMOVE, (each.cause,)) for each in reports])
        for each in reports:
            self._reports[each.name] -= 1
            self._bytes[each.name] -= len(each.body)
            if self._reports[each.name] <= 0:
                self.forget(each.name)
