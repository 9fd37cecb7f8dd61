"""The engine for RabbitMQ and Amazon MQ for RabbitMQ, over AMQP 0-9-1.

``engine`` implements the port. Below it, from the wire up: ``transport`` (one socket, guarded), ``connection`` (one login and
its channels; aiormq speaks the protocol), and for all engines ``broker/reconnecting`` (all endpoints, again after every loss);
``topology`` and ``declaration`` (what exists at the broker).

To send: ``outbound_message``, ``publisher``. To receive: ``consumer`` with its ``lane``s, each with a ``broker/hold`` on an
``inbound_message`` from the ``ready_queue``; ``shard``s, each in one ``tenure`` after the other; ``isolation_watch`` decides
which reef is isolated and ``overflow`` does it; ``membership`` and ``handover``. Beside them: ``parking``, ``parking_visit``,
``probe``, ``stamp``; ``url``, ``errors``, ``message_headers``, ``parked_copy``. ADR 0037 says why it is so.
"""
