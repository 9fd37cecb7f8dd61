"""Sending what was committed and is not known to be out."""

from collections.abc import Sequence

from reefmesh.broker.port import Broker, Publication
from reefmesh.store.port import Store


async def send_unsent(unsent: Sequence[tuple[str, Publication]], *, broker: Broker, store: Store) -> None:
    """Publish outputs, given as the store told them, in their order, and have the store forget them.

    Raises:
        BrokerUnavailable, PublishRefused: they are in the outbox as before; some may have gone out.
    """
    if unsent:
        await broker.publish([publication for _, publication in unsent])
        await store.outputs_sent(list(dict.fromkeys(cause for cause, _ in unsent)))
