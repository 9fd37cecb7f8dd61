"""Checks each service's database: is it there, up to date and quick enough, and does its clock agree with ours?"""

import time
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from reefmesh.clock import Clock
from reefmesh.store.connect import inspect_store, open_store
from reefmesh.store.migrations import MigrationSet
from reefmesh.store.port import Store
from reefmesh_standalone.doctor.finding import Finding, ok, warn
from reefmesh_standalone.doctor.latency import percentile
from reefmesh_standalone.doctor.rights import judge_offset

WRITES: Final = 50
SLOW_MILLISECONDS: Final = 100.0
INBOX: Final = "doctor"


async def examine_database(service: str, url: str, migrations: Sequence[MigrationSet], clock: Clock) -> list[Finding]:
    """Read first and change nothing; write (and undo that) only where the tables are those of this program."""
    check = f"store: {service}"
    seen = await inspect_store(url, migrations=migrations, clock=clock)
    offset = seen.clock_offset_seconds
    clocks = [] if offset is None else [judge_offset(f"{check} clock", "the database's clock", offset)]
    if not seen.made:
        mend = f"start {service}: it makes its tables at its first start"
        return [warn(check, f"{seen.name} has no tables yet", mend), *clocks]
    if seen.pending:
        said = f"{seen.name} lacks {len(seen.pending)} migrations ({', '.join(seen.pending)})"
        return [warn(check, said, f"start the new version of {service}: it makes them when it starts"), *clocks]
    store = open_store(url, migrations=migrations, clock=clock)
    await store.open()
    try:
        milliseconds = await _write_latency(store)
    finally:
        await store.close()
    p50, p99 = percentile(milliseconds, 0.50), percentile(milliseconds, 0.99)
    said = f"{seen.name} is up to date; a durable write takes {p50:.1f} ms (p50), {p99:.1f} ms (p99)"
    if p99 <= SLOW_MILLISECONDS:
        return [ok(check, said), *clocks]
    return [warn(check, said, "give it a faster disk, or bring it closer to the services"), *clocks]


async def _write_latency(store: Store) -> list[float]:
    """Note attempts at a message that nobody ever sent, and forget them again."""
    event_id, milliseconds = f"doctor-{uuid4().hex}", []
    try:
        for _ in range(WRITES):
            began = time.perf_counter()
            await store.count_attempt(INBOX, event_id)
            milliseconds.append((time.perf_counter() - began) * 1000)
    finally:
        await store.forget_attempts(INBOX, event_id)
    return milliseconds
