"""The engine for ActiveMQ Classic and Amazon MQ for ActiveMQ, over STOMP 1.2.

``engine`` implements the port. Below it, from the wire up: ``frames`` (bytes and frames), ``transport`` (one connection),
``session`` (one login: receipts, subscriptions), and for all engines ``broker/reconnecting`` (all endpoints, again after
every loss).

To send: ``outbound_message``, ``transaction``, ``shared_transactions``, ``publisher``. To receive: ``consumer`` with its
``lane``s, each with a ``broker/hold`` on an ``inbound_message`` from the ``ready_queue``; a shared or dedicated
``subscription``;
``isolation_watch`` decides which reef is isolated and ``isolation`` does it; ``handover`` and ``redelivery``. Beside them:
``parking``, ``probe``, ``device_queue``, ``device_topics``; ``url``, ``errors``, ``destinations``, ``message_headers``.
"""
