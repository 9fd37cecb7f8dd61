"""A real ActiveMQ for tests: given by URL, in a container, or the upstream distribution started here.

The places are tried in this order:

1. ``REEFMESH_ACTIVEMQ_URL``: a broker that somebody else runs with the configuration of ``deploy/activemq``.
2. A container, when a Docker engine answers.
3. The upstream distribution from the cache folder (``REEFMESH_CACHE``, by default ``~/.cache/reefmesh``), fetched there
   through Maven and verified; with Java it runs on free ports of the loopback in a temporary folder.
   ``REEFMESH_ACTIVEMQ_VERSION`` names another version than the usual one.

Tests that kill, restart or pause the broker, and those that need its users, ask for a ``LocalActivemq``: the third place.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reefmesh_components.activemq_container import activemq_container
from reefmesh_components.activemq_distribution import DistributionMissing, distribution
from reefmesh_components.activemq_process import BROKER_XML, STORE_LIMIT, ActivemqProcess
from reefmesh_components.broker_stories import told
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.docker_engine import docker_engine_failure
from reefmesh_components.requirement import ComponentMissing

COMPONENT: Final = "activemq"
URL_VARIABLE: Final = "REEFMESH_ACTIVEMQ_URL"
COMMAND: Final = "install Java 17 and Maven, or start Docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivemqServer:
    """``url`` is an operator's, plain; ``tls_url`` the same over TLS, ``process`` its process, where this run owns it."""

    url: str
    tls_url: str | None
    process: ActivemqProcess | None


@contextmanager
def activemq_server() -> Iterator[ActivemqServer]:
    """Provide a broker for as long as the context lasts. Raises ComponentMissing when no place can provide one."""
    if url := os.environ.get(URL_VARIABLE):
        yield ActivemqServer(url=url, tls_url=None, process=None)
        return
    if docker_engine_failure() is None:
        with activemq_container() as (url, tls_url):
            yield ActivemqServer(url=url, tls_url=tls_url, process=None)
        return
    with local_activemq() as process:
        yield ActivemqServer(url=process.url(), tls_url=process.url(tls=True), process=process)


@contextmanager
def local_activemq(
    *, heap: str = "512m", store_limit: str = STORE_LIMIT, edited: Callable[[str], str] | None = None
) -> Iterator[ActivemqProcess]:
    """Start a broker of this run's own from the upstream distribution; ``edited`` makes another broker.xml of the shipped one.
    Raises ComponentMissing."""
    with tempfile.TemporaryDirectory(prefix="reefmesh-activemq-") as folder, ExitStack() as stack:
        process = _process(Path(folder), heap=heap, store_limit=store_limit)
        stack.callback(process.kill)
        stack.enter_context(told(process))
        if edited is not None:
            file = process.folder / "conf" / BROKER_XML.name
            file.write_text(edited(file.read_text(encoding="utf-8")), encoding="utf-8")
        process.start()
        yield process


@contextmanager
def shared_store_pair(*, heap: str = "512m") -> Iterator[tuple[ActivemqProcess, ActivemqProcess]]:
    """Start two brokers on one store: the first is the master, the second waits for its lock. Raises ComponentMissing."""
    with tempfile.TemporaryDirectory(prefix="reefmesh-activemq-pair-") as folder, ExitStack() as stack:
        pair = []
        for name in ("one", "two"):
            (Path(folder) / name).mkdir()
            pair.append(_process(Path(folder) / name, heap=heap, data=Path(folder) / "store"))
            stack.callback(pair[-1].kill)
            stack.enter_context(told(pair[-1]))
        master, standby = pair
        master.start()
        standby.start(wait=False)
        yield master, standby


def pair_url(pair: tuple[ActivemqProcess, ActivemqProcess], *, user: str = "operator", parameters: str = "") -> str:
    """Return the address of both, for a client that finds the live one."""
    first, second = (process.url(user) for process in pair)
    return f"{first},{second.rpartition('@')[2]}" + (f"?{parameters}" if parameters else "")


def _process(folder: Path, *, heap: str, data: Path | None = None, store_limit: str = STORE_LIMIT) -> ActivemqProcess:
    try:
        found = distribution()
    except DistributionMissing as missing:
        engine = docker_engine_failure() or "this test needs a process, which a container is not"
        why = f"{URL_VARIABLE} is not set, {engine}, {missing}"
        raise ComponentMissing(COMPONENT, why=why, command=COMMAND) from missing
    certificate = make_server_certificate(folder)
    return ActivemqProcess(
        distribution=found, folder=folder, certificate=certificate, data=data, heap=heap, store_limit=store_limit
    )
