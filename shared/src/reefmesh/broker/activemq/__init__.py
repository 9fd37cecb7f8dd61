"""The engine for ActiveMQ Classic and Amazon MQ for ActiveMQ, over STOMP 1.2.

``engine`` is the port's face. Below it, from the wire up: ``frames`` (bytes and frames), ``transport`` (one connection),
``session`` (one login: receipts, transactions, subscriptions), ``link`` (a session that is kept up, over all endpoints).
Beside them: ``publisher`` and ``group_commit``; ``consumer`` with its ``slot``s, its ``mailbox`` and its ``lane``s, with
``siding`` and ``handover``; ``parking``; ``device_queue`` and ``device_topics``.
"""
