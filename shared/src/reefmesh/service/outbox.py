"""The outbox: committed outputs whose publication is not confirmed yet; and by which ways outputs leave a service.

There are two ways:

1. *With the acknowledgement* (``Lane.settle``), when a message was handled in this attempt: one broker transaction, where the
   engine has them. It costs one flush of the broker's disk instead of two, and no clean stop can come between the two
   (law 6: no redelivery, no duplicate).
2. *From the outbox* (this module), when 1 did not happen or is not known to have happened. It sends in the order in which the
   outputs were committed, and there are three occasions for it:

   - A reef is worked on whose earlier outputs may still be here, from another process or a lost connection. They go out before
     the message's own (law 1: order). If the message itself was applied before, its own are among them, and it is then
     acknowledged without outputs (law 4: a crash between commit and acknowledgement heals on redelivery). See
     ``EarlierOutputs``.
   - A deadline's unit was committed: it has no message to acknowledge. See the alerts service's ``Ticker``.
   - Nothing more comes for the reef: the relay sends what is overdue (law 3: nothing lost). See ``OutboxRelay``.

Nothing else publishes outputs. An output may go out twice after a crash, never under another id or number; consumers skip the
repeat (law 4: effect once).
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from reefmesh.broker.port import Broker, Publication
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.store.port import Store

OVERDUE_BATCH_LIMIT: Final = 500

Unsent = Sequence[tuple[str, Publication]]
"""(event id of the input, output), in the order in which they were committed."""


class Outbox:
    """One service's outbox. ``metrics``, if given, count what is sent from it."""

    def __init__(self, *, store: Store, broker: Broker, metrics: Metrics | None = None) -> None:
        self._store = store
        self._broker = broker
        self._metrics = metrics

    async def unsent(self, reef_id: str) -> Unsent:
        """Return the outputs of a reef that are not known to be out. Raises StoreUnavailable."""
        return await self._store.unsent_outputs(reef_id)

    async def overdue(self, older_than: timedelta) -> Unsent:
        """Return the oldest outputs, of any reef, that are not known to be out although that old, ``OVERDUE_BATCH_LIMIT`` at
        most. Raises StoreUnavailable."""
        return await self._store.overdue_outputs(older_than, limit=OVERDUE_BATCH_LIMIT)

    async def send(self, unsent: Unsent) -> None:
        """Publish outputs in their order; returns when the broker has confirmed all of them. That they are out is written with
        the store's next transaction: a crash before that sends them again.

        Raises:
            BrokerUnavailable, PublishRefused: they are in the outbox as before; some may be out.
        """
        if not unsent:
            return
        await self._broker.publish([publication for _, publication in unsent])
        await self._store.outputs_sent(list(dict.fromkeys(cause for cause, _ in unsent)))
        if self._metrics is not None:
            self._metrics.count(table.OUTPUTS_RESENT, amount=len(unsent))
            for _, publication in unsent:
                self._metrics.count(table.PUBLISHED, publication.channel)
