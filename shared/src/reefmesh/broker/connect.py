"""The one place that knows which engine a broker URL names. A new engine is one entry in ``ENGINES``."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from reefmesh.broker.foreign_address import stomp_address
from reefmesh.broker.port import Broker
from reefmesh.broker.probe import Probe
from reefmesh.clock import Clock
from reefmesh.errors import ConfigurationError

ReadPassword = Callable[[], str]
"""Raises ConfigurationError when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEntry:
    """One kind of broker. The functions import their engine when they are called: a service loads only the one that it uses.

    ``system``: its name in traces (``messaging.system``). ``example``: an address, for the help.
    ``open_probe``: None where there are no rights and no clock to ask about.
    ``reaches_devices``: its client is a ``DeviceBroker``. ``authenticates``: its users log in, and its client is a
    ``StampingBroker``. ``keeps_groups``: a group stays with its consumer until that consumer gives it up or is gone; elsewhere
    groups move in whole shares, and may do so while a consumer works.
    """

    schemes: tuple[str, ...]
    system: str
    example: str
    open_broker: Callable[[str, Clock, ReadPassword | None], Broker]
    open_probe: Callable[[str], Probe] | None = None
    reaches_devices: bool = False
    authenticates: bool = True
    keeps_groups: bool = False


def engine_of(url: str) -> EngineEntry:
    """Return the engine that this URL names.

    Raises:
        ConfigurationError: there is no such engine.
    """
    scheme = url.partition(":")[0]
    for engine in ENGINES:
        if scheme in engine.schemes:
            return engine
    known = ", ".join(f"{each}://" for engine in ENGINES for each in engine.schemes)
    meant, near = stomp_address(url), nearest_engine(scheme)
    if meant is not None:
        hint = f"; services speak STOMP, on ports of its own (61613, with TLS 61614): is {meant} meant?"
    else:
        hint = "" if near is None else f"; is an address like {near.example} meant?"
    raise ConfigurationError(f"broker URL {url.rpartition('@')[2]!r}: unknown engine {scheme!r}; there are {known}{hint}")


def nearest_engine(word: str) -> EngineEntry | None:
    """Return the engine that this word, a scheme or a name with a typo, most probably means."""
    names = {name: engine for engine in ENGINES for name in (*engine.schemes, engine.system)}
    found = difflib.get_close_matches(word.lower(), names, n=1)
    return names[found[0]] if found else None


def open_broker(url: str, *, clock: Clock, password: ReadPassword | None = None) -> Broker:
    """Return a client for this URL, not yet connected. ``password`` is read for each login, instead of the URL's.

    ``embedded://`` is in memory and this client's alone; ``embedded:///path/journal.db`` is durable (``?role=publisher``
    beside the process that consumes; further parameters in docs/architecture.md).
    ``stomp://`` and ``stomp+ssl://user@host-1:61614,host-2:61614`` is ActiveMQ.
    ``amqp://`` and ``amqps://user@host-1:5671,host-2:5671/virtual-host`` is RabbitMQ.

    Raises:
        ConfigurationError: no such engine, it is not installed, or the URL is malformed.
    """
    return engine_of(url).open_broker(url, clock, password)


def open_probe(url: str) -> Probe | None:
    """Return a probe that asks this broker about rights and its clock; None where there is nothing to ask (embedded).

    Raises:
        ConfigurationError: as ``open_broker``.
    """
    open_probe_of = engine_of(url).open_probe
    return None if open_probe_of is None else open_probe_of(url)


def _open_embedded(url: str, clock: Clock, _: ReadPassword | None) -> Broker:
    from reefmesh.broker.embedded.engine import EmbeddedBroker  # noqa: PLC0415 - engines are imported when named
    from reefmesh.broker.embedded.url import EmbeddedAddress  # noqa: PLC0415 - engines are imported when named

    return EmbeddedBroker(EmbeddedAddress.parse(url), clock=clock)


def _open_activemq(url: str, clock: Clock, password: ReadPassword | None) -> Broker:
    from reefmesh.broker.activemq.engine import ActiveMQBroker  # noqa: PLC0415 - engines are imported when named

    return ActiveMQBroker(url, clock=clock, password=password)


def _open_activemq_probe(url: str) -> Probe:
    from reefmesh.broker.activemq.probe import ActiveMQProbe  # noqa: PLC0415 - engines are imported when named

    return ActiveMQProbe(url)


def _open_rabbitmq(url: str, clock: Clock, password: ReadPassword | None) -> Broker:
    _require_rabbitmq_client()
    from reefmesh.broker.rabbitmq.engine import RabbitMQBroker  # noqa: PLC0415 - engines are imported when named

    return RabbitMQBroker(url, clock=clock, password=password)


def _open_rabbitmq_probe(url: str) -> Probe:
    _require_rabbitmq_client()
    from reefmesh.broker.rabbitmq.probe import RabbitMQProbe  # noqa: PLC0415 - engines are imported when named

    return RabbitMQProbe(url)


def _require_rabbitmq_client() -> None:
    if find_spec("aiormq") is None:
        raise ConfigurationError(
            "RabbitMQ needs the client that is not installed here: pip install 'reefmesh-shared[rabbitmq]'"
        )


ENGINES: Final = (
    EngineEntry(
        schemes=("embedded",), system="reefmesh", example="embedded:///path", open_broker=_open_embedded, authenticates=False
    ),
    EngineEntry(
        schemes=("stomp", "stomp+ssl"),
        system="activemq",
        example="stomp+ssl://host-1:61614,host-2:61614",
        open_broker=_open_activemq,
        open_probe=_open_activemq_probe,
        reaches_devices=True,
        keeps_groups=True,
    ),
    EngineEntry(
        schemes=("amqp", "amqps"),
        system="rabbitmq",
        example="amqps://host-1:5671,host-2:5671",
        open_broker=_open_rabbitmq,
        open_probe=_open_rabbitmq_probe,
        reaches_devices=True,
    ),
)
