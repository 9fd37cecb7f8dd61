"""What a unit of work decided to publish: how it is addressed, and how it goes out when it is not known to be out."""

from collections.abc import Sequence
from datetime import datetime

from reefmesh.broker.port import Broker, Publication
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.service.handler import Output
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Store


def address(
    outputs: Sequence[Output], *, cause: str, reef_id: str, cursor: Cursor, now: datetime, traceparent: str | None
) -> tuple[Cursor, list[Publication]]:
    """Give each output of the input ``cause`` its envelope: deterministic id, the reef's next number, the input's trace."""
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
        publications.append(Publication(channel=output.channel.name, message=message))
    return cursor, publications


async def send_unsent(unsent: Sequence[tuple[str, Publication]], *, broker: Broker, store: Store) -> None:
    """Publish outputs, given as the store told them, in their order, and have the store forget them.

    Raises:
        BrokerUnavailable, PublishRefused: they are in the outbox as before; some may have gone out.
    """
    if unsent:
        await broker.publish([publication for _, publication in unsent])
        await store.outputs_sent(list(dict.fromkeys(cause for cause, _ in unsent)))
