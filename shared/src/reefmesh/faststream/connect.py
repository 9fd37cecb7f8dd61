"""The FastStream broker that an address asks for, as ``reefmesh.broker.connect`` chooses an engine."""

from typing import Any

from reefmesh.broker.rabbitmq.url import PORTS as RABBITMQ_SCHEMES
from reefmesh.faststream.activemq import ReefBroker as ActiveMQReefBroker
from reefmesh.faststream.rabbitmq import ReefBroker as RabbitMQReefBroker


def reef_broker(url: str, *, service: str, **more: Any) -> RabbitMQReefBroker | ActiveMQReefBroker:
    """Return a broker for ``amqp://``, ``amqps://``, ``stomp://`` or ``stomp+ssl://``; ``more`` as its ``ReefBroker`` has it.

    Raises:
        ConfigurationError: the address is none of these, or its client cannot do what it asks for.
    """
    if url.partition("://")[0] in RABBITMQ_SCHEMES:
        return RabbitMQReefBroker(url, service=service, **more)
    return ActiveMQReefBroker(url, service=service, **more)
