"""When a kind with two states changes: at once beyond its margin, otherwise once the other state has held at two instants."""

from typing import NamedTuple


class Dwell(NamedTuple):
    """``differs_us``: the first instant since when every value speaks for the other state."""

    is_open: bool
    differs_us: int | None


def after_value(dwell: Dwell, *, speaks_for_open: bool, at_us: int, at_once: bool = False) -> Dwell:
    """Return the state after a value of the instant ``at_us``. The same instant again tells nothing new."""
    if speaks_for_open == dwell.is_open:
        return Dwell(dwell.is_open, None)
    if at_once or (dwell.differs_us is not None and at_us > dwell.differs_us):
        return Dwell(speaks_for_open, None)
    return Dwell(dwell.is_open, at_us)
