"""Health of the reefs whose messages wait for earlier ones: an operator who has purged a queue reads here what it costs."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from reefmesh.clock import Clock
from reefmesh.observability.health import Check, Probe
from reefmesh.service.gap_waiter import GapWaits


class WaitingForGaps(Protocol):
    """What the check needs of a worker."""

    def gap_waits(self) -> GapWaits: ...


def gap_check(workers: Sequence[WaitingForGaps], clock: Clock) -> Probe:
    """Return the probe of these workers: degraded while reefs wait for missing numbers, or go on without them."""

    async def check() -> Check:
        loop_seconds, now = asyncio.get_running_loop().time(), clock.now()

        def instant(seconds: float) -> datetime:
            return now + timedelta(seconds=seconds - loop_seconds)

        waits = [each for worker in workers if (each := worker.gap_waits()).reefs or each.accepted]
        reefs, accepted = sum(each.reefs for each in waits), sum(each.accepted for each in waits)
        reasons = []
        if reefs:
            since = instant(min(each.since_seconds for each in waits if each.reefs))
            until = instant(max(each.until_seconds for each in waits if each.reefs))
            who = "1 reef waits" if reefs == 1 else f"{reefs} reefs wait"
            reasons.append(f"{who} for messages that are missing, since {since:%H:%M:%S}, until {until:%H:%M:%S} UTC")
        if accepted:
            since = instant(min(each.accepted_since_seconds for each in waits if each.accepted))
            what = "1 gap was" if accepted == 1 else f"{accepted} gaps were"
            reasons.append(f"{what} accepted since {since:%H:%M:%S} UTC: messages were deleted, or come too late")
        return Check(
            name="gaps",
            status="degraded" if reasons else "ok",
            reason="; ".join(reasons),
            facts={"reefs_waiting": reefs, "gaps_accepted": accepted},
        )

    return check
