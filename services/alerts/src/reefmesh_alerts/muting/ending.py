"""The end of a mute: recipients get, once, what is in force and what they do not know yet.

Several processes may look at the same end at once: a delivery is opened again only while it is muted, so one of them does it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from reefmesh.clock import Clock
from reefmesh.contracts.alerts import Alert
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store, Write
from reefmesh_alerts.domain.transition import instant_of, microseconds
from reefmesh_alerts.muting.ledger import Mutes
from reefmesh_alerts.muting.mute import Mute, muted_by
from reefmesh_alerts.recipients.routing import tell_at
from reefmesh_alerts.recipients.watching import Recipients

log = structlog.get_logger()

POLL_SECONDS: Final = 2.0

_SELECT_WAITING: Final = (
    "SELECT d.idempotency_key, d.channel, d.created_us, d.leased_until_us, a.body_json"
    " FROM deliveries d JOIN alerts a ON a.alert_id = d.alert_id"
    " WHERE d.status = 'pending' AND d.created_us >= ? AND d.created_us < ? AND a.reef_id = ?"
)
_HOLD_BACK: Final = (
    "UPDATE deliveries SET status = 'muted', mute_id = ?, settled_us = ?, last_error = ?"
    " WHERE idempotency_key = ? AND status = 'pending' AND leased_until_us <= ?"
)
_SELECT_MUTED: Final = (
    "SELECT d.idempotency_key, d.subscription, d.channel, a.body_json"
    " FROM deliveries d JOIN alerts a ON a.alert_id = d.alert_id"
    " WHERE d.mute_id = ? AND d.status = 'muted' ORDER BY a.raised_us, a.occurred_us, a.alert_id"
)
_SELECT_EPISODES: Final = "SELECT kind, subject, alert_id, standing FROM episodes WHERE reef_id = ?"
_SELECT_LAST_SENT: Final = (
    "SELECT a.body_json FROM alerts a JOIN deliveries d ON d.alert_id = a.alert_id"
    " WHERE a.reef_id = ? AND a.kind = ? AND a.subject = ? AND d.subscription = ? AND d.channel = ? AND d.status = 'sent'"
    " ORDER BY a.raised_us DESC, a.occurred_us DESC LIMIT 1"
)
_OPEN_AGAIN: Final = (
    "UPDATE deliveries SET status = 'pending', purpose = 'after_mute', attempts = 0, created_us = ?, next_attempt_us = ?,"
    " digest_us = ?, settled_us = NULL, last_error = '' WHERE idempotency_key = ? AND status = 'muted' AND mute_id = ?"
)
_SET_TOLD: Final = "UPDATE mutes SET told_us = ? WHERE mute_id = ? AND told_us = 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Muted:
    """The newest alert of one episode that a mute kept from one recipient at one target."""

    idempotency_key: str
    recipient: str
    target: str
    alert: Alert


class MuteEnds:
    """Looks for mutes that have ended."""

    def __init__(self, *, store: Store, clock: Clock, recipients: Recipients, metrics: Metrics) -> None:
        self._store = store
        self._mutes = Mutes(store)
        self._clock = clock
        self._recipients = recipients
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Look every few seconds until ``stop``."""
        while not await is_set_within(stop, POLL_SECONDS):
            try:
                await self.look_once()
            except TransientError as error:
                log.warning("ends of mutes wait", reason=str(error))

    async def look_once(self) -> int:
        """Tell what is in force at the ends that have come; return how many deliveries are to be sent again.

        Raises:
            StoreUnavailable: the next look does the rest.
        """
        again = 0
        for mute in await self._mutes.ended_untold(self._clock.now()):
            if await self._hold_back(mute):
                again += await self._tell(mute)
        return again

    async def _hold_back(self, mute: Mute) -> bool:
        """Hold back what was raised during the mute and is not due yet (digests, quiet hours). False while an attempt at one of
        these is under way: it may be muted, sent or put off."""
        now = self._clock.now()
        now_us = microseconds(now)
        window = (microseconds(mute.begins_at), microseconds(mute.ends_at), mute.reef_id)
        note = f"muted by {mute.made_by}: {mute.reason}"
        writes: list[Write] = []
        targets: list[str] = []
        for key, target, created_us, leased_until_us, body_json in await self._store.fetch(_SELECT_WAITING, window):
            if muted_by(Alert.model_validate_json(body_json), [mute], raised_at=instant_of(created_us), now=now) is None:
                continue
            if leased_until_us > now_us:
                return False
            writes.append(Write(_HOLD_BACK, (mute.mute_id, now_us, note, key, now_us)))
            targets.append(target)
        await self._store.write(writes)
        for target in targets:
            self._metrics.count(table.DELIVERIES, target, "muted")
        return True

    async def _tell(self, mute: Mute) -> int:
        newest: dict[tuple[str, str, str, str], _Muted] = {}
        for key, recipient, target, body_json in await self._store.fetch(_SELECT_MUTED, (mute.mute_id,)):
            alert = Alert.model_validate_json(body_json)
            muted = _Muted(idempotency_key=key, recipient=recipient, target=target, alert=alert)
            newest[recipient, target, alert.kind, alert.subject] = muted
        rows = await self._store.fetch(_SELECT_EPISODES, (mute.reef_id,))
        episodes = {(kind, subject): (alert_id, bool(standing)) for kind, subject, alert_id, standing in rows}
        untold = [muted for muted in newest.values() if await self._is_unknown(muted, episodes)]
        now = self._clock.now()
        opened = [write for muted in untold if (write := self._open_again(muted, mute, now)) is not None]
        await self._store.write([*opened, Write(_SET_TOLD, (microseconds(now), mute.mute_id))])
        log.info("mute ended", reef_id=mute.reef_id, kind=mute.kind, told_again=len(opened))
        return len(opened)

    async def _is_unknown(self, muted: _Muted, episodes: dict[tuple[str, str], tuple[str, bool]]) -> bool:
        """Whether the recipient believes something else than what holds: another state than the last one that was sent, or
        nothing of an episode that is open. A later alert that was not muted speaks for itself."""
        alert = muted.alert
        newest_id, stands = episodes.get((alert.kind, alert.subject), ("", False))
        if newest_id != alert.alert_id:
            return False
        about = (alert.reef_id, alert.kind, alert.subject, muted.recipient, muted.target)
        sent: Sequence[Sequence[str]] = await self._store.fetch(_SELECT_LAST_SENT, about)
        return Alert.model_validate_json(sent[0][0]).to_state != alert.to_state if sent else stands

    def _open_again(self, muted: _Muted, mute: Mute, now: datetime) -> Write | None:
        recipient = self._recipients.named(muted.recipient)
        if recipient is None or muted.target not in recipient.targets:
            return None
        # From the mute's end, so that all processes choose the same instant.
        at_us = microseconds(tell_at(recipient, muted.alert.kind, muted.alert.severity, mute.ends_at))
        return Write(_OPEN_AGAIN, (microseconds(now), at_us, at_us, muted.idempotency_key, mute.mute_id))
