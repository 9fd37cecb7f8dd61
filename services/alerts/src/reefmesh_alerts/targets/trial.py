"""A test message: an alert of a reef that does not exist, through a real target, outside the ledger."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from reefmesh.contracts.alerts import Alert
from reefmesh_alerts.domain.severity import CLOSED
from reefmesh_alerts.domain.transition import Transition
from reefmesh_alerts.recording import make_alert
from reefmesh_alerts.targets.entries import TargetEntry
from reefmesh_alerts.targets.opening import open_target
from reefmesh_alerts.targets.port import Notice, SendResult, TryAgain
from reefmesh_alerts.targets.proxy import DIRECT, Proxies

TRIAL_REEF: Final = "reefmesh-test"
SUBJECT: Final = "Test message: nothing has happened at any reef"


def trial_alert(now: datetime) -> Alert:
    """Return the end of a silence that never was: the least that an alert can say."""
    silence = timedelta(days=1)
    transition = Transition(
        kind="buoy_silent",
        change="closed",
        from_state="silent",
        to_state="reporting",
        severity=CLOSED,
        worst_severity=CLOSED,
        occurred_at=now,
        evidence_at=now,
        stands=False,
        subject="test-buoy",
        buoy_id="test-buoy",
        evidence={"last_seen_at": now.isoformat(), "silence_seconds": silence.total_seconds()},
    )
    return make_alert(TRIAL_REEF, "Test of reefmesh", transition, number=1, raised_at=now)


async def send_trial(
    entry: TargetEntry, *, recipient: str, who: str, to: Sequence[str], now: datetime, proxies: Proxies = DIRECT
) -> SendResult:
    """Send a test message now and return what became of it; every message has a key of its own.

    Raises:
        ConfigurationError: the target cannot be opened.
    """
    notice = Notice(
        idempotency_key=str(uuid4()),
        recipient=recipient,
        who=who,
        to=to,
        digest=False,
        alerts=[trial_alert(now)],
        subject=SUBJECT,
    )
    target = open_target(entry, proxies=proxies)
    try:
        async with asyncio.timeout(entry.timeout_seconds):
            return await target.send(notice, at=now)
    except TimeoutError:
        return TryAgain(reason=f"no answer within {entry.timeout_seconds:g} s")
    finally:
        await target.close()
