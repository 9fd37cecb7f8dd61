"""The engine for ActiveMQ Classic and Amazon MQ for ActiveMQ, over STOMP 1.2.

``engine`` is the port's face. Below it, from the wire up: ``frames`` (bytes and frames), ``transport`` (one connection),
``session`` (one login: receipts, transactions, subscriptions), ``link`` (a session that is kept up, over all endpoints).
Beside them: ``publisher``, ``consumer`` with its ``slots`` and ``settlement``, ``handover``, ``parking``.
"""
