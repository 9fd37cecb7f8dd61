"""Checks whether the alerts reach their targets, by what the ledger says of the last days."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from reefmesh.clock import Clock
from reefmesh.store.connect import inspect_store, open_store
from reefmesh.store.migrations import MigrationSet
from reefmesh_alerts.delivery.pulse import DEAD_AFTER_ATTEMPTS
from reefmesh_alerts.queries import DeadTarget, dead_targets
from reefmesh_standalone.doctor.finding import Finding, fail, ok

CHECK: Final = "targets"
LOOKED_BACK: Final = timedelta(days=3)
"""As long as a delivery is tried, unless the settings say otherwise."""
UNREACHED: Final = ("ConnectError", "ConnectTimeout")
"""How the reason begins when a webhook could not be connected to, and no proxy was asked."""


async def examine_targets(url: str, migrations: Sequence[MigrationSet], clock: Clock) -> list[Finding]:
    """Name each target that fails and has taken nothing since. Without the tables there is nothing to find."""
    seen = await inspect_store(url, migrations=migrations, clock=clock)
    if not seen.made or seen.pending:
        return []
    store = open_store(url, migrations=migrations, clock=clock)
    await store.open()
    try:
        dead = await dead_targets(store, since=clock.now() - LOOKED_BACK, attempts=DEAD_AFTER_ATTEMPTS)
    finally:
        await store.close()
    if not dead:
        return [ok(CHECK, f"no target of alerts has failed {DEAD_AFTER_ATTEMPTS} attempts without taking something since")]
    return [fail(CHECK, _said(each), mend_of(each)) for each in dead]


def mend_of(target: DeadTarget) -> str:
    """Return what to do about it; where nothing was reached, a network that lets nobody out directly may be why."""
    mend = f"'reefmesh alerts test {target.target}' shows what it answers"
    if target.last_error.startswith(UNREACHED):
        mend += "; where a proxy is the only way out, set REEFMESH_ALERTS_PROXY for the alerts service"
    return mend


def _said(target: DeadTarget) -> str:
    deliveries = "1 delivery" if target.deliveries == 1 else f"{target.deliveries:,} deliveries"
    failed = f"{target.attempts:,} attempts at {deliveries} failed"
    return f"{target.target} has taken nothing since {target.since:%Y-%m-%d %H:%M} UTC: {failed}: {target.last_error}"
