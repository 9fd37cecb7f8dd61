"""ActiveMQ or RabbitMQ as a process of a test's own: the same test runs on both, and asks for nothing that only one has."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from reefmesh_components.activemq import local_activemq
from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.rabbitmq import local_rabbitmq

ACTIVEMQ: Final = "activemq"
RABBITMQ: Final = "rabbitmq"
SHARDS: Final = 16
"""Of each subscription on RabbitMQ, as with Docker Compose: more than a few for each of four processes, so that these can share
them evenly, and few enough that several dozen reefs share one as the many of a mesh do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EitherBroker:
    """``parameters``: what every address has, because all clients have to name the same."""

    kind: str
    process: BrokerProcess
    parameters: str

    def url(self, user: str = "operator", *, tls: bool = False, parameters: str = "") -> str:
        """Return the address for one of its users; further ``parameters`` as ``name=value&...``."""
        return self.process.url(user, tls=tls, parameters="&".join(part for part in (self.parameters, parameters) if part))


@contextmanager
def either_broker(kind: str) -> Iterator[EitherBroker]:
    """Start a broker of this run's own, with the configuration that reefmesh ships. Raises ComponentMissing."""
    if kind == RABBITMQ:
        with local_rabbitmq() as process:
            yield EitherBroker(kind=kind, process=process, parameters=f"shards={SHARDS}")
        return
    with local_activemq() as activemq:
        yield EitherBroker(kind=kind, process=activemq, parameters="")
