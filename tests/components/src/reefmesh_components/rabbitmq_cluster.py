"""A cluster of RabbitMQ: nodes of this machine that find each other, each with ports of its own."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.epmd import Epmd
from reefmesh_components.ports import HOST, free_port
from reefmesh_components.rabbitmq import COMMAND, COMPONENT
from reefmesh_components.rabbitmq_distribution import RabbitmqMissing, rabbitmq_distribution
from reefmesh_components.rabbitmq_process import NodeIdentity, RabbitmqProcess
from reefmesh_components.requirement import ComponentMissing

NODES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitmqCluster:
    nodes: Sequence[RabbitmqProcess]

    def url(self, user: str = "operator", *, parameters: str = "", first: int = 0) -> str:
        """Return the address of all nodes, of which ``first`` is tried first."""
        order = (*self.nodes[first:], *self.nodes[:first])
        one = order[0].url(user, parameters=parameters)
        hosts = ",".join(f"{HOST}:{node.ports.amqp}" for node in order)
        return one.replace(f"@{HOST}:{order[0].ports.amqp}", f"@{hosts}")


@contextmanager
def local_rabbitmq_cluster(nodes: int = NODES) -> Iterator[RabbitmqCluster]:
    """Start a cluster of this run's own. Raises ComponentMissing."""
    try:
        found = rabbitmq_distribution()
    except RabbitmqMissing as missing:
        raise ComponentMissing(COMPONENT, why=str(missing), command=COMMAND) from missing
    names = [f"reefmesh-{number}" for number in range(1, nodes + 1)]
    peers = "\n".join(
        (
            "cluster_formation.peer_discovery_backend = classic_config",
            *(f"cluster_formation.classic_config.nodes.{at} = {name}@localhost" for at, name in enumerate(names, start=1)),
        )
    )
    with tempfile.TemporaryDirectory(prefix="reefmesh-rabbitmq-cluster-") as folder, ExitStack() as stack:
        identity = NodeIdentity()
        epmd = Epmd(found.epmd, free_port())
        stack.callback(epmd.close)
        started = []
        for name in names:
            place = Path(folder) / name
            place.mkdir()
            node = RabbitmqProcess(
                distribution=found,
                folder=place,
                certificate=make_server_certificate(place),
                settings=peers,
                identity=replace(identity, name=name),
                epmd=epmd,
            )
            stack.callback(node.close)
            node.start()
            started.append(node)
        yield RabbitmqCluster(nodes=started)
