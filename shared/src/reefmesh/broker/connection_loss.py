"""Connections to a broker that are gone."""

from reefmesh.broker.port import BrokerUnavailable


class ConnectionLost(BrokerUnavailable):
    """The connection is gone, or the channel of it; the last commands were executed or not."""


class BrokerSilent(ConnectionLost):
    """The broker answered no more, or took no more: that is no message's doing."""
