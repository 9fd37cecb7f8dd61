"""The FastStream broker that an address asks for, as ``reefmesh.broker.connect`` chooses an engine."""

from typing import Any

from reefmesh.broker.rabbitmq.url import PORTS as RABBITMQ_SCHEMES
from reefmesh.faststream.activemq import StompReefBroker
from reefmesh.faststream.rabbitmq import RabbitReefBroker


def reef_broker(url: str, *, service: str, **more: Any) -> RabbitReefBroker | StompReefBroker:
    """Return a broker for ``amqp://``, ``amqps://``, ``stomp://`` or ``stomp+ssl://``; ``more`` as that broker has it.

    Raises:
        ConfigurationError: the address is none of these, or its client cannot do what it asks for.
    """
    if url.partition("://")[0] in RABBITMQ_SCHEMES:
        return RabbitReefBroker(url, service=service, **more)
    return StompReefBroker(url, service=service, **more)
