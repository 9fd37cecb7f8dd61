"""The embedded engine: a broker inside this process, with a journal in SQLite (a file, or memory).

``engine`` is the port's ``Broker``, ``session`` the open journal that the clients of one process share; ``consumer``, ``lane``,
``parking``, ``errors`` and ``url`` are what they are in every engine. There is no probe: this engine has no rights.

Inside, ``fifo`` orders one subscription's messages and ``backlog`` keeps a bounded window of them in memory; ``dispatcher``
gives them to lanes. ``journal`` (``tables``, ``record``, ``ownership``) keeps them on disk, and ``writer`` shares its
transactions among all jobs (``job``) that wait.
"""
