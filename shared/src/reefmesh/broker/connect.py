"""The one place that knows which engine a broker URL names."""

from typing import Final

from reefmesh.broker.port import Broker
from reefmesh.broker.probe import Probe
from reefmesh.clock import Clock
from reefmesh.errors import ConfigurationError


def open_broker(url: str, *, clock: Clock) -> Broker:
    """Return a client for this URL, not yet connected. An engine is imported only when its URL is given.

    ``embedded://`` is in memory and this client's alone; ``embedded:///path/journal.db`` is durable (``?role=publisher``
    beside the process that consumes; further parameters in docs/architecture.md).
    ``stomp://`` and ``stomp+ssl://user@host-1:61614,host-2:61614`` is ActiveMQ.

    Raises:
        ConfigurationError: no such engine, it is not installed, or the URL is malformed.
    """
    scheme = url.partition(":")[0]
    opener = _OPENERS.get(scheme)
    if opener is None:
        known = ", ".join(f"{name}://" for name in _OPENERS)
        raise ConfigurationError(f"broker URL {url.partition('@')[2] or url!r}: unknown engine {scheme!r}; there are {known}")
    return opener(url, clock)


def open_probe(url: str) -> Probe | None:
    """Return what asks this broker about rights and its clock; None where there is nothing to ask (embedded).

    Raises:
        ConfigurationError: as ``open_broker``.
    """
    if url.partition(":")[0] not in ("stomp", "stomp+ssl"):
        return None
    from reefmesh.broker.activemq.probe import ActiveMQProbe  # noqa: PLC0415 - engines are imported when named

    return ActiveMQProbe(url)


def _open_embedded(url: str, clock: Clock) -> Broker:
    from reefmesh.broker.embedded.engine import EmbeddedBroker  # noqa: PLC0415 - engines are imported when named
    from reefmesh.broker.embedded.url import EmbeddedAddress  # noqa: PLC0415 - engines are imported when named

    return EmbeddedBroker(EmbeddedAddress.parse(url), clock=clock)


def _open_activemq(url: str, clock: Clock) -> Broker:
    from reefmesh.broker.activemq.engine import ActiveMQBroker  # noqa: PLC0415 - engines are imported when named

    return ActiveMQBroker(url, clock=clock)


_OPENERS: Final = {"embedded": _open_embedded, "stomp": _open_activemq, "stomp+ssl": _open_activemq}
