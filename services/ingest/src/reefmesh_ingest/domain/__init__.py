"""What ingest knows: pure functions and frozen values; no I/O, no clock. Instants are UTC microseconds since 1970 (``_us``)."""
