"""IOOS QARTOD primary flags, and how several flags become one."""

from collections.abc import Iterable
from enum import IntEnum


class Flag(IntEnum):
    """QARTOD primary level flags (IOOS, *Manual for QC of in-situ temperature and salinity data*, v2.1)."""

    PASS = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    FAIL = 4
    MISSING = 9


SCORED = frozenset({Flag.PASS, Flag.NOT_EVALUATED})
"""Only values with these flags are scored."""

_PRECEDENCE = {Flag.MISSING: 0, Flag.NOT_EVALUATED: 1, Flag.PASS: 2, Flag.SUSPECT: 3, Flag.FAIL: 4}


def aggregate(flags: Iterable[Flag]) -> Flag:
    """Return the verdict of several tests: the worst by the precedence 9 < 2 < 1 < 3 < 4; of none, ``NOT_EVALUATED``."""
    return max(flags, key=_PRECEDENCE.__getitem__, default=Flag.NOT_EVALUATED)
