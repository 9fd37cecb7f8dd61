"""Copies of a message without certain times.

Such a message has nothing but its content and its reception to tell a copy from a new report: it is a copy when the same bytes
came from the buoy within the window before. That depends on the set of receptions alone, not on the order in which they are
handled.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from reefmesh.store.port import Store
from reefmesh_ingest.domain.timing import TimedReport

UNTIMED_WINDOW_MICROSECONDS: Final = 60 * 1_000_000
EVER_MICROSECONDS: Final = 2**61

_EARLIER_AND_LATER: Final = (
    "SELECT (SELECT MAX(received_us) FROM receipts WHERE buoy_id = ? AND digest = ? AND received_us >= ? AND received_us < ?"
    " AND origin <> ?), (SELECT MIN(received_us) FROM receipts WHERE buoy_id = ? AND digest = ? AND received_us > ?"
    " AND received_us <= ? AND origin <> ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """``digest`` of the payload, by which later copies find this one. ``is_copy``: the same came within the window before.

    ``withdrawn_us`` is when a later copy was received that was the first of its window until now; from now on this message is.
    """

    digest: str
    is_copy: bool
    withdrawn_us: int | None


async def copies_of(store: Store, buoy_id: str, timed: TimedReport) -> Copies:
    """Find the copies around a message without certain times. Raises StoreUnavailable."""
    reception = timed.reception
    digest = hashlib.blake2b(reception.message.body, digest_size=16).hexdigest()
    is_untimed = all(reading.time_source != "broken_clock" for reading in timed.readings)
    window_us = min(UNTIMED_WINDOW_MICROSECONDS, timed.deployment.report_interval_us // 2) if is_untimed else EVER_MICROSECONDS
    receptions = _Receptions(store=store, buoy_id=buoy_id, digest=digest, window_us=window_us, other_than=reception.origin)
    earlier_us, later_us = await receptions.around(reception.received_us)
    if later_us is not None and (await receptions.around(later_us))[0] is not None:
        later_us = None
    return Copies(digest=digest, is_copy=earlier_us is not None, withdrawn_us=later_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Receptions:
    """The receptions of one buoy's equal payloads, other than those of the message ``other_than``."""

    store: Store
    buoy_id: str
    digest: str
    window_us: int
    other_than: str

    async def around(self, received_us: int) -> tuple[int | None, int | None]:
        """Return when a copy came last before, and first after, ``received_us``, within the window. Raises StoreUnavailable."""
        named, window_us = (self.buoy_id, self.digest), self.window_us
        rows = await self.store.fetch(
            _EARLIER_AND_LATER,
            (
                *(*named, received_us - window_us, received_us, self.other_than),
                *(*named, received_us, received_us + window_us, self.other_than),
            ),
        )
        earlier, later = rows[0]
        return (None if earlier is None else int(earlier)), (None if later is None else int(later))
