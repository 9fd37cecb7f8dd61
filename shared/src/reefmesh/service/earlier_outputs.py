"""Outputs that were committed for a reef before the message in hand, and may not be out."""

import asyncio
from typing import Any, Final

import structlog

from reefmesh.contracts.envelope import Envelope
from reefmesh.service.outbox import Outbox, Unsent
from reefmesh.service.reef_cache import Reef
from reefmesh.service.stop_event import is_set_within

log = structlog.get_logger()

NOTED_WITHIN_SECONDS: Final = (0.1, 0.4)
"""Waits for another process that handed the reef over: it sent its outputs, and notes so with its next transaction."""


class EarlierOutputs:
    """They go out first, or the message's own outputs would overtake them."""

    def __init__(self, *, outbox: Outbox, draining: asyncio.Event) -> None:
        self._outbox = outbox
        self._draining = draining

    async def send(self, reef: Reef[Any], message: Envelope) -> bool:
        """Send what is in the outbox for a locked and loaded reef; return whether outputs of ``message`` itself were there.

        Returns at once if neither the row nor this process knows of any. Waits ``NOTED_WITHIN_SECONDS`` for another process
        that may be about to note that they are out, but not if ``message`` is among their causes: that process did not get as
        far as the acknowledgement. Drain ends the waits.

        Raises:
            BrokerUnavailable, PublishRefused: they are in the outbox as before; some may be out.
            StoreUnavailable: the outbox could not be read.
        """
        if not reef.has_outputs and not reef.unconfirmed:
            return False
        unsent = await self._outbox.unsent(reef.reef_id)
        if not reef.unconfirmed:  # another process left them
            for seconds in NOTED_WITHIN_SECONDS:
                if not unsent or _are_of(message, unsent) or await is_set_within(self._draining, seconds):
                    break
                unsent = await self._outbox.unsent(reef.reef_id)
        if unsent:
            await self._outbox.send(unsent)
            log.info("earlier outputs sent first", messages=len(unsent))
        reef.has_outputs = False
        reef.unconfirmed.clear()
        return _are_of(message, unsent)


def _are_of(message: Envelope, unsent: Unsent) -> bool:
    return any(cause == message.event_id for cause, _ in unsent)
