"""The loop of a lane: one message after the other, each accounted for in metrics, progress, log and trace."""

from reefmesh.broker.port import Delivery, Lane
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import OF_REPLAYERS, Senders
from reefmesh.observability import table
from reefmesh.observability.carried import CARRIED, Carried
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.observability.tracing import Tracer
from reefmesh.service.attempt import Attempts
from reefmesh.service.message_in_hand import MessageInHand, Outcome


class LaneLoop:
    """What all lanes of one subscription share."""

    def __init__(
        self,
        *,
        subscription: Subscription,
        attempts: Attempts,
        senders: Senders,
        clock: Clock,
        metrics: Metrics,
        progress: Progress,
        tracer: Tracer | None,
    ) -> None:
        self._subscription = subscription
        self._inbox = str(subscription)
        self._attempts = attempts
        self._replayers = senders.replayers
        self._clock = clock
        self._metrics = metrics
        self._progress = progress
        self._tracer = tracer
        self._busy = metrics.gauge(table.LANES_BUSY, self._inbox)
        self._received = metrics.counter(table.MESSAGES_RECEIVED, self._inbox)
        self._waiting = metrics.histogram(table.WAITING_SECONDS, self._inbox)

    async def run(self, lane: Lane) -> None:
        """Work until the lane's consumer has drained or was closed.

        Raises:
            TooMuchPoison: the breaker opened.
        """
        while (delivery := await lane.receive()) is not None:
            message = delivery.message
            self._progress.received(self._inbox, lane.index, reef_id=message.reef_id, event_id=message.event_id)
            self._received.inc()
            self._waiting.observe(max(0.0, (self._clock.now() - message.produced_at).total_seconds()))
            self._busy.inc()
            outcome: Outcome = "released"
            span = self._tracer.process(delivery) if self._tracer is not None else None
            noted = CARRIED.set(Carried(message, lane.index, self._inbox, span.traceparent if span is not None else None))
            try:
                outcome = await self._attempts.finish(MessageInHand(lane=lane, delivery=delivery, message=self._read(delivery)))
            finally:
                CARRIED.reset(noted)
                if span is not None:
                    span.end(outcome)
                self._busy.dec()
                if outcome == "released":
                    self._progress.released(self._inbox, lane.index)
                else:
                    self._progress.finished(self._inbox, lane.index)
                self._metrics.count(table.MESSAGES_HANDLED, self._inbox, outcome)

    def _read(self, delivery: Delivery) -> Envelope:
        """Return the message without what its sender has no right to say.

        A number that a sender of telemetry brings along is not the mesh's own: it starts again with its device, and other
        devices of the reef use the same numbers. That a message is a replay, and of which, is believed of replayers alone.
        """
        message = delivery.message
        if message.seq is not None and not self._subscription.is_numbered:
            message = message.model_copy(update={"seq": None})
        if delivery.user_id not in self._replayers and not OF_REPLAYERS.isdisjoint(message.headers):
            rest = {name: value for name, value in message.headers.items() if name not in OF_REPLAYERS}
            message = message.model_copy(update={"headers": rest})
        return message
