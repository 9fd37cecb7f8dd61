"""Readings, scores and alerts of the mesh in a FastStream application of one's own (optional extra ``faststream``).

``reefmesh.faststream.rabbitmq.RabbitReefBroker`` is FastStream's broker for RabbitMQ, ``reefmesh.faststream.activemq.StompReefBroker`` the
one of faststream-stomp; both have subscribers for the mesh's channels. ``reefmesh.faststream.connect.reef_broker`` makes the
one that an address asks for, and ``reefmesh.faststream.testing`` runs either without a broker. What order and duplicates mean
for a handler: docs/faststream.md.
"""

from typing import Annotated

from faststream import Context

from reefmesh.contracts.envelope import Envelope

__all__ = ["ReefEnvelope"]

ReefEnvelope = Annotated[Envelope, Context("message.envelope")]
"""A handler's parameter of this type is given the envelope of its message: reef, number, event id, instants."""
