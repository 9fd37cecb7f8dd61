"""The rules of ingest: pure functions, frozen values, no I/O, no clock. Instants are UTC microseconds since 1970 (``_us``)."""
