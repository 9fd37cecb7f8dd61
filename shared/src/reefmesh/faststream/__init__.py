"""Readings, scores and alerts of the mesh in a FastStream application of one's own (optional extra ``faststream``).

``reefmesh.faststream.connect.reef_broker`` makes the broker that an address asks for: FastStream's own for RabbitMQ
(``rabbitmq.RabbitReefBroker``) or that of faststream-stomp for ActiveMQ (``activemq.StompReefBroker``), with subscribers for
the mesh's channels. ``reefmesh.faststream.testing`` runs either without a broker. What order and duplicates mean for a handler:
docs/faststream.md.
"""

from typing import Annotated

from faststream import Context

from reefmesh.contracts.envelope import Envelope

__all__ = ["ReefEnvelope"]

ReefEnvelope = Annotated[Envelope, Context("message.envelope")]
"""A handler's parameter of this type is given the envelope of its message: reef, number, event id, instants."""
