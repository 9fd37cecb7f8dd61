"""The embedded engine: a broker inside this process, with a journal in SQLite (a file, or memory).

``fifo`` orders one subscription's messages, ``journal`` keeps them, ``writer`` shares its transactions among all who
wait, ``feed`` keeps a bounded window of the journal in memory, ``engine`` ties them together, and ``client``,
``consumer`` and ``parked`` are the port's side of it.
"""
