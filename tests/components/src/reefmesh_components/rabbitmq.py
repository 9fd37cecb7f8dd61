"""A real RabbitMQ for tests: given by URL, in a container, or the one that is installed, started here.

The places are tried in this order:

1. ``REEFMESH_RABBITMQ_URL``: a broker that somebody else runs with the configuration of ``deploy/rabbitmq``.
2. A container, when a Docker engine answers.
3. The RabbitMQ that is installed on this machine (``REEFMESH_RABBITMQ_HOME`` names another one), as a process of this run on
   free ports of the loopback, in a temporary folder. The system's own service has no part in it.

Tests that kill, restart or pause the broker, and those that need its users, ask for a ``RabbitmqProcess``: the third place.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reefmesh_components.broker_stories import told
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.docker_engine import docker_engine_failure
from reefmesh_components.rabbitmq_container import rabbitmq_container
from reefmesh_components.rabbitmq_distribution import RabbitmqMissing, rabbitmq_distribution
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_components.requirement import ComponentMissing

COMPONENT: Final = "rabbitmq"
URL_VARIABLE: Final = "REEFMESH_RABBITMQ_URL"
COMMAND: Final = "apt-get install rabbitmq-server, or start Docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitmqServer:
    """``url`` is an operator's, plain; ``tls_url`` the same over TLS, ``process`` its process, where this run owns it."""

    url: str
    tls_url: str | None
    process: RabbitmqProcess | None

    @classmethod
    def of(cls, process: RabbitmqProcess) -> "RabbitmqServer":
        return cls(url=process.url(), tls_url=process.url(tls=True), process=process)


@contextmanager
def rabbitmq_server() -> Iterator[RabbitmqServer]:
    """Provide a broker for as long as the context lasts. Raises ComponentMissing when no place can provide one."""
    if url := os.environ.get(URL_VARIABLE):
        yield RabbitmqServer(url=url, tls_url=None, process=None)
        return
    if docker_engine_failure() is None:
        with rabbitmq_container() as (url, tls_url):
            yield RabbitmqServer(url=url, tls_url=tls_url, process=None)
        return
    with local_rabbitmq_server() as server:
        yield server


@contextmanager
def local_rabbitmq_server() -> Iterator[RabbitmqServer]:
    """As ``local_rabbitmq``, with its addresses."""
    with local_rabbitmq() as process:
        yield RabbitmqServer.of(process)


@contextmanager
def local_rabbitmq(*, settings: str = "", devices: str = "", more_plugins: Sequence[str] = ()) -> Iterator[RabbitmqProcess]:
    """Start a broker of this run's own; the parameters as of RabbitmqProcess. Raises ComponentMissing."""
    try:
        found = rabbitmq_distribution()
    except RabbitmqMissing as missing:
        engine = docker_engine_failure() or "this test needs a process, which a container is not"
        why = f"{URL_VARIABLE} is not set, {engine}, {missing}"
        raise ComponentMissing(COMPONENT, why=why, command=COMMAND) from missing
    with tempfile.TemporaryDirectory(prefix="reefmesh-rabbitmq-") as folder, ExitStack() as stack:
        place = Path(folder)
        process = RabbitmqProcess(
            distribution=found,
            folder=place,
            certificate=make_server_certificate(place),
            settings=settings,
            devices=devices,
            more_plugins=more_plugins,
        )
        stack.callback(process.close)
        stack.enter_context(told(process))
        process.start()
        yield process
