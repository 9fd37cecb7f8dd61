"""From a handler's outputs to messages for a channel: deterministic ids, the reef's next numbers, the trace."""

from collections.abc import Sequence
from datetime import datetime

from reefmesh.broker.port import Publication
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.observability.tracing import Tracer
from reefmesh.service.handler import Output
from reefmesh.store.cursor import Cursor


def address(
    outputs: Sequence[Output],
    *,
    cause: str,
    reef_id: str,
    cursor: Cursor,
    now: datetime,
    traceparent: str | None,
    tracer: Tracer | None = None,
) -> tuple[Cursor, list[Publication]]:
    """Return the outputs of the input ``cause`` in their envelopes, and the cursor after the numbers that they got.

    ``tracer`` records the making of each as a span of its own under ``traceparent``.
    """
    publications = []
    for output in outputs:
        seq = None
        if output.channel.numbered:
            cursor, (seq,) = cursor.next_seqs(output.channel.name, 1)
        message = Envelope(
            event_id=event_id_of(cause, output.step),
            reef_id=reef_id,
            schema_id=output.schema_id,
            produced_at=now,
            body=output.body,
            seq=seq,
            traceparent=traceparent,
        )
        if tracer is not None:
            message = message.model_copy(update={"traceparent": tracer.create(output.channel.name, message)})
        publications.append(Publication(channel=output.channel.name, message=message))
    return cursor, publications
